"""*etcd*, layout skydns: one zone, from the keys below its prefix, as they change."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from concurrent.futures import Executor
from pathlib import Path

import attrs
import dns.name

import engine
from corefile.names import name_wire, zone_name
from zones.etcd import skydns
from zones.etcd.config import EtcdConfig
from zones.etcd.following import Following
from zones.etcd.holding import Holding
from zones.etcd.refusals import Refusals
from zones.etcd.rrsets import zone_text
from zones.etcd.tree import MOST_BELOW
from zones.increment import Increment, increment, sound_zone
from zones.offloop import OffLoop
from zones.source import Hint, Standing

# How long a reading waits for a first listing, in seconds.
FIRST_WAIT = 5.0
# Names are written in a thread when they are more than this, and a zone of which a larger part
# than one in so many has changed is read whole.
_MANY, _PART = 500, 2
# Names told of.
_NOTES = 3


@attrs.frozen
class _Offer:
    """What was read last: up to which change, of which revision."""

    number: int
    revision: int
    whole: bool


class SkydnsSource:
    """Follows etcd from the first `load` or `changes` on, until `stop`."""

    def __init__(
        self, origin: dns.name.Name, config: EtcdConfig, *, kept: Path, executor: Executor
    ) -> None:
        """`kept` is the file for the copy of etcd's keys."""
        self._origin = origin
        self._config = config
        self._off = OffLoop(executor)
        self._wire = name_wire(zone_name(str(origin)))
        name = f"zone {origin}"
        prefix = skydns.prefix(config.path, origin)
        self._refusals = Refusals(name)
        # Names that the engine does not take, whatever keys they are from.
        self._unsound = Refusals(name)
        self._holding = Holding(
            zone_name(str(origin)), prefix, config.times, config.most_entries, self._refusals
        )
        self.following = Following(name, config.cluster, prefix, self._holding, kept, executor)
        self.place = config.where(origin)
        self._offer: _Offer | None = None
        self._whole = True
        self._revision: int | None = None

    @property
    def origin(self) -> dns.name.Name:
        return self._origin

    # --- what a zone's owner asks -------------------------------------------------------------

    async def load(self) -> engine.Zone:
        """The zone as of the last revision taken, whole. Raises SourceError while none was."""
        self.following.start()
        await self.following.until(self.following.synced, self.place, FIRST_WAIT)
        async with self.following.changing:
            self._offer = _Offer(self._holding.number, self._holding.revision, whole=True)
            return await self._off.run(self._scan_whole)

    async def increment(self, base: engine.Zone) -> Increment | None:
        """What has changed since `base` was current; None where the whole is to be loaded."""
        async with self.following.changing:
            holding = self._holding
            dirty = len(holding.dirty)
            if self._whole or (dirty > _MANY and dirty * _PART > holding.tree.path_count):
                return None
            self._offer = _Offer(holding.number, holding.revision, whole=False)
            if dirty > _MANY:
                return await self._off.run(self._increment, base)
            return self._increment(base)

    async def taken(self) -> None:
        """What was read last is served."""
        offer, self._offer = self._offer, None
        if offer is not None:
            async with self.following.changing:
                self._holding.served(offer.number)
            self._whole = self._whole and not offer.whole
            self._revision = offer.revision

    async def changes(self) -> AsyncIterator[Hint]:
        """A hint for each burst: when nothing came for QUIET, or after `gather`."""
        self.following.start()
        wake = self.following.wake
        while True:
            await wake.wait()
            await self.following.gather(self._config.gather)
            wake.clear()
            yield Hint(self.place)

    async def list_again(self) -> None:
        """Raises SourceError."""
        await self.following.list_again(self.place)

    async def stop(self) -> None:
        await self.following.stop()

    def standing(self) -> Standing:
        """Where the zone stands; an entry that was left out changes nothing, and counts."""
        holding = self._holding
        idle = not holding.dirty and not self._whole
        return Standing(
            revision=holding.revision if idle else self._revision,
            behind=self.following.behind(holding.waiting_since),
            problem=self.following.problem,
            entries=len(holding.tree),
            left_out=len(self._refusals) + len(self._unsound),
            examples=(*self._unsound.examples(), *self._refusals.examples())[:_NOTES],
            notes=tuple(
                f"{holding.tree.name(path)} has more than {MOST_BELOW} entries below it and "
                "answers for none of them"
                for path in sorted(holding.tree.crowded)[:_NOTES]
            ),
        )

    # --- zones of text ------------------------------------------------------------------------

    def _scan_whole(self) -> engine.Zone:
        tree = self._holding.tree
        head = zone_text(tree.name(""), {"SOA": tree.records("")["SOA"]})
        texts = {tree.name(path): self._text(path) for path in tree.paths()}
        refused: dict[str, str] = {}
        zone = sound_zone(head, texts, self._wire, refused.__setitem__)
        self._unsound.keep({name.encode() for name in refused})
        self._take_note(refused)
        return zone

    def _increment(self, base: engine.Zone) -> Increment:
        tree = self._holding.tree
        texts = {tree.name(path): self._text(path) for path in self._holding.dirty}
        refused: dict[str, str] = {}
        found = increment(base, texts, refused.__setitem__)
        for name in texts.keys() - refused.keys():
            self._unsound.drop(name.encode())
        self._take_note(refused)
        return found

    def _text(self, path: str) -> str:
        """All records of a name but the SOA."""
        tree = self._holding.tree
        records = tree.records(path)
        if not path:
            records = {rtype: rrset for rtype, rrset in records.items() if rtype != "SOA"}
        return zone_text(tree.name(path), records)

    def _take_note(self, refused: Mapping[str, str]) -> None:
        for name, reason in refused.items():
            self._unsound.add(name.encode(), reason)
