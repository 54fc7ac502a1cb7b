"""The manager's door for servers: AXFR, IXFR and SOA over stream sockets, TSIG on each.

The protocol is the engine's (`engine.TransferServer`); here are the sockets. The Unix socket
serves the server on this machine, `publish` the ones elsewhere; both ask for the block's
catalog first (RFC 9432) and then for its members, with the block's key.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import struct
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

import attrs

import engine
from corefile.arguments import Endpoint
from corefile.link import LinkKey
from zones.serial import newer
from zones.versions import VersionKeeper
from zoneward import logging
from zoneward.refusal import Refusal

# A peer that sends or takes nothing for this long, in seconds, is let go.
IDLE = 60.0
# The same before a first query has verified: whoever has no key does not keep a place.
STRANGER = 5.0
# More connections than any fleet behind one manager keeps open at once; those of this machine
# and those over the network are counted apart.
MOST_CONNECTIONS = 256

# Most answers are one message, and no second trip to a thread finds out that it was the last.
_AT_ONCE = 2

_SERVFAIL, _NOTIMP, _NOTAUTH = 2, 4, 9
_LENGTH = struct.Struct("!H")

_log = logging.get("transfer")

Observed = Callable[[str, bytes, int | None, bool], None]


@attrs.frozen
class Shelf:
    """What one block's servers may have: its zones by their names in wire form."""

    block: str
    key: LinkKey
    zones: Mapping[bytes, VersionKeeper]


class TransferService:
    """Answers transfers of whatever is on the shelves, as they are at that moment.

    `observed(block, origin, serial, foreign)` hears which version of a zone a server says it
    has, None for none; `foreign` that it can't have it from this state, though the serial is
    ours.
    """

    def __init__(self, executor: Executor, observed: Observed) -> None:
        self._executor = executor
        self._observed = observed
        self._shelves: dict[bytes, Shelf] = {}
        self._protocol = engine.TransferServer([])
        self._servers: list[asyncio.Server] = []
        self._local: set[asyncio.Task[None]] = set()
        self._remote: set[asyncio.Task[None]] = set()

    def stock(self, shelves: list[Shelf]) -> None:
        """Replace what there is. Connections stay."""
        self._shelves = {shelf.key.name_wire: shelf for shelf in shelves}
        self._protocol = engine.TransferServer(
            [
                engine.TsigKey(shelf.key.name_wire, "hmac-sha256", shelf.key.secret)
                for shelf in shelves
            ]
        )

    async def listen_unix(self, path: Path) -> None:
        """Raises Refusal."""
        with contextlib.suppress(FileNotFoundError):
            path.unlink()
        try:
            server = await asyncio.start_unix_server(
                lambda reader, writer: self._accept(reader, writer, self._local), str(path)
            )
            # The directory says who gets here, TSIG who gets anything.
            os.chmod(path, 0o666)  # noqa: S103, PTH101
        except OSError as error:
            reason = error.strerror or str(error)
            raise Refusal(f"{path}: can't listen for servers: {reason}") from error
        self._servers.append(server)

    async def listen_tcp(self, endpoint: Endpoint) -> None:
        """Raises Refusal."""
        try:
            server = await asyncio.start_server(
                lambda reader, writer: self._accept(reader, writer, self._remote),
                endpoint.address or None,
                endpoint.port,
                reuse_address=True,
            )
        except OSError as error:
            raise Refusal(
                f"publish {endpoint}: can't listen: {os.strerror(error.errno or 0)}; "
                "choose another address or port, or stop what uses it"
            ) from error
        self._servers.append(server)

    async def close(self) -> None:
        for server in self._servers:
            server.close()
        open_now = [*self._local, *self._remote]
        for task in open_now:
            task.cancel()
        await asyncio.gather(*open_now, return_exceptions=True)

    async def _accept(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        connections: set[asyncio.Task[None]],
    ) -> None:
        task = asyncio.current_task()
        assert task is not None
        if len(connections) >= MOST_CONNECTIONS:
            writer.close()
            return
        connections.add(task)
        patience = STRANGER
        try:
            while (message := await _receive(reader, patience)) is not None:
                if not await self._answer(message, writer):
                    break
                patience = IDLE
        except (OSError, TimeoutError, asyncio.IncompleteReadError):
            _log.debug("a server's connection ended")
        except asyncio.CancelledError:
            # Only `close` cancels; a handler that ends as cancelled is logged as a fault.
            _log.debug("a server's connection was closed")
        finally:
            connections.discard(task)
            writer.close()

    async def _answer(self, message: bytes, writer: asyncio.StreamWriter) -> bool:
        """Answer one query; False when the connection is to end."""
        now = int(time.time())
        protocol = self._protocol
        try:
            request = protocol.parse(message, now)
        except engine.EngineError as error:
            _log.warning("a server's query was refused", reason=error.message)
            reply = getattr(error, "reply", None)
            if isinstance(reply, bytes):
                await _send(writer, reply)
            return False
        shelf = self._shelves.get(request.key or b"")
        keeper = None if shelf is None else shelf.zones.get(request.origin)
        if shelf is None or keeper is None:
            await _send(writer, protocol.refuse(request, _NOTAUTH, now))
            return True
        if request.kind not in ("soa", "axfr", "ixfr"):
            await _send(writer, protocol.refuse(request, _NOTIMP, now))
            return True
        loop = asyncio.get_running_loop()

        def prepare() -> _Prepared | None:
            found = keeper.transfer(request.serial)
            if found is None:
                return None
            messages = protocol.answer(request, *found, now)
            return _Prepared(found[0], tuple(itertools.islice(messages, _AT_ONCE)), messages)

        prepared = await loop.run_in_executor(self._executor, prepare)
        serial = request.serial
        if request.kind != "soa":
            same = prepared is not None and prepared.zone.serial == serial
            foreign = same and not keeper.handed_out
            self._observed(shelf.block, request.origin, serial, foreign)
        if prepared is None:
            await _send(writer, protocol.refuse(request, _SERVFAIL, now))
            return True
        if request.kind != "soa" and (serial is None or newer(prepared.zone.serial, serial)):
            keeper.handed_out = True
        for part in prepared.first:
            await _send(writer, part)
        if len(prepared.first) < _AT_ONCE:
            return True
        # A zone can be gigabytes of messages: made one by one, as the peer takes them.
        rest = prepared.rest
        while (more := await loop.run_in_executor(self._executor, _next, rest)) is not None:
            await _send(writer, more)
        return True


@attrs.frozen
class _Prepared:
    """What answers a query: its first messages, and where the others come from."""

    zone: engine.Zone
    first: tuple[bytes, ...]
    rest: Iterator[bytes]


def _next(messages: Iterator[bytes]) -> bytes | None:
    return next(messages, None)


async def _receive(reader: asyncio.StreamReader, patience: float) -> bytes | None:
    """One message with its two-byte length (RFC 1035 section 4.2.2); None at the end."""
    try:
        async with asyncio.timeout(patience):
            prefix = await reader.readexactly(_LENGTH.size)
            return await reader.readexactly(_LENGTH.unpack(prefix)[0])
    except asyncio.IncompleteReadError as error:
        if error.partial:
            raise
        return None


async def _send(writer: asyncio.StreamWriter, message: bytes) -> None:
    writer.write(_LENGTH.pack(len(message)) + message)
    async with asyncio.timeout(IDLE):
        await writer.drain()
