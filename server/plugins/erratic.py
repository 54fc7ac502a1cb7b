"""*erratic*: replies that are late, cut or missing, to see what clients do."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from corefile.arguments import count, duration, known_options, number_of_arguments, only_once, plain
from corefile.directive import Directive
from server.api import Next, Plugin, Query
from server.parts import Context, Parts

if TYPE_CHECKING:
    import dns.message

_OPTIONS = ("drop", "truncate", "delay")
_AMOUNT = 2
_DELAY = 0.1
_LONGEST_DELAY = 3600.0
# RFC 5737, RFC 3849.
_ANSWERS = {1: ("A", "192.0.2.53"), 28: ("AAAA", "2001:db8::53")}


class Erratic(Plugin):
    """Of so many queries the first is dropped, truncated or delayed; of 0 none is."""

    unsigned_only = True

    def __init__(self, drop: int, truncate: int, delay: int, seconds: float) -> None:
        self._drop, self._truncate, self._delay, self._seconds = drop, truncate, delay, seconds
        self._number = -1
        self.deadline = seconds + Plugin.deadline

    async def handle(self, query: Query, next: Next) -> dns.message.Message | None:
        import dns.flags
        import dns.message
        import dns.rcode
        import dns.rrset

        self._number += 1
        number = self._number
        if _is_due(number, self._drop):
            return None
        if _is_due(number, self._delay):
            await asyncio.sleep(self._seconds)
        reply = dns.message.make_response(query.message())
        answer = _ANSWERS.get(query.type)
        if answer is None:
            reply.set_rcode(dns.rcode.SERVFAIL)
            return reply
        reply.flags |= dns.flags.AA
        if _is_due(number, self._truncate):
            reply.flags |= dns.flags.TC
        reply.answer.append(dns.rrset.from_text(query.name, 0, "IN", *answer))
        return reply


def _is_due(number: int, amount: int) -> bool:
    return amount > 0 and number % amount == 0


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 0, "erratic { … }")
    known_options(directive, _OPTIONS)
    only_once(directive, _OPTIONS)
    drop, truncate, delay = (_amount(directive, name) for name in _OPTIONS)
    seconds = _DELAY
    line = directive.option("delay")
    if line is not None and len(line.args) > 1:
        seconds = duration(line.args[1], most=_LONGEST_DELAY)
    if drop is None:
        drop = 0 if truncate or delay else _AMOUNT
    return Parts(plugin=Erratic(drop, truncate or 0, delay or 0, seconds))


def _amount(directive: Directive, name: str) -> int | None:
    """None where nothing is said; as CoreDNS has it, `drop` and `truncate` without a number say
    nothing."""
    line = directive.option(name)
    if line is None:
        return None
    is_delay = name == "delay"
    plain(line, 0, 2 if is_delay else 1, f"{name} [AMOUNT{' [DURATION]' if is_delay else ''}]")
    if line.args:
        return count(line.args[0], most=2**31 - 1)
    return _AMOUNT if is_delay else None
