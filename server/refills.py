"""Rules that follow a file: looked at now and then, and put into the engine when it changes."""

import asyncio
import logging
from collections.abc import Callable, Sequence

from server.compiledrules import encode
from server.parts import Refill

_log = logging.getLogger("zoneward.server")

Put = Callable[[str, str, bytes], None]


class Refills:
    """`put` is `engine.Server.refill`. A file that can't be read, or is not there any more,
    changes nothing."""

    def __init__(self, put: Put) -> None:
        self._put = put
        self._tasks: list[asyncio.Task[None]] = []
        self._refilling = asyncio.Lock()

    async def follow(self, refills: Sequence[Refill]) -> None:
        """These, and no longer those before."""
        await self.stop()
        self._tasks = [asyncio.create_task(self._watch(one)) for one in refills]

    async def stop(self) -> None:
        """None is put any more. One under way is waited for: its thread can't be cancelled."""
        async with self._refilling:
            tasks, self._tasks = self._tasks, []
            for task in tasks:
                task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _watch(self, refill: Refill) -> None:
        seen = refill.seen
        while True:
            await asyncio.sleep(refill.every)
            now = await asyncio.to_thread(Refill.state, refill.path)
            if now in (seen, None):
                continue
            try:
                async with self._refilling:
                    await asyncio.to_thread(self._refill, refill)
            except Exception as error:  # noqa: BLE001 -- what is there goes on being used
                _log.warning("%s is not taken in: %s", refill.path, error)
            else:
                _log.info("%s was read again", refill.path)
            seen = now

    def _refill(self, refill: Refill) -> None:
        self._put(refill.chain, refill.plugin, encode(refill.read()))
