"""What the engine has of files: put there at first, and again when a file changes."""

import asyncio
import logging
from collections.abc import Sequence

import engine
from server.parts import FileState, Refill

_log = logging.getLogger("zoneward.server")


class Refills:
    """A file that can't be read, or is not there any more, changes nothing."""

    def __init__(self, server: engine.Server) -> None:
        self._server = server
        self._tasks: list[asyncio.Task[None]] = []
        self._refilling = asyncio.Lock()
        self._put: dict[str, FileState | None] = {}

    def begin(self, refills: Sequence[Refill]) -> None:
        """Put what has to be there before the first query, and is not yet. Blocks."""
        for refill in refills:
            now = Refill.state(refill.path)
            if refill.early and (now is None or self._put.get(refill.name) != now):
                self._try(refill, now)

    async def follow(self, refills: Sequence[Refill]) -> None:
        """These, and no longer those before."""
        await self.stop()
        once = {refill.name: refill for refill in refills if refill.every}
        self._tasks = [asyncio.create_task(self._watch(one)) for one in once.values()]

    async def stop(self) -> None:
        """None is put any more. One under way is waited for: its thread can't be cancelled."""
        async with self._refilling:
            tasks, self._tasks = self._tasks, []
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, refill: Refill) -> None:
        if not refill.early:
            self._put[refill.name] = refill.seen
        while True:
            await asyncio.sleep(refill.every)
            now = await asyncio.to_thread(Refill.state, refill.path)
            if now not in (self._put.get(refill.name), None):
                async with self._refilling:
                    await asyncio.to_thread(self._try, refill, now)

    def _try(self, refill: Refill, now: FileState | None) -> None:
        try:
            told = refill.put(self._server)
        except Exception as error:  # noqa: BLE001 -- what is there goes on being used
            _log.warning("%s is not taken in: %s", refill.path, error)
        else:
            _log.info("%s was read%s", refill.path, told)
        self._put[refill.name] = now
