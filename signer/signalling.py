"""Signalling records, by which a parent may believe a first DS (RFC 9615): the CDS and CDNSKEY
of zones that are signed here, under the names of their servers, in zones signed here. Pure.

    example.com. NS ns1.example.net.   ──▶   _dsboot.example.com._signal.ns1.example.net. CDS …
"""

from collections.abc import Callable, Collection, Iterable

import attrs
import dns.name

import engine

_CDS, _CDNSKEY, _NS, _DNAME = 59, 60, 2, 39
_DSBOOT, _SIGNAL = b"_dsboot", b"_signal"
_CDS_DELETE = bytes(5)


@attrs.frozen
class Child:
    """What a version of a zone says that is to be signalled: its servers' names, CDS and
    CDNSKEY rdata, and their TTL in seconds."""

    origin: dns.name.Name
    servers: frozenset[dns.name.Name]
    cds: frozenset[bytes]
    cdnskeys: frozenset[bytes]
    ttl: int

    @staticmethod
    def of(zone: engine.Zone) -> "Child | None":
        """None where there is nothing to signal: no CDS, or the one that asks for the removal
        of the DS (RFC 8078 section 4), by which nobody is bootstrapped."""
        cds, cdnskey = zone.rrset(zone.origin, _CDS), zone.rrset(zone.origin, _CDNSKEY)
        ns = zone.rrset(zone.origin, _NS)
        if cds is None or cdnskey is None or ns is None or _CDS_DELETE in cds.rdatas:
            return None
        origin, _ = dns.name.from_wire(zone.origin, 0)
        servers = frozenset(dns.name.from_wire(rdata, 0)[0].canonicalize() for rdata in ns.rdatas)
        return Child(
            origin.canonicalize(),
            servers,
            frozenset(cds.rdatas),
            frozenset(cdnskey.rdatas),
            cds.ttl,
        )


@attrs.frozen
class Signal:
    """One RRset to publish."""

    owner: dns.name.Name
    rtype: int
    ttl: int
    rdatas: tuple[bytes, ...]


@attrs.frozen
class Signals:
    """`passed_over` says, one line each, what can't be signalled."""

    rrsets: tuple[Signal, ...] = ()
    passed_over: tuple[str, ...] = ()


def signalling_domain(server: dns.name.Name) -> dns.name.Name | None:
    """`_signal.<ns>` (RFC 9615 section 2); None where it is too long for a name."""
    return _joined((_SIGNAL,), server)


def signalling_name(child: dns.name.Name, server: dns.name.Name) -> dns.name.Name | None:
    """`_dsboot.<child>._signal.<ns>` (RFC 9615 section 4.1); None where it is too long."""
    return _joined((_DSBOOT, *child.labels[:-1], _SIGNAL), server)


def _joined(labels: tuple[bytes, ...], name: dns.name.Name) -> dns.name.Name | None:
    try:
        return dns.name.Name((*labels, *name.labels)).canonicalize()
    except dns.name.NameTooLong:
        return None


def signals(
    zone: dns.name.Name,
    children: Iterable[Child],
    zones: Collection[dns.name.Name],
    *,
    most_ttl: int,
) -> Signals:
    """What a zone is to publish. `zones` are all that are served here: below a cut to one of
    them nothing is published. `most_ttl` in seconds."""
    rrsets: list[Signal] = []
    passed_over: list[str] = []
    below = [other for other in zones if other != zone and other.is_subdomain(zone)]
    for child in sorted(children, key=lambda child: child.origin):
        for server in sorted(child.servers):
            # RFC 9615 section 4.1: not for servers in the child's own domain, whose names
            # nobody can validate without the DS that is to be brought.
            if server.is_subdomain(child.origin) or not _holds(zone, server):
                continue
            owner = signalling_name(child.origin, server)
            if owner is None:
                passed_over.append(
                    f"{child.origin} at {server}: its signalling name is longer than 255 octets"
                )
            elif not any(owner.is_subdomain(other) for other in below):
                ttl = min(child.ttl, most_ttl)
                rrsets += [
                    Signal(owner, _CDS, ttl, tuple(sorted(child.cds))),
                    Signal(owner, _CDNSKEY, ttl, tuple(sorted(child.cdnskeys))),
                ]
    return Signals(tuple(rrsets), tuple(passed_over))


def _holds(zone: dns.name.Name, server: dns.name.Name) -> bool:
    """Whether the signalling domain of a server is in a zone, or is that zone."""
    return server.is_subdomain(zone) or signalling_domain(server) == zone


def fitting(
    zone: dns.name.Name,
    wanted: Iterable[Signal],
    types_at: Callable[[dns.name.Name], Collection[int]],
) -> Signals:
    """Those that can stand beside what the source has, `types_at` each name."""
    rrsets: list[Signal] = []
    passed_over: dict[str, None] = {}
    for one in wanted:
        cut = _cut_above(zone, one.owner, types_at)
        if types_at(one.owner):
            passed_over[f"{one.owner}: the source has records there already"] = None
        elif cut is not None:
            passed_over[f"{one.owner}: is delegated away at {cut}"] = None
        else:
            rrsets.append(one)
    return Signals(tuple(rrsets), tuple(passed_over))


def _cut_above(
    zone: dns.name.Name,
    owner: dns.name.Name,
    types_at: Callable[[dns.name.Name], Collection[int]],
) -> dns.name.Name | None:
    """The name below which nothing is the zone's: a delegation, or a DNAME (RFC 6672)."""
    name = owner
    while True:
        types = types_at(name)
        if _DNAME in types or (_NS in types and name != zone):
            return name
        if name == zone:
            return None
        name = name.parent()
