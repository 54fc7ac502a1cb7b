"""What the parent says of a zone: the DS RRset at each of its servers, validated where there
is a chain of trust to it."""

import asyncio
import enum
import time
from collections.abc import Callable, Sequence
from typing import Protocol

import attrs
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.resolver

from signer import anchors, reach
from signer.asking import Answered, Silent, ask
from signer.chain import AnswerCache, Chain
from signer.config import ParentConfig
from signer.rootanchors import ROOT
from signer.trust import Anchor, Bogus, Insecure, ZoneKeys
from signer.validation import Delegated, delegation, keys_of, self_signed

_DNS_PORT = 53
_MOST_SERVERS = 32
_DAY = 86_400
# Keys younger than this are not asked for again because an answer does not fit them.
_FRESH = 10.0


class Trust(enum.Enum):
    """On what the answers were believed."""

    VALIDATED = "validated"
    OPT_OUT = "validated; an opt-out span denies the DS"
    OWN_KEYS = "signed by the parent's own keys, not anchored"
    NONE = "unvalidated"


@attrs.frozen
class Seen:
    """Every server that was asked has answered. `common` is in every answer, `any` in at
    least one; both hold DS rdata in wire form. `ttl` is the highest, in seconds; where the RRset
    is signed, its original TTL counts (RFC 4035 section 5.3.3). `why` goes with a trust that is
    less than validated. `made_after`: when the newest signature of a validated DS begins to
    hold, in Unix seconds, so that this much time has passed."""

    common: frozenset[bytes]
    any: frozenset[bytes]
    ttl: int
    servers: tuple[str, ...]
    trust: Trust = Trust.NONE
    why: str = ""
    made_after: int | None = None

    @property
    def believed(self) -> str:
        """`trust` in words."""
        return f"{self.trust.value}: {self.why}" if self.why else self.trust.value

    @property
    def agreed(self) -> bool:
        return self.common == self.any


@attrs.frozen
class Unknown:
    """The parent could not be asked, or not all of it answered; `bogus`: what it answered does
    not validate."""

    reason: str
    bogus: bool = False

    def __str__(self) -> str:
        if self.bogus:
            return f"the parent's answer is bogus: {self.reason}"
        return f"the parent can't be asked: {self.reason}"


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
    """One name server of the parent."""

    name: str
    addresses: tuple[tuple[str, int], ...]


