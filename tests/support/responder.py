"""Name servers on loopback that answer as a test says."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import cast

import dns.flags
import dns.message

ADDRESS = "127.61.4.1"
Behaviour = Callable[[dns.message.Message], dns.message.Message | None]


class Responder(asyncio.DatagramProtocol):
    """One server: the same behaviour over UDP, cut to 1232 octets, and TCP."""

    def __init__(self, behaviour: Behaviour) -> None:
        self.behaviour = behaviour

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast(asyncio.DatagramTransport, transport)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        response = self.behaviour(dns.message.from_wire(data))
        if response is None:
            return
        wire = response.to_wire(max_size=65535)
        if len(wire) > 1232:
            response.answer.clear()
            response.flags |= dns.flags.TC
            wire = response.to_wire()
        self.transport.sendto(wire, addr)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        length = int.from_bytes(await reader.readexactly(2), "big")
        response = self.behaviour(dns.message.from_wire(await reader.readexactly(length)))
        if response is not None:
            wire = response.to_wire(max_size=65535)
            writer.write(len(wire).to_bytes(2, "big") + wire)
            await writer.drain()
        writer.close()


@asynccontextmanager
async def server(behaviour: Behaviour, address: str = ADDRESS, port: int = 0) -> AsyncIterator[int]:
    """The port that it listens on."""
    responder = Responder(behaviour)
    stream = await asyncio.start_server(responder.serve, address, port)
    port = int(stream.sockets[0].getsockname()[1])
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(
        lambda: responder, local_addr=(address, port)
    )
    try:
        yield port
    finally:
        transport.close()
        stream.close()
        await stream.wait_closed()
