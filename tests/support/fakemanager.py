"""A manager as far as a server can see: a Unix socket that answers transfers."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import dns.name

import engine
import zones.catalog
from corefile.link import catalog_name, derive
from corefile.names import name_wire
from server.subscriptions import tsig_key
from server.transfer import read_frame, write_frame

LINK = bytes(range(32))
_SERVFAIL, _NOTAUTH = 2, 9


def zone(origin: str, serial: int, *lines: str, expire: int = 3600) -> engine.Zone:
    """A zone with an SOA, an NS and the lines given."""
    text = [
        f"{origin} 60 IN SOA ns.{origin} host.{origin} {serial} 60 60 {expire} 60",
        f"{origin} 60 IN NS ns.example.org.",
        *lines,
    ]
    return engine.scan_text("\n".join(text).encode() + b"\n", name_wire(origin))


def catalog(
    block: str, *zone_names: str, current: engine.Zone | None = None, serial: int = 1
) -> engine.Zone:
    """A block's catalog, as the real manager builds it."""
    built = zones.catalog.build(
        dns.name.from_text(catalog_name(block)),
        map(dns.name.from_text, zone_names),
        current,
        serial,
    )
    assert built is not None
    return built


class FakeManager:
    """Answers for whatever it holds, to the keys of the blocks it is told of."""

    def __init__(self, path: Path, blocks: Sequence[str]) -> None:
        self.path = path
        self.keys = [tsig_key(derive(LINK, block)) for block in blocks]
        self.zones: dict[str, engine.Zone] = {}
        #: Listed, and still being signed.
        self.to_come: set[str] = set()
        self.history: dict[str, list[engine.Diff]] = {}
        self.asked: list[tuple[str, str]] = []
        self.refused: list[str] = []
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    async def start(self) -> None:
        self.path.unlink(missing_ok=True)
        self._server = await asyncio.start_unix_server(self._accept, str(self.path))

    async def stop(self) -> None:
        assert self._server is not None
        self._server.close()
        for writer in self._writers:
            writer.close()

    @contextlib.asynccontextmanager
    async def over_tcp(self, address: str) -> AsyncIterator[int]:
        """Another door, as `publish` opens one; gives its port."""
        server = await asyncio.start_server(self._accept, address, 0)
        try:
            yield server.sockets[0].getsockname()[1]
        finally:
            server.close()

    def change(self, origin: str, new: engine.Zone) -> None:
        """A new version, with the difference to the one before."""
        self.history.setdefault(origin, []).append(self.zones[origin].difference(new))
        self.zones[origin] = new

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._writers.add(writer)
        protocol = engine.TransferServer(self.keys)
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                now = int(time.time())
                try:
                    request = protocol.parse(await read_frame(reader), now)
                except engine.EngineError as error:
                    self.refused.append(str(error))
                    await write_frame(writer, error.reply)
                    continue
                origin = str(dns.name.from_wire(request.origin, 0)[0])
                self.asked.append((origin, request.kind))
                held = self.zones.get(origin)
                if held is None:
                    rcode = _SERVFAIL if origin in self.to_come else _NOTAUTH
                    await write_frame(writer, protocol.refuse(request, rcode, now))
                    continue
                history = [
                    diff
                    for diff in self.history.get(origin, [])
                    if request.serial is not None and diff.from_serial >= request.serial
                ]
                for message in protocol.answer(request, held, history or None, now):
                    await write_frame(writer, message)
