"""A zone that follows a real etcd, without a manager: what it is told, and what it has then."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.name
from etcdpeer import Etcd

import corefile
import engine
from corefile.names import name_wire
from zones.config import EtcdZone, compile_block
from zones.etcd.source import SkydnsSource

ORIGIN = dns.name.from_text("example.org.")
PREFIX = "/skydns/org/example/"
A = 1


@contextlib.contextmanager
def started(directory: Path, address: str) -> Iterator[Etcd]:
    """One member that holds nothing."""
    found = Etcd(directory, address)
    try:
        found.start()
        yield found
    finally:
        found.kill()


class Scene:
    """A source, and what it tells."""

    def __init__(self, etcd: Etcd, *lines: str) -> None:
        body = "".join(f"{line}\n" for line in (f"endpoint {etcd.url}", *lines))
        parsed = corefile.parse(
            f"example.org {{\n etcd {{\n{body}}}\n}}", path="Corefile", environ={}, read=str
        )
        block = compile_block(parsed.blocks[0], etcd.directory)
        assert block is not None
        (zone,) = block.zones
        assert isinstance(zone, EtcdZone)
        self._executor = ThreadPoolExecutor(2)
        self.source = SkydnsSource(
            ORIGIN, zone.config, kept=etcd.directory / "copy", executor=self._executor
        )
        self.hints = 0
        self._task: asyncio.Task[None] | None = None
        self.base: engine.Zone | None = None
        self.connection = etcd.connection()

    async def __aenter__(self) -> "Scene":
        self._task = asyncio.create_task(self._count())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.source.stop()
        await self.connection.close()
        self._executor.shutdown()

    async def _count(self) -> None:
        async for _ in self.source.changes():
            self.hints += 1

    async def whole(self) -> engine.Zone:
        self.base = await self.source.load()
        await self.source.taken()
        return self.base

    async def next(self) -> engine.Zone:
        """The version after the last: what has changed, applied."""
        assert self.base is not None
        found = await self.source.increment(self.base)
        assert found is not None
        version = found.version(self.base)
        await self.source.taken()
        if version is not None:
            self.base = version[0]
        return self.base

    async def put(self, path: str, **value: object) -> int:
        return await self.connection.put((PREFIX + path).encode(), json.dumps(value).encode())

    async def until(self, revision: int) -> None:
        """Until all up to a revision was told."""
        async with asyncio.timeout(20):
            while self.source.following.mark is None or (
                self.source.following.mark.revision < revision
            ):
                await asyncio.sleep(0.005)


def addresses(zone: engine.Zone, name: str) -> list[str]:
    found = zone.rrset(name_wire(f"{name}.example.org."), A)
    return [] if found is None else sorted(".".join(map(str, one)) for one in found.rdatas)


def content(zone: engine.Zone) -> list[str]:
    """All records but the SOA."""
    return sorted(line for line in zone.to_text().splitlines() if " SOA " not in line)


def run(etcd: Etcd, story: Callable[[Scene], Coroutine[object, object, None]], *lines: str) -> None:
    async def act() -> None:
        async with Scene(etcd, *lines) as scene:
            await story(scene)

    asyncio.run(act())


def check_equal(etcd: Etcd) -> None:
    """What a source that starts from nothing has is what the copy and the watch lead to."""

    async def anew() -> list[str]:
        async with Scene(etcd) as scene:
            return content(await scene.whole())

    kept = asyncio.run(anew())
    (etcd.directory / "copy").unlink()
    assert asyncio.run(anew()) == kept
