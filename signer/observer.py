"""What our own published servers answer: the keys and the serial that each of them shows."""

import asyncio
from typing import Protocol

import attrs
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA
import dns.resolver

from signer import reach
from signer.asking import Silent, ask
from signer.config import Observe, ObserveConfig
from signer.neighbour import Neighbours

_DNS_PORT = 53
_MOST_SERVERS = 32


@attrs.frozen
class Published:
    """The NS set of a version: names, and the addresses that the zone itself has of them."""

    names: tuple[dns.name.Name, ...] = ()
    glue: tuple[tuple[dns.name.Name, tuple[str, ...]], ...] = ()

    def addresses(self, name: dns.name.Name) -> tuple[str, ...]:
        return next((found for owner, found in self.glue if owner == name), ())


@attrs.frozen
class Shown:
    """As many servers as were wanted have answered: the DNSKEY that all of them show, those
    that any shows, their serials, and the highest TTL of the DNSKEY RRset in seconds."""

    everywhere: frozenset[bytes]
    anywhere: frozenset[bytes]
    serials: tuple[int, ...]
    ttl: int = 0


@attrs.frozen
class NotShown:
    """Which server does not answer, and why."""

    reason: str


@attrs.frozen
class Nobody:
    """There is nobody to ask: only our own server's word counts, which it gives when it takes
    a version."""


ServersAnswer = Shown | NotShown | Nobody


class ServersView(Protocol):
    """The shell asks through this; tests answer as the scenario says."""

    async def look(self, zone: dns.name.Name, published: Published) -> ServersAnswer:
        """Ask now. Never raises for what a network can do."""

    async def own(self, zone: dns.name.Name) -> frozenset[bytes]:
        """The DNSKEY rdata that our server on this machine shows; none where it is silent."""


class OwnServers:
    """Asks nobody: what our own server takes is all that is published."""

    async def look(self, zone: dns.name.Name, published: Published) -> ServersAnswer:
        return Nobody()

    async def own(self, zone: dns.name.Name) -> frozenset[bytes]:
        return frozenset()


#: A server's name for people, and its addresses.
_Target = tuple[str, tuple[tuple[str, int], ...]]


@attrs.frozen
class _Heard:
    dnskeys: frozenset[bytes]
    serial: int
    ttl: int


class DnsServersView:
    """Asks the configured addresses, or those of the zone's NS set, where every address of
    every NS counts (`signer.reach` has the exception). By default, when not one address of
    the NS set answers, the zone is taken to be our own server's alone."""

    def __init__(
        self,
        config: ObserveConfig,
        *,
        timeout: float = 2.0,
        resolver: dns.asyncresolver.Resolver | None = None,
        own: tuple[tuple[str, int], ...] = (),
        neighbours: Neighbours | None = None,
    ) -> None:
        """`timeout` in seconds, for each address and transport; `own` is where our server on
        this machine listens, which all zones ask through the same `neighbours`."""
        self._neighbours = neighbours
        self._config = config
        self._own = own
        self._timeout = timeout
        self._resolver = resolver

    async def look(self, zone: dns.name.Name, published: Published) -> ServersAnswer:
        config = self._config
        if config.which is Observe.OWN:
            return Nobody()
        servers = await self._targets(published)
        groups = await asyncio.gather(*(self._hear(zone, addresses) for _, addresses in servers))
        answers = [
            [one for one in group.values() if not isinstance(one, Silent)] for group in groups
        ]
        heard = [one for group in answers for one in group]
        silent = [name for (name, _), group in zip(servers, answers, strict=True) if not group]
        if not heard:
            if config.which is Observe.DEFAULT or not servers:
                return Nobody()
            return NotShown(f"{', '.join(silent)} can't be asked")
        if config.which is Observe.QUORUM:
            return _quorum(answers, silent)
        missing = reach.missing(
            [(name, group) for (name, _), group in zip(servers, groups, strict=True)]
        )
        return NotShown("; ".join(missing)) if missing else _shown(heard)

    async def own(self, zone: dns.name.Name) -> frozenset[bytes]:
        if self._neighbours is None:
            return frozenset()
        found = await asyncio.gather(
            *(self._neighbours.dnskeys(zone, address, port) for address, port in self._own)
        )
        return frozenset[bytes]().union(*found)

    async def _targets(self, published: Published) -> list[_Target]:
        if self._config.which is Observe.ADDRESSES:
            return [(f"{one[0]} port {one[1]}", (one,)) for one in self._config.addresses]
        names = published.names[:_MOST_SERVERS]
        found = await asyncio.gather(*(self._addresses(name, published) for name in names))
        return [(name.to_text(), one) for name, one in zip(names, found, strict=True)]

    async def _hear(
        self, zone: dns.name.Name, addresses: tuple[tuple[str, int], ...]
    ) -> dict[tuple[str, int], _Heard | Silent]:
        found = await asyncio.gather(*(self._one(zone, *where) for where in addresses))
        return dict(zip(addresses, found, strict=True))

    async def _one(self, zone: dns.name.Name, address: str, port: int) -> _Heard | Silent:
        # In this order: the keys are of that serial's version or a later one.
        soa = await ask(zone, dns.rdatatype.SOA, address, port, self._timeout)
        if isinstance(soa, Silent):
            return soa
        if not soa.rdatas:
            return Silent(f"{address} port {port} has no SOA of the zone", spoke=True)
        dnskey = await ask(zone, dns.rdatatype.DNSKEY, address, port, self._timeout)
        if isinstance(dnskey, Silent):
            return dnskey
        return _Heard(dnskey.rdatas, _serial(next(iter(soa.rdatas))), dnskey.ttl)

    async def _addresses(
        self, name: dns.name.Name, published: Published
    ) -> tuple[tuple[str, int], ...]:
        glue = published.addresses(name)
        if glue:
            return tuple((address, _DNS_PORT) for address in glue)
        found: list[tuple[str, int]] = []
        for rtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                resolver = self._resolver or dns.asyncresolver.Resolver()
                answer = await resolver.resolve(
                    name, rtype, search=False, lifetime=2 * self._timeout
                )
            except (dns.exception.DNSException, OSError):
                continue  # a name without an address counts as one that does not answer
            found += [(rdata.address, _DNS_PORT) for rdata in answer]
        return tuple(found)


def _shown(heard: list[_Heard]) -> Shown:
    return Shown(
        frozenset.intersection(*(one.dnskeys for one in heard)),
        frozenset.union(*(one.dnskeys for one in heard)),
        tuple(one.serial for one in heard),
        max(one.ttl for one in heard),
    )


def _quorum(answers: list[list[_Heard]], silent: list[str]) -> ServersAnswer:
    """More than half of the servers; of those, the ones that are furthest behind are left out
    as long as more than half remain."""
    needed = len(answers) // 2 + 1
    speaking = [group for group in answers if group]
    if len(speaking) < needed:
        return NotShown(f"{', '.join(silent)} can't be asked: less than half of the servers answer")
    speaking.sort(key=lambda group: min(one.serial for one in group), reverse=True)
    return _shown([one for group in speaking[:needed] for one in group])


def _serial(rdata: bytes) -> int:
    soa = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.SOA, rdata, 0, len(rdata))
    if not isinstance(soa, dns.rdtypes.ANY.SOA.SOA):
        raise TypeError("dnspython gave another type than the one asked for")
    return soa.serial
