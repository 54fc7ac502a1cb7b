"""Time, as the signer sees it: the wall clock dates signatures, the boot clock measures waits."""

import ctypes
import functools
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
# adjtimex(2): the return value when no time source disciplines the clock.
_TIME_ERROR = 5
# Larger than struct timex on every architecture; all zero asks and sets nothing.
_TIMEX_BYTES = 512


class Clock(Protocol):
    """Four readings; a test's clock answers them from what the scenario says."""

    def wall(self) -> int:
        """Unix seconds; people and NTP may set it."""

    def boot(self) -> float:
        """Seconds since the machine started, suspension included; nobody sets it."""

    def boot_id(self) -> str:
        """Tells one start of the machine from another."""

    def synchronised(self) -> bool:
        """Whether the kernel holds that a time source disciplines the wall clock."""


class SystemClock:
    """The machine's own clocks."""

    def wall(self) -> int:
        return int(time.time())

    def boot(self) -> float:
        return time.clock_gettime(time.CLOCK_BOOTTIME)

    def boot_id(self) -> str:
        return _boot_id()

    def synchronised(self) -> bool:
        adjtimex = _adjtimex()
        if adjtimex is None:
            return False
        state = adjtimex(ctypes.create_string_buffer(_TIMEX_BYTES))
        return 0 <= state < _TIME_ERROR


@functools.cache
def _boot_id() -> str:
    """No process outlives the start of the machine that it is of."""
    try:
        return _BOOT_ID.read_text(encoding="ascii").strip()
    except OSError:
        # Without an id no two runs count as one start, which is the careful reading.
        return f"unknown-{time.monotonic_ns()}"


@functools.cache
def _adjtimex() -> Callable[..., int] | None:
    try:
        found: Callable[..., int] = ctypes.CDLL(None).adjtimex
    except (OSError, AttributeError):
        return None
    return found
