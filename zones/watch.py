"""One watcher of directories for all sources, however many zones there are."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import watchfiles

# Directories that can't be watched now are looked for again this often, in seconds. Sources
# poll as well, so that a directory on NFS or one that comes back is only noticed later.
RETRY = 5.0


class DirectoryWatch:
    """Calls back when something in a directory changes. One kernel watch a directory.

    The watcher is restarted when the set of directories changes; everybody is then called
    once, since what happened in between was not seen.
    """

    def __init__(self) -> None:
        self._callbacks: dict[Path, list[Callable[[], None]]] = {}
        self._changed = asyncio.Event()

    @contextlib.contextmanager
    def subscribe(self, directory: Path, callback: Callable[[], None]) -> Iterator[None]:
        """Have `callback` called, on the loop, after changes to entries of `directory`."""
        directory = directory.absolute()
        callbacks = self._callbacks.setdefault(directory, [])
        callbacks.append(callback)
        if len(callbacks) == 1:
            self._changed.set()
        try:
            yield
        finally:
            callbacks.remove(callback)
            if not callbacks and self._callbacks.get(directory) is callbacks:
                del self._callbacks[directory]
                self._changed.set()

    async def run(self) -> None:
        """Watch until cancelled."""
        while True:
            self._changed.clear()
            present = [path for path in self._callbacks if path.is_dir()]
            self._call(self._callbacks)
            if not present:
                await self._wait_for_change(None if not self._callbacks else RETRY)
                continue
            missing = len(present) < len(self._callbacks)
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
            step=20,
            recursive=False,
        ):
            touched = {Path(path).parent for _, path in changes}
            touched.update(Path(path) for _, path in changes)
            self._call(touched)

    def _call(self, directories: Iterable[Path]) -> None:
        for directory in list(directories):
            for callback in list(self._callbacks.get(directory, ())):
                callback()

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
