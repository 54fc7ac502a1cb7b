"""One watcher of directories for all sources, however many zones there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Iterator
from pathlib import Path

import attrs
import watchfiles

# Directories that can't be watched now are looked for again this often, in seconds. Sources
# poll as well, so that a directory on NFS or one that comes back is only noticed later.
RETRY = 5.0


# Files that are looked at in one go, before the loop gets its turn.
_AT_ONCE = 100


@attrs.frozen(eq=False)
class _Follower:
    """Who wants to know of one file. `differs` looks at it."""

    path: Path
    differs: Callable[[], bool]
    callback: Callable[[], None]


@attrs.define
class _Watched:
    """Who wants to know of one directory: of anything in it, and of files in it."""

    callbacks: list[Callable[[], None]] = attrs.field(factory=list)
    followers: dict[Path, list[_Follower]] = attrs.field(factory=dict)

    @property
    def idle(self) -> bool:
        return not self.callbacks and not self.followers

    def concerned(self, paths: Collection[Path]) -> list[_Follower]:
        """Whose files may have changed by what happened at these paths: at a name that nobody
        follows it may have been an included file, or where a link leads."""
        if all(path in self.followers for path in paths):
            return [one for path in paths for one in self.followers[path]]
        return [one for group in self.followers.values() for one in group]


class DirectoryWatch:
    """Calls back when something in a directory changes. One kernel watch a directory.

    The watcher is restarted when the set of directories changes; everybody is then called
    once, since what happened in between was not seen.
    """

    def __init__(self) -> None:
        self._watched: dict[Path, _Watched] = {}
        self._changed = asyncio.Event()
        # By their interval, those whose files are looked at anyway, and who does it.
        self._polled: dict[float, dict[_Follower, None]] = {}
        self._polls: dict[float, asyncio.Task[None]] = {}

    @contextlib.contextmanager
    def subscribe(self, directory: Path, callback: Callable[[], None]) -> Iterator[None]:
        """Have `callback` called, on the loop, after changes to entries of `directory`."""
        with self._directory(directory.absolute()) as watched:
            watched.callbacks.append(callback)
            try:
                yield
            finally:
                watched.callbacks.remove(callback)

    @contextlib.contextmanager
    def follow(
        self,
        path: Path,
        differs: Callable[[], bool],
        callback: Callable[[], None],
        every: float | None,
    ) -> Iterator[None]:
        """Have `callback` called, on the loop, when something happened that may concern the
        file at `path`, or `every` so many seconds (None: never), and `differs` is true."""
        one = _Follower(path.absolute(), differs, callback)
        with self._directory(one.path.parent) as watched:
            group = watched.followers.setdefault(one.path, [])
            group.append(one)
            self._poll(one, every)
            try:
                yield
            finally:
                self._poll_no_more(one, every)
                group.remove(one)
                if not group:
                    del watched.followers[one.path]

    @contextlib.contextmanager
    def _directory(self, directory: Path) -> Iterator[_Watched]:
        watched = self._watched.get(directory)
        if watched is None:
            watched = self._watched[directory] = _Watched()
            self._changed.set()
        try:
            yield watched
        finally:
            if watched.idle and self._watched.get(directory) is watched:
                del self._watched[directory]
                self._changed.set()

    def _poll(self, one: _Follower, every: float | None) -> None:
        if every is None:
            return
        self._polled.setdefault(every, {})[one] = None
        if every not in self._polls:
            self._polls[every] = asyncio.create_task(self._poll_every(every))

    def _poll_no_more(self, one: _Follower, every: float | None) -> None:
        if every is None:
            return
        del self._polled[every][one]
        if not self._polled[every]:
            del self._polled[every]
            self._polls.pop(every).cancel()

    async def _poll_every(self, seconds: float) -> None:
        """One timer for all files that have it."""
        while True:
            await asyncio.sleep(seconds)
            await _look(list(self._polled[seconds]))

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._changed.clear()
            present = [path for path in self._watched if path.is_dir()]
            await self._call(self._watched.keys())
            if not present:
                await self._wait_for_change(None if not self._watched else RETRY)
                continue
            missing = len(present) < len(self._watched)
            watching = asyncio.create_task(self._watch(present))
            try:
                await self._wait_for_change(RETRY if missing else None, watching)
            finally:
                watching.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await watching

    async def _watch(self, directories: list[Path]) -> None:
        async for changes in watchfiles.awatch(
            *directories,
            watch_filter=None,
            debounce=200,
            # It wakes up so often, in milliseconds, also when nothing happens.
            step=100,
            recursive=False,
        ):
            await self._call({Path(path) for _, path in changes})

    async def _call(self, touched: Collection[Path]) -> None:
        """`touched` are directories and what is in them."""
        concerned: dict[_Follower, None] = {}
        for directory, watched in list(self._watched.items()):
            inside = [path for path in touched if path.parent == directory]
            if not inside and directory not in touched:
                continue
            for callback in list(watched.callbacks):
                callback()
            paths = inside if directory not in touched else [directory, *inside]
            concerned |= dict.fromkeys(watched.concerned(paths))
        await _look(list(concerned))

    async def _wait_for_change(
        self, timeout: float | None, other: asyncio.Task[None] | None = None
    ) -> None:
        changed = asyncio.create_task(self._changed.wait())
        try:
            await asyncio.wait(
                {changed} if other is None else {changed, other},
                timeout=timeout,
                return_when=asyncio.FIRST_COMPLETED,
            )
        finally:
            changed.cancel()
        if other is not None and other.done():
            # The kernel ended the watch (a directory was removed): not in a busy loop.
            await asyncio.sleep(RETRY / 10)


async def _look(followers: list[_Follower]) -> None:
    for number, one in enumerate(followers, 1):
        if one.differs():
            one.callback()
        if number % _AT_ONCE == 0:
            await asyncio.sleep(0)
