"""Brings the DS to the registrar: compares, writes down, does, asks after, tries again.

    wanted ─▶ an operation in flight? ─ yes ─▶ ask after it
                     │ no
                     └─▶ list ─▶ difference ─▶ allowed? ─▶ written down ─▶ done ─▶ written down

Nothing that a registrar says moves a key; the parent's servers do. What is under way is in the
state database, so that a start asks after it; what a crash left between doing and writing
down shows in the next list.
"""

import asyncio
import logging
import math
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor
from typing import TypeVar

import attrs
import dns.name
import msgspec

from registrars.plan import difference, forbidden, suited
from registrars.protocol import Entry, Plan, Progress, Receipt, Registrar, RegistrarError
from signer import tables
from signer.clock import Clock
from signer.delivery import Wanted
from signer.policy import HOUR, MINUTE
from signer.state import StateDatabase, StateError

T = TypeVar("T")
_log = logging.getLogger(__name__)
_OPERATION = "ds"

# Seconds: after the first failure, and at most; between two questions after an operation, and
# between two comparisons while the parent's servers have yet to show what was done.
_FIRST_RETRY, _LAST_RETRY = 15.0, float(HOUR)
_POLL, _LONGEST_POLL = 15.0, 10.0 * MINUTE
_COMPARE = float(HOUR)
# While a call is under way, how soon to look whether it has ended.
_BUSY = 1.0


class Operation(msgspec.Struct, frozen=True):
    """What was begun at the registrar. `state`: "begun", "pending" with a reference to ask
    after, or "done", as the registrar says. `at` is in Unix seconds."""

    wanted: str
    state: str
    reference: str = ""
    at: int = 0

    def says(self, wanted: Wanted, state: str) -> bool:
        return (self.wanted, self.state) == (wanted.digest, state)


@attrs.frozen
class Delivery:
    """How far it got, for status and alarms. `state`: "idle", "comparing", "pending", "done",
    "person", "failing", "refused" or "forbidden". Times are Unix seconds; `next_try` may be
    None."""

    state: str = "idle"
    text: str = ""
    since: int = 0
    next_try: int | None = None

    @property
    def bad(self) -> bool:
        return self.state in ("failing", "refused", "forbidden")


