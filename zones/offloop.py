"""Engine work of a zone, in the executor: nothing of it is left when its task has ended."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class OffLoop:
    def __init__(self, executor: Executor) -> None:
        self._executor = executor

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run in the executor. A cancellation waits for its end: nobody else may open a zone's
        directory while a thread still writes there."""
        work = asyncio.get_running_loop().run_in_executor(
            self._executor, lambda: function(*args, **kwargs)
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait([work])
            raise

    async def to_its_end(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """For what writes: who cancels waits for it too. A thread can't be called back, and
        the next task's keeper must not meet it in the same directory."""
        writing = asyncio.ensure_future(self.run(function, *args, **kwargs))
        try:
            return await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait((writing,))
            raise
