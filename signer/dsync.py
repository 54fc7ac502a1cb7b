"""Where a parent wants to be told that a child has new CDS, and telling it (RFC 9859). The names
to look up and the message are pure; `Finder` asks, `Herald` tells, again and again with growing
pauses, while a step waits for the parent.

    child.example. ─▶ DSYNC of child._dsync.example. ─▶ NOTIFY(CDS) of child.example. to its target

It is a hint, no more: nothing waits for it, and who forges an answer has us send a datagram.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Sequence

import attrs
import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.resolver

from signer.asking import Answered, Silent, ask, ask_resolver
from signer.clock import Clock
from signer.config import ParentConfig
from signer.policy import DAY, MINUTE

DSYNC = dns.rdatatype.RdataType.make(66)
NOTIFY = 1
_CDS = dns.rdatatype.CDS
_DSYNC_LABEL = b"_dsync"

# Questions until a target is found, targets, and addresses of one.
_MOST_LOOKUPS = 6
_MOST_TARGETS = 4
_MOST_ADDRESSES = 4

# Seconds: for one exchange; between the first two times that the parent is told, and at most.
_TIMEOUT = 5.0
_FIRST_PAUSE, _LONGEST_PAUSE = 5.0 * MINUTE, float(DAY)
_MOST_TIMES = 16
# While one is under way, how soon to look whether it has ended.
_BUSY = 1.0

_log = logging.getLogger(__name__)

Lookup = Callable[[dns.name.Name], Awaitable[Answered | Silent]]


@attrs.frozen
class Target:
    """Whom to tell: a name server's name and a port."""

    name: dns.name.Name
    port: int


@attrs.frozen
class LookupName:
    """One name to ask for DSYNC: the child's labels below `parent`, or, `general`, none."""

    child: dns.name.Name
    parent: dns.name.Name
    general: bool = False

    @staticmethod
    def first(child: dns.name.Name) -> "LookupName":
        """As if the parent were one label above (RFC 9859 section 4.1)."""
        return LookupName(child, child.parent())

    @property
    def name(self) -> dns.name.Name | None:
        """None where it is too long for a name."""
        own = () if self.general else self.child.relativize(self.parent).labels
        try:
            return dns.name.Name((*own, _DSYNC_LABEL, *self.parent.labels))
        except dns.name.NameTooLong:
            return None

    def after(self, soa: dns.name.Name | None) -> "LookupName | None":
        """Where to look next, when there is none here; `soa` is whose the negative answer is."""
        if self.general:
            return None
        if soa is not None and soa != self.parent and self.parent.is_subdomain(soa):
            return LookupName(self.child, soa)
        return LookupName(self.child, self.parent, general=True)


def targets(rdatas: Collection[bytes]) -> tuple[Target, ...]:
    """Those that want NOTIFY(CDS); what is not understood is left out (RFC 9859 section 2)."""
    found: set[Target] = set()
    for rdata in rdatas:
        if len(rdata) < 6 or rdata[:3] != _CDS.to_bytes(2, "big") + bytes([NOTIFY]):
            continue
        port = int.from_bytes(rdata[3:5], "big")
        try:
            name, _ = dns.name.from_wire(rdata, 5)
        except dns.exception.DNSException:
            continue
        if port and name != dns.name.root:
            found.add(Target(name.canonicalize(), port))
    return tuple(sorted(found, key=lambda one: (one.name, one.port))[:_MOST_TARGETS])


def message(child: dns.name.Name) -> dns.message.Message:
    """NOTIFY(CDS): as RFC 1996 has it, with another type in the question (RFC 9859 section 3)."""
    found = dns.message.make_query(child, _CDS)
    found.set_opcode(dns.opcode.NOTIFY)
    found.flags |= dns.flags.AA
    found.flags &= ~dns.flags.RD
    return found


async def discover(child: dns.name.Name, lookup: Lookup) -> tuple[Target, ...] | Silent:
    """Empty where the parent wants to be told nothing."""
    at: LookupName | None = LookupName.first(child)
    for _ in range(_MOST_LOOKUPS):
        if at is None or at.name is None:
            break
        answer = await lookup(at.name)
        if isinstance(answer, Silent):
            return answer
        if answer.rdatas:
            return targets(answer.rdatas)
        at = at.after(answer.soa)
    return ()


# --- asking --------------------------------------------------------------------------------


