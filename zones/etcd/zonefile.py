"""*etcd*, layout zonefile: whole zones as zone-file text, one key a zone.

`PATH/example.org` holds example.org (RFC 1035 section 5). One follower for all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import time
from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from weakref import WeakValueDictionary

import attrs
import dns.name

import engine
from corefile.names import name_wire, zone_name
from zones import foreign
from zones.etcd import rpc_pb2 as rpc
from zones.etcd.client import Item
from zones.etcd.config import EtcdConfig
from zones.etcd.copy import CopiedItem, short_key
from zones.etcd.following import Following
from zones.etcd.refusals import Refusals
from zones.etcd.skydns import Refused
from zones.increment import Increment
from zones.offloop import OffLoop
from zones.source import Hint, SourceError, Standing

# How long a reading waits for etcd, in seconds.
FIRST_WAIT = 5.0
_TOO_LONG = 300
# Octets of a key below the prefix: of more than a name has, each octet escaped.
_LONGEST_KEY = 1024


@attrs.frozen
class ZoneText:
    """One key. `revision` is that of its last change, as far as it is known; `since` is when
    it came (monotonic)."""

    item: CopiedItem
    revision: int
    since: float


class ZoneTexts:
    """All zones of one directive. `changed` is called, on the loop, when other zones are there."""

    def __init__(
        self, config: EtcdConfig, *, kept: Path, executor: Executor, changed: Callable[[], object]
    ) -> None:
        self.config = config
        self.revision = 0
        self.number = 0
        self.refusals = Refusals(f"etcd {config.prefix.decode()}")
        self.off = OffLoop(executor)
        self._changed = changed
        self._zones: dict[dns.name.Name, ZoneText] = {}
        self._items: dict[bytes, CopiedItem] = {}
        # Of those who still wait: a zone that goes and comes in one burst keeps its source.
        self._wakes: WeakValueDictionary[dns.name.Name, asyncio.Event] = WeakValueDictionary()
        # Zones that have another text, of which nobody was told yet.
        self._touched: set[dns.name.Name] = set()
        # None: nobody knows yet which zones there are, which is not the same as none.
        self._told: frozenset[dns.name.Name] | None = None
        self._watching: asyncio.Task[None] | None = None
        self.following = Following(
            f"etcd {config.prefix.decode()}", config.cluster, config.prefix, self, kept, executor
        )

    def start(self) -> None:
        self.following.start()
        if self._watching is None:
            self._watching = asyncio.create_task(self._watch())

    async def stop(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
            self._watching = None
        await self.following.stop()

    async def zones(self) -> tuple[dns.name.Name, ...]:
        """Those that etcd has, or had when it was heard last. Raises SourceError while nothing is
        known."""
        place = f"etcd {self.config.cluster.endpoints[0]} {self.config.prefix.decode()}"
        await self.following.until(self.following.known, place, FIRST_WAIT)
        async with self.following.changing:
            there = self._told = frozenset(self._zones)
        return tuple(there)

    def text(self, origin: dns.name.Name) -> ZoneText | None:
        return self._zones.get(origin)

    def wake(self, origin: dns.name.Name) -> asyncio.Event:
        """Set when a zone's text is another, for as long as it is held."""
        return self._wakes.setdefault(origin, asyncio.Event())

    async def _watch(self) -> None:
        """Tell who is concerned, a burst at a time."""
        while True:
            await self.following.wake.wait()
            await self.following.gather(self.config.gather)
            self.following.wake.clear()
            async with self.following.changing:
                touched, self._touched = self._touched, set()
                there = frozenset(self._zones)
            # Here on the loop: what is held may be changed in a thread.
            for origin in touched:
                if (wake := self._wakes.get(origin)) is not None:
                    wake.set()
            if there != self._told:
                self._told = there
                self._changed()

    # --- what is held -------------------------------------------------------------------------

    @property
    def keys(self) -> int:
        return len(self._items)

    @property
    def wants_listing(self) -> bool:
        return False

    def unknown_leases(self, leases: Collection[int]) -> set[int]:
        """A zone file has its own TTLs."""
        del leases
        return set()

    def restore(self, items: Iterable[CopiedItem], revision: int) -> None:
        for item in items:
            self._take(item, revision)
        self.revision = revision

    def replace(
        self, items: Sequence[Item], granted: Mapping[int, int | None], revision: int
    ) -> None:
        del granted
        there = {self._key(item) for item in items}
        for key in [key for key in self._items if key not in there]:
            self._remove(key)
        for item in items:
            key = self._key(item)
            known = self._items.get(key)
            if known is None or known.value != item.value:
                self._take(CopiedItem(key, item.value, 0, None), item.mod_revision)
        self.revision = revision

    def change(
        self, events: Iterable[rpc.Event], granted: Mapping[int, int | None], revision: int
    ) -> None:
        del granted
        for event in events:
            key = self._key(event.kv)
            if event.type == rpc.Event.DELETE:
                self._remove(key)
            else:
                item = CopiedItem(key, event.kv.value, 0, None)
                self._take(item, event.kv.mod_revision)
        self.revision = revision

    def copied(self) -> list[CopiedItem]:
        return list(self._items.values())

    def _key(self, item: Item) -> bytes:
        return short_key(item.key, len(self.config.prefix) + _LONGEST_KEY)

    def _take(self, item: CopiedItem, revision: int) -> None:
        self.number += 1
        self._items[item.key] = item
        try:
            origin = self._origin(item.key)
        except Refused as refused:
            # The key alone says so.
            self._items[item.key] = CopiedItem(item.key, b"", 0, None)
            self.refusals.add(item.key, str(refused))
            return
        self.refusals.drop(item.key)
        self._zones[origin] = ZoneText(item, revision, time.monotonic())
        self._touched.add(origin)

    def _remove(self, key: bytes) -> None:
        self.number += 1
        self._items.pop(key, None)
        self.refusals.drop(key)
        with contextlib.suppress(Refused):
            self._zones.pop(self._origin(key), None)

    def _origin(self, key: bytes) -> dns.name.Name:
        """Raises Refused."""
        name = key[len(self.config.prefix) :].decode("utf-8", "backslashreplace")
        try:
            text = zone_name(name)
        except ValueError as error:
            raise Refused(f"the key is no zone's name: {str(error)[:_TOO_LONG]}") from None
        # One key a zone.
        wanted = text.removesuffix(".") or "."
        if name != wanted:
            raise Refused(f"the key of {text} ends in '{wanted}'")
        origin = dns.name.from_text(text)
        if not any(origin.is_subdomain(top) for top in self.config.origins):
            names = " ".join(str(top) for top in self.config.origins)
            raise Refused(f"{origin} is not at or below {names}")
        return origin


