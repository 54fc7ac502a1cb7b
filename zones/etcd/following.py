"""A follower with what it feeds and the copy on disk: started, asked how it is, stopped."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import Protocol

from zones.etcd import copy
from zones.etcd import rpc_pb2 as rpc
from zones.etcd.client import Item
from zones.etcd.config import Cluster
from zones.etcd.copy import CopiedItem, Copy
from zones.etcd.follower import Follower, Mark
from zones.offloop import OffLoop
from zones.source import SourceError

# A burst is over when nothing came for so long, in seconds.
QUIET = 0.002
# More keys at a time than this are taken in a thread.
_MANY = 2000
# The copy on disk is renewed this often at most, in seconds.
COPY_EVERY = 10.0
# How long who asks for a listing waits for it, in seconds.
LISTING_WAIT = 10.0
_AGAIN = 1.0

_log = logging.getLogger("zoneward.etcd")


class Held(Protocol):
    """What keys become: see `zones.etcd.holding.Holding`."""

    revision: int
    number: int

    @property
    def keys(self) -> int: ...

    @property
    def wants_listing(self) -> bool: ...

    def unknown_leases(self, leases: Collection[int]) -> set[int]: ...

    def restore(self, items: Sequence[CopiedItem], revision: int) -> None: ...

    def replace(
        self, items: Sequence[Item], granted: Mapping[int, int | None], revision: int
    ) -> None: ...

    def change(
        self, events: Sequence[rpc.Event], granted: Mapping[int, int | None], revision: int
    ) -> None: ...

    def copied(self) -> list[CopiedItem]: ...


class Following:
    """`wake` is set when something came; `synced` once all was told for the first time. Who reads
    what is held has `changing`."""

    def __init__(
        self,
        name: str,
        cluster: Cluster,
        prefix: bytes,
        held: Held,
        kept: Path,
        executor: Executor,
    ) -> None:
        """`name` is what the log calls it, `kept` the file of the copy."""
        self.changing = asyncio.Lock()
        self.synced = asyncio.Event()
        self.wake = asyncio.Event()
        #: A copy was read, or a listing taken.
        self.known = asyncio.Event()
        self._listed = asyncio.Event()
        self._name = name
        self._cluster = cluster
        self._prefix = prefix
        self._held = held
        self._kept = kept
        self._off = OffLoop(executor)
        self._task: asyncio.Task[None] | None = None
        self._follower: Follower | None = None
        #: How far all was taken; how often everything was listed.
        self.mark: Mark | None = None
        self.listings = 0
        self._copied: Mark | None = None
        self._copied_at = time.monotonic()

    def start(self) -> None:
        """Follow, unless it does."""
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name=f"etcd {self._name}")

    async def stop(self) -> None:
        """End it; what is held goes to disk."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
            await self._save()

    async def gather(self, limit: float) -> None:
        """Wait for the end of a burst, `limit` seconds at most."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + limit
        while (left := deadline - loop.time()) > 0:
            before = self._held.number
            await asyncio.sleep(min(QUIET, left))
            if self._held.number == before:
                return

    async def until(self, event: asyncio.Event, place: str, seconds: float) -> None:
        """Wait for one of the events. Raises SourceError, of `place`, when it takes longer."""
        try:
            async with asyncio.timeout(seconds):
                await event.wait()
        except TimeoutError:
            problem = self.problem or "it is being listed"
            raise SourceError(place, problem, "it is tried again all the time") from None

    async def list_again(self, place: str) -> None:
        """Have all keys listed anew, and wait for that. Raises SourceError, of `place`."""
        # From then on there is somebody to ask.
        await self.until(self.known, place, LISTING_WAIT)
        self._listed.clear()
        if self._follower is not None:
            self._follower.list_again()
        await self.until(self._listed, place, LISTING_WAIT)

    @property
    def problem(self) -> str | None:
        """Why what is held may be old."""
        return None if self._follower is None else self._follower.problem

    def behind(self, waiting_since: float | None) -> float | None:
        """How old what is served may be, in seconds, where something waits since a time."""
        heard = None if self._follower is None else self._follower.heard
        if heard is None:
            return None
        since = heard if waiting_since is None else min(heard, waiting_since)
        return max(0.0, time.monotonic() - since)

    async def _run(self) -> None:
        """Whatever ends a follower but a cancellation is a fault of ours: said, tried again."""
        if self.mark is None:
            async with self.changing:
                if await self._off.run(self._restore):
                    self.known.set()
        while True:
            follower = self._follower = Follower(
                self._name, self._cluster, self._prefix, self, self.mark
            )
            try:
                await follower.run()
            except Exception as error:  # noqa: BLE001 - other zones' are not to end with it
                problem = f"following it failed: {type(error).__name__}: {error}"
                _log.error("%s: %s; listing it anew", self._name, problem)
                _log.debug("where it happened", exc_info=error)
                follower.problem = problem
                self.mark = None
                await asyncio.sleep(_AGAIN)

    # --- what the follower tells --------------------------------------------------------------

    @property
    def keys(self) -> int:
        return self._held.keys

    @property
    def wants_listing(self) -> bool:
        return self._held.wants_listing

    def unknown_leases(self, leases: Collection[int]) -> set[int]:
        return self._held.unknown_leases(leases)

    async def replace(
        self, items: Sequence[Item], granted: Mapping[int, int | None], mark: Mark
    ) -> None:
        await self._take(len(items), lambda: self._held.replace(items, granted, mark.revision))
        self.mark = mark
        self.listings += 1
        self.known.set()
        self._listed.set()
        await self._save()

    async def change(
        self, events: Sequence[rpc.Event], granted: Mapping[int, int | None], mark: Mark
    ) -> None:
        await self._take(len(events), lambda: self._held.change(events, granted, mark.revision))
        self.mark = mark
        if time.monotonic() - self._copied_at > COPY_EVERY:
            await self._save()

    def in_step(self) -> None:
        self.synced.set()
        self.wake.set()

    async def _take(self, count: int, take: Callable[[], None]) -> None:
        async with self.changing:
            if count > _MANY:
                await self._off.run(take)
            else:
                take()
        if self.synced.is_set():
            self.wake.set()

    # --- the copy on disk ---------------------------------------------------------------------

    def _restore(self) -> bool:
        found = copy.load(self._kept, self._prefix)
        if found is None:
            return False
        self._held.restore(found.items, found.mark.revision)
        if not self._held.wants_listing:
            self.mark = self._copied = found.mark
        return True

    async def _save(self) -> None:
        mark = self.mark
        if mark is None or mark == self._copied:
            return
        kept = Copy(mark, self._held.copied())
        self._copied, self._copied_at = mark, time.monotonic()
        try:
            await self._off.run(copy.save, self._kept, self._prefix, kept)
        except OSError as error:
            _log.warning(
                "%s: the copy of etcd's keys can't be written: %s; a start lists them all",
                self._name,
                error,
            )
