"""Following a manager over its Unix socket: the catalog, its members, what is kept on disk."""

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import attrs
import fakemanager
import pytest
from fakemanager import LINK, FakeManager, zone

import engine
from corefile.arguments import Endpoint
from corefile.link import catalog_name
from corefile.names import name_wire
from server.compile import BlockData
from server.subscriptions import Subscription

BLOCK = BlockData("b-0123", ("a.test.",), ("a.test.", "b.test."))
CATALOG = catalog_name(BLOCK.id)


def catalog(*zone_names: str, current: engine.Zone | None = None, serial: int = 1) -> engine.Zone:
    return fakemanager.catalog(BLOCK.id, *zone_names, current=current, serial=serial)


@attrs.define
class Shown:
    """What was published and withdrawn."""

    zones: dict[bytes, tuple[int, int]] = attrs.Factory(dict)

    def publish(self, chain: str, version: engine.Zone, valid_until: int) -> None:
        assert chain == BLOCK.id
        self.zones[version.origin] = (version.serial, valid_until)

    def withdraw(self, chain: str, origin: bytes) -> None:
        assert chain == BLOCK.id
        del self.zones[origin]

    def serial(self, origin: str) -> int | None:
        found = self.zones.get(name_wire(origin))
        return None if found is None else found[0]

    def until(self, origin: str) -> int:
        return self.zones[name_wire(origin)][1]


class Rig:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.manager = FakeManager(directory / "m", [BLOCK.id])
        self.shown = Shown()
        self.link = LINK
        self.subscription = self.subscribe()

    def subscribe(self, where: Endpoint | None = None) -> Subscription:
        self.shown.zones.clear()
        self.subscription = Subscription(
            BLOCK,
            where or self.manager.path,
            lambda: self.link,
            self.directory,
            self.shown.publish,
            self.shown.withdraw,
        )
        return self.subscription

    @contextlib.asynccontextmanager
    async def following(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.subscription.run())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(5):
        while not true():
            await asyncio.sleep(0.01)


@pytest.fixture
def run(tmp_path: Path) -> Callable[[Callable[[Rig], Awaitable[None]]], None]:
    def go(scenario: Callable[[Rig], Awaitable[None]]) -> None:
        async def whole() -> None:
            rig = Rig(tmp_path)
            rig.manager.zones = {CATALOG: catalog("a.test."), "a.test.": zone("a.test.", 1)}
            await rig.manager.start()
            try:
                await scenario(rig)
            finally:
                await rig.manager.stop()

        asyncio.run(whole())

    return go


Run = Callable[[Callable[[Rig], Awaitable[None]]], None]


