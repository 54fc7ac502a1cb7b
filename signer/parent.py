"""What the parent says of a zone: the DS RRset at each of its servers."""

import asyncio
from typing import Protocol

import attrs
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from signer.asking import Answered, Silent, ask
from signer.config import ParentConfig

_DNS_PORT = 53
_MOST_SERVERS = 32


@attrs.frozen
class Seen:
    """Every server that was asked has answered. `common` is in every answer, `any` in at
    least one; both hold DS rdata in wire form. `ttl` is the highest, in seconds."""

    common: frozenset[bytes]
    any: frozenset[bytes]
    ttl: int
    servers: tuple[str, ...]

    @property
    def agreed(self) -> bool:
        return self.common == self.any


@attrs.frozen
class Unknown:
    """The parent could not be asked, or not all of it answered."""

    reason: str


@attrs.frozen
class NoParent:
    """`parent none`, or the root: an island, whose trust anchors are configured by hand."""


ParentAnswer = Seen | Unknown | NoParent


class ParentView(Protocol):
    """The shell asks through this; tests answer as the scenario says."""

    async def ds(self, zone: dns.name.Name) -> ParentAnswer:
        """Ask now. Never raises for what a network can do."""


@attrs.frozen
class _Server:
    """One name server of the parent: by one of its addresses it has to be heard."""

    name: str
    addresses: tuple[tuple[str, int], ...]


class DnsParentView:
    """Asks the configured addresses, or those that the system's resolver knows for the
    closest enclosing zone. Each server has to answer authoritatively, on one of its
    addresses: a machine without IPv6 still hears them all."""

    def __init__(
        self,
        config: ParentConfig,
        *,
        timeout: float = 3.0,
        resolver: dns.asyncresolver.Resolver | None = None,
    ) -> None:
        """`timeout` in seconds, for each address and transport."""
        self._config = config
        self._timeout = timeout
        self._resolver = resolver

    async def ds(self, zone: dns.name.Name) -> ParentAnswer:
        if self._config.island or zone == dns.name.root:
            return NoParent()
        try:
            servers = await self._servers(zone)
        except (dns.exception.DNSException, OSError) as error:
            return Unknown(f"its name servers can't be found: {_reason(error)}")
        heard = await asyncio.gather(*(self._hear(server, zone) for server in servers))
        silent = [answer.reason for answer in heard if isinstance(answer, Silent)]
        if silent:
            return Unknown("; ".join(silent))
        answers = [answer for answer in heard if isinstance(answer, Answered)]
        if not answers:
            return Unknown("it has no name server")
        sets = [answer.rdatas for answer in answers]
        return Seen(
            common=frozenset.intersection(*sets),
            any=frozenset.union(*sets),
            ttl=max(answer.ttl for answer in answers),
            servers=tuple(server.name for server in servers),
        )

    async def _hear(self, server: _Server, zone: dns.name.Name) -> Answered | Silent:
        last = Silent(f"{server.name} has no address")
        for address, port in server.addresses:
            answer = await ask(zone, dns.rdatatype.DS, address, port, self._timeout)
            if isinstance(answer, Answered):
                return answer
            last = answer
        return last

    async def _servers(self, zone: dns.name.Name) -> tuple[_Server, ...]:
        if self._config.addresses:
            return tuple(
                _Server(f"{address}:{port}", ((address, port),))
                for address, port in self._config.addresses
            )
        resolver = self._resolver or dns.asyncresolver.Resolver()
        # The closest enclosing zone cut above, not always the name with one label less.
        parent = await dns.asyncresolver.zone_for_name(zone.parent(), resolver=resolver)
        answer = await resolver.resolve(parent, dns.rdatatype.NS, search=False)
        names = sorted(rdata.target for rdata in answer)[:_MOST_SERVERS]
        found = await asyncio.gather(*(self._addresses(resolver, name) for name in names))
        return tuple(
            _Server(name.to_text(), addresses) for name, addresses in zip(names, found, strict=True)
        )

    async def _addresses(
        self, resolver: dns.asyncresolver.Resolver, name: dns.name.Name
    ) -> tuple[tuple[str, int], ...]:
        found: list[tuple[str, int]] = []
        for rtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                answer = await resolver.resolve(name, rtype, search=False)
            except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                continue
            found += [(rdata.address, _DNS_PORT) for rdata in answer]
        return tuple(found)


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return " ".join(text.split())