class Courier:
    """Of one zone. `carry` is called at each step and returns at once; `due` says when to call
    it again."""

    def __init__(
        self,
        origin: dns.name.Name,
        registrar: Registrar,
        database: StateDatabase,
        clock: Clock,
        executor: Executor,
    ) -> None:
        self.registrar = registrar
        self.delivery = Delivery()
        self._origin = origin
        self._database = database
        self._clock = clock
        self._executor = executor
        self._wanted: Wanted | None = None
        self._task: asyncio.Task[None] | None = None
        self._next = 0.0  # seconds of the boot clock
        self._failures = 0
        self._polls = 0

    def carry(self, wanted: Wanted | None) -> None:
        """This is wanted now; None: nothing is waited for at the parent."""
        before, self._wanted = self._wanted, wanted
        if wanted is None:
            if before is not None:
                self._say("idle", "")
                self._failures = self._polls = 0
            return
        if before is None or before.digest != wanted.digest:
            self._next, self._failures = 0.0, 0
        if self._clock.boot() >= self._next:
            self._begin(wanted)

    def push(self) -> None:
        """Try now, whatever was to be waited for."""
        self._next, self._failures = 0.0, 0

    async def deliver(self, wanted: Wanted) -> Delivery:
        """Once, to its end; for a person who waits."""
        if self._task is not None:
            await asyncio.wait([self._task])
        self._begin(wanted)
        assert self._task is not None
        await asyncio.wait([self._task])
        return self.delivery

    def due(self) -> float | None:
        """When to call `carry` again, in seconds of the boot clock."""
        if self._wanted is None:
            return None
        return self._clock.boot() + _BUSY if self._busy else self._next

    async def close(self) -> None:
        """Wait for a call that is under way: it is written down when it ends."""
        if self._task is not None:
            await asyncio.wait([self._task])
            self._task = None

    async def compare(self, wanted: Wanted) -> tuple[tuple[Entry, ...], Plan, str | None]:
        """What the registrar lists, what would change, and why that may not be done. Raises
        RegistrarError."""
        have = await self._list(wanted)
        plan = self._plan(have, wanted)
        no = forbidden(plan, wanted.working, self.registrar.capabilities, insecure=wanted.insecure)
        return have, plan, None if no is None else no.reason

    # --- one attempt ----------------------------------------------------------------------

    @property
    def _busy(self) -> bool:
        return self._task is not None and not self._task.done()

    def _begin(self, wanted: Wanted) -> None:
        if not self._busy:
            self._task = asyncio.create_task(self._attempt(wanted), name=f"ds {self._origin}")

    async def _attempt(self, wanted: Wanted) -> None:
        try:
            await self._deliver(wanted)
        except RegistrarError as error:
            self._fail(error)
        except StateError as error:
            self._fail(RegistrarError(error.place, error.message, error.remedy, passing=True))
        except Exception as error:  # noqa: BLE001 - a driver is anybody's code
            text = " ".join(str(error).split()) or type(error).__name__
            place = f"registrar {self.registrar.name}"
            self._fail(RegistrarError(place, f"the driver failed ({text})", "report it"))
            _log.debug("where it happened", exc_info=error)

    async def _deliver(self, wanted: Wanted) -> None:
        operation = await self._in_flight()
        if operation is not None and operation.state == "pending":
            reference = operation.reference
            receipt = await self._call(lambda: self.registrar.poll(self._origin, reference))
            if not await self._took(receipt, operation.wanted, reference):
                return
            operation = await self._in_flight()
        lists = self.registrar.capabilities.lists
        if not lists and operation is not None and operation.says(wanted, "done"):
            self._wait(_COMPARE)
            self._say("done", "done; the parent's servers have yet to show it")
            return
        have = await self._list(wanted)
        plan = self._plan(have, wanted)
        if not plan:
            self._failures = 0
            self._wait(_COMPARE)
            self._say("done", "the registrar has it; the parent's servers have yet to show it")
            return
        no = forbidden(plan, wanted.working, self.registrar.capabilities, insecure=wanted.insecure)
        if no is not None:
            self._wait(_COMPARE)
            self._say("forbidden", f"not done: {no.reason}")
            return
        await self._note(Operation(wanted.digest, "begun", at=self._clock.wall()), "begin", plan)
        receipt = await self._call(lambda: self.registrar.apply(plan))
        await self._took(receipt, wanted.digest, receipt.reference, plan)

    async def _took(
        self, receipt: Receipt, wanted: str, reference: str, plan: Plan | None = None
    ) -> bool:
        """Write down how far it got; whether that is the end of it."""
        now = self._clock.wall()
        match receipt.progress:
            case Progress.ACCEPTED:
                await self._note(Operation(wanted, "done", at=now), "accepted", plan)
                self._failures = self._polls = 0
                self._wait(_COMPARE)
                self._say("done", "done; the parent's servers have yet to show it")
                return True
            case Progress.PENDING:
                operation = Operation(wanted, "pending", receipt.reference or reference, now)
                await self._note(operation, "pending", plan)
                self._polls += 1
                self._wait(min(_LONGEST_POLL, _POLL * 1.5 ** min(self._polls, 20)))
                self._say("pending", receipt.text or "the registrar is working on it")
            case Progress.PERSON:
                await self._note(Operation(wanted, "done", at=now), "asked a person", plan)
                self._wait(_COMPARE)
                self._say("person", receipt.text)
            case Progress.REFUSED:
                await self._forget()
                await self._audit("refused", receipt.text)
                self._failures += 1
                self._wait(_COMPARE)
                self._say("refused", f"the registrar refuses it: {receipt.text}")
        return False

    def _plan(self, have: tuple[Entry, ...], wanted: Wanted) -> Plan:
        capabilities = self.registrar.capabilities
        entries = suited(wanted.entries, capabilities)
        return difference(self._origin, have, entries, wanted.ours)

    async def _list(self, wanted: Wanted) -> tuple[Entry, ...]:
        if not self.registrar.capabilities.lists:
            return suited(wanted.supposed, self.registrar.capabilities)
        return await self._call(lambda: self.registrar.list(self._origin))

    async def _call(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._executor, step)

    # --- what is written down and said ----------------------------------------------------

    async def _in_flight(self) -> Operation | None:
        text = await self._database.run(lambda db: tables.begun(db, self._origin, _OPERATION))
        return None if text is None else msgspec.json.decode(text, type=Operation)

    async def _note(self, operation: Operation, what: str, plan: Plan | None) -> None:
        detail = msgspec.json.encode(operation).decode()
        now, line = self._clock.wall(), self._line(what, plan)

        def write(db: sqlite3.Connection) -> None:
            tables.begin(db, self._origin, _OPERATION, detail, now)
            if plan is not None:
                tables.audit(db, now, self._origin, "manager", "ds", line)

        await self._database.run(write)
        if plan is not None:
            _log.info("%s: ds: %s", self._origin, line)

    async def _forget(self) -> None:
        await self._database.run(lambda db: tables.confirm(db, self._origin, _OPERATION))

    async def _audit(self, what: str, text: str) -> None:
        now, line = self._clock.wall(), f"{self.registrar.name}: {what}: {text}"
        await self._database.run(
            lambda db: tables.audit(db, now, self._origin, "manager", "ds", line)
        )

    def _line(self, what: str, plan: Plan | None) -> str:
        if plan is None:
            return f"{self.registrar.name}: {what}"
        parts = [
            f"{verb} {', '.join(str(entry.tag) for entry in entries)}"
            for verb, entries in (("add", plan.add), ("remove", plan.remove))
            if entries
        ]
        return f"{self.registrar.name}: {'; '.join(parts)}: {what}"

    def _fail(self, error: RegistrarError) -> None:
        self._failures += 1
        if error.passing:
            wait = min(_LAST_RETRY, _FIRST_RETRY * 2.0 ** min(self._failures - 1, 12))
        else:
            wait = _LAST_RETRY
        self._wait(max(wait, min(error.after or 0.0, 24.0 * HOUR)))
        if self.delivery.text != str(error):
            _log.error("%s: ds: %s", self._origin, error)
        self._say("failing", str(error))

    def _wait(self, seconds: float) -> None:
        self._next = self._clock.boot() + seconds

    def _say(self, state: str, text: str) -> None:
        old = self.delivery
        since = old.since if old.bad and state == old.state else self._clock.wall()
        left = math.ceil(max(0.0, self._next - self._clock.boot()))
        again = None if state == "idle" else self._clock.wall() + left
        if state in ("forbidden", "refused") and text != old.text:
            _log.error("%s: ds: %s", self._origin, text)
        self.delivery = Delivery(state, text, since, again)
