"""Python plugins at work: their own thread and event loop, around the engine's eventfd.

The engine parks a query and wakes the loop; each query is a task with a deadline. What a plugin
does wrong is its own queries' problem: they fail as configured, are counted, and the rest of
the server does not notice. A plugin that blocks the loop has its stack logged and is passed by
for a while.
"""

import asyncio
import logging
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Protocol

import attrs

from server.api import Parked, Query, Reply
from server.compile import Instance

if TYPE_CHECKING:
    import dns.message

_log = logging.getLogger("zoneward.server.plugins")

# A loop that did not turn for this long is stalled.
STALL = 5.0
# A plugin that stalled the loop gets no queries for this long.
_TRIPPED = 30.0
_HEARTBEAT = 0.5


class Engine(Protocol):
    """What is needed of engine.Server."""

    def plugin_fd(self) -> int: ...
    def take(self) -> Sequence[Parked]: ...


class PluginError(Exception):
    """A plugin could not be started; the message names it."""


@attrs.define
class Tally:
    """What happened in one plugin's stages since the start."""

    handled: int = 0
    failed: int = 0
    dropped: int = 0
    expired: int = 0
    stalled: int = 0
    tripped_until: float = 0.0


class PluginRuntime:
    """Runs the plugins of all chains; without any it has no threads. Every method may be called
    from any thread but the plugins' own."""

    def __init__(self, engine: Engine, *, stall: float = STALL) -> None:
        self._engine = engine
        self._stall = stall
        self._loop = asyncio.new_event_loop()
        self._instances: dict[int, Instance] = {}
        self._tallies: dict[int, Tally] = {}
        self._names: dict[int, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._turned = time.monotonic()
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._run, name="plugins", daemon=True)
        self._watchdog = threading.Thread(target=self._watch, name="watchdog", daemon=True)

    def add(self, instances: Iterable[Instance]) -> None:
        """Start plugins; queries for them may come from then on. Raises PluginError, with
        those of this call that had started stopped again."""
        added = list(instances)
        if added:
            if not self._thread.is_alive():
                self._thread.start()
                self._watchdog.start()
            asyncio.run_coroutine_threadsafe(self._add(added), self._loop).result()

    def remove(self, numbers: Iterable[int]) -> None:
        """Stop plugins that no chain leads to any more."""
        gone = [self._instances[number] for number in numbers if number in self._instances]
        if gone:
            asyncio.run_coroutine_threadsafe(self._remove(gone), self._loop).result()

    def stop(self) -> None:
        """Stop all plugins, finish their queries, end the threads."""
        self._stopped.set()
        if not self._thread.is_alive():
            self._loop.close()
            return
        self.remove(list(self._instances))
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._watchdog.join()
        self._loop.close()

    def tallies(self) -> dict[str, Tally]:
        """By the plugin's name, its instances added up."""
        totals: dict[str, Tally] = {}
        for number, tally in list(self._tallies.items()):
            name = self._names[number]
            total = totals.setdefault(name, Tally())
            for field in ("handled", "failed", "dropped", "expired", "stalled"):
                setattr(total, field, getattr(total, field) + getattr(tally, field))
        return totals

    # --- in the plugins' thread ---

    def _run(self) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.add_reader(self._engine.plugin_fd(), self._drain)
        self._loop.call_soon(self._beat)
        self._loop.run_forever()
        self._loop.remove_reader(self._engine.plugin_fd())
        for task in self._tasks:
            task.cancel()
        self._loop.run_until_complete(asyncio.gather(*self._tasks, return_exceptions=True))

    def _beat(self) -> None:
        self._turned = time.monotonic()
        self._loop.call_later(min(_HEARTBEAT, self._stall / 4), self._beat)

    def _drain(self) -> None:
        for parked in self._engine.take():
            instance = self._instances.get(parked.plugin)
            tally = self._tallies.get(parked.plugin)
            if instance is None or tally is None or tally.tripped_until > time.monotonic():
                if tally is not None:
                    tally.failed += 1
                parked.fail()
                continue
            task = self._loop.create_task(
                self._handle(instance, tally, parked), name=f"{instance.number}"
            )
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _handle(self, instance: Instance, tally: Tally, parked: Parked) -> None:
        tally.handled += 1
        query = Query(parked)
        try:
            async with asyncio.timeout(instance.plugin.deadline):
                given = await instance.plugin.handle(query, self._next_of(parked))
            wire = _wire_of(given)
        except asyncio.CancelledError:
            parked.fail()
            raise
        except TimeoutError:
            tally.expired += 1
            tally.failed += 1
            _log.warning(
                "plugin %s gave no reply within %g s", instance.name, instance.plugin.deadline
            )
            parked.fail()
        except Exception as error:  # noqa: BLE001 -- foreign code: its fault is one query's
            tally.failed += 1
            _log.error(
                "plugin %s failed: %s: %s (%s)",
                instance.name,
                type(error).__name__,
                error,
                _where(error),
            )
            parked.fail()
        else:
            if wire is None:
                tally.dropped += 1
                parked.drop()
            else:
                parked.reply(wire)

    def _next_of(self, parked: Parked) -> "Callable[[Query], asyncio.Future[Reply | None]]":
        called = False

        def run_rest(query: Query) -> "asyncio.Future[Reply | None]":
            nonlocal called
            if called:
                raise RuntimeError("next was called twice for one query")
            called = True
            future: asyncio.Future[Reply | None] = self._loop.create_future()

            def settle(wire: bytes | None) -> None:
                if not future.done():
                    future.set_result(None if wire is None else Reply(wire))

            wire = parked.proceed()
            if wire is None:
                parked.on_reply(settle)
            else:
                settle(wire)
            return future

        return run_rest

    async def _add(self, added: list[Instance]) -> None:
        started: list[Instance] = []
        for instance in added:
            try:
                await instance.plugin.start()
            except Exception as error:
                await self._stop_plugins(started)
                raise PluginError(
                    f"the plugin {instance.name} failed to start: {type(error).__name__}: {error}"
                ) from error
            started.append(instance)
        for instance in started:
            self._instances[instance.number] = instance
            self._names[instance.number] = instance.name
            self._tallies[instance.number] = Tally()

    async def _remove(self, gone: list[Instance]) -> None:
        waiting = [task for task in self._tasks if int(task.get_name()) in _numbers(gone)]
        if waiting:
            await asyncio.wait(waiting)
        for instance in gone:
            self._instances.pop(instance.number, None)
        await self._stop_plugins(gone)

    async def _stop_plugins(self, instances: list[Instance]) -> None:
        for instance in instances:
            try:
                async with asyncio.timeout(self._stall):
                    await instance.plugin.stop()
            except Exception as error:  # noqa: BLE001 -- the process or the reload goes on
                _log.error(
                    "plugin %s failed to stop: %s: %s", instance.name, type(error).__name__, error
                )

    # --- in the watchdog's thread ---

    def _watch(self) -> None:
        reported = 0.0
        while not self._stopped.wait(min(_HEARTBEAT, self._stall / 4)):
            turned = self._turned
            if time.monotonic() - turned < self._stall or turned == reported:
                continue
            reported = turned
            self._report_stall()

    def _report_stall(self) -> None:
        task = asyncio.current_task(self._loop)
        frame = sys._current_frames().get(self._thread.ident or 0)
        stack = "".join(traceback.format_stack(frame)) if frame is not None else ""
        name = "?"
        if task is not None and task.get_name().isdecimal():
            number = int(task.get_name())
            tally = self._tallies.get(number)
            name = self._names.get(number, name)
            if tally is not None:
                tally.stalled += 1
                tally.tripped_until = time.monotonic() + _TRIPPED
        _log.error(
            "plugin %s has blocked the plugins' loop for %g s; it gets no queries for %g s. "
            "It stands at: %s",
            name,
            self._stall,
            _TRIPPED,
            " / ".join(line.strip() for line in stack.splitlines()[-6:]),
        )


def _numbers(instances: Iterable[Instance]) -> frozenset[int]:
    return frozenset(instance.number for instance in instances)


def _wire_of(given: "Reply | dns.message.Message | bytes | None") -> bytes | None:
    if given is None or isinstance(given, bytes):
        return given
    if isinstance(given, Reply):
        return given.wire
    to_wire = getattr(given, "to_wire", None)
    if to_wire is None:
        raise TypeError(f"handle gave a {type(given).__name__}, not a reply")
    wire: bytes = to_wire(max_size=65535)
    return wire


def _where(error: BaseException) -> str:
    """File and line where an exception was raised; not the values that were at hand there."""
    frames = traceback.extract_tb(error.__traceback__)
    return f"{frames[-1].filename}:{frames[-1].lineno}" if frames else "?"
