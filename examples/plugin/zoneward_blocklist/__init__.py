"""*blocklist*: refuses queries at or below the names that it is given."""

from collections.abc import Sequence

import dns.edns
import dns.message
import dns.name
import dns.rcode

from corefile import Block, Directive
from corefile.arguments import known_options, number_of_arguments, zones
from server.api import Next, Plugin, Query, Reply


class Blocklist(Plugin):
    """One line `blocklist` of a Corefile."""

    # What is refused is logged and counted: the plugin stands after *log*.
    after = ("log",)
    deadline = 1.0

    def __init__(self, blocked: Sequence[str], excepted: Sequence[str]) -> None:
        # The prefilter: for other names the engine does not wake Python.
        self.zones = blocked
        self._excepted = tuple(dns.name.from_text(name) for name in excepted)

    @classmethod
    def setup(cls, directive: Directive, block: Block) -> "Blocklist":
        number_of_arguments(directive, 1, None, "blocklist NAME…")
        excepted: list[str] = []
        for line in known_options(directive, ("except",)):
            number_of_arguments(line, 1, None, "except NAME…")
            excepted += zones(line.args)
        return cls(zones(directive.args), excepted)

    async def handle(self, query: Query, next: Next) -> Reply | dns.message.Message | None:
        if any(query.name.is_subdomain(name) for name in self._excepted):
            return await next(query)
        return refusal(query.message())


def refusal(question: dns.message.Message) -> dns.message.Message:
    """REFUSED with the extended error 15, Blocked (RFC 8914 section 4.16)."""
    reply = dns.message.make_response(question)
    reply.set_rcode(dns.rcode.REFUSED)
    if question.edns >= 0:
        error = dns.edns.EDEOption(dns.edns.EDECode.BLOCKED, "on the block list")
        reply.use_edns(0, options=[error])
    return reply