class DnsParentView:
    """Asks the configured addresses, or those that the system's resolver knows for the
    closest enclosing zone. Each server has to answer authoritatively on all its addresses,
    but for those of a family that this machine has no way to (`signer.reach`).

    Each answer is validated with the parent's keys. With an anchor, which for a parent that
    is found is the root's at least, these are reached by a chain; a parent that is proved to
    be unsigned is believed as it is. For addresses without an anchor they are what those
    servers show themselves."""

    def __init__(
        self,
        config: ParentConfig,
        *,
        timeout: float = 3.0,
        resolver: dns.asyncresolver.Resolver | None = None,
        cache: AnswerCache | None = None,
        wall: Callable[[], float] = time.time,
        port: int = _DNS_PORT,
    ) -> None:
        """`timeout` in seconds, for each address and transport; `cache` may be shared by many;
        `wall` gives Unix seconds; `port` is that of servers that are found."""
        self._config = config
        self._timeout = timeout
        self._resolver = resolver
        self._cache = cache or AnswerCache()
        self._wall = wall
        self._port = port

    async def ds(self, zone: dns.name.Name) -> ParentAnswer:
        if self._config.island or zone == dns.name.root:
            return NoParent()
        try:
            return await self._ds(zone)
        except (dns.exception.DNSException, OSError) as error:
            return Unknown(f"its name servers can't be found: {_reason(error)}")

    async def _ds(self, zone: dns.name.Name) -> ParentAnswer:
        parent, servers = await self._servers(zone)
        if not servers:
            return Unknown("it has no name server")
        heard = await asyncio.gather(*(self._hear_ds(server, zone) for server in servers))
        missing = reach.missing(
            [(server.name, group) for server, group in zip(servers, heard, strict=True)]
        )
        if missing:
            return Unknown("; ".join(missing))
        answers = [
            (server, answer)
            for server, group in zip(servers, heard, strict=True)
            for answer in group.values()
            if isinstance(answer, Answered)
        ]
        found = await self._judge(zone, parent, servers, answers, _DAY)
        if isinstance(found, Unknown) and found.bogus:
            # The keys that are kept may be older than a rollover.
            found = await self._judge(zone, parent, servers, answers, _FRESH)
        return found

    async def _judge(
        self,
        zone: dns.name.Name,
        parent: dns.name.Name | None,
        servers: Sequence[_Server],
        answers: Sequence[tuple[_Server, Answered]],
        most_age: float,
    ) -> Seen | Unknown:
        """`answers`: of each address. `most_age` in seconds, of what is kept of earlier
        questions."""
        if parent is None:
            found = await self._apex(zone, servers, most_age)
            if isinstance(found, Unknown):
                return found
            parent = found
        known = await self._keys(parent, servers, most_age)
        if isinstance(known, Unknown):
            return known
        keys, trust = known
        ttl = max(answer.ttl for _, answer in answers)
        why = ""
        made_after: list[int] = []
        faults = []
        for server, answer in answers:
            if isinstance(keys, Insecure):
                trust, why = Trust.NONE, keys.reason
                break
            worth = delegation(zone, answer.rrsets, keys, int(self._wall()))
            if isinstance(worth, Delegated):
                ttl = max(ttl, worth.signed.original_ttl)
                made_after.append(worth.signed.inception)
                if {one.to_digestable() for one in worth.ds} != answer.rdatas:
                    faults.append(f"{server.name}: it gives a DS and does not answer with it")
            elif isinstance(worth, Bogus):
                faults.append(f"{server.name}: {worth.reason}")
            elif isinstance(worth, Insecure):
                trust, why = Trust.NONE, worth.reason
            elif worth.opt_out and trust is Trust.VALIDATED:
                trust = Trust.OPT_OUT
        if faults:
            return Unknown("; ".join(dict.fromkeys(faults)), bogus=True)
        sets = [answer.rdatas for _, answer in answers]
        return Seen(
            common=frozenset.intersection(*sets),
            any=frozenset.union(*sets),
            ttl=ttl,
            servers=tuple(server.name for server in servers),
            trust=trust,
            why=why,
            # Without an anchor anybody may have signed, with any dates.
            made_after=max(made_after, default=None) if trust is Trust.VALIDATED else None,
        )

    # --- the parent's keys ----------------------------------------------------------------

    async def _keys(
        self, parent: dns.name.Name, servers: Sequence[_Server], most_age: float
    ) -> tuple[ZoneKeys | Insecure, Trust] | Unknown:
        config = self._config
        given = config.anchors if config.addresses else (ROOT, *config.anchors)
        anchor = anchors.nearest(reversed(given), parent)
        if not given:
            return await self._shown_keys(parent, servers, None, most_age)
        if anchor is None:
            zones = ", ".join(one.zone.to_text() for one in given)
            return Unknown(f"its anchors are of {zones}, and the parent is {parent}")
        if config.addresses and anchor.zone == parent:
            return await self._shown_keys(parent, servers, anchor, most_age)
        chain = Chain(self._known_resolver(), self._cache, self._timeout)
        found = await chain.keys(anchor, parent, int(self._wall()), most_age)
        if isinstance(found, ZoneKeys | Insecure):
            return found, Trust.VALIDATED
        out = (
            "see that the resolver gives signatures, or name a nearer anchor: "
            "parent ADDRESS… { anchor FILE }"
            if config.anchors
            else "on a network without the public root, name the parent's servers: parent ADDRESS…"
        )
        return Unknown(
            f"no chain of trust to {parent}: {found.reason}; {out}", bogus=isinstance(found, Bogus)
        )

    async def _shown_keys(
        self,
        parent: dns.name.Name,
        servers: Sequence[_Server],
        anchor: Anchor | None,
        most_age: float,
    ) -> tuple[ZoneKeys | Insecure, Trust] | Unknown:
        """What the parent's servers show themselves, of all of them together: one that is
        behind in a rollover still signs with keys that another shows."""
        heard = await asyncio.gather(
            *(self._kept(server, parent, dns.rdatatype.DNSKEY, most_age) for server in servers)
        )
        now = int(self._wall())
        dnskeys: dict[dns.rdtypes.ANY.DNSKEY.DNSKEY, None] = {}
        insecure = Insecure(f"{parent} has no DNSKEY")
        silent, faults = [], []
        for server, answer in zip(servers, heard, strict=True):
            if isinstance(answer, Silent):
                silent.append(answer.reason)
                continue
            found = (
                self_signed(parent, answer.rrsets, now)
                if anchor is None
                else keys_of(anchor, answer.rrsets, now)
            )
            if isinstance(found, ZoneKeys):
                dnskeys |= dict.fromkeys(found.dnskeys)
            elif isinstance(found, Bogus):
                faults.append(f"{server.name}: {found.reason}")
            else:
                insecure = found
        if faults:
            return Unknown("; ".join(faults), bogus=True)
        if silent:
            return Unknown("; ".join(silent))
        trust = Trust.OWN_KEYS if anchor is None else Trust.VALIDATED
        return (ZoneKeys(parent, tuple(dnskeys)) if dnskeys else insecure), trust

    async def _apex(
        self, zone: dns.name.Name, servers: Sequence[_Server], most_age: float
    ) -> dns.name.Name | Unknown:
        """Which zone the configured servers have the delegation in: not always the name with
        one label less."""
        heard = await asyncio.gather(
            *(self._kept(server, zone.parent(), dns.rdatatype.SOA, most_age) for server in servers)
        )
        found: dict[dns.name.Name, str] = {}
        for server, answer in zip(servers, heard, strict=True):
            if isinstance(answer, Silent):
                return Unknown(answer.reason)
            if answer.soa is None or not zone.parent().is_subdomain(answer.soa):
                return Unknown(f"{server.name} does not say which zone {zone.parent()} is in")
            found.setdefault(answer.soa, server.name)
        if len(found) > 1:
            each = ", ".join(f"{name} at {server}" for name, server in found.items())
            return Unknown(f"its servers are of several zones: {each}")
        return next(iter(found))

    # --- its servers ----------------------------------------------------------------------

    async def _kept(
        self,
        server: _Server,
        name: dns.name.Name,
        rtype: dns.rdatatype.RdataType,
        most_age: float,
    ) -> Answered | Silent:
        return await self._cache.get(
            (server.addresses, name, rtype), lambda: self._hear(server, name, rtype), most_age
        )

    async def _hear_ds(
        self, server: _Server, zone: dns.name.Name
    ) -> dict[tuple[str, int], Answered | Silent]:
        found = await asyncio.gather(
            *(ask(zone, dns.rdatatype.DS, *where, self._timeout) for where in server.addresses)
        )
        return {
            where: _of_parent(server, answer, zone)
            for where, answer in zip(server.addresses, found, strict=True)
        }

    async def _hear(
        self, server: _Server, name: dns.name.Name, rtype: dns.rdatatype.RdataType
    ) -> Answered | Silent:
        last = Silent(f"{server.name} has no address")
        for address, port in server.addresses:
            answer = await ask(name, rtype, address, port, self._timeout)
            if isinstance(answer, Answered):
                return answer
            last = answer
        return last

    def _known_resolver(self) -> dns.asyncresolver.Resolver:
        return self._resolver or dns.asyncresolver.Resolver()

    async def _servers(
        self, zone: dns.name.Name
    ) -> tuple[dns.name.Name | None, tuple[_Server, ...]]:
        """The parent where it is found, None where its servers are configured; and those."""
        if self._config.addresses:
            return None, tuple(
                _Server(f"{address}:{port}", ((address, port),))
                for address, port in self._config.addresses
            )
        resolver = self._known_resolver()
        # The closest enclosing zone cut above, not always the name with one label less.
        parent = await dns.asyncresolver.zone_for_name(zone.parent(), resolver=resolver)
        answer = await resolver.resolve(parent, dns.rdatatype.NS, search=False)
        names = sorted(rdata.target for rdata in answer)[:_MOST_SERVERS]
        found = await asyncio.gather(*(self._addresses(resolver, name) for name in names))
        return parent.canonicalize(), tuple(
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
            found += [(rdata.address, self._port) for rdata in answer]
        return tuple(found)


def _of_parent(
    server: _Server, answer: Answered | Silent, zone: dns.name.Name
) -> Answered | Silent:
    if isinstance(answer, Answered) and answer.soa and answer.soa.is_subdomain(zone):
        # It has the zone and not its parent (RFC 4035 section 3.1.4.1).
        why = f"{server.name} answers from {answer.soa}, not from the parent"
        return Silent(why, spoke=True)
    return answer


def _reason(error: Exception) -> str:
    text = str(error) or type(error).__name__
    return " ".join(text.split())
