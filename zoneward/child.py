"""A child of the supervisor: its command line, its process, when it may start again."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence

import attrs

from zoneward.process import Account

# Waits before a restart, in seconds: the first is at once. A child that ran for STEADY is
# forgiven what was before.
BACKOFF = (0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0)
STEADY = 60.0


@attrs.define
class Child:
    """`name` is "manager" or "server"; `command` what follows `zoneward`."""

    name: str
    command: Sequence[str]
    environ: Mapping[str, str]
    account: Account | None
    process: subprocess.Popen[bytes] | None = None
    started: float = 0.0
    crashes: int = 0
    due: float = 0.0

    @property
    def running(self) -> bool:
        return self.process is not None

    def start(self) -> None:
        """Exec it in a session of its own, with no descriptor but the standard three. Python
        looks for modules only where it is installed (-P)."""
        become = []
        if self.account is not None:
            become = ["--become", f"{self.account.uid}:{self.account.gid}"]
        supervised = ["--supervised-by", str(os.getpid())]
        self.started = time.monotonic()
        self.process = subprocess.Popen(  # noqa: S603
            [sys.executable, "-P", "-m", "zoneward", *self.command, *become, *supervised],
            env=dict(self.environ),
            stdin=subprocess.DEVNULL,
            start_new_session=True,
            close_fds=True,
        )

    def reap(self) -> int | None:
        """The exit code when it has ended since the last call (negative: by a signal)."""
        if self.process is None:
            return None
        code = self.process.poll()
        if code is None:
            return None
        self.process = None
        if time.monotonic() - self.started > STEADY:
            self.crashes = 0
        self.due = time.monotonic() + BACKOFF[min(self.crashes, len(BACKOFF) - 1)]
        self.crashes += 1
        return code

    def send(self, number: signal.Signals) -> None:
        if self.process is not None:
            self.process.send_signal(number)


def ending(code: int) -> str:
    """How a process ended, for the log."""
    if code >= 0:
        return f"exit code {code}"
    try:
        return f"killed by {signal.Signals(-code).name}"
    except ValueError:
        return f"killed by signal {-code}"
