"""Our own server, asked what it shows."""

import asyncio
import socket
from collections.abc import Callable
from typing import cast

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest

from signer.neighbour import Neighbours

ZONE = dns.name.from_text("example.org.")
KEY = f"257 3 13 {'A' * 86}=="


def reply(query: dns.message.Message, *, key: bool = True) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.flags |= dns.flags.AA
    if key:
        name = query.question[0].name
        answer.answer.append(dns.rrset.from_text(name, 3600, "IN", "DNSKEY", KEY))
    return answer


def refused(query: dns.message.Message) -> dns.message.Message:
    answer = dns.message.make_response(query)
    answer.set_rcode(dns.rcode.REFUSED)
    return answer


def hearsay(query: dns.message.Message) -> dns.message.Message:
    answer = reply(query)
    answer.flags &= ~dns.flags.AA
    return answer


class Server(asyncio.DatagramProtocol):
    """Answers as it is told; None keeps silent."""

    def __init__(self, answer: Callable[[dns.message.Message], dns.message.Message | None]) -> None:
        self._answer = answer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, address: tuple[str, int]) -> None:
        # Anybody's message first: it is not what was asked for.
        other = dns.message.make_query("other.test.", "DNSKEY")
        other.id = int.from_bytes(data[:2], "big")
        for message in (b"\0\1", reply(other).to_wire()):
            self._transport.sendto(message, address)
        answer = self._answer(dns.message.from_wire(data))
        if answer is not None:
            self._transport.sendto(answer.to_wire(), address)


def shown(
    answer: Callable[[dns.message.Message], dns.message.Message | None], zones: int = 1
) -> list[frozenset[bytes]]:
    async def scenario() -> list[frozenset[bytes]]:
        transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: Server(answer), local_addr=("127.0.0.1", 0)
        )
        port = transport.get_extra_info("sockname")[1]
        neighbours = Neighbours(patience=0.5)
        names = [dns.name.from_text(f"z{number}", ZONE) for number in range(zones)]
        try:
            return await asyncio.gather(
                *(neighbours.dnskeys(name, "127.0.0.1", port) for name in names)
            )
        finally:
            neighbours.close()
            transport.close()

    return asyncio.run(scenario())


def test_each_of_many_zones_gets_its_own_answer() -> None:
    def every_other(query: dns.message.Message) -> dns.message.Message:
        return reply(query, key=int(str(query.question[0].name)[1:].split(".")[0]) % 2 == 0)

    found = shown(every_other, 100)
    assert [len(keys) for keys in found] == [1, 0] * 50


@pytest.mark.parametrize("answer", [refused, hearsay, lambda _: None])
def test_who_does_not_answer_for_the_zone_shows_nothing(
    answer: Callable[[dns.message.Message], dns.message.Message | None],
) -> None:
    assert shown(answer) == [frozenset()]


def test_where_nobody_listens_that_is_heard_and_not_waited_for() -> None:
    """A patience that no test lasts for."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]

    async def scenario() -> frozenset[bytes]:
        neighbours = Neighbours(patience=10_000)
        try:
            async with asyncio.timeout(60):
                return await neighbours.dnskeys(ZONE, "127.0.0.1", port)
        finally:
            neighbours.close()

    assert asyncio.run(scenario()) == frozenset()
