"""The links of a chain of trust, one at a time (RFC 4035 section 5): from an anchor to a zone's
keys, and from those to the DS of a zone below. Pure: answers and the time come in."""

from collections.abc import Iterable, Sequence

import attrs
import dns.dnssec
import dns.exception
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS
import dns.rrset

from signer.absence import Absent, absence
from signer.ds import matches
from signer.signatures import ALGORITHMS, Signed, check, find
from signer.trust import Anchor, Bogus, Insecure, ZoneKeys

DNSKEY = dns.rdtypes.ANY.DNSKEY.DNSKEY
DS = dns.rdtypes.ANY.DS.DS

# SHA-256 and SHA-384; SHA-1 no longer leads anywhere (RFC 9905).
_DIGESTS = frozenset({2, 4})
_REVOKED = 0x0080
# A DNSKEY RRset of more is nobody's.
_MOST_KEYS = 64


@attrs.frozen
class Delegated:
    """A DS RRset that its parent's keys sign."""

    ds: frozenset[DS]
    signed: Signed


def delegation(
    name: dns.name.Name, rrsets: Sequence[dns.rrset.RRset], keys: ZoneKeys, now: int
) -> Delegated | Absent | Insecure | Bogus:
    """What an answer to a question for the DS of `name`, from the zone of `keys`, is worth."""
    if name == keys.zone or not name.is_subdomain(keys.zone):
        return Bogus(f"{keys.zone} has no DS of {name}")
    rrset = find(rrsets, name, dns.rdatatype.DS)
    if rrset is None:
        return absence(name, rrsets, keys, now)
    signed = check(rrset, rrsets, keys, now)
    if isinstance(signed, Bogus):
        return signed
    return Delegated(frozenset(one for one in rrset if isinstance(one, DS)), signed)


def keys_of(
    anchor: Anchor, rrsets: Sequence[dns.rrset.RRset], now: int
) -> ZoneKeys | Insecure | Bogus:
    """The keys in an answer to a question for the DNSKEY of the anchor's zone, where one that
    the anchor names signs them (RFC 4035 section 5.2)."""
    zone = anchor.zone
    ds = [one for one in anchor.ds if one.algorithm in ALGORITHMS and one.digest_type in _DIGESTS]
    configured = [one for one in anchor.dnskeys if one.algorithm in ALGORITHMS]
    if not ds and not configured:
        return Insecure(f"{zone} is signed by no algorithm that is known here")
    dnskeys = _dnskeys(zone, rrsets)
    if isinstance(dnskeys, Bogus):
        return dnskeys
    entries = tuple(
        key
        for key in dnskeys
        if not key.flags & _REVOKED
        and (
            key in configured
            or any(matches(zone, key.to_digestable(), one.to_digestable()) for one in ds)
        )
    )
    if not entries:
        named = ", ".join(map(str, sorted(_tags(ds, configured))))
        return Bogus(f"no DNSKEY of {zone} is the one that its anchor or DS names ({named})")
    return _signed_by(entries, dnskeys, zone, rrsets, now)


def self_signed(
    zone: dns.name.Name, rrsets: Sequence[dns.rrset.RRset], now: int
) -> ZoneKeys | Insecure | Bogus:
    """The keys of a zone that nothing anchors: its DNSKEY RRset has to be signed by itself."""
    if find(rrsets, zone, dns.rdatatype.DNSKEY) is None:
        return Insecure(f"{zone} has no DNSKEY")
    dnskeys = _dnskeys(zone, rrsets)
    if isinstance(dnskeys, Bogus):
        return dnskeys
    if not any(key.algorithm in ALGORITHMS for key in dnskeys):
        return Insecure(f"{zone} is signed by no algorithm that is known here")
    return _signed_by(dnskeys, dnskeys, zone, rrsets, now)


def _signed_by(
    entries: tuple[DNSKEY, ...],
    dnskeys: tuple[DNSKEY, ...],
    zone: dns.name.Name,
    rrsets: Sequence[dns.rrset.RRset],
    now: int,
) -> ZoneKeys | Bogus:
    rrset = find(rrsets, zone, dns.rdatatype.DNSKEY)
    assert rrset is not None
    signed = check(rrset, rrsets, ZoneKeys(zone, entries), now)
    return signed if isinstance(signed, Bogus) else ZoneKeys(zone, dnskeys)


def _dnskeys(zone: dns.name.Name, rrsets: Sequence[dns.rrset.RRset]) -> tuple[DNSKEY, ...] | Bogus:
    rrset = find(rrsets, zone, dns.rdatatype.DNSKEY)
    if rrset is None:
        return Bogus(f"{zone} has no DNSKEY, and should be signed")
    if len(rrset) > _MOST_KEYS:
        return Bogus(f"{zone} has too many DNSKEY records")
    return tuple(one for one in rrset if isinstance(one, DNSKEY))


def _tags(ds: Iterable[DS], dnskeys: Iterable[DNSKEY]) -> set[int]:
    return {one.key_tag for one in ds} | {dns.dnssec.key_id(one) for one in dnskeys}
