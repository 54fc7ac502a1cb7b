"""When the manager wakes zones: none is forgotten, and none is woken all the time."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import dns.name
import pytest

import corefile
from signer.config import SignConfig
from signer.scheduler import Ring
from signer.state import StateDatabase
from zoneward.configuration import plan_manager
from zoneward.group import PAUSE, RETRY, GroupPlan, NameGroup, quiet
from zoneward.manager import Manager
from zoneward.state import StateDirectory

ORIGIN = dns.name.from_text("example.org.")


@attrs.define(eq=False)
class Group:
    """Is due so many seconds from now."""

    seconds: float
    rung: int = 0
    origin: dns.name.Name = ORIGIN
    signer: None = None
    started: bool = True

    def due(self) -> datetime:
        return datetime.now(UTC) + timedelta(seconds=self.seconds)

    def ring(self) -> None:
        self.rung += 1

    async def stop(self) -> None:
        pass


@pytest.mark.parametrize(
    ("seconds", "reason", "rung"), [(-1, "due", 1), (0.4, "due", 0), (3600, "jump", 1)]
)
def test_whatever_an_alarm_does_the_next_is_set(
    tmp_path: Path, seconds: float, reason: str, rung: int
) -> None:
    async def body() -> None:
        state = StateDirectory(tmp_path / "state")
        state.prepare()
        database = StateDatabase(state.database)
        parsed = corefile.parse("", path=str(tmp_path / "Corefile"), environ={}, read=lambda _: "")
        manager = Manager(state, plan_manager(parsed), database)
        group = Group(seconds)
        manager.groups[ORIGIN] = group  # type: ignore[assignment]
        manager._touch(group)  # type: ignore[arg-type]
        assert manager.next_due() is not None
        manager.rearm.clear()
        try:
            await manager.ring(Ring(reason))
        finally:
            await manager.close()
            database.close()
        assert group.rung == rung
        assert manager.rearm.is_set()

    asyncio.run(body())


@attrs.define
class Signer:
    """Is always due, and takes its time."""

    held: None = None
    config: SignConfig = attrs.field(factory=SignConfig)
    ticks: int = 0
    go_on: asyncio.Event = attrs.field(factory=asyncio.Event)

    def next_due(self) -> datetime:
        return datetime.now(UTC) - timedelta(seconds=1)

    async def start(self, *_: object) -> None:
        pass

    async def tick(self) -> bool:
        self.ticks += 1
        await self.go_on.wait()
        return False


def test_a_zone_that_is_at_it_is_not_woken_again() -> None:
    async def body() -> None:
        signer, moved = Signer(), asyncio.Event()
        plan = GroupPlan(ORIGIN, (), None)
        group = NameGroup(
            plan,
            signer,  # type: ignore[arg-type]
            {},
            lambda _: moved.set(),
            asyncio.Lock(),
        )
        group.launch()
        await moved.wait()
        moved.clear()
        assert group.due() is not None
        group.ring()
        assert group.due() is None, "it rings"
        while not signer.ticks:
            await asyncio.sleep(0)
        await asyncio.sleep(2 * PAUSE)
        assert group.due() is None, "it waits for somebody's answer"
        signer.go_on.set()
        await moved.wait()
        due = group.due()
        assert due is not None
        assert due > datetime.now(UTC), "and then not at once"
        assert signer.ticks == 1
        await group.stop()

    asyncio.run(body())


def test_what_stays_due_is_tried_ever_less_often() -> None:
    waits = [quiet(times) for times in range(20)]
    assert waits[:4] == [0.5, 1, 2, 4]
    assert waits == sorted(waits)
    assert set(waits[5:]) == {RETRY}
