"""The sources of the zones that run: what the manager keeps one of, however many zones have it."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor

import dns.name

from corefile.names import directory_name
from zones.config import AnyZone, EtcdZone
from zones.etcd.config import EtcdConfig
from zones.etcd.source import SkydnsSource
from zones.etcd.zonefile import TextSource, ZoneTexts, copy_name
from zones.file import FileSource
from zones.source import Source
from zones.watch import DirectoryWatch
from zoneward.configuration import ManagerPlan
from zoneward.state import StateDirectory


class Sources:
    """`changed` is called, on the loop, when an *etcd* that holds whole zones has others."""

    def __init__(
        self,
        state: StateDirectory,
        executor: Executor,
        watch: DirectoryWatch,
        changed: Callable[[], object],
    ) -> None:
        self._state = state
        self._executor = executor
        self._watch = watch
        self._changed = changed
        self._texts: dict[tuple[str, EtcdConfig], ZoneTexts] = {}

    def of(self, spec: AnyZone, block_id: str) -> Source:
        """A zone's source, for its task to follow."""
        if not isinstance(spec, EtcdZone):
            return FileSource(
                spec.origin,
                spec.path,
                reload=spec.reload,
                watch=self._watch,
                executor=self._executor,
            )
        if spec.config.layout == "zonefile":
            return TextSource(spec.origin, self._zone_texts(block_id, spec.config))
        kept = self._state.etcd_copy(block_id, directory_name(str(spec.origin)))
        return SkydnsSource(spec.origin, spec.config, kept=kept, executor=self._executor)

    async def zones(self, block_id: str, config: EtcdConfig) -> tuple[dns.name.Name, ...]:
        """Of an *etcd* that holds whole zones. Raises SourceError while nothing is known."""
        return await self._zone_texts(block_id, config).zones()

    def _zone_texts(self, block_id: str, config: EtcdConfig) -> ZoneTexts:
        """Followed from the first call on."""
        texts = self._texts.get((block_id, config))
        if texts is None:
            kept = self._state.etcd_copy(block_id, copy_name(config))
            texts = ZoneTexts(config, kept=kept, executor=self._executor, changed=self._changed)
            self._texts[block_id, config] = texts
            texts.start()
        return texts

    async def keep(self, plan: ManagerPlan) -> None:
        """End what is not of this plan."""
        wanted = {(block.id, config) for block in plan.blocks for config in block.etcds}
        for gone in self._texts.keys() - wanted:
            await self._texts[gone].stop()
            del self._texts[gone]

    async def close(self) -> None:
        for texts in self._texts.values():
            await texts.stop()
