"""A signing pass over one version: whether it may be, the version made, what it changes for
the keys."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from pathlib import Path
from typing import TypeVar

import attrs
import dns.name

import engine
from signer import candidate
from signer.automation import Automation
from signer.clock import Clock
from signer.hold import Hold
from signer.outcome import Held, Outcome, Published, Refused, Unchanged
from signer.signable import cannot_sign, leading_here, unanchored
from signer.variant import Variant
from signer.versionmaker import VersionMaker

T = TypeVar("T")
_log = logging.getLogger(__name__)

# How long a pass that failed is left alone, in seconds.
_RETRY = 60


@attrs.define
class SigningPass:
    """Of one zone; its caller makes one at a time. `memory_file` keeps the verified signatures;
    None keeps them in memory only. Methods raise StateError."""

    origin: dns.name.Name
    clock: Clock
    executor: Executor
    automation: Automation
    maker: VersionMaker
    memory_file: Path | None
    _memory: engine.VerifyMemory | None = attrs.field(init=False, default=None)

    async def _blocking(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, step)

    async def open(self) -> None:
        """Read the memory of verified signatures, once."""
        if self._memory is None:
            path = None if self.memory_file is None else str(self.memory_file)
            self._memory = await self._blocking(lambda: engine.VerifyMemory(path))

    async def serve(self, state: Variant, zone: engine.Zone) -> None:
        """A version that is on disk when the zone starts."""
        state.base = zone
        state.earliest_expiration = await self._blocking(zone.earliest_expiration)

    async def save(self) -> None:
        """Write it down."""
        if self._memory is not None and self.memory_file is not None:
            await self._blocking(self._memory.save)

    async def run(
        self,
        state: Variant,
        base: engine.Zone | None,
        changes: engine.Diff,
        scope: str,
        *,
        source_serial: int,
        resign: Sequence[tuple[bytes, int | None]],
        dnskeys: frozenset[bytes] | None,
    ) -> Outcome:
        """See `signer.service.ZoneSigner.sign`."""
        automation = self.automation
        if (refused := await self._refused_source(state, dnskeys)) is not None:
            return refused
        if state.behind:
            # A server of ours knows more than we do: state was lost, or is an old backup.
            # What is signed with it has to wait for what the parent and the server show.
            await automation.examine(ask=True)
            if automation.held is not None:
                return Held(automation.held)
        held = automation.held
        if held is not None and (not held.signing or base is None):
            return Held(held)
        if (stop := self._cannot_sign()) is not None:
            state.retry_at = self.clock.wall() + _RETRY
            return Held(stop)
        state.base = base
        wanted = automation.asks()
        if scope != "anew" and not state.is_complete(base, wanted):
            # What is written down of this version is true of all its RRsets.
            scope = "all"
        outcome = await self._make(
            state, base, changes, scope, source_serial=source_serial, resign=resign
        )
        state.took(outcome, self.clock.wall() + _RETRY)
        if isinstance(outcome, Published | Unchanged):
            made = outcome.zone if isinstance(outcome, Published) else base
            state.complete = None if made is None else (made, wanted)
            await automation.lookout.acknowledge(automation.keyset)
            await automation.advance()
        if isinstance(outcome, Refused):
            _log.error("%s (%s) refused: %s", self.origin, state.name, "; ".join(outcome.lines))
        return outcome

    async def _refused_source(
        self, state: Variant, dnskeys: frozenset[bytes] | None
    ) -> Refused | None:
        """Take the keys of other signers in the source, unless they can't be shown."""
        automation = self.automation
        if dnskeys is None or not automation.started or automation.config.multi_signer is None:
            return None
        automation.others.in_source(state.name, dnskeys)
        await automation.read_others()
        await automation.advance()
        refusal = automation.others.refuses_source()
        if refusal is None:
            return None
        refused = Refused((refusal,), 1)
        state.took(refused, self.clock.wall() + _RETRY)
        return refused

    def _cannot_sign(self) -> Hold | None:
        automation, now = self.automation, self.clock.wall()
        if not automation.started:
            return Hold("the zone has not been started", "start it first", now, False)
        policy, private = automation.config.policy, automation.ring.private
        return cannot_sign(automation.keyset, policy, private.keys(), now)

    async def _make(
        self,
        state: Variant,
        base: engine.Zone | None,
        changes: engine.Diff,
        scope: str,
        *,
        source_serial: int,
        resign: Sequence[tuple[bytes, int | None]],
    ) -> Outcome:
        automation = self.automation
        keyset = automation.keyset
        try:
            return await self.maker.make(
                state,
                base,
                changes,
                scope,
                source_serial=source_serial,
                resign=resign,
                keyset=keyset,
                private=automation.ring.private,
                ds=await self._cached_ds(),
                known=automation.others.known(keyset),
                memory=self._memory,
                unanchored=unanchored(keyset, automation.config.policy),
            )
        except engine.EngineError as error:
            where = f"{error.place}: " if error.place else ""
            return Refused((f"{where}{error.message}",), 1)

    async def _cached_ds(self) -> list[list[bytes]]:
        cached = await self.automation.evidence.cached_ds()
        return leading_here(self.automation.keyset, cached)

    async def reverify(self, state: Variant, zone: engine.Zone) -> tuple[str, ...]:
        """Verify a whole version again, trusting no memory: the faults found, in words."""
        now = self.clock.wall()
        ds = await self._cached_ds()
        found = await self._blocking(lambda: candidate.verify(zone, now, ds, None))
        if state.base is zone:
            # What grows from it is judged beside what was found, not beside what was known.
            state.verified = found
        state.alarms = tuple(sorted(str(fault) for fault in found.findings.faults))[:20]
        return state.alarms
