"""Telling the server on this machine that zones have new versions (RFC 1996).

A lost NOTIFY only delays: the server asks by itself every half minute, and more rarely where it
has hundreds of zones.
"""

from __future__ import annotations

import asyncio
import secrets
import struct
import time
from pathlib import Path

import attrs

import engine
from corefile.link import LinkKey
from zoneward import logging

# For a whole exchange, in seconds.
PATIENCE = 5.0
# How long after one that failed, in seconds.
RETRY = 1.0

_LENGTH = struct.Struct("!H")
_log = logging.get("notify")


@attrs.frozen
class Change:
    """A zone, by its name in wire form, that has a new serial."""

    origin: bytes
    serial: int
    key: LinkKey


class Notifier:
    """Sends what was `tell`-ed, in order; of several changes of a zone the last."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._waiting: dict[tuple[str, bytes], Change] = {}
        self._wake = asyncio.Event()

    def tell(self, change: Change) -> None:
        self._waiting[change.key.name, change.origin] = change
        self._wake.set()

    async def run(self) -> None:
        """Send until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            try:
                await self._send()
            except (OSError, TimeoutError, asyncio.IncompleteReadError):
                _log.debug("the server is slow to be told; tried again", socket=self._path)
                self._wake.set()
                await asyncio.sleep(RETRY)

    async def _send(self) -> None:
        """All that waits. What was not taken waits on."""
        try:
            async with asyncio.timeout(PATIENCE):
                reader, writer = await asyncio.open_unix_connection(str(self._path))
        except (OSError, TimeoutError):
            # A server that comes up asks for everything.
            _log.debug("there is no server to be told", socket=self._path)
            self._waiting.clear()
            return
        try:
            while self._waiting:
                which, change = next(iter(self._waiting.items()))
                async with asyncio.timeout(PATIENCE):
                    await _exchange(change, reader, writer)
                if self._waiting.get(which) is change:
                    del self._waiting[which]
        finally:
            writer.close()


async def _exchange(
    change: Change, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
) -> None:
    message = engine.notify_message(
        change.origin,
        change.serial,
        engine.TsigKey(change.key.name_wire, "hmac-sha256", change.key.secret),
        secrets.randbits(16),
        int(time.time()),
    )
    writer.write(_LENGTH.pack(len(message)) + message)
    await writer.drain()
    prefix = await reader.readexactly(_LENGTH.size)
    reply = await reader.readexactly(_LENGTH.unpack(prefix)[0])
    # The RCODE is the low half of the fourth octet (RFC 1035 section 4.1.1).
    if len(reply) < 4 or reply[3] & 0x0F:
        _log.debug("the server did not take a NOTIFY", rcode=reply[3] & 0x0F if reply[3:] else -1)
