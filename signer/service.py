"""One zone's signer: the shell round the pure parts.

    start ──▶ (hold | keys) ──▶ sign ─▶ sign ─▶ …        tick moves key records along

What it decides is in `firststart`, `keyset`, `serials` and `gate`; what it does is read,
ask, write down and call them, one thing at a time.
"""

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable, Collection, Mapping, Sequence
from concurrent.futures import Executor as ThreadExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import attrs
import dns.name

import engine
from keystore.protocol import KeyStore, KeystoreError, StoredKey
from signer import (
    alarms,
    candidate,
    delivery,
    goals,
    multisigner,
    pauses,
    report,
    requests,
    tables,
)
from signer.actions import OBSERVATION, Advance, ObserveServers
from signer.adoption import Served
from signer.alarms import Alarm
from signer.candidate import Apex
from signer.clock import Clock
from signer.config import SignConfig
from signer.courier import Courier
from signer.delivery import Wanted
from signer.ds import ds_rdata, matches
from signer.dsync import Herald
from signer.evidence import Evidence
from signer.executor import Executor
from signer.firststart import decide, half_imported
from signer.hold import Hold
from signer.keyring import KeyRing
from signer.keyset import Goal, Key, KeySet, RecordKind, Role, State
from signer.livedtime import LivedTime
from signer.multisigner import Others
from signer.observations import Observations
from signer.observer import Nobody, OwnServers, Published, ServersAnswer, ServersView, Shown
from signer.operations import OperationError
from signer.outcome import Held, Outcome, Refused, Unchanged
from signer.outcome import Published as PublishedVersion
from signer.parent import NoParent, ParentAnswer, ParentView, Seen, Unknown
from signer.policy import KeyLayout
from signer.requests import Request
from signer.served import dnskey_expiration, news, published_names, seen_of_key
from signer.signing import announcements, is_signed, resign_due
from signer.state import StateDatabase
from signer.status import KeyStatus, ZoneStatus
from signer.tables import AuditEntry
from signer.variant import Variant
from signer.versionmaker import VersionMaker

T = TypeVar("T")
_log = logging.getLogger(__name__)

# How long a pass that failed is left alone, in seconds.
_RETRY = 60


