"""The delegations of a zone that is loaded here: servers, their addresses and the DS."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

import engine
from zoneward.api import Cut

_A, _NS, _AAAA, _DS = 1, 2, 28, 43


def cuts(zone: engine.Zone, children: Collection[dns.name.Name] = ()) -> Iterator[Cut]:
    """All of them, or those of these names that are delegations."""
    for rrset in _name_servers(zone, children):
        ds = zone.rrset(rrset.owner, _DS)
        servers = [_name(rdata) for rdata in rrset.rdatas]
        yield Cut(
            child=str(_name(rrset.owner)),
            servers=tuple(map(str, servers)),
            addresses={str(server): _addresses(zone, server) for server in servers},
            ds=() if ds is None else tuple(ds.rdatas),
            ttl=rrset.ttl if ds is None else ds.ttl,
        )


def _name_servers(zone: engine.Zone, children: Collection[dns.name.Name]) -> Iterator[engine.RRset]:
    if not children:
        # What is below a cut is the child's, and no cut (RFC 9499 section 7).
        cut: bytes | None = None
        for rrset in zone:
            if rrset.rtype != _NS or rrset.owner == zone.origin:
                continue
            if cut is None or not _name(rrset.owner).is_subdomain(_name(cut)):
                cut = rrset.owner
                yield rrset
    for child in sorted(set(children)):
        found = zone.rrset(child.to_digestable(), _NS)
        if found is not None and found.owner != zone.origin:
            yield found


def _addresses(zone: engine.Zone, server: dns.name.Name) -> tuple[str, ...]:
    owner = server.to_digestable()
    found = [(rtype, zone.rrset(owner, rtype)) for rtype in (_A, _AAAA)]
    return tuple(
        text for rtype, rrset in found if rrset is not None for text in _texts(rtype, rrset.rdatas)
    )


def _texts(rtype: int, rdatas: Sequence[bytes]) -> list[str]:
    return [
        dns.rdata.from_wire(
            dns.rdataclass.IN, dns.rdatatype.RdataType.make(rtype), rdata, 0, len(rdata)
        ).to_text()
        for rdata in rdatas
    ]


def _name(wire: bytes) -> dns.name.Name:
    return dns.name.from_wire(wire, 0)[0].canonicalize()
