"""An alarm of the manager: whom it wakes, and that it is set again."""

import asyncio
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast

import attrs
import pytest

from signer.scheduler import Ring
from zoneward.manager import Manager


@attrs.define
class Group:
    """Due so many seconds from now, or never."""

    seconds: float | None
    rung: bool = False

    def due(self) -> datetime | None:
        if self.seconds is None:
            return None
        return datetime.now(UTC) + timedelta(seconds=self.seconds)

    def ring(self) -> None:
        self.rung = True


@pytest.mark.parametrize(
    ("scenario", "reason", "due", "rung", "armed"),
    [
        ("one is due", "due", [-1, 60], [True, False], False),
        ("a time that seemed to have come is a second off", "due", [0.9], [False], True),
        ("the clock jumped", "jump", [60, None], [True, True], False),
        ("nothing is ever due", "due", [None], [False], True),
    ],
)
def test_an_alarm_is_never_the_last(
    scenario: str, reason: str, due: list[float | None], rung: list[bool], armed: bool
) -> None:
    """A group that is rung sets the alarm again when it is done; who is not rung can't."""

    async def run() -> tuple[list[bool], bool]:
        groups = [Group(seconds) for seconds in due]
        manager = SimpleNamespace(groups=dict(enumerate(groups)), rearm=asyncio.Event())
        await Manager.ring(cast(Any, manager), Ring(reason))
        return [group.rung for group in groups], manager.rearm.is_set()

    assert asyncio.run(run()) == (rung, armed), scenario
