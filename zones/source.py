"""What every source of zones offers, and how it says that a zone can't be read."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Protocol, runtime_checkable

import attrs
import dns.name

import engine
from zones.increment import Increment


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


@attrs.frozen
class Standing:
    """How far a followed source has come. `revision` is that of what is served; `behind` is how
    old it may be, in seconds, None while nothing was heard; `problem`: why it may be older than
    it should; `left_out` counts entries that are not served, `examples` names some; `notes` are
    lines about what is served otherwise than one might think."""

    revision: int | None
    behind: float | None
    problem: str | None
    entries: int
    left_out: int
    examples: tuple[str, ...]
    notes: tuple[str, ...] = ()


@runtime_checkable
class Followed(Protocol):
    """A source that knows what has changed, so that a change costs what it touches."""

    async def increment(self, base: engine.Zone) -> Increment | None:
        """What the source has now where it may differ from `base`, which is served; None where
        the whole has to be loaded. Raises SourceError."""
        ...

    async def taken(self) -> None:
        """What `load` or `increment` gave last is served now."""
        ...

    async def list_again(self) -> None:
        """Ask for everything anew, whatever is known, and wait a while until that is there.
        Raises SourceError when it does not come."""
        ...

    def standing(self) -> Standing | None: ...

    async def stop(self) -> None:
        """Follow no more, whoever had it begin; `changes` and `load` are done with."""
        ...
