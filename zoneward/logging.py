"""Log lines on standard error: UTC time, level, event, and key=value; one line an event.

Lines of libraries (uvicorn, APScheduler, asyncio) go through the same renderer. Values are
never secrets: nothing that holds one may be given to a logger, and what renders them has no
way to tell.
"""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, TextIO

import structlog

_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": 40}


def configure(level: str = "info", *, stream: TextIO | None = None, debug: bool = False) -> None:
    """Set the process's logging up. With `debug`, tracebacks are shown; without, an exception
    is its one line."""
    out = sys.stderr if stream is None else stream
    lowest = logging.DEBUG if debug else _LEVELS[level]
    shared: list[structlog.typing.Processor] = [
        _stamp,
        structlog.processors.add_log_level,
    ]
    renderer = structlog.stdlib.ProcessorFormatter(
        processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _Line(debug)],
        foreign_pre_chain=shared,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(renderer)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(lowest)
    # Chatty where nothing is wrong.
    for name in ("uvicorn", "apscheduler", "httpx", "httpcore", "watchfiles", "asyncio"):
        logging.getLogger(name).setLevel(max(lowest, logging.WARNING))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )


def get(name: str) -> structlog.stdlib.BoundLogger:
    """A logger; `name` says which part of the house speaks."""
    logger: structlog.stdlib.BoundLogger = structlog.get_logger(name)
    return logger


def _stamp(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    event["timestamp"] = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "Z"
    return event


class _Line:
    """Renders an event as one line, whatever control characters its values hold."""

    def __init__(self, debug: bool) -> None:
        self._debug = debug

    def __call__(self, _: Any, __: str, event: MutableMapping[str, Any]) -> str:
        stamp, level = event.pop("timestamp", ""), event.pop("level", "info")
        text = str(event.pop("event", ""))
        exception = event.pop("exc_info", None)
        event.pop("exception", None)
        fields = "".join(f" {key}={_value(value)}" for key, value in sorted(event.items()))
        line = f"{stamp} {level:<7} {_harmless(text)}{fields}"
        error = _exception(exception)
        if error is None:
            return line
        if not self._debug:
            return f"{line} ({_harmless(f'{type(error).__name__}: {error}')})"
        return line + "\n" + "".join(traceback.format_exception(error)).rstrip()


def _exception(found: Any) -> BaseException | None:
    if isinstance(found, BaseException):
        return found
    if isinstance(found, tuple) and len(found) == 3 and isinstance(found[1], BaseException):
        return found[1]
    return sys.exc_info()[1] if found is True else None


def _value(value: Any) -> str:
    text = _harmless(str(value))
    return f'"{text}"' if " " in text or not text else text


def _harmless(text: str) -> str:
    return "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
