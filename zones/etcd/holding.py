"""What is held of one zone's keys: as they came, as a tree, and which names they have touched
since they were served last. No I/O, but for the log of what is left out."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable, Mapping, Sequence

from zones.etcd import rpc_pb2 as rpc
from zones.etcd import skydns
from zones.etcd.client import Item
from zones.etcd.copy import CopiedItem, short_key
from zones.etcd.refusals import Refusals
from zones.etcd.skydns import LeaseTimes, Refused
from zones.etcd.tree import Tree

# Leases that nothing has any more are looked for when there are so many more than entries.
_SPARE_LEASES = 2000
# In the place of a lease's time: the key is over the limit; or its value is too long to keep, and
# the reason is there instead. Leases may have any number, but no such time.
_LEFT_OUT, _REFUSED = -1, -2
# Octets of a key below a zone's prefix: of more than a name has.
_LONGEST_KEY = 256


class Holding:
    """Keys of the layout skydns. `number` counts changes; `dirty` has, for each path that was
    touched and is not served yet, the number of its last one."""

    def __init__(
        self, zone: str, prefix: bytes, times: LeaseTimes, most: int, refusals: Refusals
    ) -> None:
        """`most` is how many entries are taken."""
        self.tree = Tree(zone, times)
        self.items: dict[bytes, CopiedItem] = {}
        self.dirty: dict[str, int] = {}
        self.number = 0
        self.revision = 0
        #: Since when something waits to be served (monotonic).
        self.waiting_since: float | None = None
        self._prefix = prefix
        self._most = most
        self._refusals = refusals
        self._overflow: set[bytes] = set()

    @property
    def keys(self) -> int:
        """How many there are, those left out included."""
        return len(self.items) + len(self._overflow)

    @property
    def wants_listing(self) -> bool:
        """Whether there is room again for what was left out."""
        return bool(self._overflow) and len(self.items) < self._most

    def served(self, number: int) -> None:
        """All changes up to one are served."""
        if number == self.number:
            self.dirty.clear()
            self.waiting_since = None
        else:
            self.dirty = {path: last for path, last in self.dirty.items() if last > number}

    def unknown_leases(self, leases: Collection[int]) -> set[int]:
        return {lease for lease in leases if lease and not self.tree.knows(lease)}

    # --- taking in ----------------------------------------------------------------------------

    def restore(self, items: Iterable[CopiedItem], revision: int) -> None:
        """From a copy."""
        for item in items:
            if item.granted == _LEFT_OUT:
                self._leave_out(item.key)
                continue
            if item.granted is not None and item.granted != _REFUSED:
                self.tree.granted(item.lease, item.granted)
            self._take(item)
        self.revision = revision

    def replace(
        self, items: Sequence[Item], granted: Mapping[int, int | None], revision: int
    ) -> None:
        """A whole listing: only what differs is touched."""
        self._grant(granted)
        self._overflow.clear()
        there = {self._key(item) for item in items}
        for key in [key for key in self.items if key not in there]:
            self._remove(key)
        for item in items:
            key = self._key(item)
            known = self.items.get(key)
            if known is None or (known.value, known.lease) != (item.value, item.lease):
                self._take(CopiedItem(key, item.value, item.lease, None))
        self.tree.forget_leases()
        self._came(revision)

    def change(
        self, events: Iterable[rpc.Event], granted: Mapping[int, int | None], revision: int
    ) -> None:
        """What happened, in its order."""
        self._grant(granted)
        for event in events:
            item, key = event.kv, self._key(event.kv)
            if event.type == rpc.Event.DELETE:
                self._remove(key)
            else:
                self._take(CopiedItem(key, item.value, item.lease, None))
        if self.tree.leases > 2 * len(self.tree) + _SPARE_LEASES:
            self.tree.forget_leases()
        self._came(revision)

    def copied(self) -> list[CopiedItem]:
        """All keys, with the times of their leases; of those over the limit the keys alone."""
        return [
            *(
                item
                if item.granted == _REFUSED
                else CopiedItem(item.key, item.value, item.lease, self.tree.granted_for(item.lease))
                for item in self.items.values()
            ),
            *(CopiedItem(key, b"", 0, _LEFT_OUT) for key in self._overflow),
        ]

    def _key(self, item: Item) -> bytes:
        return short_key(item.key, len(self._prefix) + _LONGEST_KEY)

    def _came(self, revision: int) -> None:
        self.revision = revision
        if self.dirty and self.waiting_since is None:
            self.waiting_since = time.monotonic()

    def _grant(self, granted: Mapping[int, int | None]) -> None:
        for lease, seconds in granted.items():
            self.tree.granted(lease, seconds)

    def _take(self, item: CopiedItem) -> None:
        key = item.key
        if key not in self.items and len(self.items) >= self._most:
            self._leave_out(key)
            return
        self.items[key] = item
        try:
            if item.granted == _REFUSED:
                raise Refused(item.value.decode())
            entry = skydns.read(key, item.value, item.lease, self._prefix, self.tree.room)
        except Refused as refused:
            if len(item.value) > skydns.LONGEST_VALUE:
                self.items[key] = CopiedItem(key, str(refused).encode(), 0, _REFUSED)
            self._refusals.add(key, str(refused))
            self._touch(self.tree.remove(key))
            return
        self._refusals.drop(key)
        self._touch(self.tree.put(entry))

    def _leave_out(self, key: bytes) -> None:
        self._overflow.add(key)
        self._refusals.add(key, f"there are {self._most} entries already (max-entries)")

    def _remove(self, key: bytes) -> None:
        self.items.pop(key, None)
        self._overflow.discard(key)
        self._refusals.drop(key)
        self._touch(self.tree.remove(key))

    def _touch(self, paths: Iterable[str]) -> None:
        self.number += 1
        for path in paths:
            self.dirty[path] = self.number