class ZoneSigner:
    """Signs one zone name; its variants (blocks, views) share the key set. One task at a
    time is in `start`, `sign`, `tick`, `observed`, `accept` or `add_key`: a lock sees to it.
    Methods that touch the database raise StateError."""

    def __init__(
        self,
        origin: dns.name.Name,
        config: SignConfig,
        keystore: KeyStore,
        database: StateDatabase,
        clock: Clock,
        parent: ParentView,
        executor: ThreadExecutor,
        *,
        memory: Path | None = None,
        servers: ServersView | None = None,
        courier: Courier | None = None,
        herald: Herald | None = None,
        lived: LivedTime | None = None,
        everybody: ServersView | None = None,
    ) -> None:
        """`memory` is the file of verified signatures; None keeps them in memory only.
        Without `servers` our own server's word is what counts as published; without a
        `courier` the DS is carried by CDS, of which a `herald` tells the parent, or by a person.
        `lived` is shared by the signers of one database. `everybody` asks all that answer for
        the zone, where it has several signers."""
        self.origin = origin.canonicalize()
        self.config = config
        self._database = database
        self._clock = clock
        self._parent = parent
        self._executor = executor
        self._memory_path = memory
        self._memory: engine.VerifyMemory | None = None
        self._ring = KeyRing(self.origin, keystore, database, clock, executor)
        self._evidence = Evidence(self.origin, database, clock, lived or LivedTime(database, clock))
        self._maker = VersionMaker(self.origin, config, database, clock, self._evidence, executor)
        self._executor_of_steps = Executor(self._ring, self._evidence, config.policy)
        self._variants: dict[str, Variant] = {}
        self._parent_says: ParentAnswer = (
            NoParent() if config.parent.island else Unknown("not asked yet")
        )
        self._copies: tuple[int, ...] = ()
        self._servers = servers or OwnServers()
        self._servers_say: ServersAnswer = Nobody()
        self._everybody = everybody or OwnServers()
        self._others = Others(self.origin, config)
        # Seconds of the boot clock: setting the wall clock back must not stop the asking.
        self._next_parent = 0.0
        self._last_parent = 0.0
        self._next_servers = 0.0
        self._next_everybody = 0.0
        self._said: tuple[str, ...] = ()
        self._held: Hold | None = None
        self._started = False
        self._step = Advance(KeySet(self.origin), (), (), None)
        self._asked: tuple[KeySet | None, tuple[object, ...]] = (None, ())
        self._lock = asyncio.Lock()
        self.courier = courier
        self._herald = herald

    async def _blocking(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, step)

    # --- keys -----------------------------------------------------------------------------

    @property
    def held(self) -> Hold | None:
        """Why the zone's automation has stopped; else why one of its versions waits."""
        if self._held is not None:
            return self._held
        holds = (variant.content_hold for variant in self._variants.values())
        return next((hold for hold in holds if hold is not None), None)

    @property
    def keyset(self) -> KeySet:
        return self._ring.keyset

    async def start(
        self,
        served: Mapping[str, engine.Zone],
        copies: Collection[int] = (),
        sources: Mapping[str, frozenset[bytes] | None] | None = None,
    ) -> None:
        """Compare our keys with the DNSKEY served (variant -> version) and the parent's DS;
        generate first keys where that is safe, else hold. `copies` are serials that servers
        hold where we have no version, `sources` the DNSKEY rdata in each variant's source, as
        far as it was read. May be called again: a hold whose cause went away is lifted."""
        async with self._lock:
            self._copies = tuple(copies)
            for name, dnskeys in (sources or {}).items():
                self._others.in_source(name, dnskeys)
            if self._memory is None:
                path = None if self._memory_path is None else str(self._memory_path)
                self._memory = await self._blocking(lambda: engine.VerifyMemory(path))
            for name, zone in served.items():
                self._variant(name).base = zone
                expiration = await self._blocking(zone.earliest_expiration)
                self._variant(name).earliest_expiration = expiration
            await self._examine(ask=not self._served())
            self._started = True

    async def tick(self) -> bool:
        """Look at the parent and at our servers where a step waits for them, and advance the
        key states. True when the apex key sets or the signers are others than the versions were
        made with, or a hold was lifted: sign all variants then."""
        # Where thousands ask one parent it can take minutes; signing does not wait for it.
        known = self._parent_says
        says = await self._parent.ds(self.origin) if self._parent_is_due() else None
        async with self._lock:
            if self._parent_says is not known:
                # Somebody has asked meanwhile.
                says = None
            before, held = self._apex(), self._held
            if held is not None or not self._started:
                await self._examine(ask=True)
            else:
                await self._look(says)
                await self._advance()
            lifted = held is not None and self._held is None
            return self._apex() != before or bool(self._outdated()) or lifted

    async def add_key(self, key: StoredKey) -> None:
        """A key that is in the keystore (imported) becomes one of the zone's; sign all
        variants afterwards. Raises KeystoreError, OperationError."""
        async with self._lock:
            self._refuse_before_start()
            if self._ring.keyset.key(key.fingerprint) is None:
                lived = await self._evidence.lived()
                await self._ring.adopt((key,), lived, self.config.policy, self._facts)
            await self._examine(ask=True)

    async def request(self, wanted: Request, actor: str = "operator") -> None:
        """Write down what a person asks for, and begin with it; `tick` was true if more than
        the apex has to be signed: sign all variants. Raises OperationError."""
        async with self._lock:
            self._refuse_before_start()
            keyset = requests.apply(self.keyset, self.config.policy, wanted)
            action, detail = requests.words(wanted)
            await self._ring.save(keyset, (detail,), actor=actor, action=action)
            await self._advance()

    async def confirm_ds(self, *, seen: bool, actor: str = "operator") -> tuple[Key, ...]:
        """A person's word about the DS at the parent: all that is waited for is there, or is
        gone. The keys that it is about. Raises OperationError where nothing is waited for or
        the parent's servers say otherwise."""
        async with self._lock:
            state = State.RUMOURED if seen else State.UNRETENTIVE
            keys = [key for key in self.keyset.keys if key.state(RecordKind.DS) is state]
            if not keys:
                what = "to appear" if seen else "to go"
                raise OperationError(f"{self.origin} waits for no DS {what} at the parent")
            self._parent_says = await self._parent.ds(self.origin)
            requests.refuse_contradiction(self.origin, keys, self._parent_says, seen=seen)
            await self._evidence.confirm_ds(self.keyset, state)
            tags = ", ".join(str(key.tag) for key in keys)
            line = f"DS of {tags} {'is at the parent' if seen else 'has gone from the parent'}"
            now = self._clock.wall()
            await self._database.run(
                lambda db: tables.audit(db, now, self.origin, actor, "ds confirm", line)
            )
            await self._advance()
            return tuple(keys)

    def _refuse_before_start(self) -> None:
        """The key set is not read yet: what is added to an empty one would take its place."""
        if not self._started:
            raise OperationError(f"{self.origin} has not started yet; see zoneward status")

    async def _examine(self, *, ask: bool) -> None:
        """Read keys, ask the parent and our servers, decide, and go on or hold."""
        lived = await self._evidence.lived()
        now = self._clock.wall()
        if ask:
            self._parent_says = await self._parent.ds(self.origin)
            self._last_parent = self._clock.boot()
            self._next_parent = self._last_parent + self._parent_pause()
        try:
            await self._ring.load(self.config, lived, self._facts)
        except KeystoreError as error:
            await self._hold(Hold(f"{error.place}: {error.message}", error.remedy, now, False))
            return
        await self._read_others()
        if ask:
            await self._see_parent()
        ours, served = self._ring.ours(), self._served() | await self._shown_elsewhere()
        decision = decide(
            self.origin,
            ours,
            served,
            self._parent_says,
            now,
            self._copies,
            self._others.known(self.keyset),
        )
        if not isinstance(decision, Hold) and await self._lacks_half():
            decision = half_imported(self.origin, [key.tag for key in self.keyset.keys], now)
        if isinstance(decision, Hold):
            await self._hold(decision)
            return
        await self._hold(None)
        await self._advance()

    async def _lacks_half(self) -> bool:
        """Whether one key was imported where two are to be, beside a live DS and before anything
        was signed here: caches may hold what the other has signed."""
        parent = self._parent_says
        return (
            self.config.policy.keys is KeyLayout.KSK_ZSK
            and {key.role for key in self.keyset.keys} == {Role.CSK}
            and isinstance(parent, Seen)
            and bool(parent.any)
            and not any(one.base is not None for one in self._variants.values())
            and not await self._ring.has_signed()
        )

    def _served(self) -> frozenset[bytes]:
        """The DNSKEY in the versions that are on disk."""
        bases = [one.base for one in self._variants.values() if one.base is not None]
        return frozenset[bytes]().union(*(Apex.of(base).dnskeys for base in bases))

    async def _shown_elsewhere(self) -> frozenset[bytes]:
        """What our server shows that we don't have on disk: more than we know where state was
        lost, or restored from before a rollover."""
        answer = await self._servers.look(self.origin, self._published())
        self._servers_say = answer
        shown = await self._servers.own(self.origin)
        if isinstance(answer, Shown):
            shown |= answer.anywhere
        return shown

    def _published(self) -> Published:
        bases = [one.base for one in self._variants.values() if one.base is not None]
        return published_names(bases[0]) if bases else Published()

    def _facts(self, dnskey: bytes) -> Served:
        """What is seen of a key that is new to the database."""
        bases = [one.base for one in self._variants.values() if one.base is not None]
        return seen_of_key(self.origin, dnskey, bases, self._parent_says)

    def _parent_is_due(self) -> bool:
        """Whether it is asked: where a step waits for it, and now and then anyway."""
        going_on = self._started and self._held is None
        return going_on and self._has_parent() and self._clock.boot() >= self._next_parent

    async def _look(self, says: ParentAnswer | None) -> None:
        """Take in what the parent says, if it was asked; ask our servers if a step waits for
        them."""
        boot = self._clock.boot()
        if says is not None:
            self._parent_says = says
            await self._see_parent()
            self._last_parent = boot
            self._next_parent = boot + self._parent_pause()
            decision = decide(
                self.origin,
                self._ring.ours(),
                self._served(),
                self._parent_says,
                self._clock.wall(),
                others=self._others.known(self.keyset),
            )
            await self._hold(decision if isinstance(decision, Hold) else None)
        if boot >= self._next_servers and self._step.wants(ObserveServers):
            self._servers_say = await self._servers.look(self.origin, self._published())
            self._next_servers = boot + pauses.servers(self.config.policy)
            if isinstance(self._servers_say, Shown):
                await self._evidence.servers(
                    self.keyset, self.config.policy, self._servers_say, tuple(self._variants)
                )
        if boot >= self._next_everybody and self._others.awaited(self.keyset):
            answer = await self._everybody.look(self.origin, self._published())
            self._next_everybody = boot + pauses.servers(self.config.policy)
            if isinstance(answer, Shown):
                await self._evidence.shared(self.keyset, answer)
        await self._acknowledge()

    async def _read_others(self) -> None:
        """Read again which keys of other signers the zone is to show."""
        keyset = self.keyset
        if self.config.multi_signer is None:
            self._others.read(keyset)
        else:
            await self._blocking(lambda: self._others.read(keyset))

    async def _take_others(self) -> None:
        """Have the key set follow what is named; nothing moves by it yet."""
        keyset = self._others.taken(self.keyset)
        if keyset != self.keyset:
            lines = multisigner.changes(self.keyset, keyset)
            await self._ring.save(keyset, lines, action="multi-signer")
            for line in lines:
                _log.info("%s: %s", self.origin, line)

    async def _acknowledge(self) -> None:
        """What our own server has taken counts where nobody else is asked."""
        if isinstance(self._servers_say, Nobody):
            # What a server holds of an earlier life shows nothing of our keys.
            serials = {
                name: None if one.behind or one.observed_foreign else one.observed_serial
                for name, one in self._variants.items()
            }
            await self._evidence.acknowledged(self.keyset, self.config.policy, serials)

    def _has_parent(self) -> bool:
        return not isinstance(self._parent_says, NoParent)

    def _parent_pause(self) -> float:
        policy = self.config.policy
        if self._held is not None or isinstance(self._parent_says, Unknown):
            return pauses.held(policy)
        # While only time is waited for, the parent is looked at as at any other time; but for a
        # DS that may come to it yet.
        waiting = any(
            blocker.record is RecordKind.DS and blocker.who == OBSERVATION
            for blocker in self._step.blockers
        )
        late = any(
            record.partial
            for key in self.keyset.keys
            if (record := key.record(RecordKind.DS)) is not None
        )
        return pauses.parent(policy, waiting=waiting or late)

    async def _see_parent(self) -> None:
        watched = pauses.watched(self.config.policy)
        await self._evidence.parent(self.keyset, self._parent_says, watched)

    async def _hold(self, hold: Hold | None) -> None:
        old = self._held
        same = old is not None and hold is not None and old.reason == hold.reason
        if hold is not None:
            self._next_parent = self._clock.boot() + pauses.held(self.config.policy)
        if hold is not None and old is not None and same:
            self._held = attrs.evolve(hold, since=old.since)
            return
        self._held = hold
        if hold is None and old is None:
            return
        action, line = ("hold", str(hold)) if hold is not None else ("resume", str(old))
        if hold is not None:
            _log.error("%s is held: %s", self.origin, line)
        else:
            _log.info("%s goes on: what held it is gone (%s)", self.origin, line)
        await self._database.run(
            lambda db: tables.audit(db, self._clock.wall(), self.origin, "manager", action, line)
        )

    async def _advance(self) -> None:
        """Take the steps that may be taken, unless the zone is held."""
        if self._held is not None:
            return
        await self._take_others()
        try:
            self._step = await self._executor_of_steps.run(await self._observations())
        except KeystoreError as error:
            now = self._clock.wall()
            await self._hold(Hold(f"{error.place}: {error.message}", error.remedy, now, True))
            return
        # What it waits for may have changed: then the next look is nearer.
        self._next_parent = min(self._next_parent, self._last_parent + self._parent_pause())
        policy, insecure = self.config.policy, self._meant_insecure()
        pending = delivery.pending(self.keyset, self._step, policy, insecure=insecure)
        if self.courier is not None:
            self.courier.carry(pending)
        if self._herald is not None:
            self._herald.tell(news(pending, self._parent_says, self._variants.values()))
        orders = self._orders()
        for line in orders:
            if line not in self._said:
                _log.warning("%s: %s", self.origin, line)
        self._said = orders

    def _orders(self) -> tuple[str, ...]:
        """What a person has to bring to the parent; nothing where a registrar's driver does."""
        if self.courier is not None and self.courier.registrar.capabilities.automatic:
            return ()
        return report.orders(self.keyset, self._step)

    def _meant_insecure(self) -> bool:
        return goals.insecure(self.keyset, self.config.policy)

    async def _observations(self) -> Observations:
        island = self.config.parent.island or isinstance(self._parent_says, NoParent)
        ends = [
            end
            for one in self._variants.values()
            if one.base is not None and (end := dnskey_expiration(one.base)) is not None
        ]
        return await self._evidence.gather(
            self.keyset,
            self.config.policy,
            island=island,
            dnskey_expires=min(ends, default=None),
        )

    def preview(self, wanted: Request | None = None) -> KeySet:
        """The key set as it is, or as a request would leave it. Raises OperationError."""
        if wanted is None:
            return self.keyset
        return requests.apply(self.keyset, self.config.policy, wanted)

    async def plan_from(self) -> tuple[Observations, float, float]:
        """What the planner begins with: what was seen, lived seconds now, and what has to be
        added to lived seconds to get Unix seconds."""
        async with self._lock:
            lived = await self._evidence.lived()
            return await self._observations(), lived, self._clock.wall() - lived

    def _apex(self) -> tuple[object, ...]:
        """What the keys ask of a version. Asked for often: key sets are values, so that what
        one asks for is computed once."""
        keyset = self.keyset
        if self._asked[0] is not keyset:
            denial = keyset.denial()
            wanted = (
                keyset.dnskeys(),
                [(key.fingerprint, duty) for key, duty in keyset.signers()],
                announcements(keyset, self.config.policy),
                None if denial is None else keyset.nsec3(self.config.policy),
            )
            self._asked = (keyset, wanted)
        return self._asked[1]

    def _outdated(self) -> list[Variant]:
        """Variants whose version shows what the keys have moved on from, whoever moved them."""
        wanted = self._apex()
        return [one for one in self._variants.values() if one.outdated(wanted)]

    # --- signing --------------------------------------------------------------------------

    def _variant(self, name: str) -> Variant:
        return self._variants.setdefault(name, Variant(name))

    def forget(self, variant: str) -> None:
        """A block no longer has this zone: its observations are waited for no more."""
        self._variants.pop(variant, None)

    async def sign(
        self,
        variant: str,
        base: engine.Zone | None,
        changes: engine.Diff,
        scope: str = "changes",
        *,
        source_serial: int,
        resign: Sequence[tuple[bytes, int | None]] = (),
        dnskeys: frozenset[bytes] | None = None,
    ) -> Outcome:
        """`base` is the variant's signed version on disk. Scopes as in engine.sign, and "anew",
        which keeps no signature; more is looked at where the keys or the kind of denial differ
        from the base's. `resign`: see engine.SignPlan. `dnskeys` is what the source has of
        them, None where it was not read."""
        async with self._lock:
            if dnskeys is not None and self._started and self.config.multi_signer is not None:
                self._others.in_source(variant, dnskeys)
                await self._read_others()
                await self._advance()
                if (refusal := self._others.refuses_source()) is not None:
                    refused = Refused((refusal,), 1)
                    self._variant(variant).took(refused, self._clock.wall() + _RETRY)
                    return refused
            if self._variant(variant).behind:
                # A server of ours knows more than we do: state was lost, or is an old backup.
                # What is signed with it has to wait for what the parent and the server show.
                await self._examine(ask=True)
                if self._held is not None:
                    return Held(self._held)
            if self._held is not None and (not self._held.signing or base is None):
                return Held(self._held)
            state = self._variant(variant)
            stop = self._cannot_sign()
            if stop is not None:
                state.retry_at = self._clock.wall() + _RETRY
                return Held(stop)
            state.base = base
            wanted = self._apex()
            if scope != "anew" and not state.is_complete(base, wanted):
                # What is written down of this version is true of all its RRsets.
                scope = "all"
            try:
                outcome = await self._maker.make(
                    state,
                    base,
                    changes,
                    scope,
                    source_serial=source_serial,
                    resign=resign,
                    keyset=self.keyset,
                    private=self._ring.private,
                    ds=await self._cached_ds(),
                    known=self._others.known(self.keyset),
                    memory=self._memory,
                    unanchored=self._unanchored(),
                )
            except engine.EngineError as error:
                where = f"{error.place}: " if error.place else ""
                outcome = Refused((f"{where}{error.message}",), 1)
            state.took(outcome, self._clock.wall() + _RETRY)
            if isinstance(outcome, PublishedVersion | Unchanged):
                made = outcome.zone if isinstance(outcome, PublishedVersion) else base
                state.complete = None if made is None else (made, wanted)
                await self._acknowledge()
                await self._advance()
            if isinstance(outcome, Refused):
                _log.error("%s (%s) refused: %s", self.origin, variant, "; ".join(outcome.lines))
            return outcome

    async def _cached_ds(self) -> list[list[bytes]]:
        """The DS RRsets that caches may hold and that have to lead to our versions: who has only
        those of other signers is not sent to us yet."""
        others = [key.dnskey for key in self.keyset.foreign if key.goal is Goal.OMNIPRESENT]
        return [
            found
            for found in await self._evidence.cached_ds()
            if not all(any(matches(self.origin, one, ds) for one in others) for ds in found)
        ]

    def _cannot_sign(self) -> Hold | None:
        now, keyset = self._clock.wall(), self.keyset
        if not self._started:
            return Hold("the zone has not been started", "start it first", now, False)
        lost = [
            key for key, _ in keyset.lost_signers() if key.fingerprint not in self._ring.private
        ]
        if lost:
            tags = ", ".join(str(key.tag) for key in lost)
            return Hold(
                f"key {tags} is lost: what it has signed can't be signed anew until its successor "
                "has taken over",
                f"bring the successor's DS to the parent: zoneward ds show {self.origin}",
                now,
                signing=False,
            )
        if not is_signed(keyset) and not goals.insecure(keyset, self.config.policy):
            return Hold("there is no key to sign with", "start the zone first", now, False)
        return None

    def _unanchored(self) -> bool:
        """Whether nobody can be led to a key of ours, and that is meant."""
        return goals.insecure(self.keyset, self.config.policy) and all(
            key.state(RecordKind.DS) in (None, State.HIDDEN) for key in self.keyset.keys
        )

    # --- what is seen and said --------------------------------------------------------------

    async def observed(self, variant: str, serial: int, *, foreign: bool = False) -> bool:
        """Our server was seen to hold this version (it asked for this SOA, or answered it);
        `foreign`: of an earlier life, though its serial is ours. True when it is newer than
        ours or foreign, as after lost state: `sign` then, and the version gets a serial above
        it."""
        async with self._lock:
            state = self._variant(variant)
            if (state.observed_serial, state.observed_foreign) == (serial, foreign):
                return state.behind
            state.observed_serial, state.observed_foreign = serial, foreign
            if self._started:
                # Before, there is no key set that could be advanced.
                await self._acknowledge()
                await self._advance()
            return state.behind

    async def accept(self, variant: str, actor: str = "operator") -> str | None:
        """Let the version through that the content guard holds; sign again afterwards.
        The token accepted, or None when nothing was held."""
        async with self._lock:
            hold = self._variant(variant).content_hold
            if hold is None or hold.token is None:
                return None
            token, now = hold.token, self._clock.wall()

            def write(db: sqlite3.Connection) -> None:
                tables.accept(db, self.origin, variant, token, now)
                tables.audit(db, now, self.origin, actor, "accept", hold.reason)

            await self._database.run(write)
            return token

    async def reverify(self, variant: str, zone: engine.Zone) -> tuple[str, ...]:
        """Verify a whole version again, trusting no memory: the faults found, in words."""
        now = self._clock.wall()
        ds = await self._cached_ds()
        found = await self._blocking(lambda: candidate.verify(zone, now, ds, None))
        state = self._variant(variant)
        if state.base is zone:
            # What grows from it is judged beside what was found, not beside what was known.
            state.verified = found
        state.alarms = tuple(sorted(str(fault) for fault in found.findings.faults))[:20]
        return state.alarms

    async def close(self) -> None:
        """Write the memory of verified signatures down."""
        for messenger in (self.courier, self._herald):
            if messenger is not None:
                await messenger.close()
        async with self._lock:
            memory = self._memory
            if memory is not None and self._memory_path is not None:
                await self._blocking(memory.save)

    def next_due(self) -> datetime | None:
        """When to call `tick`, and `sign(…, scope="expiring")` for `expiring()`; UTC."""
        wall, boot = self._clock.wall(), self._clock.boot()
        due = [at for at in map(self._variant_due, self._variants.values()) if at is not None]
        if self._started and (self._held is not None or self._has_parent()):
            due.append(wall + max(0, math.ceil(self._next_parent - boot)))
        asks = not isinstance(self._servers_say, Nobody)
        if self._held is None and asks and self._step.wants(ObserveServers):
            due.append(wall + max(0, math.ceil(self._next_servers - boot)))
        if self._started and self._held is None and self._others.awaited(self.keyset):
            due.append(wall + max(0, math.ceil(self._next_everybody - boot)))
        if self._held is None and self._step.next_due is not None:
            due.append(wall + self._evidence.until(self._step.next_due))
        for messenger in (self.courier, self._herald) if self._held is None else ():
            carries = None if messenger is None else messenger.due()
            if carries is not None:
                due.append(wall + max(0, math.ceil(carries - boot)))
        if self._held is None:
            due += [max(wall, one.retry_at) for one in self._outdated()]
        return datetime.fromtimestamp(min(due), UTC) if due else None

    def _variant_due(self, state: Variant) -> int | None:
        if state.earliest_expiration is None:
            return None
        return max(resign_due(state.earliest_expiration, self.config.policy), state.retry_at)

    def expiring(self) -> tuple[str, ...]:
        """The variants that have signatures to renew now."""
        now = self._clock.wall()
        return tuple(
            state.name
            for state in self._variants.values()
            if (due := self._variant_due(state)) is not None and due <= now
        )

    def wanted_ds(self) -> Wanted:
        """What the parent is to have now, as far as the state machine has come."""
        insecure = self._meant_insecure()
        return delivery.wanted(self.keyset, self.config.policy, insecure=insecure)

    async def ask_parent(self) -> ParentAnswer:
        """Ask the parent's servers now, and keep what they say."""
        async with self._lock:
            self._parent_says = await self._parent.ds(self.origin)
            await self._see_parent()
            return self._parent_says

    def ds_records(self) -> Sequence[bytes]:
        """DS rdata (SHA-256) of the keys that the parent is to know, other signers' included."""
        return [ds_rdata(self.origin, dnskey) for dnskey in self.dnskeys()]

    def dnskeys(self) -> Sequence[bytes]:
        """DNSKEY rdata of the same keys, for registrars that want those."""
        keyset = self.keyset
        theirs = [key.dnskey for key in keyset.foreign_ksks()]
        return [*(key.dnskey for key in keyset.for_parent()), *theirs]

    def key_rows(self) -> Sequence[KeyStatus]:
        return report.key_rows(self.keyset, self._evidence, self._clock.wall())

    def status(self) -> ZoneStatus:
        return report.zone_status(
            origin=self.origin,
            keyset=self.keyset,
            step=self._step,
            held=self.held,
            started=self._started,
            evidence=self._evidence,
            variants=tuple(self._variants.values()),
            policy=self.config.policy,
            parent=self._parent_says,
            servers=self._servers_say,
            orders=self._orders(),
            courier=self.courier,
            alarms=self._alarms(),
            now=self._clock.wall(),
        )

    def _alarms(self) -> tuple[Alarm, ...]:
        return alarms.find(
            origin=self.origin,
            keyset=self.keyset,
            step=self._step,
            held=self.held,
            unreadable=self._ring.unreadable,
            variants=tuple(self._variants.values()),
            policy=self.config.policy,
            parent=self._parent_says,
            now=self._clock.wall(),
            lived=self._evidence.now(),
            delivery=None if self.courier is None else self.courier.delivery,
            patience=self.config.registrar_patience,
            foreign=self._others.problem,
        )

    async def audit(self, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """The zone's audit trail, oldest first."""
        return await self._database.run(lambda db: tables.audit_log(db, self.origin, limit))