def test_catalog_first_then_its_members(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        assert rig.subscription.missing == ("a.test.",)
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
        assert rig.subscription.missing == ()
        assert rig.manager.asked[:2] == [(CATALOG, "axfr"), ("a.test.", "axfr")]
        assert abs(rig.shown.until("a.test.") - time.time() - 3600) < 5

    run(scenario)


def test_a_zone_that_is_still_being_signed_is_said_to_come(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    async def scenario(rig: Rig) -> None:
        signed = rig.manager.zones.pop("a.test.")
        rig.manager.to_come.add("a.test.")
        async with rig.following():
            await until(lambda: len(rig.manager.asked) >= 3)
            rig.manager.zones["a.test."] = signed
            await until(lambda: rig.shown.serial("a.test.") == 1)

    run(scenario)
    said = [record.getMessage() for record in caplog.records]
    line = "zone a.test. of block b-0123: the manager has no version of it yet"
    assert said.count(line) == 1
    assert not any("SERVFAIL" in one for one in said)


def test_a_change_comes_by_ixfr_when_told(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            rig.manager.change("a.test.", zone("a.test.", 2, "www.a.test. 60 IN A 192.0.2.1"))
            rig.manager.asked.clear()
            rig.subscription.told("a.test.")
            await until(lambda: rig.shown.serial("a.test.") == 2)
        assert rig.manager.asked == [("a.test.", "ixfr")]

    run(scenario)


def test_zones_come_and_go_with_the_catalog(run: Run, tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        manager = rig.manager
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            manager.zones["b.test."] = zone("b.test.", 7)
            manager.change(
                CATALOG, catalog("a.test.", "b.test.", current=manager.zones[CATALOG], serial=2)
            )
            rig.subscription.told(CATALOG)
            await until(lambda: rig.shown.serial("b.test.") == 7)
            manager.change(CATALOG, catalog("b.test.", current=manager.zones[CATALOG], serial=3))
            rig.subscription.told(CATALOG)
            await until(lambda: rig.shown.serial("a.test.") is None)
            await until(lambda: not (tmp_path / "zones" / BLOCK.id / "a.test").exists())
        assert [path.name for path in (tmp_path / "zones" / BLOCK.id).iterdir()] == ["b.test"]
        # The Corefile names a.test, and it is not there.
        assert rig.subscription.missing == ("a.test.",)

    run(scenario)


def test_a_restart_serves_the_copy_until_its_time_is_over(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            await until(lambda: rig.subscription.followed["a.test."].contact_on_disk > 0)
        was = rig.shown.until("a.test.")
        rig.subscribe()
        assert rig.subscription.restore() == []
        assert rig.shown.serial("a.test.") == 1
        # Nobody was asked meanwhile: the end has not moved.
        assert rig.shown.until("a.test.") == was

    run(scenario)


def test_a_restart_makes_no_transfer_of_what_did_not_change(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            await until(lambda: rig.subscription.followed["a.test."].contact_on_disk > 0)
        rig.subscribe().restore()
        rig.manager.asked.clear()
        before = rig.subscription.followed["a.test."].zone
        async with rig.following():
            await until(lambda: len(rig.manager.asked) >= 2)
            await until(lambda: rig.subscription.followed["a.test."].due > 0)
        assert rig.manager.asked[:2] == [(CATALOG, "ixfr"), ("a.test.", "ixfr")]
        assert rig.subscription.followed["a.test."].zone is before

    run(scenario)


def test_the_manager_may_come_later_and_come_back(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.stop()
        rig.manager.path.unlink(missing_ok=True)
        async with rig.following():
            await asyncio.sleep(0.05)
            await rig.manager.start()
            await until(lambda: rig.shown.serial("a.test.") == 1)
            await rig.manager.stop()
            rig.manager.change("a.test.", zone("a.test.", 2))
            await rig.manager.start()
            await until(lambda: rig.shown.serial("a.test.") == 2)

    run(scenario)


def test_one_zone_that_is_refused_does_not_hold_up_the_others(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        manager = rig.manager
        manager.zones = {CATALOG: catalog("a.test.", "b.test."), "b.test.": zone("b.test.", 1)}
        async with rig.following():
            await until(lambda: rig.shown.serial("b.test.") == 1)
            assert rig.subscription.missing == ("a.test.",)
            manager.zones["a.test."] = zone("a.test.", 5)
            await until(lambda: rig.shown.serial("a.test.") == 5)

    run(scenario)


def test_short_expire_times_are_asked_for_in_time(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        rig.manager.zones["a.test."] = zone("a.test.", 1, expire=3)
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            first = rig.shown.until("a.test.")
            await until(lambda: rig.shown.until("a.test.") > first)

    run(scenario)


def test_a_manager_elsewhere_is_followed_over_tcp(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        async with rig.manager.over_tcp("127.0.7.7") as port:
            rig.subscription = rig.subscribe(Endpoint("127.0.7.7", port))
            async with rig.following():
                await until(lambda: rig.shown.serial("a.test.") == 1)

    run(scenario)


def test_a_wrong_link_is_refused_and_a_right_one_taken_up(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(rig: Rig) -> None:
        rig.link = bytes(32)
        async with rig.following():
            await until(lambda: bool(rig.manager.refused))
            assert rig.shown.zones == {}
            rig.link = LINK
            await until(lambda: rig.shown.serial("a.test.") == 1)

    run(scenario)
    assert bytes(32).hex() not in caplog.text


def test_a_damaged_copy_is_fetched_anew(run: Run, tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            await until(lambda: rig.subscription.followed["a.test."].contact_on_disk > 0)
        folder = tmp_path / "zones" / BLOCK.id / "a.test"
        for path in folder.iterdir():
            if path.name != "contact":
                content = bytearray(path.read_bytes())
                for at in range(8, len(content), 7):
                    content[at] ^= 0xFF
                path.write_bytes(content)
        (problem,) = rig.subscribe().restore()
        assert "the copy can't be used and is fetched anew" in problem
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)

    run(scenario)


def test_a_copy_that_only_can_not_be_read_now_is_not_thrown_away(run: Run, tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            await until(lambda: rig.subscription.followed["a.test."].contact_on_disk > 0)
        snapshot = tmp_path / "zones" / BLOCK.id / "a.test" / "snapshot"
        aside = snapshot.rename(tmp_path / "aside")
        snapshot.mkdir()  # reading it fails, and not because of what it holds
        (problem,) = rig.subscribe().restore()
        assert "the copy can't be used" in problem
        snapshot.rmdir()
        aside.rename(snapshot)
        assert rig.subscribe().restore() == []
        assert rig.shown.serial("a.test.") == 1

    run(scenario)


def test_a_difference_that_does_not_fit_is_followed_by_the_whole_zone(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        manager = rig.manager
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            # A manager that lost its state: the same serial, another content.
            manager.zones["a.test."] = zone("a.test.", 1, "old.a.test. 60 IN A 192.0.2.1")
            manager.change("a.test.", zone("a.test.", 2, "new.a.test. 60 IN A 192.0.2.2"))
            manager.asked.clear()
            rig.subscription.told("a.test.")
            await until(lambda: rig.shown.serial("a.test.") == 2)
        assert manager.asked == [("a.test.", "ixfr"), ("a.test.", "axfr")]
        served = rig.subscription.followed["a.test."].zone
        assert served is not None
        assert served.digest() == manager.zones["a.test."].digest()

    run(scenario)


def test_an_older_version_is_not_taken_whole_either(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        manager = rig.manager
        manager.zones["a.test."] = zone("a.test.", 5)
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 5)
            manager.zones["a.test."] = zone("a.test.", 4)
            manager.asked.clear()
            rig.subscription.told("a.test.")
            await until(lambda: rig.subscription.followed["a.test."].problem is not None)
        assert ("a.test.", "axfr") not in manager.asked
        assert rig.shown.serial("a.test.") == 5

    run(scenario)


def test_a_zone_that_can_not_be_shown_does_not_hold_up_the_others(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario(rig: Rig) -> None:
        manager = rig.manager
        manager.zones = {
            CATALOG: catalog("a.test.", "b.test."),
            "a.test.": zone("a.test.", 1),
            "b.test.": zone("b.test.", 1),
        }
        publish = rig.shown.publish

        def picky(chain: str, version: engine.Zone, valid_until: int) -> None:
            if version.origin == name_wire("a.test."):
                raise ValueError("not this one")
            publish(chain, version, valid_until)

        monkeypatch.setattr(rig.subscription, "_publish", picky)
        async with rig.following():
            await until(lambda: rig.shown.serial("b.test.") == 1)
            entry = rig.subscription.followed["a.test."]
            await until(lambda: entry.problem == "not this one")
            # A version that was not shown is not up to date.
            assert (entry.zone, entry.contact) == (None, 0)

    run(scenario)


def test_a_catalog_that_is_refused_changes_nothing(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        manager = rig.manager
        async with rig.following():
            await until(lambda: rig.shown.serial("a.test.") == 1)
            manager.zones[CATALOG] = zone(CATALOG, 2**31, f'version.{CATALOG} 0 IN TXT "1"')
            manager.zones["a.test."] = zone("a.test.", 2)
            manager.asked.clear()
            rig.subscription.told(CATALOG)
            rig.subscription.told("a.test.")
            await until(lambda: rig.shown.serial("a.test.") == 2)
        assert (CATALOG, "ixfr") in manager.asked

    run(scenario)


def test_what_is_told_while_a_round_lasts_is_asked_for_before_the_rest(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        names = [f"z{number:02}.a.test." for number in range(20)]
        for name in names:
            rig.manager.zones[name] = zone(name, 1)
        rig.manager.zones[CATALOG] = catalog(*names, serial=2)
        ask = rig.subscription._ask

        async def told_meanwhile(origin: str, base: engine.Zone | None) -> object:
            if origin == names[2]:
                rig.subscription.told(names[-1])
            return await ask(origin, base)

        rig.subscription._ask = told_meanwhile  # type: ignore[assignment, method-assign]
        async with rig.following():
            await until(lambda: all(rig.shown.serial(name) == 1 for name in names))
        order = [name for name, _ in rig.manager.asked if name in names]
        assert order.index(names[-1]) == order.index(names[2]) + 1

    run(scenario)


def test_of_many_zones_a_new_version_is_confirmed_as_soon_as_of_one(run: Run) -> None:
    """The manager hears from the next question what is held here; the one after may be late."""

    async def scenario(rig: Rig) -> None:
        names = [f"z{number:03}.a.test." for number in range(200)]
        for name in names:
            rig.manager.zones[name] = zone(name, 1)
        rig.manager.zones[CATALOG] = catalog(*names, serial=2)
        async with rig.following():
            await until(lambda: all(rig.shown.serial(name) == 1 for name in names))
            entry, loop = rig.subscription.followed[names[0]], asyncio.get_running_loop()
            assert entry.due - loop.time() <= 30
            entry.due = 0.0
            rig.subscription.told(names[1])
            await until(lambda: entry.due > 0)
            assert entry.due - loop.time() > 90

    run(scenario)
