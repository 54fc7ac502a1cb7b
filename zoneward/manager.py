"""The manager: blocks, their catalogs, their zones; brought in line with a plan."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path

import attrs
import dns.name

import engine
from corefile.link import LinkKey, catalog_name, derive
from corefile.names import directory_name, name_wire
from keystore import KeyStore, KeystoreConfig, open_configured
from keystore.files import FileKeyStore
from signer.chain import AnswerCache
from signer.clock import SystemClock
from signer.config import MultiSigner, Observe, ObserveConfig, SignConfig
from signer.dsync import Finder, Herald
from signer.livedtime import LivedTime
from signer.neighbour import Neighbours
from signer.observer import DnsServersView
from signer.parent import DnsParentView
from signer.scheduler import Ring
from signer.service import ZoneSigner
from signer.state import StateDatabase
from zones import catalog
from zones.auto import AutoDirectory, Found, Listing
from zones.config import ZoneSpec
from zones.file import FileSource
from zones.overlay import OverlaidSource
from zones.source import Source, SourceError
from zones.versions import VersionKeeper
from zones.watch import DirectoryWatch
from zoneward import logging
from zoneward.configuration import BlockPlan, ManagerPlan, shared
from zoneward.couriers import Couriers
from zoneward.duetimes import DueTimes
from zoneward.group import RETRY, GroupPlan, NameGroup
from zoneward.notify import Change, Notifier
from zoneward.refusal import one_line
from zoneward.signals import Signalling
from zoneward.state import StateDirectory
from zoneward.transfer import Shelf, TransferService
from zoneward.zonetask import ZoneTask

_log = logging.get("manager")


@attrs.define
class _Block:
    """A block while it is served: its key, its catalog, and what it serves."""

    id: str
    key: LinkKey
    catalog_name: dns.name.Name
    catalog: VersionKeeper
    zones: dict[dns.name.Name, VersionKeeper] = attrs.field(factory=dict)
    members: frozenset[dns.name.Name] = frozenset()


class Manager:
    """Everything that runs on the manager's one loop. `apply` first, then `run`."""

    def __init__(self, state: StateDirectory, plan: ManagerPlan, database: StateDatabase) -> None:
        self.state = state
        self.plan = plan
        self.database = database
        self.groups: dict[dns.name.Name, NameGroup] = {}
        self.broken: dict[tuple[str, dns.name.Name], str] = {}
        self._blocks: dict[str, _Block] = {}
        self._link = state.read_link()
        self._lived = LivedTime(database, SystemClock())
        self._keystores: dict[KeystoreConfig, FileKeyStore] = {}
        self._couriers = Couriers(database)
        self._answers = AnswerCache()
        cores = os.cpu_count() or 1
        self._work = ThreadPoolExecutor(max(4, cores), thread_name_prefix="work")
        # Apart, so that servers get what is there while a large zone is being signed.
        self._serve = ThreadPoolExecutor(4, thread_name_prefix="transfer")
        self._watch = DirectoryWatch()
        self._notifier = Notifier(state.notify_socket)
        self.transfer = TransferService(self._serve, self._observed)
        self._applying = asyncio.Lock()
        self._verifying = asyncio.Lock()
        self._neighbours = Neighbours()
        self._background: set[asyncio.Task[object]] = set()
        self._listed: dict[AutoDirectory, Listing] = {}
        self._followers: dict[tuple[str, AutoDirectory], asyncio.Task[None]] = {}
        self._due: DueTimes[NameGroup] = DueTimes()
        # Groups whose time may be another than `_due` has.
        self._moved: set[NameGroup] = set()
        self._signals = Signalling(self._load_again)
        self.rearm = asyncio.Event()

    # --- bringing in line with a plan --------------------------------------------------

    async def apply(self, plan: ManagerPlan) -> None:
        """Start, change and end what differs from now. What can't start is said and left
        out; it never stops the rest."""
        async with self._applying:
            self.plan = plan
            wanted, members = await self._wanted(plan)
            for origin in [
                name for name, group in self.groups.items() if wanted.get(name) != group.plan
            ]:
                group = self.groups.pop(origin)
                await group.stop()
                self._touch(group)
            for group in self.groups.values():
                group.reread()
            self.broken.clear()
            await self._apply_blocks(plan, members)
            fresh = [
                await self._build(group, len(wanted))
                for origin, group in wanted.items()
                if origin not in self.groups
            ]
            self._stock()
            self.groups.update({group.origin: group for group in fresh})
            # Before they start: what was signalled before a restart still is.
            self._signals.refresh(self.groups.values())
            for group in fresh:
                group.launch()
            self._follow(plan)

    async def _wanted(
        self, plan: ManagerPlan
    ) -> tuple[dict[dns.name.Name, GroupPlan], dict[str, frozenset[dns.name.Name]]]:
        """The names to run, and what each block's catalog lists: also names whose directory
        can't be read now, which its servers are to keep."""
        variants: dict[dns.name.Name, list[tuple[str, ZoneSpec]]] = {}
        signs: dict[dns.name.Name, SignConfig | None] = {}
        members: dict[str, frozenset[dns.name.Name]] = {}
        for block in plan.blocks:
            specs, kept = await self._specs(block)
            listed = {spec.origin for spec in specs} | kept
            policy = shared(block.sign)
            for spec in specs:
                sign = None if block.signed(spec.origin) is None else policy
                if signs.setdefault(spec.origin, sign) != sign:
                    _log.error(
                        f"zone {spec.origin}: its blocks sign it differently, though they share "
                        "its keys; give their sign directives the same policy",
                        block=block.id,
                    )
                    listed.discard(spec.origin)
                    continue
                variants.setdefault(spec.origin, []).append((block.id, spec))
            members[block.id] = frozenset(listed)
        return {
            origin: GroupPlan(origin, tuple(found), signs[origin])
            for origin, found in variants.items()
        }, members

    async def _specs(self, block: BlockPlan) -> tuple[list[ZoneSpec], set[dns.name.Name]]:
        specs = {spec.origin: spec for spec in block.zones}
        kept: set[dns.name.Name] = set()
        for auto in block.autos:
            try:
                found = await self._find(auto)
            except SourceError as error:
                _log.error(f"auto: {error}; its zones stay as they are", block=block.id)
                known = self._known(block.id) - specs.keys()
                running = {
                    origin: spec
                    for origin in known
                    if (group := self.groups.get(origin)) is not None
                    for variant, spec in group.plan.variants
                    if variant == block.id
                }
                specs.update(running)
                kept |= known - running.keys()
                continue
            for line in found.passed_over:
                _log.warning(f"auto: passed over {line}", block=block.id)
            for origin, path in found.zones.items():
                specs.setdefault(origin, _auto_spec(origin, path, auto, block))
        return list(specs.values()), kept

    async def _find(self, auto: AutoDirectory) -> Found:
        """Raises SourceError; the directory is then looked at again."""
        self._listed.pop(auto, None)
        found = await asyncio.get_running_loop().run_in_executor(self._work, auto.find)
        self._listed[auto] = found.listing
        return found

    def _known(self, block_id: str) -> set[dns.name.Name]:
        """What the block's catalog lists now, or did before the last stop."""
        if (block := self._blocks.get(block_id)) is not None:
            return set(block.members)
        keeper = self._catalog_keeper(block_id)
        zone = keeper.open()
        return set() if zone is None else set(catalog.members(zone))

    def _catalog_keeper(self, block_id: str) -> VersionKeeper:
        return VersionKeeper(self.state.zone(block_id, "@catalog"))

    async def _apply_blocks(
        self, plan: ManagerPlan, members: dict[str, frozenset[dns.name.Name]]
    ) -> None:
        loop = asyncio.get_running_loop()
        for gone in self._blocks.keys() - members.keys():
            del self._blocks[gone]
        for block_id, names in members.items():
            block = self._blocks.get(block_id)
            if block is None:
                keeper = self._catalog_keeper(block_id)
                await loop.run_in_executor(self._work, keeper.open)
                name = dns.name.from_text(catalog_name(block_id))
                block = _Block(block_id, derive(self._link, block_id), name, keeper)
                self._blocks[block_id] = block
            block.members = names
            for origin in block.zones.keys() - names:
                del block.zones[origin]
            fresh = catalog.build(
                block.catalog_name, names, block.catalog.current, int(time.time())
            )
            if fresh is not None:
                await self._write_catalog(block, fresh)

    async def _write_catalog(self, block: _Block, fresh: engine.Zone) -> None:
        before = block.catalog.current
        diff = None if before is None else before.difference(fresh)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._work, block.catalog.write, fresh, diff)
        except (engine.EngineError, OSError) as error:
            _log.error(
                f"{one_line(error)}; the block's servers keep the list of zones they have, "
                f"tried again in {RETRY:.0f} s",
                block=block.id,
            )
            loop.call_later(RETRY, self._apply_again)
        else:
            self._tell(block, block.catalog_name, fresh.serial)

    def _apply_again(self) -> asyncio.Task[None]:
        """In a task of its own: `apply` may cancel who asks for it."""
        task = asyncio.create_task(self.apply(self.plan))
        self._background.add(task)
        task.add_done_callback(self._background.discard)
        return task

    async def _build(self, plan: GroupPlan, zones: int) -> NameGroup:
        loop = asyncio.get_running_loop()
        name = directory_name(str(plan.origin))
        signer = None if plan.sign is None else self._signer(plan.origin, plan.sign, name)
        tasks: dict[str, ZoneTask] = {}
        for block_id, spec in plan.variants:
            block = self._blocks[block_id]
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
            block.zones[plan.origin] = keeper
            source: Source = FileSource(
                plan.origin, spec.path, reload=spec.reload, watch=self._watch, executor=self._work
            )
            if plan.sign is not None and plan.sign.signal:
                source = OverlaidSource(source, self._signals.lay(plan.origin), self._work)
            tasks[block_id] = ZoneTask(
                block_id,
                source,
                str(spec.path),
                keeper,
                signer,
                self._work,
                self._published,
                passed=self._passed,
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

    def _signer(self, origin: dns.name.Name, sign: SignConfig, name: str) -> ZoneSigner:
        memory = self.state.memory(name)
        memory.parent.mkdir(mode=0o700, exist_ok=True)
        return ZoneSigner(
            origin,
            sign,
            self.keystore(sign),
            self.database,
            SystemClock(),
            DnsParentView(sign.parent, cache=self._answers),
            self._work,
            memory=memory,
            servers=DnsServersView(
                sign.observe, own=self._listens(origin), neighbours=self._neighbours
            ),
            courier=self._couriers.courier(origin, sign.registrar, self.plan.directory),
            herald=_herald(origin, sign),
            lived=self._lived,
            everybody=None if sign.multi_signer is None else _everybody(sign.multi_signer),
        )

    def _listens(self, origin: dns.name.Name) -> tuple[tuple[str, int], ...]:
        """Where this machine's server, if one runs, answers for a zone."""
        blocks = {block.id: block for block in self.plan.blocks}
        found = (
            blocks[block_id].listens
            for block_id, block in self._blocks.items()
            if block_id in blocks and origin in block.members
        )
        return tuple(dict.fromkeys(endpoint for listens in found for endpoint in listens))

    def _stock(self) -> None:
        self.transfer.stock(
            [
                Shelf(
                    block.id,
                    block.key,
                    {
                        name_wire(str(block.catalog_name)): block.catalog,
                        **{name_wire(str(name)): keeper for name, keeper in block.zones.items()},
                    },
                )
                for block in self._blocks.values()
            ]
        )

    def _follow(self, plan: ManagerPlan) -> None:
        """Watch the directories of *auto*."""
        wanted = {(block.id, auto) for block in plan.blocks for auto in block.autos}
        for gone in self._followers.keys() - wanted:
            self._followers.pop(gone).cancel()
        for fresh in wanted - self._followers.keys():
            self._followers[fresh] = asyncio.create_task(self._follow_auto(fresh[1]))

    async def _follow_auto(self, auto: AutoDirectory) -> None:
        async for _ in auto.changes(self._watch, lambda: self._listed.get(auto)):
            await asyncio.wait([self._apply_again()])

    # --- running -----------------------------------------------------------------------

    async def run(self) -> None:
        """Watch files and tell servers, until cancelled."""
        for block in self._blocks.values():
            if block.catalog.current is not None:
                # To a server that waits between two attempts: there is somebody again.
                self._tell(block, block.catalog_name, block.catalog.current.serial)
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch.run())
            group.create_task(self._notifier.run())

    async def close(self) -> None:
        """End all tasks and threads."""
        self._signals.close()
        for follower in self._followers.values():
            follower.cancel()
        signers = [group.signer for group in self.groups.values() if group.signer is not None]
        if all(group.started for group in self.groups.values()) and not any(
            signer.held for signer in signers
        ):
            self.state.restored.unlink(missing_ok=True)
        await asyncio.gather(
            *(group.stop() for group in self.groups.values()), return_exceptions=True
        )
        self._neighbours.close()
        await self.transfer.close()
        self._couriers.close()
        self._work.shutdown(cancel_futures=True)
        self._serve.shutdown(cancel_futures=True)
        for store in self._keystores.values():
            store.close()

    def keystore(self, sign: SignConfig) -> KeyStore:
        """The store of a zone's keys: its own, or the global one. One object a store."""
        config = sign.keystore or self.plan.keystore
        if config not in self._keystores:
            self._keystores[config] = open_configured(
                config, self.state.manager, self.plan.directory, os.environ
            )
        return self._keystores[config]

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
        block, zone = self._blocks.get(task.block), task.keeper.current
        if block is not None and zone is not None:
            self._tell(block, task.origin, zone.serial)
        group = self.groups.get(task.origin)
        if group is not None:
            self._signals.published(group)

    def _load_again(self, origin: dns.name.Name) -> None:
        group = self.groups.get(origin)
        for task in () if group is None else group.tasks.values():
            task.ask(load=True)

    def _tell(self, block: _Block, origin: dns.name.Name, serial: int) -> None:
        self._notifier.tell(Change(name_wire(str(origin)), serial, block.key))

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


def _everybody(signers: MultiSigner) -> DnsServersView:
    """Asks all that answer for a zone of several signers."""
    if signers.servers:
        return DnsServersView(ObserveConfig(Observe.ADDRESSES, signers.servers))
    return DnsServersView(ObserveConfig(Observe.ALL))


def _herald(origin: dns.name.Name, sign: SignConfig) -> Herald | None:
    """Where CDS are what carries the DS to the parent."""
    if sign.registrar is not None or sign.parent.island or not sign.policy.cds:
        return None
    return Herald(origin, Finder(sign.parent), SystemClock())


def _auto_spec(
    origin: dns.name.Name, path: Path, auto: AutoDirectory, block: BlockPlan
) -> ZoneSpec:
    return ZoneSpec(origin, path, auto.reload, block.place)
