"""A block's catalog zone (RFC 9432, version 2): which zones its servers are to hold."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import dns.name

import engine
from corefile.names import name_wire
from zones.serial import following

# Members ask again this often, in seconds, when no NOTIFY comes; a catalog never ends.
_REFRESH, _RETRY, _EXPIRE = 30, 10, 0x7FFFFFFF


def member_label(zone: dns.name.Name) -> str:
    """A member's label: the same for a zone's name for ever, since a new one means to its
    consumers that the zone starts afresh (RFC 9432 section 5.4)."""
    return hashlib.sha256(name_wire(str(zone.canonicalize()))).hexdigest()[:32]


def build(
    catalog: dns.name.Name,
    members: Iterable[dns.name.Name],
    current: engine.Zone | None,
    now: int,
) -> engine.Zone | None:
    """The catalog's next version; None when `current` says the same. The serial is the time,
    or the one after the current where that is newer, so that it moves on after lost state."""
    lines = sorted(
        f"{member_label(zone)}.zones.{catalog} 0 IN PTR {zone.canonicalize()}"
        for zone in set(members)
    )

    def zone(serial: int) -> engine.Zone:
        text = "\n".join(
            [
                f"{catalog} 0 IN SOA invalid. invalid. {serial} {_REFRESH} {_RETRY} {_EXPIRE} 0",
                f"{catalog} 0 IN NS invalid.",
                f'version.{catalog} 0 IN TXT "2"',
                *lines,
                "",
            ]
        )
        return engine.scan_text(text.encode(), name_wire(str(catalog)), name=str(catalog))

    if current is None:
        return zone(now % (1 << 32))
    serial = following(current.serial, now)
    fresh = zone(serial)
    return fresh if engine.source_changes(current, fresh) else None


def members(zone: engine.Zone) -> list[dns.name.Name]:
    """The zones that a catalog lists, in the order of their labels."""
    return [
        dns.name.from_wire(rdata, 0)[0]
        for rrset in zone
        if rrset.rtype == _PTR
        for rdata in rrset.rdatas
    ]


_PTR = 12
