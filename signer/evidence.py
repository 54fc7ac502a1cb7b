"""What was seen of our servers and of the parent, kept in the database: the clocks of all
waits start here, in lived time."""

import math
import sqlite3
from collections.abc import Collection, Iterable, Mapping

import attrs
import dns.name

from signer import sightings, tables
from signer.clock import Clock
from signer.ds import named_by
from signer.elapsed import Lived, since
from signer.keyset import KeySet, RecordKind, State
from signer.livedtime import LivedTime
from signer.observations import Observations
from signer.observer import Shown
from signer.parent import ParentAnswer, Seen
from signer.policy import Policy
from signer.state import StateDatabase
from signer.tables import Observation

_FIRST_SHOWN = "first:shown"
_FIRST_GONE = "first:gone"
_SHOWN = "shown"
_GONE = "gone"
_DS_ANYWHERE = "ds-anywhere"
_DS_STRANGE = "ds-strange"
_DS_TTL = "ds-ttl"
_DS_RRSET = "ds-rrset"
_DNSKEY_TTL = "dnskey-ttl"
_SHARED = "shared"
_PARENT_LOOKED = "parent-looked"


def first_shown(
    db: sqlite3.Connection,
    origin: dns.name.Name,
    variant: str,
    contents: Mapping[str, bool],
    serial: int,
    lived: float,
) -> None:
    """Remember the first serial of a variant that shows a subject, or lacks it again; a later
    one that is the same in this changes nothing."""
    known = {(one.what, one.subject) for one in tables.observations(db, origin)}
    for name, there in contents.items():
        now, then = (_FIRST_SHOWN, _FIRST_GONE) if there else (_FIRST_GONE, _FIRST_SHOWN)
        subject = f"{variant} {name}"
        if (then, subject) in known:
            tables.unsee(db, origin, then, subject)
        if (now, subject) not in known:
            tables.observe(db, origin, Observation(now, subject, serial, lived))
        if there and name.startswith("ttl "):
            ttl = int(name.removeprefix("ttl "))
            highest = max([ttl, *_values(tables.observations(db, origin), _DNSKEY_TTL)])
            tables.observe(db, origin, Observation(_DNSKEY_TTL, "", highest, lived))


def forget_moved(db: sqlite3.Connection, before: KeySet, after: KeySet) -> None:
    """What was seen of a record before it changed is no evidence of what came after."""
    for subject in sightings.moved(before, after):
        for what in (_SHOWN, _GONE, _SHARED):
            tables.unsee(db, after.origin, what, subject)


def _looked(seen: Iterable[Observation]) -> float | None:
    return max((one.since for one in seen if one.what == _PARENT_LOOKED), default=None)


def _values(seen: Iterable[Observation], what: str) -> list[int]:
    return [one.value for one in seen if one.what == what]


