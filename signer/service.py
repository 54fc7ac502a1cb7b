"""One zone's signer: the shell round the pure parts.

    start ──▶ (hold | keys) ──▶ sign ─▶ sign ─▶ …        tick moves key records along

What it decides is in `firststart`, `keyset`, `serials` and `gate`; what it does is read,
ask, write down and call them, one thing at a time.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import attrs
import dns.name

import engine
from keystore.protocol import KeyStore, KeystoreError, StoredKey
from signer import candidate, evidence, report, tables
from signer.actions import Advance, ObserveParent, ObserveServers, SubmitDs
from signer.advance import advance
from signer.candidate import Apex
from signer.clock import Clock
from signer.config import SignConfig
from signer.ds import ds_rdata
from signer.evidence import Evidence
from signer.firststart import Proceed, decide
from signer.hold import Hold
from signer.keyring import KeyRing
from signer.keyset import KeySet
from signer.observations import Observations
from signer.outcome import Held, Outcome, Refused
from signer.parent import NoParent, ParentAnswer, ParentView, Seen, Unknown
from signer.signing import resign_due
from signer.state import StateDatabase
from signer.status import KeyStatus, ZoneStatus
from signer.variant import Variant
from signer.versionmaker import VersionMaker

T = TypeVar("T")
_log = logging.getLogger(__name__)

# How often the parent, our servers and a cause for holding are looked at while a step waits
# for them, in seconds; and how long a pass that failed is left alone.
_POLL = 60
_POLL_PARENT = 300
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
        executor: Executor,
        *,
        memory: Path | None = None,
    ) -> None:
        """`memory` is the file of verified signatures; None keeps them in memory only."""
        self.origin = origin.canonicalize()
        self.config = config
        self._database = database
        self._clock = clock
        self._parent = parent
        self._executor = executor
        self._memory_path = memory
        self._memory: engine.VerifyMemory | None = None
        self._ring = KeyRing(self.origin, keystore, database, clock, executor)
        self._evidence = Evidence(self.origin, database, clock)
        self._maker = VersionMaker(self.origin, config, database, clock, self._evidence, executor)
        self._variants: dict[str, Variant] = {}
        self._parent_says: ParentAnswer = Unknown("not asked yet")
        self._next_look = 0
        self._held: Hold | None = None
        self._started = False
        self._step = Advance(KeySet(self.origin), (), (), None)
        self._lock = asyncio.Lock()

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

    async def start(self, served: Mapping[str, engine.Zone]) -> None:
        """Compare our keys with the DNSKEY served (variant -> version) and the parent's DS;
        generate first keys where that is safe, else hold. May be called again: a hold whose
        cause went away is lifted."""
        async with self._lock:
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
        key states. True when the apex key sets or the signers changed, or a hold was lifted:
        sign all variants then."""
        async with self._lock:
            before, held = self._apex(), self._held
            if self._clock.wall() >= self._next_look:
                await self._examine(ask=True)
            else:
                await self._advance()
            return self._apex() != before or (held is not None and self._held is None)

    async def add_key(self, key: StoredKey) -> None:
        """A key that is in the keystore (imported) becomes one of the zone's; sign all
        variants afterwards. Raises KeystoreError."""
        async with self._lock:
            if self._ring.keyset.key(key.fingerprint) is None:
                lived = await self._evidence.lived()
                await self._ring.adopt((key,), lived)
            await self._examine(ask=True)

    async def _examine(self, *, ask: bool) -> None:
        """Read keys, ask the parent and our servers, decide, and go on or hold."""
        lived = await self._evidence.lived()
        now = self._clock.wall()
        # What is served and ours goes on without waiting for the parent; a look follows.
        self._next_look = now + _POLL if ask else now
        try:
            await self._ring.load(self.config, lived)
        except KeystoreError as error:
            await self._hold(Hold(f"{error.place}: {error.message}", error.remedy, now, False))
            return
        if ask:
            self._parent_says = await self._parent.ds(self.origin)
            await self._evidence.parent(self.keyset, self._parent_says)
            await self._evidence.servers(self.keyset, self.config.observe)
        decision = decide(self.origin, self._ring.ours(), self._served(), self._parent_says, now)
        if isinstance(decision, Hold):
            await self._hold(decision)
            return
        try:
            await self._make_keys(decision, lived)
        except KeystoreError as error:
            await self._hold(Hold(f"{error.place}: {error.message}", error.remedy, now, False))
            return
        await self._hold(None)
        if ask and isinstance(self._parent_says, Seen):
            self._next_look = now + _POLL_PARENT
        await self._advance()

    def _served(self) -> frozenset[bytes]:
        """The DNSKEY in the versions that are on disk."""
        bases = [one.base for one in self._variants.values() if one.base is not None]
        return frozenset[bytes]().union(*(Apex.of(base).dnskeys for base in bases))

    async def _make_keys(self, decision: Proceed, lived: float) -> None:
        if decision.generate:
            await self._ring.generate(self.config.policy, lived)
        else:
            await self._ring.finish_generating(self.config.policy, lived)

    async def _hold(self, hold: Hold | None) -> None:
        old = self._held
        same = old is not None and hold is not None and old.reason == hold.reason
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
        """Move the record states, unless the zone is held; write down what moved."""
        if self._held is not None:
            return
        seen = await self._observations()
        step = advance(self.keyset, self.config.policy, seen, await self._evidence.lived())
        if step.keyset != self.keyset:
            moves = report.moves(self.keyset, step.keyset)
            await self._ring.save(step.keyset, moves)
            for line in moves:
                _log.info("%s: %s", self.origin, line)
        if step.wants(SubmitDs) and not self._step.wants(SubmitDs):
            _log.warning(
                "%s: bring its DS to the parent: zoneward ds show %s", self.origin, self.origin
            )
        self._step = step

    async def _observations(self) -> Observations:
        island = self.config.parent.island or isinstance(self._parent_says, NoParent)
        return await self._evidence.gather(self.keyset, island)

    def _apex(self) -> tuple[object, ...]:
        keyset = self.keyset
        return (
            [key.fingerprint for key in keyset.published()],
            [(key.fingerprint, duty) for key, duty in keyset.signers()],
            [key.fingerprint for key in keyset.announced()],
        )

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
    ) -> Outcome:
        """`base` is the variant's signed version on disk. Scopes as in engine.sign; more is
        looked at where the keys or the kind of denial differ from the base's."""
        async with self._lock:
            if self._held is not None and (not self._held.signing or base is None):
                return Held(self._held)
            if not self.keyset.signers() or not self._started:
                missing = "there is no key to sign with"
                return Held(Hold(missing, "start the zone first", self._clock.wall(), False))
            state = self._variant(variant)
            state.base = base
            try:
                outcome = await self._maker.make(
                    state,
                    base,
                    changes,
                    scope,
                    source_serial=source_serial,
                    keyset=self.keyset,
                    private=self._ring.private,
                    ds=evidence.cached_ds(self._parent_says),
                    memory=self._memory,
                )
            except engine.EngineError as error:
                where = f"{error.place}: " if error.place else ""
                outcome = Refused((f"{where}{error.message}",), 1)
            state.took(outcome, self._clock.wall() + _RETRY)
            if isinstance(outcome, Refused):
                _log.error("%s (%s) refused: %s", self.origin, variant, "; ".join(outcome.lines))
            return outcome

    # --- what is seen and said --------------------------------------------------------------

    async def observed(self, variant: str, serial: int) -> bool:
        """Our server was seen to hold this version (it asked for this SOA, or answered it).
        True when that is newer than ours, as after lost state: `sign` then, and the version
        gets a serial above it."""
        async with self._lock:
            state = self._variant(variant)
            if state.observed_serial == serial:
                return state.behind
            state.observed_serial = serial
            if not self.config.observe:
                serials = {name: one.observed_serial for name, one in self._variants.items()}
                await self._evidence.shown(self.keyset, serials)
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
        ds = evidence.cached_ds(self._parent_says)
        found = await self._blocking(lambda: candidate.verify(zone, now, ds, None))
        state = self._variant(variant)
        state.alarms = tuple(sorted(str(fault) for fault in found.findings.faults))[:20]
        return state.alarms

    async def close(self) -> None:
        """Write the memory of verified signatures down."""
        async with self._lock:
            memory = self._memory
            if memory is not None and self._memory_path is not None:
                await self._blocking(memory.save)

    def next_due(self) -> datetime | None:
        """When to call `tick`, and `sign(…, scope="expiring")` for `expiring()`; UTC."""
        due = [at for at in map(self._variant_due, self._variants.values()) if at is not None]
        if self._started and (self._held is not None or self._to_look_at() or self._unasked()):
            due.append(self._next_look)
        if self._held is None and self._step.next_due is not None:
            due.append(self._clock.wall() + self._evidence.until(self._step.next_due))
        return datetime.fromtimestamp(min(due), UTC) if due else None

    def _to_look_at(self) -> bool:
        """Whether a step waits for something that only asking can show. Where no servers are
        configured to be asked, `observed` brings their word."""
        asked = self._step.wants(ObserveServers) and bool(self.config.observe)
        return asked or self._step.wants(ObserveParent)

    def _unasked(self) -> bool:
        return isinstance(self._parent_says, Unknown)

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

    def ds_records(self) -> Sequence[bytes]:
        """DS rdata (SHA-256) of the keys that the parent is to know."""
        return [ds_rdata(self.origin, key.dnskey) for key in self.keyset.for_parent()]

    def dnskeys(self) -> Sequence[bytes]:
        """DNSKEY rdata of the same keys, for registrars that want those."""
        return [key.dnskey for key in self.keyset.for_parent()]

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
            parent=self._parent_says if isinstance(self._parent_says, Unknown | Seen) else None,
            now=self._clock.wall(),
        )