class TextSource:
    """One zone of a ZoneTexts."""

    def __init__(self, origin: dns.name.Name, texts: ZoneTexts) -> None:
        self._origin = origin
        self._texts = texts
        self._wake = texts.wake(origin)
        self._place = texts.config.where(origin)
        self._offered: ZoneText | None = None
        self._served: ZoneText | None = None

    @property
    def origin(self) -> dns.name.Name:
        return self._origin

    async def load(self) -> engine.Zone:
        """Raises SourceError: etcd was never heard, the zone is gone, its text has errors."""
        following = self._texts.following
        await following.until(following.synced, self._place, FIRST_WAIT)
        found = self._texts.text(self._origin)
        if found is None:
            raise SourceError(self._place, "there is no such key", "put it back")
        self._offered = found
        return await self._texts.off.run(self._scan, found.item.value)

    async def changes(self) -> AsyncIterator[Hint]:
        while True:
            await self._wake.wait()
            self._wake.clear()
            yield Hint(self._place)

    async def increment(self, base: engine.Zone) -> Increment | None:
        """Never: a text comes whole."""
        del base
        return None

    async def taken(self) -> None:
        self._served = self._offered

    async def list_again(self) -> None:
        """All zones of the directive. Raises SourceError."""
        await self._texts.following.list_again(self._place)

    def standing(self) -> Standing:
        """What came since the zone's own text did was of other zones."""
        texts, served = self._texts, self._served
        found = texts.text(self._origin)
        waiting = None if found is None or found is served else found
        revision = (
            None if served is None else texts.revision if waiting is None else served.revision
        )
        return Standing(
            revision=revision,
            behind=texts.following.behind(None if waiting is None else waiting.since),
            problem=texts.following.problem,
            entries=1,
            left_out=len(texts.refusals),
            examples=texts.refusals.examples(),
        )

    async def stop(self) -> None:
        """Nothing: who owns all the zones does."""

    def _scan(self, text: bytes) -> engine.Zone:
        origin = name_wire(zone_name(str(self._origin)))
        try:
            return engine.scan_text(text, origin, name=self._place, foreign=foreign.read)
        except engine.ScanError as error:
            if not error.problems:
                raise SourceError(self._place, error.message, "correct the zone") from error
            first, more = error.problems[0], len(error.problems) - 1
            remedy = "correct the zone" + (f" ({more} more errors)" if more else "")
            place = f"{self._place}:{first.line}:{first.column}"
            raise SourceError(place, first.message, remedy) from error


def copy_name(config: EtcdConfig) -> str:
    """What the copy of a directive's keys is called on disk."""
    return "@zones-" + hashlib.sha256(config.prefix).hexdigest()[:16]
