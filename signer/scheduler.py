"""The alarm clock: one job at the earliest due time, and a tick for what no timer sees.

The table of due times is the memory of what to do; this only rings. It is the one module that
touches APScheduler, which carries no types.
"""

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import attrs
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from apscheduler.triggers.date import DateTrigger
from apscheduler.triggers.interval import IntervalTrigger

from signer.clock import Clock

_log = logging.getLogger(__name__)
_ALARM = "alarm"
_TICK = "tick"
# A wall clock that slews (500 ppm) moves 30 ms in a minute; what is further is a jump.
_JUMP = 2.0
# A tick that comes this much later than it should: the machine slept, or was starved.
_LATE = 30.0


@attrs.frozen
class Ring:
    """Why the callback is called. `reason`: "due", "jump" (the wall clock was moved, by
    `seconds`) or "late" (the machine was suspended or stalled for so long)."""

    reason: str
    seconds: float = 0.0


class AlarmClock:
    """Rings in the event loop that `start` is called from; one ring at a time."""

    def __init__(
        self,
        callback: Callable[[Ring], Awaitable[None]],
        clock: Clock,
        *,
        tick_seconds: float = 60.0,
    ) -> None:
        self._callback = callback
        self._clock = clock
        self._tick_seconds = tick_seconds
        self._due: datetime | None = None
        self._last = (clock.wall(), clock.boot())
        # A job that is late is a job that is due: never dropped, and rung once.
        self._scheduler = AsyncIOScheduler(
            timezone=UTC,
            job_defaults={"misfire_grace_time": None, "coalesce": True, "max_instances": 1},
        )

    def start(self) -> None:
        self._last = (self._clock.wall(), self._clock.boot())
        self._scheduler.add_job(
            self._tick, IntervalTrigger(seconds=self._tick_seconds, timezone=UTC), id=_TICK
        )
        self._scheduler.start()

    def stop(self) -> None:
        """No ring after this. Calling it again does nothing."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    @property
    def due(self) -> datetime | None:
        return self._due

    def arm(self, due: datetime | None) -> None:
        """Ring at `due` (aware; a past one rings at once), and no more at the time before."""
        if due == self._due:
            return
        self._due = due
        if self._scheduler.get_job(_ALARM) is not None:
            self._scheduler.remove_job(_ALARM)
        if due is not None:
            self._scheduler.add_job(
                self._ring, DateTrigger(due, timezone=UTC), id=_ALARM, replace_existing=True
            )

    async def _ring(self) -> None:
        self._due = None
        await self._callback(Ring("due"))

    async def _tick(self) -> None:
        wall, boot = self._clock.wall(), self._clock.boot()
        passed = boot - self._last[1]
        jump = wall - self._last[0] - passed
        self._last = (wall, boot)
        if abs(jump) > _JUMP:
            _log.warning("the wall clock was moved by %.0f s", jump)
            await self._callback(Ring("jump", jump))
        elif passed > self._tick_seconds + _LATE:
            _log.warning("the machine stood still for %.0f s", passed - self._tick_seconds)
            await self._callback(Ring("late", passed - self._tick_seconds))
        elif self._due is not None and self._due.timestamp() <= wall:
            # The loop's timer counts monotonic time, which a suspended machine does not.
            self.arm(None)
            await self._callback(Ring("due"))
