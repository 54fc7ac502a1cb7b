"""The alarm clock: it rings when something is due, and when time did something odd."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta

import attrs
import pytest

from signer.clock import SystemClock
from signer.scheduler import AlarmClock, Ring


@attrs.define
class FakeClock:
    """Real time, moved by what the scenario says."""

    ahead: float = 0.0
    slept: float = 0.0

    def wall(self) -> int:
        return int(time.time() + self.ahead + self.slept)

    def boot(self) -> float:
        return time.monotonic() + self.slept

    def boot_id(self) -> str:
        return "one"

    def synchronised(self) -> bool:
        return True


def rings(
    scenario: Callable[[AlarmClock, FakeClock], Awaitable[None]], *, tick: float = 60.0
) -> list[Ring]:
    heard: list[Ring] = []

    async def listen(ring: Ring) -> None:
        heard.append(ring)

    async def run() -> None:
        clock = FakeClock()
        alarm = AlarmClock(listen, clock, tick_seconds=tick)
        alarm.start()
        try:
            await scenario(alarm, clock)
        finally:
            alarm.stop()
            alarm.stop()

    asyncio.run(run())
    return heard


def soon(seconds: float) -> datetime:
    return datetime.now(UTC) + timedelta(seconds=seconds)


def test_it_rings_once_at_the_time_last_armed() -> None:
    async def scenario(alarm: AlarmClock, clock: FakeClock) -> None:
        alarm.arm(soon(3600))
        alarm.arm(soon(0.05))
        await asyncio.sleep(0.3)
        assert alarm.due is None

    assert rings(scenario) == [Ring("due")]


def test_what_was_due_long_ago_rings_at_once() -> None:
    """APScheduler's own default would drop a job that is a second late."""

    async def scenario(alarm: AlarmClock, clock: FakeClock) -> None:
        alarm.arm(soon(-86400))
        await asyncio.sleep(0.2)

    assert rings(scenario) == [Ring("due")]


def test_a_disarmed_clock_is_silent() -> None:
    async def scenario(alarm: AlarmClock, clock: FakeClock) -> None:
        alarm.arm(soon(0.1))
        alarm.arm(None)
        await asyncio.sleep(0.3)

    assert rings(scenario) == []


@pytest.mark.parametrize("jump", [-7200.0, 7200.0])
def test_a_jump_of_the_wall_clock_is_noticed(jump: float) -> None:
    async def scenario(alarm: AlarmClock, clock: FakeClock) -> None:
        clock.ahead = jump
        await asyncio.sleep(0.25)

    heard = rings(scenario, tick=0.1)
    assert [ring.reason for ring in heard] == ["jump"]
    assert heard[0].seconds == pytest.approx(jump, abs=2)


def test_a_suspended_machine_is_noticed() -> None:
    async def scenario(alarm: AlarmClock, clock: FakeClock) -> None:
        clock.slept = 3600.0
        await asyncio.sleep(0.25)

    heard = rings(scenario, tick=0.1)
    assert [ring.reason for ring in heard] == ["late"]


def test_what_fell_due_while_asleep_rings_at_the_next_tick() -> None:
    async def scenario(alarm: AlarmClock, clock: FakeClock) -> None:
        alarm.arm(soon(20))
        clock.slept = 25.0
        await asyncio.sleep(0.25)

    assert rings(scenario, tick=0.1) == [Ring("due")]


def test_the_machines_own_clocks() -> None:
    clock = SystemClock()
    assert abs(clock.wall() - time.time()) < 2
    assert clock.boot() == pytest.approx(time.clock_gettime(time.CLOCK_BOOTTIME), abs=1)
    assert clock.boot_id() == clock.boot_id()
    assert isinstance(clock.synchronised(), bool)
