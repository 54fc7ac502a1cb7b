"""Which zones publish signalling records for which (RFC 9615): kept in step with what is served.

a zone's version is current ──▶ its CDS or NS differ? ──▶ overlays of the zones with `signal`
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable

import attrs
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

import engine
from signer.signalling import Child, Signals, fitting, signals
from zones.overlay import Lay
from zoneward import logging
from zoneward.group import NameGroup

# Changes of many zones become one of the zone that signals them, in seconds.
_PAUSE = 0.2

_log = logging.get("signalling")


class Signalling:
    """`changed` is called, on the loop, for each zone that is to be loaded again."""

    def __init__(self, changed: Callable[[dns.name.Name], None]) -> None:
        self._changed = changed
        self._children: dict[dns.name.Name, Child] = {}
        self._zones: tuple[dns.name.Name, ...] = ()
        # The zones with `signal`, and the highest TTL that each may give.
        self._signallers: dict[dns.name.Name, int] = {}
        self._overlays: dict[dns.name.Name, Signals] = {}
        self._said: dict[dns.name.Name, tuple[str, ...]] = {}
        self._later: asyncio.TimerHandle | None = None

    def refresh(self, groups: Iterable[NameGroup]) -> None:
        """These are the zones from now on."""
        found = list(groups)
        self._zones = tuple(group.origin for group in found)
        self._signallers = {
            group.origin: group.plan.sign.policy.dnskey_ttl
            for group in found
            if group.plan.sign is not None and group.plan.sign.signal
        }
        self._children = {}
        if self._signallers:
            children = ((group.origin, _child(group)) for group in found)
            self._children = {origin: child for origin, child in children if child is not None}
        self._compute()

    def published(self, group: NameGroup) -> None:
        """Another version of a zone is current."""
        if not self._signallers:
            return
        child = _child(group)
        if child == self._children.get(group.origin):
            return
        if child is None:
            del self._children[group.origin]
        else:
            self._children[group.origin] = child
        if self._later is None:
            self._later = asyncio.get_running_loop().call_later(_PAUSE, self._compute)

    def close(self) -> None:
        if self._later is not None:
            self._later.cancel()

    def lay(self, origin: dns.name.Name) -> Lay:
        """What is laid over the source of a zone with `signal`."""

        def text(zone: engine.Zone) -> str:
            wanted = self._overlays.get(origin, Signals())
            found = fitting(origin, wanted.rrsets, lambda name: _types_at(zone, name))
            self._say(origin, (*wanted.passed_over, *found.passed_over))
            return "".join(
                f"{one.owner} {one.ttl} IN {_rdata(one.rtype, rdata)}\n"
                for one in found.rrsets
                for rdata in one.rdatas
            )

        return text

    def _compute(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None
        before, self._overlays = (
            self._overlays,
            {
                origin: signals(origin, self._children.values(), self._zones, most_ttl=ttl)
                for origin, ttl in self._signallers.items()
            },
        )
        for origin, overlay in self._overlays.items():
            if overlay != before.get(origin):
                self._changed(origin)

    def _say(self, origin: dns.name.Name, lines: tuple[str, ...]) -> None:
        for line in lines:
            if line not in self._said.get(origin, ()):
                _log.warning(f"zone {origin}: no signalling records for {line}")
        self._said[origin] = lines


def _child(group: NameGroup) -> Child | None:
    """Of all variants of a zone that is signed here."""
    if group.signer is None:
        return None
    versions = (task.keeper.current for task in group.tasks.values())
    found = [Child.of(zone) for zone in versions if zone is not None]
    children = [child for child in found if child is not None]
    if not children:
        return None
    servers = frozenset[dns.name.Name]().union(*(child.servers for child in children))
    return attrs.evolve(children[0], servers=servers)


def _types_at(zone: engine.Zone, name: dns.name.Name) -> set[int]:
    return {rrset.rtype for rrset in zone.rrsets_at(name.to_digestable())}


def _rdata(rtype: int, rdata: bytes) -> str:
    kind = dns.rdatatype.RdataType.make(rtype)
    text = dns.rdata.from_wire(dns.rdataclass.IN, kind, rdata, 0, len(rdata)).to_text()
    return f"{dns.rdatatype.to_text(kind)} {text}"
