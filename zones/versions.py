"""The versions of one zone in one block: on disk first, then current.

A version that was written is what a restart publishes: signing again would give another
content under the same serial, since ECDSA is not deterministic. The source's last content
is not kept beside it; what the source gave is marked in the version itself
(`engine.Zone.source`), so the two can't fall apart in a crash.
"""

from __future__ import annotations

import threading
from pathlib import Path

import engine

# Differences are folded into a new snapshot when their journal outgrows this many bytes for
# each record of the zone, and this many in all: about the size of the snapshot itself.
_JOURNAL_PER_RECORD = 64
_JOURNAL_LEAST = 1 << 20


class VersionKeeper:
    """The version being served and the differences that led to it.

    Calls block on the disk; run them in an executor. Several threads may call.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._lock = threading.Lock()
        self._store: engine.ZoneStore | None = None
        self._current: engine.Zone | None = None
        self._expiration: tuple[engine.Zone, int | None] | None = None
        # Whether a server may have had the version from us. One that was made in a directory
        # that was empty is new: who holds its serial has it from a life that is lost.
        self.handed_out = False

    @property
    def current(self) -> engine.Zone | None:
        """The newest version that is on disk."""
        return self._current

    def earliest_expiration(self) -> int | None:
        """When the current version's first signature expires, in Unix seconds. Looked up in
        the whole zone once a version."""
        zone, known = self._current, self._expiration
        if zone is None:
            return None
        if known is None or known[0] is not zone:
            known = self._expiration = (zone, zone.earliest_expiration())
        return known[1]

    def open(self) -> engine.Zone | None:
        """Read what was written last. Raises EngineError "store" on damage, OSError."""
        with self._lock:
            self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._store = engine.ZoneStore(str(self.directory))
            self._current = self._store.load()
            self.handed_out = self._current is not None
            return self._current

    def write(self, zone: engine.Zone, diff: engine.Diff | None) -> None:
        """Put a version on disk, fsynced, then make it current. `diff` leads from the
        current version to it; None replaces the whole. Raises EngineError "io" (a full
        disk, for one), and the current version stays what it was."""
        with self._lock:
            store = self._opened()
            if diff is None or self._current is None or diff.from_serial != self._current.serial:
                store.replace(zone)
            else:
                store.append(diff)
            self._current = zone

    def fold(self) -> bool:
        """Fold a grown journal into a snapshot; True when that was due. What could be
        transferred by difference before still can."""
        with self._lock:
            store, zone = self._opened(), self._current
            if zone is None:
                return False
            if store.journal_bytes() < max(_JOURNAL_LEAST, _JOURNAL_PER_RECORD * zone.record_count):
                return False
            store.replace(zone)
            return True

    def transfer(self, serial: int | None) -> tuple[engine.Zone, list[engine.Diff] | None] | None:
        """The current version and the differences that lead to it from `serial`, None where
        those are not known; None alone where there is no version yet."""
        with self._lock:
            if self._current is None or self._store is None:
                return None
            history = None if serial is None else self._store.history(serial)
            return self._current, history

    def _opened(self) -> engine.ZoneStore:
        if self._store is None:
            raise RuntimeError(f"{self.directory} was not opened")
        return self._store
