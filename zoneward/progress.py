"""What long work shows on a terminal: the step and its seconds. Nothing elsewhere."""

from __future__ import annotations

import sys
import threading
import time
from types import TracebackType
from typing import Self

# Steps shorter than this show nothing, in seconds.
_QUIET = 0.3
_EVERY = 0.25


class Progress:
    """`with Progress("signing"):`; a line on standard error that wipes itself."""

    def __init__(self, step: str) -> None:
        self._step = step
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        if sys.stderr.isatty():
            self._thread = threading.Thread(target=self._show, daemon=True)
            self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        if self._thread is not None:
            self._thread.join()

    def _show(self) -> None:
        started = time.monotonic()
        shown = False
        wait = _QUIET
        while not self._done.wait(wait):
            wait, shown = _EVERY, True
            sys.stderr.write(f"\r{self._step} … {time.monotonic() - started:.1f} s")
            sys.stderr.flush()
        if shown:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
