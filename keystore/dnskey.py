"""DNSKEY rdata, read: flags, tag, fingerprint, and whether a private half belongs to it."""

import hashlib

import attrs

from keystore import algorithms

ZONE_FLAG = 0x0100  # RFC 4034 section 2.1.1
REVOKE_FLAG = 0x0080  # RFC 5011 section 7
SEP_FLAG = 0x0001  # RFC 3757
KSK_FLAGS = ZONE_FLAG | SEP_FLAG
ZSK_FLAGS = ZONE_FLAG


@attrs.frozen
class Dnskey:
    """Raises ValueError when the rdata is no DNSKEY of a zone."""

    rdata: bytes

    def __attrs_post_init__(self) -> None:
        if len(self.rdata) < 5:
            raise ValueError("DNSKEY rdata is cut short")
        if self.rdata[2] != 3:
            raise ValueError(f"DNSKEY protocol is {self.rdata[2]}, not 3 (RFC 4034 section 2.1.2)")
        if not self.flags & ZONE_FLAG:
            raise ValueError("the key is not a zone key: its ZONE flag is not set")

    @property
    def flags(self) -> int:
        return int.from_bytes(self.rdata[:2], "big")

    @property
    def algorithm(self) -> int:
        return self.rdata[3]

    @property
    def sep(self) -> bool:
        return bool(self.flags & SEP_FLAG)

    @property
    def tag(self) -> int:
        return key_tag(self.rdata)

    @property
    def fingerprint(self) -> str:
        return fingerprint(self.rdata)


def key_tag(rdata: bytes) -> int:
    """RFC 4034 appendix B."""
    total = sum(rdata[0::2]) * 256 + sum(rdata[1::2])
    return (total + (total >> 16)) & 0xFFFF


def revoked_tag(rdata: bytes) -> int:
    """The tag that the key would have with the REVOKE bit set (RFC 5011 section 2.1)."""
    return key_tag(bytes([rdata[0], rdata[1] | REVOKE_FLAG]) + rdata[2:])


def fingerprint(rdata: bytes) -> str:
    """SHA-256, in hexadecimal, over protocol, algorithm and public key: the rdata without
    its flags. A key stays the same key when it is revoked or gets the SEP flag, and in
    whatever zone it is used."""
    return hashlib.sha256(rdata[2:]).hexdigest()


def belongs_together(rdata: bytes, private: bytes | bytearray) -> bool:
    """Whether the PKCS#8 key's public half, computed anew, is the DNSKEY's. The engine
    proves the same with a signature when it loads the key."""
    try:
        key = algorithms.from_pkcs8(private)
        return algorithms.public_bytes(key, rdata[3]) == rdata[4:]
    except (ValueError, TypeError, IndexError):
        return False
