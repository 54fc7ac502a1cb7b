"""The manager: blocks, their catalogs, their zones; brought in line with a plan."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime

import dns.name

import engine
from corefile.names import directory_name
from keystore import KeyStore
from signer.config import SignConfig
from signer.scheduler import Ring
from signer.service import ZoneSigner
from signer.state import StateDatabase
from zones.config import AnyZone
from zones.overlay import OverlaidSource
from zones.versions import VersionKeeper
from zones.watch import DirectoryWatch
from zoneward import logging
from zoneward.blocks import Blocks
from zoneward.configuration import ManagerPlan
from zoneward.discovery import Discovery
from zoneward.duetimes import DueTimes
from zoneward.group import GroupPlan, NameGroup
from zoneward.notify import Notifier
from zoneward.refusal import one_line
from zoneward.signals import Signalling
from zoneward.signers import Signers
from zoneward.sources import Sources
from zoneward.state import StateDirectory
from zoneward.transfer import TransferService
from zoneward.zonetask import ZoneTask

_log = logging.get("manager")


class Manager:
    """Everything that runs on the manager's one loop. `apply` first, then `run`."""

    def __init__(self, state: StateDirectory, plan: ManagerPlan, database: StateDatabase) -> None:
        self.state = state
        self.plan = plan
        self.groups: dict[dns.name.Name, NameGroup] = {}
        self.broken: dict[tuple[str, dns.name.Name], str] = {}
        cores = os.cpu_count() or 1
        self._work = ThreadPoolExecutor(max(4, cores), thread_name_prefix="work")
        # Apart, so that servers get what is there while a large zone is being signed.
        self._serve = ThreadPoolExecutor(4, thread_name_prefix="transfer")
        self._watch = DirectoryWatch()
        self._notifier = Notifier(state.notify_socket)
        self.transfer = TransferService(self._serve, self._observed)
        self._blocks = Blocks(state, self._notifier, self._work, self._apply_again)
        self._sources = Sources(state, self._work, self._watch, self._apply_again)
        self._discovery = Discovery(
            self._work,
            self._watch,
            self._blocks.known,
            self._running,
            self._sources.zones,
            self._apply_again,
        )
        self._signers = Signers(state, database, self._work)
        self._signals = Signalling(self._load_again)
        self._applying = asyncio.Lock()
        self._verifying = asyncio.Lock()
        self._background: set[asyncio.Task[object]] = set()
        self._due: DueTimes[NameGroup] = DueTimes()
        # Groups whose time may be another than `_due` has.
        self._moved: set[NameGroup] = set()
        self.rearm = asyncio.Event()

    # --- bringing in line with a plan --------------------------------------------------

    async def apply(self, plan: ManagerPlan) -> None:
        """Start, change and end what differs from now. What can't start is said and left
        out; it never stops the rest."""
        async with self._applying:
            self.plan = plan
            wanted = await self._discovery.find(plan)
            for origin in [
                name for name, group in self.groups.items() if wanted.groups.get(name) != group.plan
            ]:
                # Until it has stopped it is there for `close`, which may cut this off.
                group = self.groups[origin]
                await group.stop()
                del self.groups[origin]
                self._touch(group)
            await self._sources.keep(plan)
            for group in self.groups.values():
                group.reread()
            self.broken.clear()
            await self._blocks.apply(wanted.members)
            fresh = [
                await self._build(group, len(wanted.groups))
                for origin, group in wanted.groups.items()
                if origin not in self.groups
            ]
            self.transfer.stock(self._blocks.shelves())
            self.groups.update({group.origin: group for group in fresh})
            # Before they start: what was signalled before a restart still is.
            self._signals.refresh(self.groups.values())
            for group in fresh:
                group.launch()
            self._discovery.follow(plan)

    def _running(self, block_id: str) -> Mapping[dns.name.Name, AnyZone]:
        """How the zones of a block run now."""
        return {
            origin: spec
            for origin, group in self.groups.items()
            for variant, spec in group.plan.variants
            if variant == block_id
        }

    def _apply_again(self) -> asyncio.Task[None]:
        """In a task of its own: `apply` may cancel who asks for it."""
        task = asyncio.create_task(self.apply(self.plan))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _build(self, plan: GroupPlan, zones: int) -> NameGroup:
        loop = asyncio.get_running_loop()
        name = directory_name(str(plan.origin))
        sign = plan.signing
        signer = None if sign is None else self._signer(plan.origin, sign)
        tasks: dict[str, ZoneTask] = {}
        for block_id, spec in plan.variants:
            keeper = VersionKeeper(self.state.zone(block_id, name))
            try:
                await loop.run_in_executor(self._work, keeper.open)
            except (engine.EngineError, OSError) as error:
                problem = (
                    f"{one_line(error)}; it is left alone: restore {keeper.directory} from a "
                    "backup, or move it away to start from the source"
                )
                _log.error(f"zone {plan.origin}: {problem}", block=block_id)
                self.broken[block_id, plan.origin] = problem
                continue
            self._blocks[block_id].zones[plan.origin] = keeper
            source = self._sources.of(spec, block_id)
            if plan.sign is not None and plan.sign.signal:
                source = OverlaidSource(source, self._signals.lay(plan.origin), self._work)
            tasks[block_id] = ZoneTask(
                block_id,
                source,
                spec.where,
                keeper,
                signer,
                self._work,
                self._published,
                passed=self._passed,
                volatile=spec.volatile,
            )
        return NameGroup(
            plan,
            signer,
            tasks,
            self._touch,
            self._verifying,
            servers=self._servers_may_know(),
            zones=zones,
            restored=self.state.restored.exists(),
        )

    def _servers_may_know(self) -> bool:
        """Whether a server may have zones from a life before this one."""
        try:
            return self.plan.publish is not None or (self.state.server / "zones").exists()
        except PermissionError:
            # It is another user's: there may be anything.
            return True

    def _signer(self, origin: dns.name.Name, sign: SignConfig) -> ZoneSigner:
        return self._signers.make(origin, sign, self.plan, self._listens(origin))

    def _listens(self, origin: dns.name.Name) -> tuple[tuple[str, int], ...]:
        """Where this machine's server, if one runs, answers for a zone."""
        blocks = {block.id: block for block in self.plan.blocks}
        found = (
            blocks[block_id].listens
            for block_id in self._blocks.serving(origin)
            if block_id in blocks
        )
        return tuple(dict.fromkeys(endpoint for listens in found for endpoint in listens))

    # --- running -----------------------------------------------------------------------

    async def run(self) -> None:
        """Watch files and tell servers, until cancelled."""
        self._blocks.tell_catalogs()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run())
            group.create_task(self._notifier.run())

    async def close(self) -> None:
        """End all tasks and threads."""
        self._signals.close()
        # Who asks for an `apply` goes first, then those under way: what they start would stay.
        self._discovery.close()
        await self._sources.close()
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        signers = [group.signer for group in self.groups.values() if group.signer is not None]
        if all(group.started for group in self.groups.values()) and not any(
            signer.held for signer in signers
        ):
            self.state.restored.unlink(missing_ok=True)
        await asyncio.gather(
            *(group.stop() for group in self.groups.values()), return_exceptions=True
        )
        await self.transfer.close()
        self._work.shutdown(cancel_futures=True)
        self._serve.shutdown(cancel_futures=True)
        self._signers.close()

    def keystore(self, sign: SignConfig) -> KeyStore:
        """The store of a zone's keys: its own, or the global one."""
        return self._signers.keystore(sign, self.plan)

    def next_due(self) -> datetime | None:
        """When `ring` is due."""
        for group in self._moved:
            running = self.groups.get(group.origin) is group
            self._due.set(group, group.due() if running else None)
        self._moved.clear()
        return self._due.earliest()

    async def ring(self, ring: Ring) -> None:
        """An alarm: every zone whose time has come does what is due, and says when that is
        done; all of them look at their keys after the clock jumped or the machine slept."""
        due = self._due.take(datetime.now(UTC))
        for group in due if ring.reason == "due" else list(self.groups.values()):
            group.ring()
        self.rearm.set()

    def _touch(self, group: NameGroup) -> None:
        self._moved.add(group)
        self.rearm.set()

    def _passed(self, task: ZoneTask) -> None:
        """A pass has ended: what its keys wait for may be something else."""
        group = self.groups.get(task.origin)
        if group is not None:
            self._touch(group)

    def tasks(self) -> Iterable[ZoneTask]:
        return (task for group in self.groups.values() for task in group.tasks.values())

    def _published(self, task: ZoneTask) -> None:
        zone = task.keeper.current
        if zone is not None:
            self._blocks.tell_zone(task.block, task.origin, zone.serial)
        group = self.groups.get(task.origin)
        if group is not None:
            self._signals.published(group)

    def _load_again(self, origin: dns.name.Name) -> None:
        group = self.groups.get(origin)
        for task in () if group is None else group.tasks.values():
            task.ask(load=True)

    def _observed(self, block: str, origin: bytes, serial: int | None, foreign: bool) -> None:
        name, _ = dns.name.from_wire(origin, 0)
        group = self.groups.get(name)
        if group is None or block not in group.tasks:
            return
        group.heard(block, serial)
        if serial is None:
            return
        if group.signer is None:
            group.tasks[block].server_holds(serial, foreign=foreign)
            return
        task = asyncio.create_task(self._take_note(group, group.signer, block, serial, foreign))
        self._background.add(task)
        task.add_done_callback(self._observed_done)

    async def _take_note(
        self, group: NameGroup, signer: ZoneSigner, block: str, serial: int, foreign: bool
    ) -> None:
        task = group.tasks[block]
        if await signer.observed(block, serial, foreign=foreign):
            if signer.held is None:
                _log.warning(
                    f"zone {task.origin}: the server holds a serial {serial} that is not of this "
                    "state; signing anew above it",
                    block=block,
                )
            task.ask()
        self._touch(group)

    def _observed_done(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.warning("an observation was lost", reason=one_line(error))
