"""When the manager wakes zones: none is forgotten, and none is woken all the time."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import attrs
import dns.name
import pytest

import corefile
from signer.scheduler import Ring
from signer.state import StateDatabase
from zoneward.configuration import plan_manager
from zoneward.group import RETRY, quiet
from zoneward.manager import Manager
from zoneward.state import StateDirectory


@attrs.define
class Group:
    """Is due so many seconds from now."""

    seconds: float
    rung: int = 0

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
        manager.groups[dns.name.from_text("example.org.")] = group  # type: ignore[assignment]
        try:
            await manager.ring(Ring(reason))
        finally:
            await manager.close()
            database.close()
        assert group.rung == rung
        assert manager.rearm.is_set()

    asyncio.run(body())


def test_what_stays_due_is_tried_ever_less_often() -> None:
    waits = [quiet(times) for times in range(20)]
    assert waits[:4] == [0.5, 1, 2, 4]
    assert waits == sorted(waits)
    assert set(waits[5:]) == {RETRY}
