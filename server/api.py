"""The plugin API: what a plugin written in Python is, sees and gives back.

A plugin is middleware: it gets a query and the rest of the chain, and gives a reply.

    class Greeter(Plugin):
        async def handle(self, query, next):
            reply = await next(query)
            ...
            return reply

It is found by an entry point of the group `zoneward.plugins` whose name is its directive. See
docs/plugin-api.md.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import TYPE_CHECKING, ClassVar, Literal, Protocol

from corefile.arguments import plain
from corefile.directive import Block, Directive

if TYPE_CHECKING:
    import dns.message
    import dns.name


class Parked(Protocol):
    """What the engine hands out (engine.ParkedQuery); a test can pass its own."""

    plugin: int
    name: bytes
    rtype: int
    qclass: int
    dnssec_ok: bool
    client: str
    client_port: int
    transport: str

    def wire(self) -> bytes: ...
    def proceed(self) -> bytes | None: ...
    def on_reply(self, callback: Callable[[bytes | None], None]) -> None: ...
    def reply(self, wire: bytes) -> None: ...
    def drop(self) -> None: ...
    def fail(self) -> None: ...


class Query:
    """A query on its way through the chain. Cheap to look at: nothing is parsed until asked for.

    `type` and `rclass` are numbers (dns.rdatatype, dns.rdataclass); `client` is an address as
    text; `transport` is "udp" or "tcp"; `dnssec_ok` is the DO bit (RFC 3225)."""

    __slots__ = ("_message", "_name", "_parked")

    def __init__(self, parked: Parked) -> None:
        self._parked = parked
        self._name: dns.name.Name | None = None
        self._message: dns.message.Message | None = None

    @property
    def name(self) -> dns.name.Name:
        """The name asked for, as the client spelled it."""
        if self._name is None:
            import dns.name

            self._name, _ = dns.name.from_wire(self._parked.name, 0)
        return self._name

    @property
    def name_wire(self) -> bytes:
        """The name, uncompressed wire (RFC 1035 section 3.1)."""
        return self._parked.name

    @property
    def type(self) -> int:
        return self._parked.rtype

    @property
    def rclass(self) -> int:
        return self._parked.qclass

    @property
    def dnssec_ok(self) -> bool:
        return self._parked.dnssec_ok

    @property
    def client(self) -> str:
        return self._parked.client

    @property
    def client_port(self) -> int:
        return self._parked.client_port

    @property
    def transport(self) -> str:
        return self._parked.transport

    def wire(self) -> bytes:
        """The query as it came."""
        return self._parked.wire()

    def message(self) -> dns.message.Message:
        """The query as dnspython's message; parsed once. Changing it does not change what the
        rest of the chain sees."""
        if self._message is None:
            import dns.message

            self._message = dns.message.from_wire(self._parked.wire())
        return self._message

    def __repr__(self) -> str:
        return f"<Query {self.name} {self.type} from {self.client}>"


class Reply:
    """What the rest of the chain gave."""

    __slots__ = ("_message", "wire")

    def __init__(self, wire: bytes) -> None:
        self.wire = wire
        self._message: dns.message.Message | None = None

    @property
    def rcode(self) -> int:
        """The header's rcode: 0 to 15."""
        return self.wire[3] & 0x0F

    def message(self) -> dns.message.Message:
        """The reply as dnspython's message; parsed once. Return the message from `handle`
        to send what was changed in it; return the Reply to send the wire as it is."""
        if self._message is None:
            import dns.message

            self._message = dns.message.from_wire(self.wire)
        return self._message


Next = Callable[[Query], Awaitable[Reply | None]]
OnFailure = Literal["servfail", "pass"]


class Plugin:
    """Base of all Python plugins. One instance for each line of a Corefile that names it.

    before, after: directives that it has to stand before or after in the chain; without either
        it stands before the zone data, after *log*.
    types, zones, networks: the prefilter. The engine wakes Python only for queries that match
        all which aren't empty: type numbers; names at or below one of the zones (text); client
        addresses within one of the networks (CIDR text).
    deadline: seconds until the engine gives up on `handle` and does as `on_failure` says:
        "servfail", or "pass" the query on to the next stage.
    unsigned_only: it makes answers, and gets no query for a name in a zone that is signed here.
    """

    before: ClassVar[Sequence[str]] = ()
    after: ClassVar[Sequence[str]] = ()

    types: Sequence[int] = ()
    zones: Sequence[str] = ()
    networks: Sequence[str] = ()
    deadline: float = 2.0
    on_failure: OnFailure = "servfail"
    unsigned_only: bool = False

    @classmethod
    def setup(cls, directive: Directive, block: Block) -> Plugin:
        """An instance from a line of the Corefile. The base takes no arguments; a plugin that
        does reads them with `corefile.arguments`. Raises CorefileError with the place."""
        plain(directive, 0, 0, directive.name)
        return cls()

    async def start(self) -> None:
        """Called once before the first query, in the plugins' event loop."""

    async def stop(self) -> None:
        """Called once after the last query."""

    async def handle(
        self,
        query: Query,
        next: Next,
    ) -> Reply | dns.message.Message | bytes | None:
        """Answer `query`, or give what `next(query)` gives. None drops the query: the client
        gets nothing. Any exception counts as a failure (see `on_failure`)."""
        return await next(query)
