"""What a version on disk says of its keys and servers."""

from collections.abc import Iterable, Sequence

import dns.inet
import dns.name

import engine
from signer.adoption import Served
from signer.delivery import Wanted
from signer.ds import named_by
from signer.observer import Published
from signer.parent import ParentAnswer, Seen
from signer.variant import Variant

_A, _NS, _SOA, _AAAA, _DNSKEY, _CDS = 1, 2, 6, 28, 48, 59


def dnskey_expiration(zone: engine.Zone) -> int | None:
    """When the first signature of the DNSKEY RRset ends, in Unix seconds."""
    found = zone.rrset(zone.origin, _DNSKEY)
    if found is None or not found.signatures:
        return None
    # RFC 4034 section 3.1.5; good until serial arithmetic would be needed, in 2106.
    return min(int.from_bytes(signature[8:12], "big") for signature in found.signatures)


def published_names(zone: engine.Zone) -> Published:
    """The NS set of the apex, with the addresses that the zone has of it."""
    ns = zone.rrset(zone.origin, _NS)
    if ns is None:
        return Published()
    names = tuple(sorted(dns.name.from_wire(rdata, 0)[0] for rdata in ns.rdatas))
    return Published(names, tuple((name, _addresses(zone, name)) for name in names))


def _addresses(zone: engine.Zone, name: dns.name.Name) -> tuple[str, ...]:
    owner = name.canonicalize().to_digestable()
    found = []
    for rtype in (_A, _AAAA):
        rrset = zone.rrset(owner, rtype)
        if rrset is not None:
            family = dns.inet.AF_INET if rtype == _A else dns.inet.AF_INET6
            found += [dns.inet.inet_ntop(family, rdata) for rdata in rrset.rdatas]
    return tuple(found)


def seen_of_key(
    origin: dns.name.Name, dnskey: bytes, zones: Sequence[engine.Zone], parent: ParentAnswer
) -> Served:
    """What the versions and the parent show of a key. A zone that has a DS and no version here
    is served by somebody else, with the keys that are brought: caches have what they sign."""
    tag, algorithm = engine.key_tag(dnskey), dnskey[3]
    ttls = [0]
    shown = zone_signed = keys_signed = False
    for zone in zones:
        keys, soa = zone.rrset(zone.origin, _DNSKEY), zone.rrset(zone.origin, _SOA)
        if keys is not None:
            ttls.append(keys.ttl)
            shown = shown or dnskey in keys.rdatas
            keys_signed = keys_signed or _signed(keys, tag, algorithm)
        zone_signed = zone_signed or (soa is not None and _signed(soa, tag, algorithm))
    seen = parent if isinstance(parent, Seen) else None
    elsewhere = not zones and seen is not None and bool(seen.any)
    return Served(
        dnskey=shown or elsewhere,
        zrrsig=zone_signed or elsewhere,
        krrsig=keys_signed or elsewhere,
        ds=seen is not None and named_by(origin, dnskey, seen.any),
        dnskey_ttl=max(ttls),
        ds_ttl=0 if seen is None else seen.ttl,
    )


def news(
    pending: Wanted | None, parent: ParentAnswer, variants: Iterable[Variant]
) -> frozenset[bytes] | None:
    """CDS that our server shows in every block and that the parent has yet to take over; None
    where there are none, or not everywhere."""
    if pending is None:
        return None
    wanted = frozenset(entry.ds for entry in pending.entries)
    if isinstance(parent, Seen) and parent.common == parent.any == wanted:
        return None
    found: frozenset[bytes] = frozenset()
    for one in variants:
        if one.base is None or one.observed_foreign or one.observed_serial != one.base.serial:
            return None
        cds = one.base.rrset(one.base.origin, _CDS)
        if cds is None:
            return None
        found |= frozenset(cds.rdatas)
    return found or None


def _signed(rrset: engine.RRset, tag: int, algorithm: int) -> bool:
    return any(
        signature[2] == algorithm and int.from_bytes(signature[16:18], "big") == tag
        for signature in rrset.signatures
    )
