"""The server's copies of zones on disk: a store and the time of the last contact for each.

STATE/server/zones/BLOCK/ZONE/ holds the engine's ZoneStore and `contact`, a text file with
Unix seconds.
"""

import contextlib
import shutil
import threading
from collections import OrderedDict
from pathlib import Path

import attrs

from corefile.names import directory_name, name_wire
from engine import Diff, EngineError, Zone, ZoneStore

# What the engine calls a store that holds no version any more (EngineError.code).
DAMAGED = "store"
# A new snapshot is written when the journal has grown past this many octets.
_JOURNAL_LIMIT = 8 * 2**20
# Stores that are kept open.
_OPEN = 64


@attrs.frozen
class Copy:
    """What was found on disk. `contact` is None when it is not known."""

    zone: Zone
    contact: int | None


class CopyStore:
    """The copies of one block. Methods block on the disk; one caller at a time for a zone."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        # A store that is opened reads its whole zone: of those written last it is kept.
        self._stores: OrderedDict[str, ZoneStore] = OrderedDict()
        self._opening = threading.Lock()

    def load_all(self) -> tuple[list[Copy], list[str]]:
        """All copies, and a line for each one that can't be used (which costs a transfer). A
        damaged one is removed; one that only can't be read now stays."""
        copies: list[Copy] = []
        problems: list[str] = []
        try:
            paths = sorted(path for path in self._directory.iterdir() if path.is_dir())
        except FileNotFoundError:
            return copies, problems
        except OSError as error:
            return copies, [f"{self._directory}: no copy can be read: {error.strerror}"]
        for path in paths:
            try:
                zone = ZoneStore(str(path)).load()
                if zone is not None:
                    copies.append(Copy(zone, _read_contact(path)))
            except EngineError as error:
                problems.append(f"{path}: the copy can't be used and is fetched anew: {error}")
                if error.code == DAMAGED:
                    shutil.rmtree(path, ignore_errors=True)
        return copies, problems

    def load(self, origin: str) -> Copy | None:
        """One zone's copy. Raises EngineError when it is damaged."""
        path = self._path(origin)
        if not path.is_dir():
            return None
        zone = ZoneStore(str(path)).load()
        if zone is None or zone.origin.lower() != name_wire(origin):
            return None
        return Copy(zone, _read_contact(path))

    def save(self, origin: str, zone: Zone, diffs: list[Diff] | None, contact: int) -> None:
        """Write a version that was received. Raises EngineError or OSError (disk full): the
        version may be served all the same."""
        path = self._path(origin)
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        store = self._store(origin)
        try:
            full = diffs is None or store.journal_bytes() > _JOURNAL_LIMIT
            if full or not _appended(store, diffs or []):
                store.replace(zone)
        except EngineError:
            self._forget(origin)
            raise
        self.save_contact(origin, contact)

    def _store(self, origin: str) -> ZoneStore:
        with self._opening:
            store = self._stores.pop(origin, None) or ZoneStore(str(self._path(origin)))
            self._stores[origin] = store
            if len(self._stores) > _OPEN:
                self._stores.popitem(last=False)
            return store

    def _forget(self, origin: str) -> None:
        with self._opening:
            self._stores.pop(origin, None)

    def save_contact(self, origin: str, contact: int) -> None:
        """Remember when the primary last said that the copy is current. Raises OSError."""
        path = self._path(origin) / "contact"
        fresh = path.with_name("contact.new")
        fresh.write_text(f"{contact}\n")
        fresh.replace(path)

    def remove(self, origin: str) -> None:
        self._forget(origin)
        with contextlib.suppress(FileNotFoundError):
            shutil.rmtree(self._path(origin))

    def _path(self, origin: str) -> Path:
        return self._directory / directory_name(origin)


def _appended(store: ZoneStore, diffs: list[Diff]) -> bool:
    """False when the store lacks a version before these, because writing it failed."""
    try:
        for diff in diffs:
            store.append(diff)
    except EngineError as error:
        if error.code == "io":
            raise
        return False
    return True


def _read_contact(directory: Path) -> int | None:
    try:
        return int((directory / "contact").read_text())
    except (OSError, ValueError):
        return None
