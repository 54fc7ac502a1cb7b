"""Entries of a real etcd that are bad, too many or too large: left out, and the rest served."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest
from etcdpeer import Etcd
from etcdsource import PREFIX, Scene, addresses, run, started

from zones.etcd import follower as follower_module
from zones.etcd import rpc_pb2 as rpc
from zones.etcd.client import Beat, Connection
from zones.etcd.rrsets import Records, zone_text

pytestmark = pytest.mark.peers


@pytest.fixture
def etcd(tmp_path: Path, address: str) -> Iterator[Etcd]:
    with started(tmp_path, address) as found:
        yield found


def test_bad_entries_are_left_out_and_counted_and_the_rest_is_there(
    etcd: Etcd, caplog: pytest.LogCaptureFixture
) -> None:
    etcd.put(f"{PREFIX}good", {"host": "192.0.2.1"})
    etcd.put(f"{PREFIX}json", "{")
    etcd.put(f"{PREFIX}host", {"host": "no name"})
    etcd.put(f"{PREFIX}bad..key", {"host": "192.0.2.1"})
    etcd.put(f"{PREFIX}long", {"text": "x" * 40_000})

    async def story(scene: Scene) -> None:
        zone = await scene.whole()
        assert addresses(zone, "good") == ["192.0.2.1"]
        standing = scene.source.standing()
        assert (standing.entries, standing.left_out) == (1, 4)
        assert len(standing.examples) == 3
        # One is corrected, one goes, a good one goes bad.
        await scene.put("json", host="192.0.2.2")
        etcd.delete(f"{PREFIX}host")
        revision = await scene.connection.put(f"{PREFIX}good".encode(), b"[]")
        await scene.until(revision)
        zone = await scene.next()
        assert addresses(zone, "good") == []
        assert addresses(zone, "json") == ["192.0.2.2"]
        assert scene.source.standing().left_out == 3

    run(etcd, story)
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if f"left out '{PREFIX}json': the value is no JSON" in line]
    assert [line for line in said if f"left out '{PREFIX}bad..key': the key is no name" in line]


def test_a_name_that_the_engine_does_not_take_counts_until_it_does(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(name: str, records: Records) -> str:
        text = zone_text(name, records)
        return text.replace("192.0.2.9", "nonsense")

    monkeypatch.setattr("zones.etcd.source.zone_text", spoilt)
    etcd.put_all({f"{PREFIX}{name}": {"host": "192.0.2.9"} for name in ("a", "b", "c")})

    async def story(scene: Scene) -> None:
        await scene.whole()
        standing = scene.source.standing()
        assert (standing.entries, standing.left_out) == (3, 3)
        await scene.until(await scene.put("a", host="192.0.2.1"))
        assert addresses(await scene.next(), "a") == ["192.0.2.1"]
        assert scene.source.standing().left_out == 2
        revision = await scene.connection.write(rpc.DeleteRangeRequest(key=f"{PREFIX}b".encode()))
        await scene.until(revision)
        await scene.whole()
        (example,) = scene.source.standing().examples
        assert example.startswith("'c.example.org.': ")

    run(etcd, story)


def test_entries_over_the_limit_come_in_when_there_is_room(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_LEAST_REST", 0.1)
    etcd.put_all({f"{PREFIX}n{number}": {"host": "192.0.2.1"} for number in range(8)})

    async def story(scene: Scene) -> None:
        zone = await scene.whole()
        assert [number for number in range(8) if addresses(zone, f"n{number}")] == [0, 1, 2, 3, 4]
        assert scene.source.standing().left_out == 3
        etcd.delete(f"{PREFIX}n0")
        async with asyncio.timeout(20):
            while scene.source.standing().left_out > 2:
                await asyncio.sleep(0.01)
        zone = await scene.next()
        assert [number for number in range(8) if addresses(zone, f"n{number}")] == [1, 2, 3, 4, 5]

    run(etcd, story, "max-entries 5")


def test_coming_and_going_at_the_limit_is_no_reason_to_list_all_the_time(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "BEAT", 0.05)
    monkeypatch.setattr(follower_module, "_LEAST_REST", 3600.0)
    etcd.put_all({f"{PREFIX}n{number}": {"host": "192.0.2.1"} for number in range(8)})
    beat = Connection.beat
    beats = asyncio.Semaphore(0)

    async def counted(self: Connection, key: bytes, deadline: float = 3.0) -> Beat:
        beats.release()
        return await beat(self, key, 3.0)

    monkeypatch.setattr(Connection, "beat", counted)

    async def story(scene: Scene) -> None:
        await scene.whole()
        for number in range(4):
            await scene.until(
                await scene.connection.write(
                    rpc.DeleteRangeRequest(key=f"{PREFIX}n{number}".encode())
                )
            )
            assert scene.source.standing().left_out
            for _ in range(5):
                await beats.acquire()
        assert scene.source.following.listings == 1

    run(etcd, story, "max-entries 5")


def test_pages_that_are_too_large_are_asked_for_in_smaller_ones(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of values of a megabyte each is more than is taken in one message."""
    large = {f"{PREFIX}n{number}": "x" * 1_000_000 for number in range(70)}

    async def fill(connection: Connection) -> None:
        for key, value in large.items():
            await connection.put(key.encode(), value.encode())
        await connection.put(f"{PREFIX}small".encode(), b'{"host":"192.0.2.1"}')

    etcd.connected(fill)

    async def story(scene: Scene) -> None:
        assert addresses(await scene.whole(), "small") == ["192.0.2.1"]
        assert scene.source.standing().left_out == 70

    run(etcd, story)


def test_a_zone_of_very_many_keys_is_taken_up_to_the_limit(
    etcd: Etcd, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = int(request.config.getoption("--etcd-keys"))
    over = count // 10
    monkeypatch.setattr("zones.etcd.source.FIRST_WAIT", 60 + count / 1000)
    etcd.put_all(
        {f"{PREFIX}g{number // 10}/n{number:09}": {"host": "192.0.2.1"} for number in range(count)}
    )

    async def first(scene: Scene) -> None:
        zone = await scene.whole()
        standing = scene.source.standing()
        assert (standing.entries, standing.left_out) == (count - over, over)
        # The names, those above them, their aliases, and the apex.
        groups = len({number // 10 for number in range(count) if taken(number)})
        assert zone.name_count == count - over + 2 * groups + 1

    def taken(number: int) -> bool:
        return f"{PREFIX}g{number // 10}/n{number:09}" in kept

    kept = set(
        sorted(f"{PREFIX}g{number // 10}/n{number:09}" for number in range(count))[: count - over]
    )
    run(etcd, first, f"max-entries {count - over}")

    async def second(scene: Scene) -> None:
        """A start knows them all, and one change among them is a small one."""
        await scene.whole()
        assert scene.source.following.listings == 0
        assert scene.source.standing().left_out == over
        name = min(kept)
        revision = await scene.connection.put(name.encode(), b'{"host":"192.0.2.2"}')
        await scene.until(revision)
        assert scene.base is not None
        found = await scene.source.increment(scene.base)
        assert found is not None
        assert found.before.name_count < 10
        assert found.changes().added_count == 2

    run(etcd, second, f"max-entries {count - over}")
