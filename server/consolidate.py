"""Many equal errors as one line: the option `consolidate` of *errors*. Pure."""

from collections.abc import Sequence

from server.parts import Consolidation


class Consolidator:
    """Counts the lines of one chain that match a rule; the first rule that matches has it."""

    def __init__(self, prefix: str, rules: Sequence[Consolidation]) -> None:
        self._prefix = prefix
        self._rules = tuple(rules)
        self._counts = [0] * len(self._rules)
        self._ends = [0.0] * len(self._rules)

    def takes(self, line: str, now: float) -> bool:
        """Whether the line is counted instead of logged. `now` is a monotonic clock's."""
        text = line.removeprefix(self._prefix)
        for index, rule in enumerate(self._rules):
            if rule.pattern.search(text):
                if self._counts[index] == 0:
                    self._ends[index] = now + rule.period
                self._counts[index] += 1
                return True
        return False

    def due(self, now: float) -> list[tuple[int, str]]:
        """Level and line for each rule whose period is over."""
        found: list[tuple[int, str]] = []
        for index, rule in enumerate(self._rules):
            count = self._counts[index]
            if count and now >= self._ends[index]:
                self._counts[index] = 0
                found.append(
                    (
                        rule.level,
                        f"{self._prefix}{count} errors like '{rule.pattern.pattern}' occurred in "
                        f"last {rule.period:g}s",
                    )
                )
        return found
