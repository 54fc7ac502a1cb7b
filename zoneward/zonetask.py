"""One zone in one block: its source, its versions, and one queue of what is to be done.

    source ──load──▶ changes ──sign──▶ version on disk ──▶ current, told to servers

Whatever goes wrong on the way, the version that was current stays so, and `problem` says why.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from concurrent.futures import Executor

import dns.name

import engine
from keystore import KeystoreError
from signer.outcome import Held, Published, Refused, Unchanged
from signer.service import ZoneSigner
from signer.state import StateError
from zones.increment import Increment
from zones.offloop import OffLoop
from zones.source import Followed, Source, SourceError, Standing
from zones.versions import VersionKeeper
from zoneward import logging
from zoneward.content import changes_of, dnskeys_of, faults_of
from zoneward.plainzone import PlainZone
from zoneward.refusal import one_line

# After a version could not be written, or the engine failed, in seconds.
RETRY = 10.0

# Between two lines about versions that follow one another, in seconds.
PACE = 1.0

# What a pass reconsiders, each including those before it (see engine.sign); "anew" makes
# every signature again.
_SCOPES = ("changes", "expiring", "all", "anew")

Target = tuple[bytes, int | None]

_log = logging.get("zone")


class ZoneTask:
    """Run with `run`; ask with `ask`, `reload`, `accept`. `published` is called, on the loop,
    each time another version is current."""

    def __init__(
        self,
        block: str,
        source: Source,
        place: str,
        keeper: VersionKeeper,
        signer: ZoneSigner | None,
        executor: Executor,
        published: Callable[[ZoneTask], None],
        *,
        passed: Callable[[ZoneTask], None] = lambda _: None,
        volatile: bool = False,
    ) -> None:
        """`passed` is called when a pass has ended, whatever came of it. `volatile`: names
        come and go by themselves, and a version that loses many is no reason to ask a person."""
        self.block = block
        self.place = place
        self.keeper = keeper
        self.signer = signer
        self.problem: str | None = None
        self.loaded_at: int | None = None
        self.signed_rrsets = 0
        self.refusals = 0
        self.source_errors = 0
        self.reverified_at: int | None = None
        self.reverify_faults = 0
        self._source = source
        self._followed = source if isinstance(source, Followed) else None
        self._off = OffLoop(executor)
        percent = 100 if volatile else 10
        self._plain = PlainZone(block, source.origin, place, self._off, percent=percent)
        self._published = published
        self._passed = passed
        self._wake = asyncio.Event()
        self._load = self._whole = True
        # A restart looks at everything once: the policy may have changed while it was down.
        self._scope = "all"
        # Owners and types that get new signatures whatever the scope; see engine.SignPlan.
        self._resign: frozenset[Target] = frozenset()
        self._waiters: list[asyncio.Future[str]] = []
        self._source_serial: int | None = None
        self._mended: tuple[str, ...] = ()
        self._said_at = -PACE
        # Whether the source was read while the zone was held.
        self._untaken = False
        self._ended = False

    @property
    def origin(self) -> dns.name.Name:
        return self._source.origin

    def standing(self) -> Standing | None:
        """How far a source that is followed has come."""
        return None if self._followed is None else self._followed.standing()

    def ask(
        self,
        *,
        load: bool = False,
        whole: bool = True,
        scope: str = "changes",
        resign: frozenset[Target] = frozenset(),
    ) -> None:
        """Have a pass made soon; several wishes become one pass. `whole`: what is loaded is not
        only what the source says has changed."""
        self._load = self._load or load
        self._whole = self._whole or (load and whole)
        self._resign |= resign
        self._scope = max(self._scope, scope, key=_SCOPES.index)
        self._wake.set()

    def server_holds(self, serial: int, *, foreign: bool) -> None:
        """Of a zone that is not signed here: a server holds a newer version than ours, or
        another under our serial (`foreign`), as after lost state. It gets one above that."""
        current = self.keeper.current
        if current is not None and self._plain.server_holds(serial, current, foreign=foreign):
            self.ask(load=True)

    async def reload(self) -> str:
        """Read the source now, all that it has; the line that says what came of it."""
        if self._followed is not None:
            try:
                await self._followed.list_again()
            except SourceError as error:
                return f"zone {self.origin}: {error}{self._still_served()}"
        return await self._outcome(load=True)

    async def resign(self, target: Target | None = None) -> str:
        """Make signatures anew now, all or one target's; the line that says what came of it."""
        if target is None:
            return await self._outcome(scope="anew")
        return await self._outcome(resign=frozenset({target}))

    async def _outcome(
        self, *, load: bool = False, scope: str = "changes", resign: frozenset[Target] = frozenset()
    ) -> str:
        """Of a pass that is asked for here."""
        if self._ended:
            return self._out_of_service()
        done: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        self._waiters.append(done)
        self.ask(load=load, scope=scope, resign=resign)
        return await done

    def _out_of_service(self) -> str:
        return f"zone {self.origin}: was taken out of service"

    async def reverify(self) -> None:
        """Verify the whole current version again, trusting nothing that was found before:
        what memory or disk has changed since shows here, before resolvers find it."""
        zone = self.keeper.current
        if zone is None or not zone.signature_count:
            return
        if self.signer is not None:
            faults = await self.signer.reverify(self.block, zone)
        else:
            faults = await self._off.run(faults_of, zone)
        self.reverified_at = int(time.time())
        self.reverify_faults = len(faults)
        if faults:
            more = f"; and {len(faults) - 1} more" if len(faults) > 1 else ""
            ours = self.signer is not None
            remedy = "it is signed anew" if ours else "have it signed again where that is done"
            _log.error(
                f"zone {self.origin} serial {zone.serial}: verifying what is served again found "
                f"faults: {faults[0]}{more}; validating resolvers refuse it: {remedy}",
                block=self.block,
            )
            self._mend(faults)
        else:
            _log.debug(f"zone {self.origin} serial {zone.serial}: verified again", block=self.block)

    def _mend(self, faults: tuple[str, ...]) -> None:
        """What is served has faults (memory, disk, a signer's hardware): every signature is made
        anew, once, over what the source has now. What that does not mend stays an alarm."""
        if self.signer is not None and faults and faults != self._mended:
            self.ask(load=True, scope="anew")
        self._mended = faults

    async def accept(self) -> str | None:
        """Let the version through that the content guard holds; None when it holds none."""
        if self.signer is not None:
            if await self.signer.accept(self.block) is None:
                return None
        elif not self._plain.accept():
            return None
        return await self._outcome(load=True)

    async def dnskeys(self) -> frozenset[bytes] | None:
        """Those in the source; None where it can't be read."""
        try:
            return dnskeys_of(await self._source.load())
        except SourceError:
            return None  # the first pass says why

    async def run(self) -> None:
        """Work until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._follow())
                group.create_task(self._work())
        finally:
            self._ended = True
            self._answer(self._waiters, self._out_of_service())

    async def stop(self) -> None:
        """Let go of the source, once `run` has ended."""
        if self._followed is not None:
            await self._followed.stop()

    async def _follow(self) -> None:
        async for _ in self._source.changes():
            self.ask(load=True, whole=False)

    async def _work(self) -> None:
        self._wake.set()
        while True:
            await self._wake.wait()
            self._wake.clear()
            load, scope, waiters = self._load, self._scope, self._waiters
            whole, self._whole = self._whole, False
            resign, self._resign = self._resign, frozenset()
            self._load, self._scope, self._waiters = False, "changes", []
            try:
                line = await self._pass(load, whole, scope, resign)
            except asyncio.CancelledError:
                self._answer(waiters, self._out_of_service())
                raise
            except (engine.EngineError, KeystoreError, StateError, OSError) as error:
                line = self._fail(
                    f"{one_line(error)}; the version before stays served, "
                    f"tried again in {RETRY:.0f} s"
                )
                self._retry(load, scope, resign)
            except Exception as error:  # noqa: BLE001 - one zone's fault must not end the others
                line = self._fail(one_line(error))
                _log.debug("where it happened", exc_info=error)
                self._retry(load, scope, resign)
            self._passed(self)
            self._answer(waiters, line)

    def _answer(self, waiters: list[asyncio.Future[str]], line: str) -> None:
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(line)

    def _retry(self, load: bool, scope: str, resign: frozenset[Target]) -> None:
        asyncio.get_running_loop().call_later(
            RETRY, lambda: self.ask(load=load, scope=scope, resign=resign)
        )

    async def _pass(self, load: bool, whole: bool, scope: str, resign: frozenset[Target]) -> str:
        read: engine.Zone | Increment | None = None
        problem: str | None = None
        if load or self.keeper.current is None or self._is_untaken():
            try:
                read = await self._read(whole)
                self.loaded_at = int(time.time())
            except SourceError as error:
                self.source_errors += 1
                problem = self._fail(str(error) + self._still_served())
                if self.keeper.current is None:
                    return problem
        if self.signer is None:
            return problem or await self._pass_through(read)
        line = await self._sign(self.signer, read, scope, resign, problem is not None)
        return problem or line

    async def _read(self, whole: bool) -> engine.Zone | Increment:
        """Raises SourceError."""
        base = self.keeper.current
        if self._followed is not None and not whole and base is not None:
            found = await self._followed.increment(base)
            if found is not None:
                return found
        return await self._source.load()

    def _is_untaken(self) -> bool:
        """Whether what the source has is to be tried again: not while the zone is held."""
        return self._untaken and (self.signer is None or self.signer.held is None)

    def _still_served(self) -> str:
        current = self.keeper.current
        return "" if current is None else f" (serial {current.serial} stays served)"

    async def _sign(
        self,
        signer: ZoneSigner,
        read: engine.Zone | Increment | None,
        scope: str,
        resign: frozenset[Target],
        failing: bool,
    ) -> str:
        base = self.keeper.current
        changes = await self._off.run(changes_of, base, read)
        if isinstance(read, engine.Zone):
            self._source_serial = read.serial
        serial = self._source_serial
        if serial is None:
            assert base is not None
            serial = base.serial
        outcome = await signer.sign(
            self.block,
            base,
            changes,
            scope,
            source_serial=serial,
            resign=tuple(resign),
            dnskeys=dnskeys_of(read) if isinstance(read, engine.Zone) else None,
        )
        # A version that was refused is not tried again: signatures have to be renewed without it.
        self._untaken = isinstance(outcome, Held) and (read is not None or self._untaken)
        match outcome:
            case Published():
                self.signed_rrsets += outcome.made
                await self._off.to_its_end(self.keeper.write, outcome.zone, outcome.diff)
                await self._taken(read)
                line = (
                    f"zone {self.origin} serial {outcome.zone.serial}: "
                    f"signed {outcome.made} RRsets, kept {outcome.kept}"
                )
                self._say(line, read)
                for alarm in outcome.alarms:
                    _log.warning(f"zone {self.origin}: {alarm}", block=self.block)
                self._mend(outcome.alarms)
                if not failing:
                    self.problem = None
                await self._publish()
                return line
            case Unchanged():
                await self._taken(read)
                if not failing:
                    self.problem = None
                assert base is not None
                return f"zone {self.origin} serial {base.serial}: nothing changed"
            case Refused():
                self.refusals += 1
                more = outcome.failure_count - len(outcome.lines)
                lines = "; ".join(outcome.lines) + (f"; and {more} more" if more > 0 else "")
                return self._fail(f"a version was refused: {lines}{self._still_served()}")
            case Held():
                return self._fail(f"held: {outcome.hold}{self._still_served()}")

    async def _taken(self, read: engine.Zone | Increment | None) -> None:
        if self._followed is not None and read is not None:
            await self._followed.taken()

    async def _pass_through(self, read: engine.Zone | Increment | None) -> str:
        current = self.keeper.current
        if read is None:
            return f"zone {self.origin}: nothing to do"
        try:
            version = await self._plain.next(current, read)
        except SourceError as error:
            return self._fail(str(error) + self._still_served())
        self.problem = None
        if version is None:
            await self._taken(read)
            assert current is not None
            return f"zone {self.origin} serial {current.serial}: nothing changed"
        await self._off.to_its_end(self.keeper.write, version.zone, version.diff)
        await self._taken(read)
        self._plain.written()
        line = f"zone {self.origin} serial {version.zone.serial}: loaded, not signed here"
        self._say(line, read)
        await self._publish()
        return line

    def _say(self, line: str, read: engine.Zone | Increment | None) -> None:
        """A version is a line in the log; of those that follow one another within PACE, of a
        source that is followed, only the first."""
        now = time.monotonic()
        if isinstance(read, Increment) and now - self._said_at < PACE:
            _log.debug(line, block=self.block)
        else:
            self._said_at = now
            _log.info(line, block=self.block)

    async def _publish(self) -> None:
        self._published(self)
        await self._off.to_its_end(self.keeper.fold)

    def _fail(self, problem: str) -> str:
        """Take note of a problem; logged when it is another than the last."""
        line = f"zone {self.origin}: {problem}"
        if problem != self.problem:
            self.problem = problem
            _log.error(line, block=self.block)
        return line
