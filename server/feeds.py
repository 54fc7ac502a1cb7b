"""Feeds of *rpz* that come by transfer: kept on disk, followed as their SOA says."""

import asyncio
import base64
import contextlib
import logging
from collections.abc import Callable, Sequence
from pathlib import Path

import attrs

import engine
from corefile.arguments import Endpoint, SecretReference
from corefile.names import directory_name, name_wire
from corefile.secrets import SecretError
from server.freshness import Timers
from server.parts import FeedTransfer
from server.transfer import Connection, Received

_log = logging.getLogger("zoneward.server.feeds")

_SOA = 6
_SHORTEST_WAIT, _LONGEST_WAIT = 1.0, 86_400.0
_FIRST_PAUSE, _LONGEST_PAUSE = 1.0, 60.0
_TROUBLE = (SecretError, OSError, EOFError, engine.EngineError, TimeoutError, ValueError)


@attrs.define
class _Followed:
    zone: engine.Zone | None = None
    problem: str | None = None
    pause: float = _FIRST_PAUSE


class Feeds:
    """A feed whose primaries can't be asked stays what it was, however long that takes."""

    def __init__(
        self,
        server: engine.Server,
        directory: Path,
        secret: Callable[[SecretReference], bytes],
    ) -> None:
        self._server = server
        self._directory = directory
        self._secret = secret
        self._followed: dict[FeedTransfer, _Followed] = {}
        self._tasks: dict[FeedTransfer, asyncio.Task[None]] = {}

    def begin(self, feeds: Sequence[FeedTransfer]) -> None:
        """Take those from disk that are there and not in use yet. Blocks."""
        for feed in feeds:
            if feed in self._followed:
                continue
            entry = self._followed[feed] = _Followed()
            path = self._path(feed)
            if not path.exists():
                continue
            try:
                zone = engine.Zone.load(str(path))
                self._server.fill_feed(feed.feed, zone)
            except (OSError, engine.EngineError) as error:
                _log.warning("the copy of %s is fetched anew: %s", feed.zone, error)
            else:
                entry.zone = zone

    async def follow(self, feeds: Sequence[FeedTransfer]) -> None:
        """These, and no longer others."""
        for gone in self._followed.keys() - set(feeds):
            if gone in self._tasks:
                await self._end(self._tasks.pop(gone))
            del self._followed[gone]
        for feed in feeds:
            if feed not in self._tasks:
                self._tasks[feed] = asyncio.create_task(self._watch(feed))

    async def stop(self) -> None:
        tasks = list(self._tasks.values())
        self._tasks.clear()
        for task in tasks:
            await self._end(task)

    async def _end(self, task: asyncio.Task[None]) -> None:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    async def _watch(self, feed: FeedTransfer) -> None:
        entry = self._followed.setdefault(feed, _Followed())
        while True:
            await asyncio.sleep(await self._ask_all(feed, entry))

    async def _ask_all(self, feed: FeedTransfer, entry: _Followed) -> float:
        """Seconds until they are to be asked again."""
        problems = []
        for primary in feed.primaries:
            try:
                await self._ask(feed, entry, primary)
            except _TROUBLE as error:
                problems.append(f"{primary}: {str(error) or type(error).__name__}")
            else:
                entry.problem, entry.pause = None, _FIRST_PAUSE
                return _bounded(_timers(entry.zone).refresh) if entry.zone is not None else 0.0
        problem = "; ".join(problems)
        if problem != entry.problem:
            _log.warning("the feed %s can't be fetched: %s", feed.zone, problem)
        entry.problem = problem
        pause, entry.pause = entry.pause, min(entry.pause * 2, _LONGEST_PAUSE)
        return pause if entry.zone is None else _bounded(_timers(entry.zone).retry)

    async def _ask(self, feed: FeedTransfer, entry: _Followed, primary: Endpoint) -> None:
        key = await asyncio.to_thread(self._key, feed)
        connection = await Connection.open(primary)
        try:
            received = await connection.transfer(feed.zone, entry.zone, key)
        finally:
            await connection.close()
        if received is not None:
            await asyncio.to_thread(self._take, feed, received)
            entry.zone = received.zone

    def _take(self, feed: FeedTransfer, received: Received) -> None:
        _timers(received.zone)
        told = self._server.fill_feed(feed.feed, received.zone)
        path = self._path(feed)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        received.zone.save(str(path))
        names, clients, answers, passed_over, unread = told
        _log.info(
            "the feed %s has serial %d: %d names, %d clients, %d answers; %d triggers by name "
            "server passed over, %d owners that say nothing",
            *(feed.zone, received.zone.serial, names, clients, answers, passed_over, unread),
        )

    def _key(self, feed: FeedTransfer) -> engine.TsigKey | None:
        if feed.key is None:
            return None
        text = self._secret(feed.key.secret)
        return engine.TsigKey(
            name_wire(feed.key.name), feed.key.algorithm, base64.b64decode(text, validate=True)
        )

    def _path(self, feed: FeedTransfer) -> Path:
        return self._directory / directory_name(feed.feed)


def _timers(zone: engine.Zone) -> Timers:
    """Raises ValueError."""
    soa = zone.rrset(zone.origin, _SOA)
    if soa is None:
        raise ValueError("a zone without an SOA record")
    return Timers.of(soa.rdatas[0])


def _bounded(seconds: float) -> float:
    return max(_SHORTEST_WAIT, min(seconds, _LONGEST_WAIT))