class Finder:
    """Finds a zone's targets and their addresses: at the parent's configured addresses, else,
    and for what those don't have, through the system's resolver."""

    def __init__(
        self,
        config: ParentConfig,
        *,
        resolver: dns.asyncresolver.Resolver | None = None,
        timeout: float = _TIMEOUT,
    ) -> None:
        """`timeout` in seconds, for each question."""
        self._config = config
        self._resolver = resolver
        self._timeout = timeout

    async def find(self, child: dns.name.Name) -> tuple[tuple[str, int], ...] | Silent:
        """Addresses and ports to tell."""
        found = await discover(child, lambda name: self._lookup(name, DSYNC))
        if isinstance(found, Silent):
            return found
        places: dict[tuple[str, int], None] = {}
        for target in found:
            addresses = await self._addresses(target.name)
            places |= dict.fromkeys((address, target.port) for address in addresses)
        if found and not places:
            return Silent(f"{found[0].name} has no address")
        return tuple(places)

    async def _lookup(
        self, name: dns.name.Name, rtype: dns.rdatatype.RdataType
    ) -> Answered | Silent:
        last: Answered | Silent = Silent("the parent has no address")
        for address, port in self._config.addresses:
            last = await ask(name, rtype, address, port, self._timeout)
            if isinstance(last, Answered):
                return last
        return last if self._config.addresses else await self._resolve(name, rtype)

    async def _resolve(
        self, name: dns.name.Name, rtype: dns.rdatatype.RdataType
    ) -> Answered | Silent:
        try:
            resolver = self._resolver or dns.asyncresolver.Resolver()
        except dns.resolver.NoResolverConfiguration as error:
            return Silent(str(error))
        return await ask_resolver(resolver, name, rtype, self._timeout)

    async def _addresses(self, name: dns.name.Name) -> Sequence[str]:
        found: list[str] = []
        for rtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
            answer = await self._lookup(name, rtype)
            if self._config.addresses and isinstance(answer, Silent):
                answer = await self._resolve(name, rtype)
            if isinstance(answer, Answered):
                found += sorted(_text(rtype, rdata) for rdata in answer.rdatas)
        return found[:_MOST_ADDRESSES]


def _text(rtype: dns.rdatatype.RdataType, rdata: bytes) -> str:
    return dns.rdata.from_wire(dns.rdataclass.IN, rtype, rdata, 0, len(rdata)).to_text()


async def notify(child: dns.name.Name, address: str, port: int) -> str | None:
    """Send one, and take the answer: None when it was taken, else why it was not."""
    try:
        reply = await dns.asyncquery.udp(
            message(child), address, timeout=_TIMEOUT, port=port, ignore_unexpected=True
        )
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return f"{address} port {port} does not answer ({text})"
    if reply.rcode() != dns.rcode.NOERROR:
        return f"{address} port {port} answers {dns.rcode.to_text(reply.rcode())}"
    return None


# --- telling -------------------------------------------------------------------------------


class Herald:
    """Of one zone. `tell` is called at each step and returns at once; `due` says when to call
    it again."""

    def __init__(self, origin: dns.name.Name, finder: Finder, clock: Clock) -> None:
        self._origin = origin
        self._finder = finder
        self._clock = clock
        self._news: frozenset[bytes] | None = None
        self._times = 0
        self._next = 0.0  # seconds of the boot clock
        self._said: set[str] = set()
        self._task: asyncio.Task[None] | None = None

    def tell(self, news: frozenset[bytes] | None) -> None:
        """The parent has yet to take over these CDS, which are served; None: it has nothing to
        take over."""
        if news != self._news:
            self._news, self._times, self._next, self._said = news, 0, 0.0, set()
        if news is None or self._busy or self._times >= _MOST_TIMES:
            return
        if self._clock.boot() >= self._next:
            pause = min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0**self._times)
            self._times += 1
            self._next = self._clock.boot() + pause
            self._task = asyncio.create_task(self._tell(), name=f"notify {self._origin}")

    def due(self) -> float | None:
        """When to call `tell` again, in seconds of the boot clock."""
        if self._news is None or self._times >= _MOST_TIMES:
            return None
        return self._clock.boot() + _BUSY if self._busy else self._next

    async def close(self) -> None:
        """Wait for one that is under way."""
        if self._task is not None:
            await asyncio.wait([self._task])
            self._task = None

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    async def _tell(self) -> None:
        found = await self._finder.find(self._origin)
        if isinstance(found, Silent):
            self._say(f"no DSYNC record of its parent could be had: {found.reason}")
            return
        for address, port in found:
            problem = await notify(self._origin, address, port)
            self._say(problem or f"{address} port {port} was told of new CDS")
            if problem is None:
                return

    def _say(self, line: str) -> None:
        """Once for each wish: it is asked for by nobody, and no fault of the zone's."""
        if line not in self._said:
            self._said.add(line)
            _log.info("%s: notify: %s", self._origin, line)
