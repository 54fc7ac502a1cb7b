"""The Corefile's blocks while they are served: each has a catalog of its zones, for its servers."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Executor

import attrs
import dns.name

import engine
from corefile.link import LinkKey, catalog_name, derive
from corefile.names import name_wire
from zones import catalog
from zones.versions import VersionKeeper
from zoneward import logging
from zoneward.group import RETRY
from zoneward.notify import Change, Notifier
from zoneward.refusal import one_line
from zoneward.state import StateDirectory
from zoneward.transfer import Shelf

_log = logging.get("manager")


@attrs.define
class Block:
    """Its key, its catalog with the `members` that it lists, and the zones that it serves."""

    id: str
    key: LinkKey
    catalog_name: dns.name.Name
    catalog: VersionKeeper
    zones: dict[dns.name.Name, VersionKeeper] = attrs.field(factory=dict)
    members: frozenset[dns.name.Name] = frozenset()


class Blocks:
    """`again` is called, on the loop, some time after a catalog could not be written."""

    def __init__(
        self,
        state: StateDirectory,
        notifier: Notifier,
        executor: Executor,
        again: Callable[[], object],
    ) -> None:
        self._state = state
        self._notifier = notifier
        self._executor = executor
        self._again = again
        self._link = state.read_link()
        self._found: dict[str, Block] = {}

    def __getitem__(self, block_id: str) -> Block:
        return self._found[block_id]

    def known(self, block_id: str) -> set[dns.name.Name]:
        """What the block's catalog lists now, or did before the last stop."""
        if (block := self._found.get(block_id)) is not None:
            return set(block.members)
        zone = self._catalog_keeper(block_id).open()
        return set() if zone is None else set(catalog.members(zone))

    def serving(self, origin: dns.name.Name) -> tuple[str, ...]:
        """The blocks that list a zone."""
        return tuple(block.id for block in self._found.values() if origin in block.members)

    def _catalog_keeper(self, block_id: str) -> VersionKeeper:
        return VersionKeeper(self._state.zone(block_id, "@catalog"))

    async def apply(self, members: Mapping[str, frozenset[dns.name.Name]]) -> None:
        """Serve these blocks with these zones, and no other. Raises EngineError and OSError for
        a catalog that can't be read."""
        loop = asyncio.get_running_loop()
        for gone in self._found.keys() - members.keys():
            del self._found[gone]
        for block_id, names in members.items():
            block = self._found.get(block_id)
            if block is None:
                keeper = self._catalog_keeper(block_id)
                await loop.run_in_executor(self._executor, keeper.open)
                name = dns.name.from_text(catalog_name(block_id))
                block = Block(block_id, derive(self._link, block_id), name, keeper)
                self._found[block_id] = block
            block.members = names
            for origin in block.zones.keys() - names:
                del block.zones[origin]
            fresh = catalog.build(
                block.catalog_name, names, block.catalog.current, int(time.time())
            )
            if fresh is not None:
                await self._write_catalog(block, fresh)

    async def _write_catalog(self, block: Block, fresh: engine.Zone) -> None:
        before = block.catalog.current
        diff = None if before is None else before.difference(fresh)
        loop = asyncio.get_running_loop()
        try:
            await loop.run_in_executor(self._executor, block.catalog.write, fresh, diff)
        except (engine.EngineError, OSError) as error:
            _log.error(
                f"{one_line(error)}; the block's servers keep the list of zones they have, "
                f"tried again in {RETRY:.0f} s",
                block=block.id,
            )
            loop.call_later(RETRY, self._again)
        else:
            self._tell(block, block.catalog_name, fresh.serial)

    def shelves(self) -> list[Shelf]:
        """What servers can fetch."""
        return [
            Shelf(
                block.id,
                block.key,
                {
                    name_wire(str(block.catalog_name)): block.catalog,
                    **{name_wire(str(name)): keeper for name, keeper in block.zones.items()},
                },
            )
            for block in self._found.values()
        ]

    def tell_catalogs(self) -> None:
        """To servers that wait between two attempts: there is somebody again."""
        for block in self._found.values():
            if block.catalog.current is not None:
                self._tell(block, block.catalog_name, block.catalog.current.serial)

    def tell_zone(self, block_id: str, origin: dns.name.Name, serial: int) -> None:
        """A zone has another version."""
        if (block := self._found.get(block_id)) is not None:
            self._tell(block, origin, serial)

    def _tell(self, block: Block, origin: dns.name.Name, serial: int) -> None:
        self._notifier.tell(Change(name_wire(str(origin)), serial, block.key))
