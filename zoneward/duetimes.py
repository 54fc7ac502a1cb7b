"""Who is due when, of many: setting one costs as much as finding the earliest, and neither
looks at the rest."""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Hashable
from datetime import datetime
from typing import Generic, TypeVar

K = TypeVar("K", bound=Hashable)


class DueTimes(Generic[K]):
    """A heap whose outdated entries are passed over when they come up."""

    def __init__(self) -> None:
        self._due: dict[K, tuple[datetime, int]] = {}
        self._heap: list[tuple[datetime, int, K]] = []
        # Tells two entries of a key apart, and keeps keys from being compared.
        self._numbers = itertools.count()

    def set(self, key: K, due: datetime | None) -> None:
        """From now on it is due then; None: never."""
        if due is None:
            self._due.pop(key, None)
            return
        known = self._due.get(key)
        if known is not None and known[0] == due:
            return
        entry = (due, next(self._numbers))
        self._due[key] = entry
        heapq.heappush(self._heap, (*entry, key))
        if len(self._heap) > 2 * len(self._due) + 64:
            self._heap = [(*entry, key) for key, entry in self._due.items()]
            heapq.heapify(self._heap)

    def earliest(self) -> datetime | None:
        """When the first of them is due."""
        while self._heap and self._outdated(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def take(self, now: datetime) -> list[K]:
        """Those that are due, earliest first; they are due no more until they are set again."""
        found = []
        while (due := self.earliest()) is not None and due <= now:
            key = heapq.heappop(self._heap)[2]
            del self._due[key]
            found.append(key)
        return found

    def _outdated(self, entry: tuple[datetime, int, K]) -> bool:
        due, number, key = entry
        return self._due.get(key) != (due, number)
