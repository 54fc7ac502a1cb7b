"""Keeps a copy of all keys under a prefix in step with etcd, whatever happens to etcd.

    listing at a pinned revision ──▶ watch from the next ──▶ lost: the next endpoint, from the
            ▲                              │                 revision that was taken last
            └──────── compacted, or another cluster ◀────────┘

A member is believed only while it answers in the name of the cluster: once a second it is asked
to read through its leader, which a member that is frozen or cut off can't.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Protocol

import attrs

from zones.etcd import rpc_pb2 as rpc
from zones.etcd.client import (
    PAGE,
    Batch,
    Beat,
    Compacted,
    Connection,
    EtcdError,
    Item,
    Login,
    Newest,
    Page,
    TooLarge,
    range_end,
)
from zones.etcd.config import Cluster

# In seconds: between two signs of life, and without any until a member is given up.
BEAT, SILENCE = 1.0, 3.0
# A watch that has not caught up with what happened before it after so long gives way to a listing.
_CATCHING_UP = 5.0
# Between two attempts, growing.
_PAUSE, _LONGEST_PAUSE = 0.1, 2.0
# That etcd can't be followed is said again after so long, when it is for another reason.
_SAY_AGAIN = 60.0
# Between two listings for the sake of room: so long at least, in seconds, and so many times what
# the last one took.
_LEAST_REST, _REST = 5.0, 20
# Leases asked for at a time.
_LEASES_AT_ONCE = 64

_log = logging.getLogger("zoneward.etcd")


class Keeper(Protocol):
    """What a follower feeds. `granted` says how long new leases were granted for, in seconds;
    None for those that have ended."""

    @property
    def keys(self) -> int:
        """How many keys it has been told of that are there."""
        ...

    @property
    def wants_listing(self) -> bool:
        """Whether there is room again for keys that it had no room for."""
        ...

    def unknown_leases(self, leases: Collection[int]) -> set[int]:
        """Those of some leases whose time is to be asked for."""
        ...

    async def replace(
        self, items: Sequence[Item], granted: Mapping[int, int | None], mark: Mark
    ) -> None:
        """A whole listing."""
        ...

    async def change(
        self, events: Sequence[rpc.Event], granted: Mapping[int, int | None], mark: Mark
    ) -> None:
        """What happened since, transactions whole."""
        ...

    def in_step(self) -> None:
        """Everything up to now was told."""
        ...


@attrs.frozen
class Mark:
    """How far a copy of etcd's keys goes, and by what that history is known again: the cluster,
    and a key with the revision that had changed it last; 0 where there was no such key."""

    cluster: int
    revision: int
    witness: bytes
    changed: int


class _Restored(Exception):
    """Another cluster than before, or the same from an older backup."""


class Follower:
    """One prefix. `run` it."""

    def __init__(
        self, name: str, cluster: Cluster, prefix: bytes, keeper: Keeper, mark: Mark | None
    ) -> None:
        """`name` is what the log calls it; `mark`: what the keeper knows already."""
        self._name = name
        self._cluster = cluster
        self._prefix = prefix
        self._end = range_end(prefix)
        self._keeper = keeper
        self._ask = asyncio.Event()
        self._watch_heard = 0.0
        self._goal: Newest | None = None
        self._taking = False
        self._list_again = False
        self._rests_until = 0.0
        self._said_at = 0.0
        self.mark = mark
        self.endpoint: str | None = None
        self.problem: str | None = None
        #: Whether all was told up to the last sign of life, and when that was (monotonic).
        self.caught_up = False
        self.heard: float | None = None

    def list_again(self) -> None:
        """Have everything listed anew."""
        self._list_again = True

    async def run(self) -> None:
        """Follow until cancelled."""
        failures = 0
        while True:
            for endpoint in self._cluster.endpoints:
                before = self.heard
                try:
                    await self._try(endpoint)
                except _Restored as restored:
                    _log.warning("%s: %s; listing it anew", self._name, restored)
                    self.mark, self.caught_up = None, False
                    continue
                except (EtcdError, OSError) as error:
                    self._lost(endpoint, str(error))
                failures = 1 if self.heard != before else failures + 1
                pause = _PAUSE * 2.0 ** min(failures - 1, 10)
                await asyncio.sleep(min(pause, _LONGEST_PAUSE))

    async def _try(self, endpoint: str) -> None:
        self.endpoint = endpoint
        async with _connection(self._cluster, endpoint) as connection:
            beat = await connection.beat(self._prefix)
            known = await self._knows(connection, beat)
            while True:
                if known:
                    self._goal = await connection.newest(self._prefix, self._end)
                    self._look()
                else:
                    await self._list(connection)
                try:
                    await self._watch(connection)
                except Compacted as error:
                    _log.info("%s: %s; listing it anew", self._name, error)
                known = False

    async def _knows(self, connection: Connection, beat: Beat) -> bool:
        """Whether a watch can go on from what was taken. Raises _Restored, EtcdError."""
        if self.mark is None or self._list_again:
            return False
        self._compare(beat, self.mark)
        try:
            await self._recognise(connection, self.mark)
        except Compacted as error:
            _log.info("%s: %s; listing it anew", self._name, error)
            return False
        return True

    def _compare(self, beat: Beat, mark: Mark) -> None:
        if beat.cluster != mark.cluster:
            raise _Restored(
                f"etcd is another cluster than before ({beat.cluster:x}, was {mark.cluster:x})"
            )
        if beat.revision < mark.revision:
            raise _Restored(
                f"etcd stands at revision {beat.revision} and stood at {mark.revision} before: "
                "it was restored from a backup"
            )

    async def _recognise(self, connection: Connection, mark: Mark) -> None:
        """A cluster that was set up anew may have its old identity, and a higher revision."""
        if await connection.changed(mark.witness, mark.revision) != mark.changed:
            raise _Restored(
                f"etcd's history is another than before ({mark.witness.decode(errors='replace')} "
                f"at revision {mark.revision})"
            )

    def _lost(self, endpoint: str, problem: str) -> None:
        self.caught_up = False
        line = f"{endpoint}: {problem}"
        now = time.monotonic()
        if self.problem is None or (line != self.problem and now - self._said_at > _SAY_AGAIN):
            self._said_at = now
            at = (
                "" if self.mark is None else f"; what is served is of revision {self.mark.revision}"
            )
            _log.warning("%s: etcd at %s%s", self._name, line, at)
        self.problem = line

    def _look(self) -> None:
        """Whether all up to the goal was told. A key that is there and had changed last was; the
        others that changed since are gone again, and when as many are there as there should be,
        they are the same."""
        if self.caught_up or self._goal is None or self.mark is None:
            return
        revision, goal = self.mark.revision, self._goal
        same = revision >= goal.changed and self._keeper.keys == goal.count
        if revision >= goal.revision or same:
            self._found()

    def _found(self) -> None:
        self.heard = time.monotonic()
        if not self.caught_up:
            self.caught_up = True
            if self.problem is not None and self.mark is not None:
                _log.info(
                    "%s: in step with etcd at %s again, revision %d",
                    self._name,
                    self.endpoint,
                    self.mark.revision,
                )
            self.problem = None
            self._keeper.in_step()

    # --- listing --------------------------------------------------------------------------

    async def _list(self, connection: Connection) -> None:
        """All keys as of one revision, in pages."""
        began = time.monotonic()
        while True:
            with contextlib.suppress(Compacted):
                items, mark = await self._pages(connection)
                break
        self._list_again = False
        granted = await self._granted(connection, {item.lease for item in items})
        await self._keeper.replace(items, granted, mark)
        self.mark = mark
        now = time.monotonic()
        self._rests_until = now + max(_LEAST_REST, _REST * (now - began))
        self._found()

    async def _pages(self, connection: Connection) -> tuple[list[Item], Mark]:
        items: list[Item] = []
        start, revision, limit = self._prefix, 0, PAGE
        while True:
            page, limit = await self._page(connection, start, revision, limit)
            items += page.items
            revision = page.revision
            if page.last or not page.items:
                last = max(items, key=lambda item: item.mod_revision, default=None)
                if last is None:
                    return items, Mark(page.cluster, revision, self._prefix, 0)
                return items, Mark(page.cluster, revision, last.key, last.mod_revision)
            start = page.items[-1].key + b"\0"

    async def _page(
        self, connection: Connection, start: bytes, revision: int, limit: int
    ) -> tuple[Page, int]:
        while True:
            try:
                return await connection.page(start, self._end, revision, limit), limit
            except TooLarge:
                if limit == 1:
                    raise
                limit = max(1, limit // 8)

    async def _granted(
        self, connection: Connection, leases: Collection[int]
    ) -> dict[int, int | None]:
        wanted = sorted(self._keeper.unknown_leases(leases))
        found: dict[int, int | None] = {}
        for start in range(0, len(wanted), _LEASES_AT_ONCE):
            some = wanted[start : start + _LEASES_AT_ONCE]
            times = await asyncio.gather(*(connection.granted(lease) for lease in some))
            found.update(zip(some, times, strict=True))
        return found

    # --- watching -------------------------------------------------------------------------

    async def _watch(self, connection: Connection) -> None:
        """Until something is wrong, or everything is to be listed anew."""
        self._watch_heard = time.monotonic()
        self._taking = False
        reading = asyncio.create_task(self._read(connection))
        beating = asyncio.create_task(self._beat(connection))
        try:
            done, _ = await asyncio.wait({reading, beating}, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in (reading, beating):
                task.cancel()
            await asyncio.gather(reading, beating, return_exceptions=True)

    async def _read(self, connection: Connection) -> None:
        assert self.mark is not None
        batches = connection.watch(self._prefix, self._end, self.mark.revision + 1, self._ask)
        async with contextlib.aclosing(batches):
            async for batch in batches:
                self._watch_heard = time.monotonic()
                if batch.events:
                    leases = {event.kv.lease for event in batch.events}
                    granted = await self._granted(connection, leases)
                    mark = _after(self.mark, batch)
                    self._taking = True
                    await self._keeper.change(batch.events, granted, mark)
                    self._taking = False
                    self._watch_heard = time.monotonic()
                    self.mark = mark
                    self._look()

    async def _beat(self, connection: Connection) -> None:
        """Raises EtcdError when the member is silent, _Restored."""
        began = answered = time.monotonic()
        problem = "it does not answer"
        while not self._list_again:
            self._ask.set()
            await asyncio.sleep(BEAT)
            # The watch goes on while the answer is on its way, which then is the older of the two.
            known = self.mark
            try:
                beat = await connection.beat(self._prefix, BEAT)
            except EtcdError as error:
                problem = str(error)
            else:
                answered = time.monotonic()
                if known is not None:
                    self._compare(beat, known)
                if self.caught_up:
                    self._found()
            now = time.monotonic()
            if now - answered > SILENCE:
                raise EtcdError(problem)
            if not self.caught_up:
                # A watch that is behind says nothing but events.
                if now - began > _CATCHING_UP:
                    self.list_again()
            elif now - self._watch_heard > SILENCE and not self._taking:
                raise EtcdError("its watch is silent")
            # Where keys come and go at the limit, each that goes makes room.
            if self._keeper.wants_listing and now > self._rests_until:
                self.list_again()


def _after(mark: Mark, batch: Batch) -> Mark:
    last = batch.events[-1]
    changed = 0 if last.type == rpc.Event.DELETE else last.kv.mod_revision
    return Mark(mark.cluster, last.kv.mod_revision, last.kv.key, changed)


@contextlib.asynccontextmanager
async def _connection(cluster: Cluster, endpoint: str) -> AsyncIterator[Connection]:
    """Raises EtcdError where a file or a secret can't be read."""
    login: Login | None = cluster.login()
    connection = Connection(endpoint, cluster.security(), login)
    try:
        yield connection
    finally:
        await connection.close()
