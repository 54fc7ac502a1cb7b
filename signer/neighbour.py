"""Our own server on this machine, asked what it shows of each of thousands of zones.

One connected socket for each address: where no server is, that is heard at once, and one that
is busy may take its time.
"""

import asyncio
import secrets
from typing import cast

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from signer.asking import Answered, ask

# So many questions at the same time, and so many seconds for each.
_AT_ONCE = 32
_PATIENCE = 3.0
_PAYLOAD = 1232


class Neighbours:
    """The addresses at which servers of this machine answer. For one loop."""

    def __init__(self, *, patience: float = _PATIENCE) -> None:
        self._patience = patience
        self._turns = asyncio.Semaphore(_AT_ONCE)
        self._lines: dict[tuple[str, int], _Line] = {}

    async def dnskeys(self, zone: dns.name.Name, address: str, port: int) -> frozenset[bytes]:
        """The DNSKEY rdata that is shown there; none where nobody answers for the zone."""
        query = dns.message.make_query(
            zone, dns.rdatatype.DNSKEY, want_dnssec=True, payload=_PAYLOAD
        )
        query.flags &= ~dns.flags.RD
        async with self._turns:
            try:
                line = await self._line(address, port)
                reply = await line.exchange(query, self._patience)
            except (OSError, TimeoutError):
                return frozenset()
            if reply.flags & dns.flags.TC:
                found = await ask(
                    zone, dns.rdatatype.DNSKEY, address, port, self._patience, paced=False
                )
                return found.rdatas if isinstance(found, Answered) else frozenset()
        if reply.rcode() != dns.rcode.NOERROR or not reply.flags & dns.flags.AA:
            return frozenset()
        rrset = reply.get_rrset(reply.answer, zone, dns.rdataclass.IN, dns.rdatatype.DNSKEY)
        return frozenset() if rrset is None else frozenset(one.to_digestable() for one in rrset)

    def close(self) -> None:
        for line in self._lines.values():
            line.close()
        self._lines.clear()

    async def _line(self, address: str, port: int) -> "_Line":
        known = self._lines.get((address, port))
        if known is not None:
            return known
        _, line = await asyncio.get_running_loop().create_datagram_endpoint(
            _Line, remote_addr=(address, port)
        )
        if (address, port) in self._lines:
            # Another question was faster.
            line.close()
        return self._lines.setdefault((address, port), line)


@attrs.frozen
class _Question:
    query: dns.message.QueryMessage
    answered: "asyncio.Future[dns.message.Message]"


class _Line(asyncio.DatagramProtocol):
    """A connected socket, and the questions that are under way on it."""

    def __init__(self) -> None:
        self._transport: asyncio.DatagramTransport | None = None
        self._waiting: dict[int, _Question] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # What asyncio gives is one in all but its class.
        self._transport = cast(asyncio.DatagramTransport, transport)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    async def exchange(
        self, query: dns.message.QueryMessage, patience: float
    ) -> dns.message.Message:
        """Raises TimeoutError, and OSError where nobody listens."""
        while (number := secrets.randbits(16)) in self._waiting:
            continue
        query.id = number
        question = _Question(query, asyncio.get_running_loop().create_future())
        self._waiting[number] = question
        try:
            assert self._transport is not None
            self._transport.sendto(query.to_wire())
            async with asyncio.timeout(patience):
                return await question.answered
        finally:
            del self._waiting[number]

    def datagram_received(self, data: bytes, _: object) -> None:
        question = self._waiting.get(int.from_bytes(data[:2], "big"))
        if question is None or question.answered.done():
            return
        try:
            reply = dns.message.from_wire(data)
        except dns.exception.DNSException:
            return  # whatever that is, the answer may still come
        if question.query.is_response(reply):
            question.answered.set_result(reply)

    def error_received(self, error: Exception) -> None:
        """An ICMP error says of no question in particular that nobody listens."""
        for question in self._waiting.values():
            if not question.answered.done():
                question.answered.set_exception(error)
