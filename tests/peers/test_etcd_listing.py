"""When all keys of a real etcd are listed; a listing, a copy and a watch come to the same."""

import asyncio
from collections.abc import AsyncGenerator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import pytest
from etcdpeer import Etcd
from etcdsource import PREFIX, Scene, addresses, check_equal, run, started

from zones.etcd import follower as follower_module
from zones.etcd import following as following_module
from zones.etcd import rpc_pb2 as rpc
from zones.etcd.client import Batch, Beat, Connection
from zones.etcd.follower import Mark
from zones.versions import VersionKeeper
from zoneward.zonetask import ZoneTask

pytestmark = pytest.mark.peers


@pytest.fixture
def etcd(tmp_path: Path, address: str) -> Iterator[Etcd]:
    with started(tmp_path, address) as found:
        yield found


def test_a_listing_of_many_pages_is_of_one_revision(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd.put_all({f"{PREFIX}n{number}": {"host": "192.0.2.1"} for number in range(250)})
    monkeypatch.setattr(follower_module, "PAGE", 10)
    page = Connection.page
    pages = 0

    async def disturbed(self: Connection, *arguments: object) -> object:
        """Between any two pages something changes before and behind where they are."""
        nonlocal pages
        pages += 1
        if pages > 1:
            await self.write(
                rpc.PutRequest(key=f"{PREFIX}a{pages}".encode(), value=b'{"host":"192.0.2.9"}'),
                rpc.DeleteRangeRequest(key=f"{PREFIX}n{99 - pages}".encode()),
            )
        return await page(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "page", disturbed)

    async def story(scene: Scene) -> None:
        first = await scene.whole()
        assert pages == 25
        await scene.until((await scene.connection.beat(b"x")).revision)
        last = await scene.next()
        there = {name for name in range(250) if addresses(last, f"n{name}")}
        assert there == set(range(250)) - {99 - page for page in range(2, 26)}
        assert all(addresses(last, f"a{page}") for page in range(2, 26))
        assert first.name_count <= last.name_count + 24

    run(etcd, story)
    monkeypatch.undo()
    check_equal(etcd)


def test_a_start_goes_on_from_the_revision_on_disk(etcd: Etcd) -> None:
    etcd.put(f"{PREFIX}stays", {"host": "192.0.2.1"})
    etcd.put(f"{PREFIX}goes", {"host": "192.0.2.2"})

    async def first(scene: Scene) -> None:
        await scene.whole()
        assert scene.source.following.listings == 1

    run(etcd, first)
    etcd.delete(f"{PREFIX}goes")
    etcd.put(f"{PREFIX}comes", {"host": "192.0.2.3"})

    async def second(scene: Scene) -> None:
        zone = await scene.whole()
        assert addresses(zone, "stays") == ["192.0.2.1"]
        assert addresses(zone, "goes") == []
        assert addresses(zone, "comes") == ["192.0.2.3"]
        assert scene.source.following.listings == 0

    run(etcd, second)


def test_a_revision_that_was_compacted_is_listed_again(etcd: Etcd) -> None:
    etcd.put(f"{PREFIX}goes", {"host": "192.0.2.2"})

    async def first(scene: Scene) -> None:
        await scene.whole()

    run(etcd, first)
    etcd.delete(f"{PREFIX}goes")
    etcd.put(f"{PREFIX}comes", {"host": "192.0.2.3"})
    etcd.compact()

    async def second(scene: Scene) -> None:
        zone = await scene.whole()
        assert addresses(zone, "goes") == []
        assert addresses(zone, "comes") == ["192.0.2.3"]
        assert scene.source.following.listings == 1

    run(etcd, second)


def test_a_watch_that_does_not_catch_up_gives_way_to_a_listing(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcd gives no sign of life on a watch that is behind."""
    marks: list[Mark | None] = []

    async def first(scene: Scene) -> None:
        await scene.whole()
        marks.append(scene.source.following.mark)

    run(etcd, first)
    etcd.put(f"{PREFIX}comes", {"host": "192.0.2.3"})
    for name, seconds in (("BEAT", 0.1), ("SILENCE", 0.6), ("_CATCHING_UP", 1.0)):
        monkeypatch.setattr(follower_module, name, seconds)
    watch = Connection.watch

    async def behind(
        self: Connection, start: bytes, end: bytes, revision: int, ask: asyncio.Event
    ) -> AsyncGenerator[Batch, None]:
        (mark,) = marks
        assert mark is not None
        if revision == mark.revision + 1:
            await asyncio.Event().wait()
        async for batch in watch(self, start, end, revision, ask):
            yield batch

    monkeypatch.setattr(Connection, "watch", behind)

    async def second(scene: Scene) -> None:
        assert addresses(await scene.whole(), "comes") == ["192.0.2.3"]
        assert scene.source.following.listings == 1

    run(etcd, second)


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_copy_costs_a_listing(etcd: Etcd, damage: str) -> None:
    etcd.put(f"{PREFIX}a", {"host": "192.0.2.2"})

    async def story(scene: Scene) -> None:
        assert addresses(await scene.whole(), "a") == ["192.0.2.2"]
        assert scene.source.following.listings == 1

    run(etcd, story)
    kept = etcd.directory / "copy"
    octets = kept.read_bytes()
    changed = octets[:-5] + bytes([octets[-5] ^ 1]) + octets[-4:]
    kept.write_bytes({"cut": octets[:-1], "changed": changed, "empty": b""}[damage])
    run(etcd, story)


@pytest.mark.parametrize("ahead", [False, True])
def test_an_etcd_that_was_set_up_anew_is_noticed_and_listed(etcd: Etcd, ahead: bool) -> None:
    """Under its old identity: behind the revision that was taken, or ahead of it."""
    for number in range(5):
        etcd.put(f"{PREFIX}old{number}", {"host": "192.0.2.2"})

    async def first(scene: Scene) -> None:
        await scene.whole()

    run(etcd, first)
    etcd.kill()
    etcd.data.rename(etcd.directory / "gone")
    etcd.start()
    for number in range(20 if ahead else 1):
        etcd.put(f"{PREFIX}new{number}", {"host": "192.0.2.3"})

    async def second(scene: Scene) -> None:
        # What is there while nothing is known yet is no zone.
        zone = await scene.whole()
        assert addresses(zone, "old0") == []
        assert addresses(zone, "new0") == ["192.0.2.3"]
        assert scene.source.following.listings == 1

    run(etcd, second)


def test_a_change_that_overtakes_a_sign_of_life_is_no_restored_backup(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    beat = Connection.beat
    overtaken = 0

    async def story(scene: Scene) -> None:
        async def slow(self: Connection, key: bytes, deadline: float = 3.0) -> Beat:
            nonlocal overtaken
            found = await beat(self, key, deadline)
            await scene.until(await scene.put(f"n{overtaken}", host="192.0.2.1"))
            overtaken += 1
            return found

        await scene.whole()
        monkeypatch.setattr(follower_module, "BEAT", 0.05)
        monkeypatch.setattr(Connection, "beat", slow)
        async with asyncio.timeout(20):
            while overtaken < 3:
                await asyncio.sleep(0.01)
        assert scene.source.following.listings == 1

    run(etcd, story)
    assert not [line for line in caplog.messages if "restored from a backup" in line]


def test_who_asks_for_a_listing_gets_what_was_never_told(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    watch = Connection.watch

    async def deaf(
        self: Connection, start: bytes, end: bytes, revision: int, ask: asyncio.Event
    ) -> AsyncGenerator[Batch, None]:
        async for batch in watch(self, start, end, revision, ask):
            yield attrs.evolve(batch, events=())

    monkeypatch.setattr(Connection, "watch", deaf)

    async def story(scene: Scene) -> None:
        await scene.whole()
        await scene.put("a", host="192.0.2.1")
        assert addresses(await scene.whole(), "a") == []
        await scene.source.list_again()
        assert scene.source.following.listings == 2
        assert addresses(await scene.whole(), "a") == ["192.0.2.1"]

    run(etcd, story)


def test_a_zone_that_is_reloaded_is_listed_anew_and_says_when_that_is_not_possible(
    etcd: Etcd, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def act() -> None:
        scene = Scene(etcd)
        keeper = VersionKeeper(etcd.directory / "zone")
        keeper.open()
        with ThreadPoolExecutor(1) as executor:
            task = ZoneTask("a", scene.source, "etcd", keeper, None, executor, lambda _: None)
            running = asyncio.create_task(task.run())
            assert await task.reload() == "zone example.org. serial 1: nothing changed"
            assert scene.source.following.listings == 2
            etcd.kill()
            monkeypatch.setattr(following_module, "LISTING_WAIT", 1.0)
            line = await task.reload()
            assert line.startswith(f"zone example.org.: etcd {address}:2379 {PREFIX}: ")
            assert line.endswith("; it is tried again all the time (serial 1 stays served)")
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
            assert await task.resign() == "zone example.org.: was taken out of service"
            await task.stop()

    asyncio.run(act())
