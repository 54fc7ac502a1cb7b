"""One zone name with all its variants: the blocks that serve it share its key set."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta

import attrs
import dns.name

import engine
from keystore import KeystoreError
from signer.config import SignConfig
from signer.service import ZoneSigner
from signer.state import StateError
from zones.config import AnyZone
from zoneward import logging
from zoneward.refusal import one_line
from zoneward.zonetask import ZoneTask

# How long after a failed start it is tried again, in seconds; how long after an alarm of a zone
# the next one may ring: twice as long each time that something is still due, up to RETRY.
RETRY = 10.0
PAUSE = 0.5
# How long a zone that is new here, or restored, waits for what servers say they hold of it.
PATIENCE = 3.0

# Every version is verified again, whole, this often, in seconds; the first time within
# REVERIFY_SPREAD after a start, each zone at a time of its own, or of thousands of zones within
# REVERIFY_EACH for each of them.
REVERIFY_EVERY = 24 * 3600.0
REVERIFY_SPREAD = 3600.0
REVERIFY_EACH = 2.0

_log = logging.get("zone")


@attrs.frozen
class GroupPlan:
    """What a name's variants are to be: block to source, and how they are signed (not at all
    where `sign` is None). Equal plans need no restart."""

    origin: dns.name.Name
    variants: tuple[tuple[str, AnyZone], ...]
    sign: SignConfig | None

    @property
    def signing(self) -> SignConfig | None:
        """As `sign`, but for the content guard, which is not for names that come and go."""
        if self.sign is None or not any(spec.volatile for _, spec in self.variants):
            return self.sign
        return attrs.evolve(self.sign, policy=attrs.evolve(self.sign.policy, guard_percent=100))


class NameGroup:
    """Starts the signer with what all variants serve, then runs their tasks."""

    def __init__(
        self,
        plan: GroupPlan,
        signer: ZoneSigner | None,
        tasks: Mapping[str, ZoneTask],
        moved: Callable[[NameGroup], None],
        verifying: asyncio.Lock,
        *,
        servers: bool = True,
        zones: int = 1,
        restored: bool = False,
    ) -> None:
        """`moved` is called when `due` may be another than before; `verifying` is shared by
        all groups; `servers`: there may be some that know the zone; `restored`: also better
        than the versions here, which are a backup's; `zones`: how many there are in all."""
        self._verifying = verifying
        self.plan = plan
        self._moved = moved
        self.signer = signer
        self.tasks = tasks
        self._task: asyncio.Task[None] | None = None
        self._alarm = asyncio.Event()
        self._started = False
        self._quiet_until: datetime | None = None
        self._still_due = 0
        self._answering = False
        self._held_by_servers: dict[str, int | None] = {}
        self._word = asyncio.Event()
        self._spread = min(max(REVERIFY_SPREAD, REVERIFY_EACH * zones), REVERIFY_EVERY)
        self._patience = PATIENCE if servers else 0.0
        self._restored = restored

    @property
    def origin(self) -> dns.name.Name:
        return self.plan.origin

    @property
    def started(self) -> bool:
        """Whether the signer has started and the tasks take what they are asked."""
        return self._started

    def launch(self) -> None:
        self._task = asyncio.create_task(self._run(), name=str(self.origin))
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """End the tasks; a pass under way is cut off where it waits, which loses nothing:
        what is not on disk was not served."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None
        # Also those that did not come to run: their sources may have been asked.
        for task in self.tasks.values():
            await task.stop()

    def due(self) -> datetime | None:
        """When `ring` is to be called next; None while what it rang for is being done, after
        which `moved` is called."""
        if self.signer is None or not self._started or self._answering or self._alarm.is_set():
            return None
        due = self.signer.next_due()
        return due if due is None or self._quiet_until is None else max(due, self._quiet_until)

    def ring(self) -> None:
        """Something is due: look at the keys, re-sign what expires."""
        self._alarm.set()

    def heard(self, block: str, serial: int | None) -> None:
        """A server of a block has said which version it holds."""
        self._held_by_servers[block] = serial
        self._word.set()

    def rekey(self) -> None:
        """The key set was changed by a person: every variant is signed again."""
        for task in self.tasks.values():
            task.ask(scope="all")

    def reread(self) -> None:
        """The configuration was read again: so is what it names of other signers' keys."""
        if self.plan.sign is not None and self.plan.sign.multi_signer is not None:
            for task in self.tasks.values():
                task.ask(load=True)

    def _ended(self, task: asyncio.Task[None]) -> None:
        """Nothing ends a group but `stop`: anything else is a fault, and is said."""
        if not task.cancelled() and (error := task.exception()) is not None:
            self._say(f"its task ended: {one_line(error)}; it is started again in {RETRY:.0f} s")
            _log.debug("where it happened", exc_info=error)
            self._started = False
            asyncio.get_running_loop().call_later(RETRY, self._relaunch)

    def _relaunch(self) -> None:
        # Not when it was stopped meanwhile.
        if self._task is not None:
            self.launch()

    async def _run(self) -> None:
        await self._start()
        async with asyncio.TaskGroup() as group:
            for task in self.tasks.values():
                group.create_task(task.run())
            if self.signer is not None:
                group.create_task(self._answer_alarms(self.signer))
            group.create_task(self._reverify())

    async def _start(self) -> None:
        if self.signer is None:
            self._started = True
            return
        await self._hear_servers()
        while True:
            sources = await self._sources(self.signer)
            try:
                await self.signer.start(self._served(), self._copies(), sources)
            except (KeystoreError, StateError, engine.EngineError, OSError) as error:
                self._say(one_line(error))
                await asyncio.sleep(RETRY)
            else:
                break
        self._started = True
        self._moved(self)
        if self.signer.held is not None:
            self._say(f"held at its start: {self.signer.held}")

    async def _answer_alarms(self, signer: ZoneSigner) -> None:
        while True:
            await self._alarm.wait()
            self._alarm.clear()
            self._answering = True
            try:
                await self._answer(signer)
            finally:
                self._answering = False
            now, due = datetime.now(UTC), signer.next_due()
            self._still_due = self._still_due + 1 if due is not None and due <= now else 0
            self._quiet_until = now + timedelta(seconds=quiet(self._still_due))
            self._moved(self)

    async def _answer(self, signer: ZoneSigner) -> None:
        try:
            held = signer.held
            if held is not None:
                sources = await self._sources(signer)
                await signer.start(self._served(), self._copies(), sources)
            changed = await signer.tick()
        except (KeystoreError, StateError, engine.EngineError, OSError) as error:
            self._say(one_line(error))
        else:
            lifted = held is not None and signer.held is None
            scope = "all" if changed or lifted else "expiring"
            for task in self.tasks.values():
                task.ask(scope=scope)

    async def _hear_servers(self) -> None:
        """Before keys are made or anything is signed: a server may know the zone from a life whose
        state is lost, or is newer than a backup that was restored."""
        asked = {
            block
            for block, task in self.tasks.items()
            if self._restored or task.keeper.current is None
        }
        try:
            async with asyncio.timeout(self._patience):
                while asked - self._held_by_servers.keys():
                    self._word.clear()
                    await self._word.wait()
        except TimeoutError:
            _log.debug(f"zone {self.origin}: no server has asked for it yet")

    def _copies(self) -> tuple[int, ...]:
        """Serials that servers hold of what is new here."""
        return tuple(
            serial
            for block, serial in self._held_by_servers.items()
            if serial is not None and self.tasks[block].keeper.current is None
        )

    async def _sources(self, signer: ZoneSigner) -> dict[str, frozenset[bytes] | None]:
        """The DNSKEY in the sources, where other signers' are among them."""
        signers = signer.config.multi_signer
        if signers is None or signers.files:
            return {}
        return {block: await task.dnskeys() for block, task in self.tasks.items()}

    async def _reverify(self) -> None:
        """Soon after the start, then daily."""
        wait = first_reverification(self.origin, self._spread)
        while True:
            await asyncio.sleep(wait)
            wait = REVERIFY_EVERY
            for task in self.tasks.values():
                # One zone at a time: what changes goes first.
                async with self._verifying:
                    try:
                        await task.reverify()
                    except (engine.EngineError, OSError) as error:
                        _log.error(
                            f"zone {self.origin}: it could not be verified again: "
                            f"{one_line(error)}; tried again in a day",
                            block=task.block,
                        )

    def _served(self) -> dict[str, engine.Zone]:
        return {
            block: task.keeper.current
            for block, task in self.tasks.items()
            if task.keeper.current is not None
        }

    def _say(self, problem: str) -> None:
        line = f"zone {self.origin}: {problem}"
        for task in self.tasks.values():
            if task.problem != problem:
                task.problem = problem
                _log.error(line, block=task.block)


def quiet(times: int) -> float:
    """Seconds until the next alarm of a zone, of which something was still due after so many
    alarms in a row: one step may lead to another, and what fails is not tried all the time."""
    return float(min(RETRY, PAUSE * 2 ** min(times, 10)))


def first_reverification(origin: dns.name.Name, spread: float = REVERIFY_SPREAD) -> float:
    """Seconds after a start, less than `spread`; by the zone's name, so that many zones are
    spread evenly."""
    digest = hashlib.sha256(str(origin.canonicalize()).encode()).digest()
    return int.from_bytes(digest[:4]) / 2**32 * spread