@attrs.define
class Evidence:
    """Of one zone. Methods raise StateError."""

    origin: dns.name.Name
    database: StateDatabase
    clock: Clock
    time: LivedTime
    _lived: Lived | None = attrs.field(init=False, default=None)

    async def lived(self, witness: int | None = None) -> float:
        """Lived seconds now. `witness` is a moment that has passed for certain, in Unix
        seconds."""
        self._lived = await self.time.now(witness)
        return self._lived.seconds

    def now(self) -> float:
        """Lived seconds now, without writing them down."""
        return 0.0 if self._lived is None else since(self._lived, self.time.reading()).seconds

    def until(self, lived: float) -> int:
        """Whole seconds from now until a moment in lived time, at least 0."""
        if self._lived is None:
            return 0
        now = since(self._lived, self.time.reading()).seconds
        return max(0, math.ceil(lived - now))

    def ago(self, lived: float) -> float:
        """Seconds since a moment in lived time."""
        if self._lived is None:
            return 0.0
        return max(0.0, since(self._lived, self.time.reading()).seconds - lived)

    async def gather(
        self,
        keyset: KeySet,
        policy: Policy,
        *,
        island: bool,
        dnskey_expires: int | None = None,
    ) -> Observations:
        """Everything that was seen, as `signer.advance` wants it. `dnskey_expires`: when the
        DNSKEY RRset's signatures end, in Unix seconds."""
        seen, zone_ttl = await self.database.run(
            lambda db: (tables.observations(db, self.origin), tables.highest_ttl(db, self.origin))
        )
        shown = {one.subject: one.since for one in seen if one.what == _SHOWN}
        gone = {one.subject: one.since for one in seen if one.what == _GONE}
        records = {
            sightings.of_key(key, kind): (key.fingerprint, kind)
            for key in keyset.keys
            for kind, _ in key.records
        }
        denials = {sightings.of_denial(one.nsec3): one.nsec3 for one in keyset.denials}
        foreign = {sightings.of_foreign(one.dnskey): one.dnskey for one in keyset.foreign}
        anywhere = {one.subject for one in seen if one.what == _DS_ANYWHERE}
        dnskey_ttl = max(_values(seen, _DNSKEY_TTL), default=0)
        lowered = shown.get(sightings.of_ttl(policy.dnskey_ttl))
        now = 0.0 if self._lived is None else self._lived.seconds
        if lowered is not None and now >= lowered + dnskey_ttl + policy.propagation:
            dnskey_ttl = policy.dnskey_ttl
        return Observations(
            shown={records[name]: since for name, since in shown.items() if name in records},
            gone={records[name]: since for name, since in gone.items() if name in records},
            denial={denials[name]: since for name, since in shown.items() if name in denials},
            foreign={foreign[name]: since for name, since in shown.items() if name in foreign},
            foreign_gone={foreign[name]: since for name, since in gone.items() if name in foreign},
            shared={
                records[one.subject][0]: (one.since, one.value)
                for one in seen
                if one.what == _SHARED and one.subject in records
            },
            ds_anywhere=frozenset(anywhere & {key.fingerprint for key in keyset.keys}),
            strange_ds=any(_values(seen, _DS_STRANGE)),
            ds_ttl=max(_values(seen, _DS_TTL), default=0),
            zone_ttl=zone_ttl,
            dnskey_ttl=dnskey_ttl,
            dnskey_ttl_since=lowered,
            parent_looked=_looked(seen),
            island=island,
            dnskey_expires=None
            if dnskey_expires is None
            else now + (dnskey_expires - self.clock.wall()),
        )

    async def parent(self, keyset: KeySet, answer: ParentAnswer, watched: float) -> None:
        """Record which of our keys' DS the parent's servers show. Not knowing changes
        nothing: what was seen stays seen, and delays nothing but the next step.

        But a DS that was withdrawn before all servers had it may come to some of them yet, and
        go again: that it is gone counts from where looks were never more than `watched`
        seconds apart."""
        if not isinstance(answer, Seen):
            return
        lived = await self.lived(answer.made_after)

        def step(db: sqlite3.Connection) -> None:
            before = _looked(tables.observations(db, self.origin))
            gap = before is None or lived - before > watched
            tables.observe_again(db, self.origin, Observation(_PARENT_LOOKED, "", 1, lived))
            for key in keyset.keys:
                record = key.record(RecordKind.DS)
                if record is None:
                    continue
                subject = sightings.of_key(key, RecordKind.DS)
                if record.partial and gap:
                    tables.unsee(db, self.origin, _GONE, subject)
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
            strange = sum(
                not any(named_by(self.origin, key.dnskey, [ds]) for key in keyset.keys)
                for ds in answer.any
            )
            seen = Observation(_DS_STRANGE, "", strange, lived)
            tables.observe(db, self.origin, seen)
            if answer.any:
                self._ds_ttl(db, answer.ttl, lived)
            self._ds_rrsets(db, answer, lived)

        await self.database.run(step)

    def _ds_rrsets(self, db: sqlite3.Connection, answer: Seen, lived: float) -> None:
        for one in tables.observations(db, self.origin):
            if one.what == _DS_RRSET and lived >= one.since + one.value:
                tables.unsee(db, self.origin, _DS_RRSET, one.subject)
        for found in {answer.common, answer.any}:
            if found:
                subject = " ".join(ds.hex() for ds in sorted(found))
                seen = Observation(_DS_RRSET, subject, answer.ttl, lived)
                tables.observe_again(db, self.origin, seen)

    async def cached_ds(self) -> list[list[bytes]]:
        """The DS RRsets that caches may hold, as far as the parent was seen: what the last look
        found at all of its servers or at some, however long ago that was, and for its TTL
        what was there before."""
        lived = await self.lived()
        seen = await self.database.run(lambda db: tables.observations(db, self.origin))
        looked = _looked(seen)
        return [
            [bytes.fromhex(ds) for ds in one.subject.split(" ")]
            for one in seen
            if one.what == _DS_RRSET and (one.since == looked or lived < one.since + one.value)
        ]

    def _ds_ttl(self, db: sqlite3.Connection, ttl: int, lived: float) -> None:
        """Keep the highest that caches may still hold: a lower one counts once the last sight
        of the higher is as long ago as that lasts."""
        before = [one for one in tables.observations(db, self.origin) if one.what == _DS_TTL]
        held = max((one.value for one in before if lived < one.since + one.value), default=0)
        if ttl >= held:
            tables.observe_again(db, self.origin, Observation(_DS_TTL, "", ttl, lived))

    async def confirm_ds(self, keyset: KeySet, state: State) -> tuple[str, ...]:
        """A person's word, where the parent can't be asked: every DS that is `RUMOURED` is
        there, or every one that is `UNRETENTIVE` is gone. The fingerprints that it is about."""
        lived = await self.lived()
        keys = [key for key in keyset.keys if key.state(RecordKind.DS) is state]

        def step(db: sqlite3.Connection) -> None:
            for key in keys:
                subject = sightings.of_key(key, RecordKind.DS)
                there = state is State.RUMOURED
                now, then = (_SHOWN, _GONE) if there else (_GONE, _SHOWN)
                tables.unsee(db, self.origin, then, subject)
                tables.observe(db, self.origin, Observation(now, subject, 1, lived))
                if there:
                    seen = Observation(_DS_ANYWHERE, key.fingerprint, 1, lived)
                    tables.observe(db, self.origin, seen)
                else:
                    tables.unsee(db, self.origin, _DS_ANYWHERE, key.fingerprint)

            tables.observe_again(db, self.origin, Observation(_PARENT_LOOKED, "", 1, lived))

        await self.database.run(step)
        return tuple(key.fingerprint for key in keys)

    async def acknowledged(
        self, keyset: KeySet, policy: Policy, serials: Mapping[str, int | None]
    ) -> None:
        """Our server holds these serials (variant -> serial): a subject is seen, or seen to be
        gone, once every variant's is at or past the first version that is so."""
        waits = sightings.awaited(keyset, policy)
        if not waits or not serials:
            return
        lived = await self.lived()

        def step(db: sqlite3.Connection) -> None:
            seen = tables.observations(db, self.origin)
            shown, gone = _firsts(seen, _FIRST_SHOWN), _firsts(seen, _FIRST_GONE)
            for subject, there in waits.items():
                if sightings.reached_everywhere(shown if there else gone, subject, serials):
                    what = _SHOWN if there else _GONE
                    tables.observe(db, self.origin, Observation(what, subject, 1, lived))

        await self.database.run(step)

    async def shared(self, keyset: KeySet, answer: Shown) -> None:
        """All servers that answer for the zone, whoever signs for them, were asked: which of
        our DNSKEY they all show."""
        lived = await self.lived()

        def step(db: sqlite3.Connection) -> None:
            for key in keyset.keys:
                subject = sightings.of_key(key, RecordKind.DNSKEY)
                if key.dnskey in answer.everywhere:
                    seen = Observation(_SHARED, subject, answer.ttl, lived)
                    tables.observe(db, self.origin, seen)
                else:
                    tables.unsee(db, self.origin, _SHARED, subject)

        await self.database.run(step)

    async def servers(
        self, keyset: KeySet, policy: Policy, answer: Shown, variants: Collection[str]
    ) -> None:
        """Our servers answered with these keys and serials: every one of them has to be at or
        past the first version of a variant that shows, or lacks, what is waited for."""
        lived = await self.lived()

        def step(db: sqlite3.Connection) -> None:
            seen = tables.observations(db, self.origin)
            shown, gone = _firsts(seen, _FIRST_SHOWN), _firsts(seen, _FIRST_GONE)
            for subject, there in sightings.awaited(keyset, policy).items():
                first = shown if there else gone
                least = [first.get((variant, subject)) for variant in variants]
                reached = all(
                    any(sightings.reached(serial, one) for one in least)
                    for serial in answer.serials
                )
                if reached and None not in least and _agrees(keyset, subject, there, answer):
                    what = _SHOWN if there else _GONE
                    tables.observe(db, self.origin, Observation(what, subject, 1, lived))

        await self.database.run(step)


def _agrees(keyset: KeySet, subject: str, there: bool, answer: Shown) -> bool:
    """Of a DNSKEY more is known than the serial: whether the servers show it."""
    for key in keyset.keys:
        if subject == sightings.of_key(key, RecordKind.DNSKEY):
            return key.dnskey in answer.everywhere if there else key.dnskey not in answer.anywhere
    return True


def _firsts(seen: Iterable[Observation], what: str) -> dict[tuple[str, str], int]:
    found = {}
    for one in seen:
        if one.what == what:
            variant, _, subject = one.subject.partition(" ")
            found[variant, subject] = one.value
    return found
