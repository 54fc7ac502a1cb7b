"""Zones in by transfer: an asyncio client of the manager around engine.TransferClient.

DNS messages are framed as over TCP (RFC 1035 section 4.2.2), on a Unix socket or TCP.
"""

import asyncio
import secrets
import struct
import time
from pathlib import Path
from typing import Self

import attrs

from corefile.arguments import Endpoint
from corefile.names import name_wire
from engine import Diff, TransferClient, TsigKey, Zone

# Without a message for this long the other side is taken for dead.
_PATIENCE = 30.0


@attrs.frozen
class Received:
    """A newer version of a zone. `diffs` is None when it came whole (AXFR)."""

    zone: Zone
    diffs: list[Diff] | None


class Connection:
    """A connection to the manager; one question at a time."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    @classmethod
    async def open(cls, where: Path | Endpoint) -> Self:
        """Raises OSError or TimeoutError."""
        async with asyncio.timeout(_PATIENCE):
            if isinstance(where, Path):
                return cls(*await asyncio.open_unix_connection(str(where)))
            return cls(*await asyncio.open_connection(where.address or None, where.port))

    async def close(self) -> None:
        self._writer.close()
        try:
            await self._writer.wait_closed()
        except OSError:
            return  # it was gone already

    async def gone(self) -> None:
        """Returns when the other side has hung up, or speaks without being asked. May be
        cancelled; nothing is lost then."""
        await self._reader.read(1)

    async def transfer(
        self, origin: str, base: Zone | None, key: TsigKey | None
    ) -> Received | None:
        """Ask for what follows `base`, or for the whole zone; None when there is nothing newer.
        Raises EngineError "transfer", OSError, TimeoutError, asyncio.IncompleteReadError."""
        client = TransferClient(name_wire(origin), base, key)
        await self._send(client.request(secrets.randbelow(2**16), int(time.time())))
        while True:
            message = await self._receive()
            # Taking a message in can mean building a zone: off the loop.
            if await asyncio.to_thread(client.feed, message, int(time.time())):
                break
        zone = await asyncio.to_thread(client.zone)
        return None if zone is None else Received(zone, client.diffs())

    async def _send(self, message: bytes) -> None:
        async with asyncio.timeout(_PATIENCE):
            await write_frame(self._writer, message)

    async def _receive(self) -> bytes:
        async with asyncio.timeout(_PATIENCE):
            return await read_frame(self._reader)


async def read_frame(reader: asyncio.StreamReader) -> bytes:
    """One message without its length. Raises asyncio.IncompleteReadError."""
    (length,) = struct.unpack("!H", await reader.readexactly(2))
    return await reader.readexactly(length)


async def write_frame(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(struct.pack("!H", len(message)) + message)
    await writer.drain()
