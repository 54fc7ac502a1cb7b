"""What every source of zones offers, and how it says that a zone can't be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol

import attrs
import dns.name

import engine


class SourceError(Exception):
    """A source that gives no zone now: where, what is wrong, and what to do about it.

    What was read before stays as it was; the owner of the zone keeps serving it.
    """

    def __init__(self, place: str, problem: str, remedy: str) -> None:
        super().__init__(f"{place}: {problem}; {remedy}")
        self.place = place
        self.problem = problem
        self.remedy = remedy


@attrs.frozen
class Hint:
    """Something may have changed; whether it did, the content decides."""

    reason: str


class Source(Protocol):
    """Where one zone comes from."""

    @property
    def origin(self) -> dns.name.Name: ...

    async def load(self) -> engine.Zone:
        """The zone as the source has it now, whole. Raises SourceError."""
        ...

    def changes(self) -> AsyncIterator[Hint]:
        """Hints that `load` may give something else than last time, without end."""
        ...
