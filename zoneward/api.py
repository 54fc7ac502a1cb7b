"""What the admin socket says, as types: the manager writes them, the commands read them.

Times are ISO 8601 in UTC; octets are base64 text.
"""

from __future__ import annotations

import msgspec

from signer.status import KeyStatus, ZoneStatus

# A request's body is never longer, in octets: the largest is an RSA-4096 key pair.
LARGEST_BODY = 64 * 1024


class ZoneRow(msgspec.Struct, frozen=True, kw_only=True):
    """One zone in one block. `problem` is why what is served may not be what the source has."""

    zone: str
    block: str
    source: str
    serial: int | None
    records: int | None
    names: int | None
    signatures: int | None
    earliest_expiration: str | None
    loaded: str | None
    signed_rrsets: int
    problem: str | None
    signing: ZoneStatus | None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`config` is the digest of the Corefile in force. `settled`: every zone had its first
    pass, or says why not."""

    version: str
    pid: int
    corefile: str
    config: str
    settled: bool
    zones: tuple[ZoneRow, ...]


class ZoneKeys(msgspec.Struct, frozen=True):
    zone: str
    keys: tuple[KeyStatus, ...]


class Delegation(msgspec.Struct, frozen=True):
    """What a parent is to have: DS and DNSKEY records in presentation form."""

    zone: str
    ds: tuple[str, ...]
    dnskey: tuple[str, ...]


class Lines(msgspec.Struct, frozen=True):
    """What came of a request, for a person; one line a zone."""

    lines: tuple[str, ...]


class Fault(msgspec.Struct, frozen=True):
    """Why a request was refused, in one line."""

    error: str


class Generate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`role` is csk, ksk or zsk; `bits` is for RSA."""

    zone: str
    role: str
    algorithm: int
    bits: int | None = None


class KeyPair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both halves of a key: DNSKEY rdata and PKCS#8 DER. Never logged, never in a repr."""

    zone: str
    dnskey: bytes
    private: bytes

    def __repr__(self) -> str:
        return f"KeyPair({self.zone!r})"


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    zone: str
    fingerprint: str
