"""Saying no to a person: one line with the place and the remedy, and an exit code."""

from __future__ import annotations

# What the command's exit code says; `zoneward --help` prints the same.
OK = 0
REFUSED = 1
USAGE = 2


class Refusal(Exception):
    """Something was refused or the answer is no. `str` is the one line that a person sees."""

    def __init__(self, line: str, *, code: int = REFUSED) -> None:
        super().__init__(line)
        self.code = code


def one_line(error: BaseException) -> str:
    """An exception in one line, without its traceback. Errors of ours say place and remedy
    themselves; whatever else comes is a fault of ours and says so."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    expected = isinstance(error, Refusal) or hasattr(error, "place")
    if isinstance(error, OSError) and error.strerror:
        text = f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    elif expected or isinstance(error, OSError):
        text = engine_text(error)
    else:
        text = (
            f"an unexpected {type(error).__name__}: {error}; "
            "this is a bug of Zoneward: `--debug` shows where"
        )
    return " ".join(text.split())


def engine_text(error: BaseException) -> str:
    """`str(error)`, with the place in front where an EngineError carries one apart."""
    text = str(error)
    message, place = getattr(error, "message", None), getattr(error, "place", None)
    if isinstance(message, str) and isinstance(place, str) and place not in text:
        return f"{place}: {message}"
    return text
