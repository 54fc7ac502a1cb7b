"""Which RRsets a person means by a name and a type, of those that a version has signed."""

import dns.exception
import dns.name
import dns.rdatatype

import engine
from zoneward.refusal import Refusal

_LONGEST = 1024


def named(zone: engine.Zone, name: str, rtype: str | None) -> tuple[bytes, int | None]:
    """Owner and type (None: all of the owner's) for `engine.SignPlan`. A name without a dot
    at its end counts from the zone, as in a zone file; where the zone has none such, one that
    ends in the zone's own is taken as absolute. Raises Refusal."""
    origin, _ = dns.name.from_wire(zone.origin, 0)
    owner = _owner(zone, origin, name)
    found = zone.rrsets_at(owner.to_digestable())
    wanted = None if rtype is None else _type(rtype)
    if wanted is not None:
        found = [rrset for rrset in found if rrset.rtype == wanted]
        if not found:
            raise Refusal(f"zone {origin}: {owner} has no {_text(wanted)} records")
    if not any(rrset.signatures for rrset in found):
        what = owner if wanted is None else f"{owner} {_text(wanted)}"
        raise Refusal(
            f"zone {origin}: {what} has no signature to make anew: glue and the NS records of "
            "delegations are not signed"
        )
    return owner.to_digestable(), wanted


def _owner(zone: engine.Zone, origin: dns.name.Name, text: str) -> dns.name.Name:
    if len(text) > _LONGEST:
        raise Refusal("a name is at most 255 octets long")
    try:
        owners = [dns.name.from_text(text, origin)]
        absolute = dns.name.from_text(text)
    except dns.exception.DNSException as error:
        raise Refusal(f"{text!r} is no name: {error}") from None
    if not owners[0].is_subdomain(origin):
        raise Refusal(f"zone {origin}: {owners[0]} is not in it")
    if absolute.is_subdomain(origin):
        owners.append(absolute)
    for owner in owners:
        if zone.rrsets_at(owner.to_digestable()):
            return owner
    raise Refusal(f"zone {origin}: it has no records at {owners[-1]}")


def _type(text: str) -> int:
    try:
        return int(dns.rdatatype.from_text(text))
    except (dns.exception.DNSException, ValueError):
        raise Refusal(f"{text!r} is no record type") from None


def _text(rtype: int) -> str:
    return dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rtype))
