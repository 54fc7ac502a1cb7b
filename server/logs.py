"""The server's log: one line an event on standard error, UTC.

Plain logging: the server process starts in a fraction of a second, a good part of which a
logging library would take.
"""

import logging
import sys
import threading
import time
from collections.abc import Callable, Mapping

from server.consolidate import Consolidator
from server.parts import Consolidation

_LEVELS = {
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warning": logging.WARNING,
    "error": logging.ERROR,
}
# How long a line of the engine may wait in its ring.
_DRAIN_EVERY = 0.1

Drain = Callable[[], list[tuple[int, str]]]


def configure(level: str) -> None:
    """`level` is one of corefile.options.LOG_LEVELS."""
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(Formatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    set_level(level)


def set_level(level: str) -> None:
    """`level` is one of corefile.options.LOG_LEVELS."""
    logging.getLogger().setLevel(_LEVELS[level])


class Formatter(logging.Formatter):
    """`2026-01-01T00:00:00.000Z info    text`, whatever control characters the text has."""

    def format(self, record: logging.LogRecord) -> str:
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            error = record.exc_info[1]
            text += f" ({type(error).__name__}: {error})"
        return f"{seconds}.{int(record.msecs):03d}Z {record.levelname.lower():<7} {harmless(text)}"


def harmless(text: str) -> str:
    """Without characters that would end the line or steer a terminal."""
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)


class LogDrain:
    """A thread that takes the engine's lines out of its ring and logs them."""

    def __init__(self, drain: Drain) -> None:
        self._drain = drain
        self._log = logging.getLogger("zoneward.engine")
        self._consolidators: Mapping[str, Consolidator] = {}
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="log", daemon=True)

    def consolidate(self, rules: Mapping[str, tuple[Consolidation, ...]]) -> None:
        """What *errors* wants consolidated, by the prefix of the lines."""
        self._consolidators = {
            prefix: Consolidator(prefix, given) for prefix, given in rules.items()
        }

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Log what is left, and end the thread."""
        self._stopped.set()
        if self._thread.is_alive():
            self._thread.join()
        self._once(time.monotonic(), final=True)

    def _run(self) -> None:
        while not self._stopped.wait(_DRAIN_EVERY):
            self._once(time.monotonic(), final=False)

    def _once(self, now: float, *, final: bool) -> None:
        consolidators = self._consolidators
        for level, line in self._drain():
            for prefix, consolidator in consolidators.items():
                if line.startswith(prefix) and consolidator.takes(line, now):
                    break
            else:
                self._log.log(level, "%s", line)
        for consolidator in consolidators.values():
            for level, line in consolidator.due(float("inf") if final else now):
                self._log.log(level, "%s", line)
