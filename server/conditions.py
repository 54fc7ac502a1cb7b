"""Conditions of queries, and the tables of tests that the engine goes through for them."""

import attrs

from server.compiledtests import Number, Step, Test


@attrs.frozen
class All:
    """Holds when all of its parts do; without any it always holds."""

    parts: "tuple[Condition, ...]" = ()


@attrs.frozen
class Either:
    """Holds when one of its parts does; without any it never holds."""

    parts: "tuple[Condition, ...]" = ()


@attrs.frozen
class Not:
    condition: "Condition"


Condition = All | Either | Not | Test

_HOLDS, _FAILS = 0, -1
_NOTHING = Number(of="type", ranges=())


def table(condition: Condition) -> tuple[Step, ...]:
    """The steps of a condition, a test each; empty for one that always holds."""
    table = _Table()
    return table.steps(table.add(condition, _HOLDS, _FAILS))


class _Table:
    """Steps are added from the last to the first: where one goes on is known by then. A way is
    written as the number of steps that were there when its goal was added."""

    def __init__(self) -> None:
        self._added: list[tuple[Test, int, int]] = []

    def add(self, condition: Condition, yes: int, no: int) -> int:
        """The way to its first step."""
        match condition:
            case All(parts):
                for part in reversed(parts):
                    yes = self.add(part, yes, no)
                return yes
            case Either(parts):
                for part in reversed(parts):
                    no = self.add(part, yes, no)
                return no
            case Not(inner):
                return self.add(inner, no, yes)
            case test:
                self._added.append((test, yes, no))
                return len(self._added)

    def steps(self, first: int) -> tuple[Step, ...]:
        """Those from the way `first` on."""
        if first == _HOLDS:
            return ()
        if first == _FAILS:
            return (Step(test=_NOTHING, yes=1, no=2),)
        return tuple(
            Step(test=test, yes=first - yes, no=first - no)
            for test, yes, no in reversed(self._added[:first])
        )
