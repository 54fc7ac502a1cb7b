"""NOTIFY (RFC 1996) from the manager: the server's Unix socket.

Every message has to be signed with a block's key; the key says which block is meant.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Iterable
from pathlib import Path

from corefile.names import wire_name
from engine import EngineError, TransferServer, TsigKey
from server.transfer import read_frame, write_frame

_log = logging.getLogger("zoneward.server.notify")

_IDLE = 60.0
_NOTIMP, _NOTAUTH = 4, 9

Told = Callable[[bytes, str], None]
"""The name of the key that signed, and the zone."""


class NotifyListener:
    """`told(key, origin)` is called for each NOTIFY that verified."""

    def __init__(self, path: Path, told: Told) -> None:
        self._path = path
        self._told = told
        self._protocol = TransferServer([])
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    def accept_keys(self, keys: Iterable[TsigKey]) -> None:
        self._protocol = TransferServer(list(keys))

    async def start(self) -> None:
        """Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._server = await asyncio.start_unix_server(self._accept, str(self._path))
        # The directory says who gets here, TSIG who is believed.
        self._path.chmod(0o660)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            for task in self._tasks:
                task.cancel()
            with contextlib.suppress(FileNotFoundError):
                self._path.unlink()

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        try:
            while True:
                async with asyncio.timeout(_IDLE):
                    message = await read_frame(reader)
                reply = self._answer(message, int(time.time()))
                if reply is None:
                    return
                await write_frame(writer, reply)
        except (OSError, EOFError, TimeoutError):
            return  # the manager is done with this connection
        finally:
            self._tasks.discard(task)
            writer.close()

    def _answer(self, message: bytes, now: int) -> bytes | None:
        try:
            request = self._protocol.parse(message, now)
        except EngineError as error:
            _log.warning("a NOTIFY was refused: %s", error)
            reply: bytes | None = getattr(error, "reply", None)
            return reply
        if request.kind != "notify":
            return self._protocol.refuse(request, _NOTIMP, now)
        if request.key is None:
            return self._protocol.refuse(request, _NOTAUTH, now)
        self._told(request.key, wire_name(request.origin))
        return self._protocol.acknowledge(request, now)
