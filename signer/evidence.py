"""What was seen of our servers and of the parent, kept in the database: the clocks of all
waits start here, in lived time."""

import math
import sqlite3
from collections.abc import Mapping

import attrs
import dns.name

import engine
from signer import observer, tables
from signer.clock import Clock
from signer.ds import named_by
from signer.elapsed import Lived, Reading, since
from signer.keyset import KeySet, Observations
from signer.parent import ParentAnswer, Seen
from signer.state import StateDatabase
from signer.tables import Observation
from zones.serial import newer

_FIRST = "first:"
_PUBLISHED = "published"
_DS = "ds"
_DS_ANYWHERE = "ds-anywhere"
_DS_TTL = "ds-ttl"


def cached_ds(answer: ParentAnswer) -> list[list[bytes]]:
    """The DS RRsets that caches may hold, as far as the parent was seen: what all of its
    servers show, and what some do."""
    if not isinstance(answer, Seen):
        return []
    return [sorted(found) for found in {answer.common, answer.any} if found]


def first_shown(
    db: sqlite3.Connection,
    origin: dns.name.Name,
    variant: str,
    fingerprint: str,
    zone: engine.Zone,
    lived: float,
) -> None:
    """Remember the first serial of a variant that has a key; a later one changes nothing."""
    subject = f"{variant} {fingerprint}"
    for seen in tables.observations(db, origin):
        if seen.what == _FIRST and seen.subject == subject:
            return
    tables.observe(db, origin, Observation(_FIRST, subject, zone.serial, lived))


@attrs.define
class Evidence:
    """Of one zone. Methods raise StateError."""

    origin: dns.name.Name
    database: StateDatabase
    clock: Clock
    _lived: Lived | None = attrs.field(init=False, default=None)

    def reading(self) -> Reading:
        clock = self.clock
        return Reading(clock.wall(), clock.boot(), clock.boot_id(), clock.synchronised())

    async def lived(self) -> float:
        """Lived seconds now; written down, so that the next start goes on from here."""
        reading = self.reading()

        def step(db: sqlite3.Connection) -> Lived:
            found = since(tables.load_lived(db), reading)
            tables.save_lived(db, found)
            return found

        self._lived = await self.database.run(step)
        return self._lived.seconds

    def until(self, lived: float) -> int:
        """Whole seconds from now until a moment in lived time, at least 0."""
        if self._lived is None:
            return 0
        now = since(self._lived, self.reading()).seconds
        return max(0, math.ceil(lived - now))

    def ago(self, lived: float) -> float:
        """Seconds since a moment in lived time."""
        if self._lived is None:
            return 0.0
        return max(0.0, since(self._lived, self.reading()).seconds - lived)

    async def gather(self, keyset: KeySet, island: bool) -> Observations:
        """Everything that was seen, as `keyset.advance` wants it."""
        seen, zone_ttl = await self.database.run(
            lambda db: (
                tables.observations(db, self.origin),
                tables.highest_ttl(db, self.origin),
            )
        )
        known = {key.fingerprint for key in keyset.keys}

        def since_of(what: str) -> dict[str, float]:
            return {
                one.subject: one.since for one in seen if one.what == what and one.subject in known
            }

        return Observations(
            published=since_of(_PUBLISHED),
            ds_since=since_of(_DS),
            ds_anywhere=frozenset(since_of(_DS_ANYWHERE)),
            ds_ttl=max((one.value for one in seen if one.what == _DS_TTL), default=0),
            zone_ttl=zone_ttl,
            island=island,
        )

    async def parent(self, keyset: KeySet, answer: ParentAnswer) -> None:
        """Record which of our keys' DS the parent's servers show. Not knowing changes
        nothing: what was seen stays seen, and delays nothing but the next step."""
        if not isinstance(answer, Seen):
            return
        lived = await self.lived()

        def step(db: sqlite3.Connection) -> None:
            for key in keyset.for_parent():
                for what, records in ((_DS, answer.common), (_DS_ANYWHERE, answer.any)):
                    if named_by(self.origin, key.dnskey, records):
                        seen = Observation(what, key.fingerprint, 1, lived)
                        tables.observe(db, self.origin, seen)
                    else:
                        tables.unsee(db, self.origin, what, key.fingerprint)
            if answer.any:
                before = [
                    seen.value
                    for seen in tables.observations(db, self.origin)
                    if seen.what == _DS_TTL
                ]
                highest = max([answer.ttl, *before])
                tables.observe(db, self.origin, Observation(_DS_TTL, "", highest, lived))

        await self.database.run(step)

    async def shown(self, keyset: KeySet, serials: Mapping[str, int | None]) -> None:
        """Our servers hold these serials (variant -> serial): a key is published once every
        variant's is at or past the first version that has it."""
        lived = await self.lived()

        def step(db: sqlite3.Connection) -> None:
            seen = tables.observations(db, self.origin)
            first = {one.subject: one.value for one in seen if one.what == _FIRST}
            for key in keyset.published():
                pairs = [
                    (serial, first.get(f"{variant} {key.fingerprint}"))
                    for variant, serial in serials.items()
                ]
                if pairs and all(_reached(serial, least) for serial, least in pairs):
                    found = Observation(_PUBLISHED, key.fingerprint, 1, lived)
                    tables.observe(db, self.origin, found)

        await self.database.run(step)

    async def servers(self, keyset: KeySet, addresses: tuple[tuple[str, int], ...]) -> None:
        """Ask our own servers, where any are configured, which keys and serial they show."""
        if not addresses:
            return
        answer = await observer.look(self.origin, addresses)
        if not isinstance(answer, observer.Shown):
            return
        lived = await self.lived()

        def step(db: sqlite3.Connection) -> None:
            seen = tables.observations(db, self.origin)
            first = [one for one in seen if one.what == _FIRST]
            for key in keyset.published():
                least = [one.value for one in first if one.subject.endswith(key.fingerprint)]
                reached = least and all(
                    any(_reached(serial, one) for one in least) for serial in answer.serials
                )
                if key.dnskey in answer.dnskeys and reached:
                    found = Observation(_PUBLISHED, key.fingerprint, 1, lived)
                    tables.observe(db, self.origin, found)

        await self.database.run(step)


def _reached(serial: int | None, least: int | None) -> bool:
    if serial is None or least is None:
        return False
    return serial == least or newer(serial, least)
