"""One zone's signer: what the manager, an operator and a server ask of it, one thing at a time.

    start ──▶ (hold | keys) ──▶ sign ─▶ sign ─▶ …        tick moves key records along

How the keys go on is in `automation`, how a version is made in `signingpass`; what was asked
outside is in `lookout`, what is brought to the parent in `messengers`.
"""

import asyncio
import math
import sqlite3
from collections.abc import Collection, Mapping, Sequence
from concurrent.futures import Executor as ThreadExecutor
from datetime import UTC, datetime
from pathlib import Path

import dns.name

import engine
from keystore.protocol import KeyStore, StoredKey
from signer import alarms, delivery, report, requests, tables
from signer.alarms import Alarm
from signer.automation import Automation
from signer.clock import Clock
from signer.config import SignConfig
from signer.courier import Courier
from signer.delivery import Wanted
from signer.ds import ds_rdata
from signer.dsync import Herald
from signer.evidence import Evidence
from signer.hold import Hold
from signer.keyring import KeyRing
from signer.keyset import Key, KeySet, RecordKind, State
from signer.livedtime import LivedTime
from signer.lookout import Lookout
from signer.messengers import Messengers
from signer.multisigner import Others
from signer.observations import Observations
from signer.observer import OwnServers, ServersView
from signer.operations import OperationError
from signer.outcome import Outcome
from signer.parent import ParentAnswer, ParentView
from signer.requests import Request
from signer.signingpass import SigningPass
from signer.state import StateDatabase
from signer.status import KeyStatus, ZoneStatus
from signer.tables import AuditEntry
from signer.variants import Variants
from signer.versionmaker import VersionMaker


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
        self.courier = courier
        self._database = database
        self._clock = clock
        self._ring = KeyRing(self.origin, keystore, database, clock, executor)
        self._evidence = Evidence(self.origin, database, clock, lived or LivedTime(database, clock))
        self._others = Others(self.origin, config)
        self._variants = Variants(config.policy)
        self._lookout = Lookout(
            self.origin,
            config,
            clock,
            self._evidence,
            self._others,
            self._variants,
            parent,
            servers or OwnServers(),
            everybody or OwnServers(),
        )
        self._messengers = Messengers(self.origin, config.policy, courier, herald)
        self._automation = Automation(
            self.origin,
            config,
            database,
            clock,
            executor,
            self._ring,
            self._evidence,
            self._others,
            self._variants,
            self._lookout,
            self._messengers,
        )
        maker = VersionMaker(self.origin, config, database, clock, self._evidence, executor)
        self._pass = SigningPass(self.origin, clock, executor, self._automation, maker, memory)
        self._lock = asyncio.Lock()

    # --- keys -----------------------------------------------------------------------------

    @property
    def held(self) -> Hold | None:
        """Why the zone's automation has stopped; else why one of its versions waits."""
        return self._automation.held or self._variants.content_hold()

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
            self._automation.copies = tuple(copies)
            for name, dnskeys in (sources or {}).items():
                self._others.in_source(name, dnskeys)
            await self._pass.open()
            for name, zone in served.items():
                await self._pass.serve(self._variants.of(name), zone)
            await self._automation.examine(ask=not self._variants.dnskeys())
            self._automation.started = True

    async def tick(self) -> bool:
        """Look at the parent and at our servers where a step waits for them, and advance the
        key states. True when the apex key sets or the signers are others than the versions were
        made with, or a hold was lifted: sign all variants then."""
        automation, lookout = self._automation, self._lookout
        # Where thousands ask one parent it can take minutes; signing does not wait for it.
        known = lookout.parent
        says = await lookout.ask_parent() if automation.parent_is_due else None
        async with self._lock:
            if lookout.parent is not known:
                # Somebody has asked meanwhile.
                says = None
            before, held = automation.asks(), automation.held
            if held is not None or not automation.started:
                await automation.examine(ask=True)
            else:
                await automation.look(says)
                await automation.advance()
            lifted = held is not None and automation.held is None
            wanted = automation.asks()
            return wanted != before or bool(self._variants.outdated(wanted)) or lifted

    async def add_key(self, key: StoredKey) -> None:
        """A key that is in the keystore (imported) becomes one of the zone's; sign all
        variants afterwards. Raises KeystoreError, OperationError."""
        async with self._lock:
            self._refuse_before_start()
            if self.keyset.key(key.fingerprint) is None:
                lived, policy = await self._evidence.lived(), self.config.policy
                await self._ring.adopt((key,), lived, policy, self._automation.facts)
            await self._automation.examine(ask=True)

    async def request(self, wanted: Request, actor: str = "operator") -> None:
        """Write down what a person asks for, and begin with it; `tick` was true if more than
        the apex has to be signed: sign all variants. Raises OperationError."""
        async with self._lock:
            self._refuse_before_start()
            keyset = requests.apply(self.keyset, self.config.policy, wanted)
            action, detail = requests.words(wanted)
            await self._ring.save(keyset, (detail,), actor=actor, action=action)
            if self._automation.held is not None:
                await self._automation.reconsider()
            await self._automation.advance()

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
            self._lookout.parent = await self._lookout.ask_parent()
            requests.refuse_contradiction(self.origin, keys, self._lookout.parent, seen=seen)
            await self._evidence.confirm_ds(self.keyset, state)
            tags = ", ".join(str(key.tag) for key in keys)
            line = f"DS of {tags} {'is at the parent' if seen else 'has gone from the parent'}"
            now = self._clock.wall()
            await self._database.run(
                lambda db: tables.audit(db, now, self.origin, actor, "ds confirm", line)
            )
            await self._automation.advance()
            return tuple(keys)

    def _refuse_before_start(self) -> None:
        """The key set is not read yet: what is added to an empty one would take its place."""
        if not self._automation.started:
            raise OperationError(f"{self.origin} has not started yet; see zoneward status")

    def preview(self, wanted: Request | None = None) -> KeySet:
        """The key set as it is, or as a request would leave it. Raises OperationError."""
        self._refuse_before_start()
        if wanted is None:
            return self.keyset
        return requests.apply(self.keyset, self.config.policy, wanted)

    async def plan_from(self) -> tuple[Observations, float, float]:
        """What the planner begins with: what was seen, lived seconds now, and what has to be
        added to lived seconds to get Unix seconds."""
        async with self._lock:
            lived = await self._evidence.lived()
            return await self._automation.observations(), lived, self._clock.wall() - lived

    # --- versions -------------------------------------------------------------------------

    def forget(self, variant: str) -> None:
        """A block no longer has this zone: its observations are waited for no more."""
        self._variants.forget(variant)

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
            return await self._pass.run(
                self._variants.of(variant),
                base,
                changes,
                scope,
                source_serial=source_serial,
                resign=resign,
                dnskeys=dnskeys,
            )

    async def observed(self, variant: str, serial: int, *, foreign: bool = False) -> bool:
        """Our server was seen to hold this version (it asked for this SOA, or answered it);
        `foreign`: of an earlier life, though its serial is ours. True when it is newer than
        ours or foreign, as after lost state: `sign` then, and the version gets a serial above
        it."""
        async with self._lock:
            state = self._variants.of(variant)
            if (state.observed_serial, state.observed_foreign) == (serial, foreign):
                return state.behind
            state.observed_serial, state.observed_foreign = serial, foreign
            if self._automation.started:
                # Before, there is no key set that could be advanced.
                await self._lookout.acknowledge(self.keyset)
                await self._automation.advance()
            return state.behind

    async def accept(self, variant: str, actor: str = "operator") -> str | None:
        """Let the version through that the content guard holds; sign again afterwards.
        The token accepted, or None when nothing was held."""
        async with self._lock:
            hold = self._variants.of(variant).content_hold
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
        return await self._pass.reverify(self._variants.of(variant), zone)

    def expiring(self) -> tuple[str, ...]:
        """The variants that have signatures to renew now."""
        return self._variants.expiring(self._clock.wall())

    # --- when, and the end ------------------------------------------------------------------

    def next_due(self) -> datetime | None:
        """When to call `tick`, and `sign(…, scope="expiring")` for `expiring()`; UTC."""
        wall, boot = self._clock.wall(), self._clock.boot()
        started, step = self._automation.started, self._automation.step
        held = self._automation.held is not None
        looks = self._lookout.dues(self.keyset, step, held=held) if started else []
        carries = [] if held else self._messengers.dues()
        due = self._variants.dues()
        due += [wall + max(0, math.ceil(at - boot)) for at in (*looks, *carries)]
        if not held:
            if step.next_due is not None:
                due.append(wall + self._evidence.until(step.next_due))
            outdated = self._variants.outdated(self._automation.asks())
            due += [max(wall, one.retry_at) for one in outdated]
        return datetime.fromtimestamp(min(due), UTC) if due else None

    async def close(self) -> None:
        """Write the memory of verified signatures down."""
        await self._messengers.close()
        async with self._lock:
            await self._pass.save()

    # --- the parent -------------------------------------------------------------------------

    def wanted_ds(self) -> Wanted:
        """What the parent is to have now, as far as the state machine has come."""
        insecure = self._automation.meant_insecure
        return delivery.wanted(self.keyset, self.config.policy, insecure=insecure)

    async def ask_parent(self) -> ParentAnswer:
        """Ask the parent's servers now, and keep what they say."""
        async with self._lock:
            self._lookout.parent = await self._lookout.ask_parent()
            await self._lookout.note_parent(self.keyset)
            return self._lookout.parent

    def ds_records(self) -> Sequence[bytes]:
        """DS rdata (SHA-256) of the keys that the parent is to know, other signers' included."""
        return [ds_rdata(self.origin, dnskey) for dnskey in self.dnskeys()]

    def ds_to_come(self) -> tuple[Key, ...]:
        """Whose DS would come too early; none on an island, whose anchors nobody waits for."""
        return () if self._lookout.island else self.keyset.to_come()

    def dnskeys(self) -> Sequence[bytes]:
        """DNSKEY rdata of the same keys, for registrars that want those."""
        keyset = self.keyset
        theirs = [key.dnskey for key in keyset.foreign_ksks()]
        return [*(key.dnskey for key in keyset.for_parent()), *theirs]

    # --- what is said -----------------------------------------------------------------------

    def key_rows(self) -> Sequence[KeyStatus]:
        return report.key_rows(self.keyset, self._evidence, self._clock.wall())

    def status(self) -> ZoneStatus:
        step = self._automation.step
        return report.zone_status(
            origin=self.origin,
            keyset=self.keyset,
            step=step,
            held=self.held,
            started=self._automation.started,
            evidence=self._evidence,
            variants=tuple(self._variants),
            policy=self.config.policy,
            parent=self._lookout.parent,
            servers=self._lookout.servers,
            orders=self._messengers.orders(self.keyset, step),
            courier=self.courier,
            alarms=self._alarms(),
            now=self._clock.wall(),
        )

    def _alarms(self) -> tuple[Alarm, ...]:
        return alarms.find(
            origin=self.origin,
            keyset=self.keyset,
            step=self._automation.step,
            held=self.held,
            unreadable=self._ring.unreadable,
            variants=tuple(self._variants),
            policy=self.config.policy,
            parent=self._lookout.parent,
            now=self._clock.wall(),
            lived=self._evidence.now(),
            delivery=None if self.courier is None else self.courier.delivery,
            patience=self.config.registrar_patience,
            foreign=self._others.problem,
        )

    async def audit(self, limit: int = 1000) -> tuple[AuditEntry, ...]:
        """The zone's audit trail, oldest first."""
        return await self._database.run(lambda db: tables.audit_log(db, self.origin, limit))
