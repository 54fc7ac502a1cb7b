"""Following a real etcd that holds whole zones: who is told of what."""

import asyncio
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.name
import pytest
from etcdpeer import Etcd

import corefile
from corefile.names import name_wire
from signer.state import StateDatabase
from zones.config import compile_block
from zones.etcd import following as following_module
from zones.etcd import rpc_pb2 as rpc
from zones.etcd.zonefile import TextSource, ZoneTexts
from zones.source import SourceError
from zoneward.configuration import plan_manager
from zoneward.group import NameGroup
from zoneward.manager import Manager
from zoneward.state import StateDirectory

pytestmark = pytest.mark.peers

A_TEST = dns.name.from_text("a.test.")
KEY = b"/zones/a.test"
A = 1


def zone(address: str) -> bytes:
    return f"@ 60 SOA ns1 host 1 3600 900 86400 300\n@ 60 NS ns1\nns1 60 A {address}\n".encode()


@pytest.fixture
def etcd(tmp_path: Path, address: str) -> Iterator[Etcd]:
    found = Etcd(tmp_path, address)
    try:
        yield found
    finally:
        found.kill()


class Scene:
    """All zones below test., and how often others were there."""

    def __init__(self, etcd: Etcd, executor: ThreadPoolExecutor) -> None:
        text = f"test {{\n etcd {{\n layout zonefile\n path /zones\n endpoint {etcd.url}\n }}\n}}"
        parsed = corefile.parse(text, path="Corefile", environ={}, read=str)
        block = compile_block(parsed.blocks[0], etcd.directory)
        assert block is not None
        self.changed = asyncio.Semaphore(0)
        self.texts = ZoneTexts(
            block.etcds[0],
            kept=etcd.directory / "copy",
            executor=executor,
            changed=self.changed.release,
        )
        self.connection = etcd.connection()

    async def delete(self, key: bytes) -> None:
        await self.connection.write(rpc.DeleteRangeRequest(key=key))


def run(etcd: Etcd, story: Callable[[Scene], Coroutine[object, object, None]]) -> None:
    async def act() -> None:
        with ThreadPoolExecutor(2) as executor:
            scene = Scene(etcd, executor)
            scene.texts.start()
            try:
                async with asyncio.timeout(30):
                    await story(scene)
            finally:
                await scene.texts.stop()
                await scene.connection.close()

    asyncio.run(act())


def test_a_zone_that_goes_and_comes_back_is_still_followed(etcd: Etcd) -> None:
    """Within a burst, so that whoever owns the zone does not see it gone."""
    etcd.start()
    etcd.put(KEY.decode(), zone("192.0.2.1").decode())

    async def story(scene: Scene) -> None:
        source = TextSource(A_TEST, scene.texts)
        await source.load()
        addresses: asyncio.Queue[str] = asyncio.Queue()

        async def follow() -> None:
            async for _ in source.changes():
                rrset = (await source.load()).rrset(name_wire("ns1.a.test."), A)
                assert rrset is not None
                await addresses.put(".".join(map(str, rrset.rdatas[0])))

        following = asyncio.create_task(follow())
        try:
            await asyncio.sleep(0)
            await scene.connection.put(KEY, zone("192.0.2.2"))
            while await addresses.get() != "192.0.2.2":
                pass
            await scene.delete(KEY)
            await scene.connection.put(KEY, zone("192.0.2.3"))
            while await addresses.get() != "192.0.2.3":
                pass
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)

    run(etcd, story)


def test_texts_that_come_in_a_thread_are_told_of_on_the_loop(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where an event of asyncio may be set; it wakes nobody from elsewhere."""
    monkeypatch.setattr(following_module, "_MANY", 0)
    etcd.start()
    etcd.put(KEY.decode(), zone("192.0.2.1").decode())
    threads: set[str] = set()

    class Event(asyncio.Event):
        def set(self) -> None:
            threads.add(threading.current_thread().name)
            super().set()

    monkeypatch.setattr("zones.etcd.zonefile.asyncio.Event", Event)

    async def story(scene: Scene) -> None:
        source = TextSource(A_TEST, scene.texts)
        await source.load()
        await source.taken()
        hints = source.changes()
        revision = await scene.connection.put(KEY, zone("192.0.2.2"))
        await anext(hints)
        while source.standing().behind is None or scene.texts.revision < revision:
            await anext(hints)
        await source.load()
        assert (source.standing().revision or 0) < revision
        await source.taken()
        assert source.standing().revision == revision

    run(etcd, story)
    assert threads == {threading.main_thread().name}


def test_zones_that_are_reloaded_together_are_listed_once(etcd: Etcd) -> None:
    etcd.start()
    for name in ("a", "b"):
        etcd.put(f"/zones/{name}.test", zone("192.0.2.1").decode())

    async def story(scene: Scene) -> None:
        await scene.texts.zones()
        origins = [dns.name.from_text(f"{name}.test.") for name in ("a", "b")]
        before = scene.texts.following.listings
        sources = [TextSource(origin, scene.texts) for origin in origins]
        await asyncio.gather(*(source.list_again() for source in sources))
        assert scene.texts.following.listings == before + 1

    run(etcd, story)


def test_that_there_are_no_zones_is_told_too(etcd: Etcd, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever asked before etcd was heard has left its zones as they were."""
    monkeypatch.setattr("zones.etcd.zonefile.FIRST_WAIT", 0.1)

    async def story(scene: Scene) -> None:
        with pytest.raises(SourceError):
            await scene.texts.zones()
        await asyncio.to_thread(etcd.start)
        await scene.changed.acquire()
        assert await scene.texts.zones() == ()

    run(etcd, story)


def test_a_zone_that_comes_while_the_manager_ends_does_not_start(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd.start()
    etcd.put(KEY.decode(), zone("192.0.2.1").decode())
    path = etcd.directory / "Corefile"
    text = f"test {{\n etcd {{\n layout zonefile\n path /zones\n endpoint {etcd.url}\n }}\n}}"
    stop = NameGroup.stop

    async def slow(self: NameGroup) -> None:
        """Until what came would have been heard."""
        connection = etcd.connection()
        await connection.put(b"/zones/b.test", zone("192.0.2.2"))
        await connection.close()
        await asyncio.sleep(1)
        await stop(self)

    async def act() -> None:
        state = StateDirectory(etcd.directory / "state")
        state.prepare()
        database = StateDatabase(state.database)
        plan = plan_manager(corefile.parse(text, path=str(path), environ={}, read=str))
        manager = Manager(state, plan, database)
        await manager.apply(plan)
        monkeypatch.setattr(NameGroup, "stop", slow)
        await manager.close()
        database.close()
        assert list(manager.groups) == [A_TEST]

    asyncio.run(act())
