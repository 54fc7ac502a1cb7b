"""DS records of a zone's keys: made, and matched with what a parent shows."""

from collections.abc import Iterable

import dns.name

import engine

SHA256 = 2
_KNOWN_DIGESTS = (1, 2, 4)


def ds_rdata(origin: dns.name.Name, dnskey: bytes, digest: int = SHA256) -> bytes:
    """RFC 4034 section 5.1.4; SHA-256 unless another is asked for (RFC 8624 section 3.3)."""
    return engine.ds_digest(origin.canonicalize().to_digestable(), dnskey, digest)


def matches(origin: dns.name.Name, dnskey: bytes, ds: bytes) -> bool:
    """Whether a DS is of that key. One with a digest type that nobody knows matches none."""
    if len(ds) < 5 or ds[2] != dnskey[3] or ds[3] not in _KNOWN_DIGESTS:
        return False
    return ds_rdata(origin, dnskey, ds[3]) == ds


def named_by(origin: dns.name.Name, dnskey: bytes, records: Iterable[bytes]) -> bool:
    """Whether any of the DS records is of that key."""
    return any(matches(origin, dnskey, ds) for ds in records)
