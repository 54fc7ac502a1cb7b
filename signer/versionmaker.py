"""From a source's changes to a version that may be published: reserve, sign, gate, record.

The order of writing: the serial is reserved before anything is signed, the version's digest
is in the database before anybody sees it. What does not get through gives its serial back.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Executor
from typing import TypeVar

import attrs
import dns.name

import engine
from signer import candidate, evidence, sightings, tables
from signer.candidate import Apex, Survey
from signer.clock import Clock
from signer.config import SignConfig
from signer.evidence import Evidence
from signer.gate import Stopped
from signer.hold import Hold
from signer.keyset import KeySet
from signer.outcome import Held, Outcome, Published, Refused, Unchanged
from signer.serials import next_serial
from signer.signing import announcements, batch_window, is_signed, plan, resign_due
from signer.state import StateDatabase
from signer.tables import Version
from signer.variant import Variant

T = TypeVar("T")
_log = logging.getLogger(__name__)


class VersionMaker:
    """Of one zone; its caller makes one version at a time."""

    def __init__(
        self,
        origin: dns.name.Name,
        config: SignConfig,
        database: StateDatabase,
        clock: Clock,
        evidence: Evidence,
        executor: Executor,
    ) -> None:
        self._origin = origin
        self._config = config
        self._database = database
        self._clock = clock
        self._evidence = evidence
        self._executor = executor

    async def _blocking(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, step)

    async def make(
        self,
        state: Variant,
        base: engine.Zone | None,
        changes: engine.Diff,
        scope: str,
        *,
        source_serial: int,
        resign: Sequence[tuple[bytes, int | None]] = (),
        keyset: KeySet,
        private: Mapping[str, engine.SigningKey],
        ds: Sequence[Sequence[bytes]],
        memory: engine.VerifyMemory | None,
        known: frozenset[bytes] = frozenset(),
        unanchored: bool = False,
    ) -> Outcome:
        """`private` holds the signers by fingerprint, `ds` the DS RRsets that caches may
        hold, `known` the DNSKEY of other signers. `unanchored`: the zone is meant to be
        insecure and no cache has a DS of it, so nobody validates it. Raises EngineError,
        StateError."""
        policy, now = self._config.policy, self._clock.wall()
        ours = known | {key.dnskey for key in keyset.keys}
        survey = await self._blocking(lambda: Survey.of(changes, ours))
        problem = survey.problem(policy)
        if problem is not None:
            return Refused((f"{self._config.place or self._origin}: {problem}",), 1)
        if base is not None:
            have = Apex.of(base)
            want = self._wanted_apex(keyset)
            scope = scope if scope == "anew" else want.scope_from(have, scope)
            due = state.earliest_expiration
            if due is None:
                fresh = not is_signed(keyset)
            else:
                fresh = resign_due(due, policy) - batch_window(policy) > now
            quiet = not changes and not resign and scope not in ("all", "anew")
            same = quiet and want == have and fresh
            if same and not state.behind:
                return Unchanged()
        reserved = await self._reserve(state, base, source_serial)
        try:
            signing = plan(keyset, private, policy, now, reserved.serial, resign=resign)
            signed = await self._blocking(
                lambda: (
                    candidate.sign(None, candidate.anew(base, changes), signing, "all")
                    if base is not None and (state.behind or scope == "anew")
                    else candidate.sign(base, changes, signing, scope)
                )
            )
            if not signed.changed:
                await self._give_back(state, reserved)
                expiration = await self._blocking(signed.zone.earliest_expiration)
                state.earliest_expiration = expiration
                if scope == "all":
                    # Every RRset was looked at: what there is, is what the keys ask for.
                    await self._shows(state, signed.zone.serial, keyset)
                return Unchanged()
            found = await self._blocking(
                lambda: candidate.examine(
                    signed,
                    base,
                    changes,
                    at=now,
                    ds=ds,
                    memory=memory,
                    base_verified=state.verified,
                    percent=policy.guard_percent,
                    unanchored=unanchored and not ds,
                )
            )
        except BaseException:
            # Nothing of it has left this process: the serial is still free.
            await self._give_back(state, reserved)
            raise
        if isinstance(found.verdict, Stopped):
            await self._give_back(state, reserved)
            return Refused(found.verdict.lines, found.verdict.count)
        if found.guarded is not None and not await self._accepted(state, found.token):
            await self._give_back(state, reserved)
            return Held(await self._hold_content(state, found.guarded, found.token))
        return await self._record(state, found, survey, now, reserved, keyset, base)

    def _wanted_apex(self, keyset: KeySet) -> Apex:
        signed = is_signed(keyset)
        denial = keyset.nsec3(self._config.policy) if signed else None
        dnskeys = frozenset(keyset.dnskeys())
        cds, cdnskeys = announcements(keyset, self._config.policy)
        return Apex(
            dnskeys=dnskeys,
            dnskey_ttl=self._config.policy.dnskey_ttl if dnskeys else 0,
            cds=cds,
            cdnskeys=cdnskeys,
            nsec3=None if denial is None else (denial.iterations, denial.salt),
        )

    async def _shows(self, state: Variant, serial: int, keyset: KeySet) -> None:
        contents = sightings.contents(keyset, self._config.policy)
        lived = await self._evidence.lived()
        await self._database.run(
            lambda db: evidence.first_shown(db, self._origin, state.name, contents, serial, lived)
        )

    async def _reserve(
        self, state: Variant, base: engine.Zone | None, source_serial: int
    ) -> "_Reserved":
        origin, name = self._origin, state.name
        held = [base.serial] if base is not None else []
        held += [state.observed_serial] if state.observed_serial is not None else []

        def reserve(db: sqlite3.Connection) -> _Reserved:
            before = tables.reserved_serial(db, origin, name)
            taken = [*held, *([] if before is None else [before])]
            if base is None and before is None:
                # A block that got other keys is another variant to us, and the same zone to
                # whoever asks it: the serial goes on.
                taken += tables.reserved_serials(db, origin)
            serial = next_serial(source_serial, taken)
            tables.reserve_serial(db, origin, name, serial)
            last = tables.last_version(db, origin, name)
            return _Reserved(serial, before, None if last is None else last.digest)

        return await self._database.run(reserve)

    async def _give_back(self, state: Variant, reserved: "_Reserved") -> None:
        await self._database.run(
            lambda db: tables.reserve_serial(db, self._origin, state.name, reserved.before)
        )

    async def _accepted(self, state: Variant, token: str | None) -> bool:
        accepted = await self._database.run(
            lambda db: tables.accepted(db, self._origin, state.name)
        )
        return token is not None and accepted == token

    async def _hold_content(self, state: Variant, reason: str, token: str | None) -> Hold:
        remedy = f"look at it, then: zoneward zones accept {self._origin}"
        hold = Hold(reason, remedy, self._clock.wall(), signing=True, token=token)
        old = state.content_hold
        if old is None or old.token != token:
            state.content_hold = hold
            _log.error("%s (%s): a version is held: %s", self._origin, state.name, hold)
            await self._database.run(
                lambda db: tables.audit(db, hold.since, self._origin, "gate", "hold", str(hold))
            )
        return state.content_hold or hold

    async def _record(
        self,
        state: Variant,
        found: candidate.Candidate,
        survey: Survey,
        now: int,
        reserved: "_Reserved",
        keyset: KeySet,
        base: engine.Zone | None,
    ) -> Published:
        signed, diff = found.signed, found.signed.diff
        if diff is None and base is not None and not state.behind:
            # Signed from nothing, and still only another version of what servers have.
            diff = await self._blocking(lambda: base.difference(signed.zone))
        digest = await self._blocking(lambda: candidate.version_digest(reserved.digest, signed))
        expiration = await self._blocking(signed.zone.earliest_expiration)
        lived = await self._evidence.lived()
        contents = sightings.contents(keyset, self._config.policy)

        def record(db: sqlite3.Connection) -> None:
            tables.add_version(
                db,
                self._origin,
                state.name,
                Version(signed.zone.serial, digest, signed.made, signed.kept, now),
            )
            tables.raise_highest_ttl(db, self._origin, survey.highest_ttl)
            evidence.first_shown(db, self._origin, state.name, contents, signed.zone.serial, lived)
            due = None if expiration is None else resign_due(expiration, self._config.policy)
            tables.set_due(db, self._origin, f"resign:{state.name}", due)

        await self._database.run(record)
        state.base = signed.zone
        state.verified = found.verified if is_signed(keyset) else None
        state.earliest_expiration = expiration
        alarms = found.verdict.alarms if not isinstance(found.verdict, Stopped) else ()
        for line in alarms:
            _log.error(
                "%s (%s): published with a fault that was there: %s", self._origin, state.name, line
            )
        return Published(signed.zone, diff, signed.made, signed.kept, alarms)


@attrs.frozen
class _Reserved:
    """A serial, what was reserved before it, and the digest of the version before it."""

    serial: int
    before: int | None
    digest: bytes | None
