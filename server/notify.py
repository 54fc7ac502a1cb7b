"""NOTIFY (RFC 1996) from the manager: the server's Unix socket.

Every message has to be signed with a block's key; the key says which block is meant.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from corefile.names import wire_name
from engine import EngineError, TransferServer, TsigKey
from server.transfer import read_frame, write_frame

_log = logging.getLogger("zoneward.server.notify")

_IDLE = 60.0
_NOTIMP, _NOTAUTH = 4, 9

Told = Callable[[bytes, str], None]
"""The name of the key that signed, and the zone."""

Keys = Callable[[], Sequence[TsigKey]]
"""The keys of all blocks, as they are now; blocks on the disk. Raises OSError or ValueError."""


class NotifyListener:
    """`told(key, origin)` is called for each NOTIFY that verified. The keys are read anew for
    each connection: the manager may have come, or lost its state, since the last one."""

    def __init__(self, path: Path, told: Told, keys: Keys) -> None:
        self._path = path
        self._told = told
        self._keys = keys
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Raises OSError."""
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        self._server = await asyncio.start_unix_server(self._accept, str(self._path))
        # The directory says who gets here, TSIG who is believed.
        self._path.chmod(0o666)

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
            protocol = TransferServer(await asyncio.to_thread(self._keys))
            while True:
                async with asyncio.timeout(_IDLE):
                    message = await read_frame(reader)
                reply = self._answer(protocol, message, int(time.time()))
                if reply is None:
                    return
                await write_frame(writer, reply)
        except ValueError as error:
            _log.warning("no NOTIFY can be believed, catalogs are polled: %s", error)
        except (OSError, EOFError, TimeoutError) as error:
            # Most often the manager is simply done with this connection.
            _log.debug("a connection for NOTIFY ended: %s", error)
        finally:
            self._tasks.discard(task)
            writer.close()

    def _answer(self, protocol: TransferServer, message: bytes, now: int) -> bytes | None:
        try:
            request = protocol.parse(message, now)
        except EngineError as error:
            _log.warning("a NOTIFY was refused: %s", error)
            reply: bytes | None = getattr(error, "reply", None)
            return reply
        if request.kind != "notify":
            return protocol.refuse(request, _NOTIMP, now)
        if request.key is None:
            return protocol.refuse(request, _NOTAUTH, now)
        self._told(request.key, wire_name(request.origin))
        return protocol.acknowledge(request, now)
