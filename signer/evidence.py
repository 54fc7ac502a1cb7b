"""What was seen of our servers and of the parent, kept in the database: the clocks of all
waits start here, in lived time."""

import math
import sqlite3
from collections.abc import Mapping

import attrs
import dns.name

from signer import observer, tables
from signer.clock import Clock
from signer.ds import named_by
from signer.elapsed import Lived, Reading, since
from signer.keyset import Key, KeySet, RecordKind, State
from signer.observations import Observations, Subject
from signer.parent import ParentAnswer, Seen
from signer.state import StateDatabase
from signer.tables import Observation
from zones.serial import newer

_FIRST_SHOWN = "first:shown"
_FIRST_GONE = "first:gone"
_SHOWN = "shown"
_GONE = "gone"
_DS_ANYWHERE = "ds-anywhere"
_DS_TTL = "ds-ttl"
_PARENT_LOOKED = "parent-looked"


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
    keyset: KeySet,
    serial: int,
    lived: float,
) -> None:
    """Remember the first serial of a variant that has a record of ours, or lacks it again; a
    later one that is the same in this changes nothing."""
    known = {(one.what, one.subject) for one in tables.observations(db, origin)}
    for key in keyset.keys:
        for kind, record in key.records:
            if kind is RecordKind.DS or record.state is State.HIDDEN:
                continue
            there = key.visible(kind)
            now, then = (_FIRST_SHOWN, _FIRST_GONE) if there else (_FIRST_GONE, _FIRST_SHOWN)
            subject = f"{variant} {_subject(key, kind)}"
            if (then, subject) in known:
                tables.unsee(db, origin, then, subject)
            if (now, subject) not in known:
                tables.observe(db, origin, Observation(now, subject, serial, lived))


def forget_moved(db: sqlite3.Connection, before: KeySet, after: KeySet) -> None:
    """What was seen of a record before it changed is no evidence of what came after."""
    for key in after.keys:
        old = before.key(key.fingerprint)
        for kind, record in key.records:
            if old is not None and old.state(kind) != record.state:
                for what in (_SHOWN, _GONE):
                    tables.unsee(db, after.origin, what, _subject(key, kind))


def _subject(key: Key, kind: RecordKind) -> str:
    return f"{key.fingerprint} {kind.value}"


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
        anywhere = {one.subject for one in seen if one.what == _DS_ANYWHERE}

        def since_of(what: str) -> dict[Subject, float]:
            found: dict[Subject, float] = {}
            for one in seen:
                fingerprint, _, kind = one.subject.partition(" ")
                if one.what == what and fingerprint in known:
                    found[fingerprint, RecordKind(kind)] = one.since
            return found

        return Observations(
            shown=since_of(_SHOWN),
            gone=since_of(_GONE),
            ds_anywhere=frozenset(anywhere & known),
            ds_ttl=max((one.value for one in seen if one.what == _DS_TTL), default=0),
            zone_ttl=zone_ttl,
            parent_looked=max(
                (one.since for one in seen if one.what == _PARENT_LOOKED), default=None
            ),
            island=island,
        )

    async def parent(self, keyset: KeySet, answer: ParentAnswer) -> None:
        """Record which of our keys' DS the parent's servers show. Not knowing changes
        nothing: what was seen stays seen, and delays nothing but the next step."""
        if not isinstance(answer, Seen):
            return
        lived = await self.lived()

        def step(db: sqlite3.Connection) -> None:
            tables.unsee(db, self.origin, _PARENT_LOOKED, "")
            tables.observe(db, self.origin, Observation(_PARENT_LOOKED, "", 1, lived))
            for key in keyset.keys:
                if key.record(RecordKind.DS) is None:
                    continue
                subject = _subject(key, RecordKind.DS)
                everywhere = named_by(self.origin, key.dnskey, answer.common)
                anywhere = named_by(self.origin, key.dnskey, answer.any)
                for what, of, holds in (
                    (_SHOWN, subject, everywhere),
                    (_GONE, subject, not anywhere),
                    (_DS_ANYWHERE, key.fingerprint, anywhere),
                ):
                    if holds:
                        tables.observe(db, self.origin, Observation(what, of, 1, lived))
                    else:
                        tables.unsee(db, self.origin, what, of)
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
        """Our servers hold these serials (variant -> serial): a record is seen, or seen to be
        gone, once every variant's is at or past the first version that is so."""
        lived = await self.lived()

        def step(db: sqlite3.Connection) -> None:
            seen = tables.observations(db, self.origin)
            first = {(one.what, one.subject): one.value for one in seen}
            for key, kind, gone in _moving(keyset):
                what = _FIRST_GONE if gone else _FIRST_SHOWN
                subject = _subject(key, kind)
                pairs = [
                    (serial, first.get((what, f"{variant} {subject}")))
                    for variant, serial in serials.items()
                ]
                if pairs and all(_reached(serial, least) for serial, least in pairs):
                    found = Observation(_GONE if gone else _SHOWN, subject, 1, lived)
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
            for key, kind, gone in _moving(keyset):
                what = _FIRST_GONE if gone else _FIRST_SHOWN
                subject = _subject(key, kind)
                least = [
                    one.value
                    for one in seen
                    if one.what == what and one.subject.endswith(f" {subject}")
                ]
                reached = bool(least) and all(
                    any(_reached(serial, one) for one in least) for serial in answer.serials
                )
                agrees = kind is not RecordKind.DNSKEY or gone != (key.dnskey in answer.dnskeys)
                if reached and agrees:
                    found = Observation(_GONE if gone else _SHOWN, subject, 1, lived)
                    tables.observe(db, self.origin, found)

        await self.database.run(step)


def _moving(keyset: KeySet) -> list[tuple[Key, RecordKind, bool]]:
    """The records of ours that wait to be seen, or to be seen gone."""
    return [
        (key, kind, record.state is State.UNRETENTIVE)
        for key in keyset.keys
        for kind, record in key.records
        if kind is not RecordKind.DS and record.state in (State.RUMOURED, State.UNRETENTIVE)
    ]


def _reached(serial: int | None, least: int | None) -> bool:
    if serial is None or least is None:
        return False
    return serial == least or newer(serial, least)
