"""Which zones there are to be: by a plan, the directories of *auto*, which are watched, and what
*etcd* has where it holds whole zones."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Executor
from pathlib import Path

import attrs
import dns.name

from signer.config import SignConfig
from zones.auto import AutoDirectory, Found, Listing
from zones.config import AnyZone, EtcdZone, ZoneSpec
from zones.etcd.config import EtcdConfig
from zones.source import SourceError
from zones.watch import DirectoryWatch
from zoneward import logging
from zoneward.configuration import BlockPlan, ManagerPlan, shared
from zoneward.group import GroupPlan

_log = logging.get("manager")


@attrs.frozen
class Wanted:
    """The names to run, and what each block's catalog lists: also names whose directory can't
    be read now, which its servers are to keep."""

    groups: Mapping[dns.name.Name, GroupPlan]
    members: Mapping[str, frozenset[dns.name.Name]]


class Discovery:
    """`known` has what a block's catalog lists, `running` how its zones run now, `in_etcd` the
    zones that a block's *etcd* holds whole (it may raise SourceError). `changed` is called, on
    the loop, when a watched directory has others; its task is waited for."""

    def __init__(
        self,
        executor: Executor,
        watch: DirectoryWatch,
        known: Callable[[str], set[dns.name.Name]],
        running: Callable[[str], Mapping[dns.name.Name, AnyZone]],
        in_etcd: Callable[[str, EtcdConfig], Awaitable[tuple[dns.name.Name, ...]]],
        changed: Callable[[], asyncio.Task[None]],
    ) -> None:
        self._executor = executor
        self._watch = watch
        self._known = known
        self._running = running
        self._in_etcd = in_etcd
        self._changed = changed
        self._listed: dict[AutoDirectory, Listing] = {}
        self._followers: dict[tuple[str, AutoDirectory], asyncio.Task[None]] = {}

    async def find(self, plan: ManagerPlan) -> Wanted:
        """Look now. What can't be had is said and left as it is."""
        variants: dict[dns.name.Name, list[tuple[str, AnyZone]]] = {}
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
        groups = {
            origin: GroupPlan(origin, tuple(found), signs[origin])
            for origin, found in variants.items()
        }
        return Wanted(groups, members)

    async def _specs(self, block: BlockPlan) -> tuple[list[AnyZone], set[dns.name.Name]]:
        specs = {spec.origin: spec for spec in block.zones}
        kept: set[dns.name.Name] = set()
        for auto in block.autos:
            try:
                found = await self._look(auto)
            except SourceError as error:
                _log.error(f"auto: {error}; its zones stay as they are", block=block.id)
                kept |= self._stay(block, specs)
                continue
            for line in found.passed_over:
                _log.warning(f"auto: passed over {line}", block=block.id)
            for origin, path in found.zones.items():
                specs.setdefault(origin, _auto_spec(origin, path, auto, block))
        for config in block.etcds:
            try:
                origins = await self._in_etcd(block.id, config)
            except SourceError as error:
                _log.error(f"{error}; its zones stay as they are", block=block.id)
                kept |= self._stay(block, specs)
                continue
            for origin in origins:
                specs.setdefault(origin, EtcdZone(origin, config, block.place))
        return list(specs.values()), kept

    def _stay(self, block: BlockPlan, specs: dict[dns.name.Name, AnyZone]) -> set[dns.name.Name]:
        """Leave what runs in `specs`; what the catalog lists beside that."""
        known = self._known(block.id) - specs.keys()
        now = self._running(block.id)
        running = {origin: now[origin] for origin in known if origin in now}
        specs.update(running)
        return known - running.keys()

    async def _look(self, auto: AutoDirectory) -> Found:
        """Raises SourceError; the directory is then looked at again."""
        self._listed.pop(auto, None)
        found = await asyncio.get_running_loop().run_in_executor(self._executor, auto.find)
        self._listed[auto] = found.listing
        return found

    def follow(self, plan: ManagerPlan) -> None:
        """Watch the directories of this plan, and no other."""
        wanted = {(block.id, auto) for block in plan.blocks for auto in block.autos}
        for gone in self._followers.keys() - wanted:
            self._followers.pop(gone).cancel()
        for fresh in wanted - self._followers.keys():
            self._followers[fresh] = asyncio.create_task(self._follow(fresh[1]))

    async def _follow(self, auto: AutoDirectory) -> None:
        async for _ in auto.changes(self._watch, lambda: self._listed.get(auto)):
            await asyncio.wait([self._changed()])

    def close(self) -> None:
        for follower in self._followers.values():
            follower.cancel()


def _auto_spec(
    origin: dns.name.Name, path: Path, auto: AutoDirectory, block: BlockPlan
) -> ZoneSpec:
    return ZoneSpec(origin, path, auto.reload, block.place)
