"""A manager that ends at any step of reserve, sign, gate, record, write and publish, and the
one that comes up after it on the same disk.

Every step that leaves the event loop goes through an executor: a life is ended before or after
each one of them, and from then on nothing of it runs any more.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import dns.name
import pytest

import engine
from keystore.files import FileKeyStore
from signer.clock import Clock
from signer.config import ParentConfig, SignConfig
from signer.parent import NoParent, ParentAnswer
from signer.policy import KeyLayout, Policy
from signer.service import ZoneSigner
from signer.state import StateDatabase
from zones.source import Hint
from zones.versions import VersionKeeper
from zoneward.zonetask import ZoneTask

ORIGIN = dns.name.from_text("example.org.")
WIRE = ORIGIN.to_wire()
NOW = 1_800_000_000
BLOCK = "example-org-0123456789ab"
DNSKEY, A = 48, 1
EDITS = ("192.0.2.1", "192.0.2.2", "192.0.2.3")


class Ended(BaseException):
    """The process was killed here."""


@attrs.define
class Fate:
    """Ends a life at its step number `at`, counted from 0; even numbers are before a step, odd
    ones after it. None lets it live."""

    at: int | None
    steps: int = 0
    over: bool = False

    def meet(self) -> None:
        if self.over or self.steps == self.at:
            self.over = True
            raise Ended
        self.steps += 1


class MortalExecutor(ThreadPoolExecutor):
    def __init__(self, fate: Fate) -> None:
        super().__init__(1)
        self.fate = fate

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.fate.meet()
        done: Future[Any] = super().submit(fn, *args, **kwargs)
        done.exception()
        self.fate.meet()
        return done


class Still(Clock):
    def wall(self) -> int:
        return NOW

    def boot(self) -> float:
        return 5000.0

    def boot_id(self) -> str:
        return "one"

    def synchronised(self) -> bool:
        return True


class Island:
    async def ds(self, zone: dns.name.Name) -> ParentAnswer:
        return NoParent()


@attrs.define
class Text:
    """A source whose content the scenario sets."""

    address: str

    @property
    def origin(self) -> dns.name.Name:
        return ORIGIN

    async def load(self) -> engine.Zone:
        text = (
            "@ 300 SOA ns h 1 7200 3600 1209600 300\n@ 300 NS ns\nns 300 A 192.0.2.53\n"
            f"www 300 A {self.address}\n"
        )
        return engine.scan_text(text.encode(), WIRE)

    async def changes(self) -> AsyncIterator[Hint]:
        await asyncio.Event().wait()
        yield Hint("never")


@attrs.define
class Disk:
    """What outlives a manager: its directory, and what a server has seen of it."""

    directory: Path
    seen: dict[int, bytes] = attrs.field(factory=dict)
    newest: engine.Zone | None = None

    def published(self, task: ZoneTask) -> None:
        zone = task.keeper.current
        assert zone is not None
        # ECDSA signs anew each time: another signing of the same content is another content.
        assert self.seen.setdefault(zone.serial, zone.digest()) == zone.digest()
        assert self.newest is None or zone.serial >= self.newest.serial
        self.newest = zone

    @property
    def keys(self) -> frozenset[str]:
        return frozenset(path.name for path in self.directory.glob("keys/*/*.json"))

    async def live(self, fate: Fate, edits: tuple[str, ...]) -> None:
        """One manager: it comes up, serves what it has, takes up each edit."""
        database = StateDatabase(self.directory / "state.db")
        database._thread.shutdown()
        database._thread = MortalExecutor(fate)
        database._connection = database._thread.submit(database._open).result()
        executor = MortalExecutor(fate)
        keystore = FileKeyStore(
            self.directory / "keys", lambda: bytearray(b"x"), memory_kib=64, iterations=1, lanes=1
        )
        config = SignConfig(policy=Policy(keys=KeyLayout.KSK_ZSK), parent=ParentConfig(island=True))
        signer = ZoneSigner(ORIGIN, config, keystore, database, Still(), Island(), executor)
        keeper = VersionKeeper(self.directory / "zone")
        source = Text(edits[0])
        task = ZoneTask(BLOCK, source, "db", keeper, signer, executor, self.published)
        current = keeper.open()
        if current is not None:
            self.published(task)
        await signer.start({} if current is None else {BLOCK: current})
        running = asyncio.create_task(task.run())
        try:
            for address in edits:
                source.address = address
                reload = asyncio.create_task(task.reload())
                await asyncio.wait((running, reload), return_when=asyncio.FIRST_COMPLETED)
                if running.done():
                    return
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    def run(self, at: int | None, edits: tuple[str, ...]) -> Fate:
        """Returns when it has ended, or has nothing more to do."""
        fate = Fate(None)

        async def life() -> None:
            fate.at = at
            await self.live(fate, edits)

        try:
            asyncio.run(life())
        except BaseException as error:
            if not fate.over:
                raise error
        return fate


def steps(tmp_path: Path) -> int:
    """Of a life that nothing ends."""
    whole = tmp_path / "whole"
    whole.mkdir()
    return Disk(whole).run(None, EDITS).steps


def test_an_end_at_any_step_loses_nothing(tmp_path: Path) -> None:
    count = steps(tmp_path)
    assert count > 60
    for at in range(count):
        directory = tmp_path / str(at)
        directory.mkdir()
        disk = Disk(directory)
        assert disk.run(at, EDITS).over, at
        had = disk.keys
        disk.run(None, EDITS[-1:])
        zone = disk.newest
        assert zone is not None
        www = zone.rrset(b"\3www" + WIRE, A)
        assert www is not None
        assert www.rdatas == [bytes((192, 0, 2, 3))], at
        dnskeys = zone.rrset(WIRE, DNSKEY)
        assert dnskeys is not None
        # No key was lost, none was made that need not be.
        assert had <= disk.keys, at
        assert (len(dnskeys.rdatas), len(disk.keys)) == (2, 2), at
        assert engine.verify(zone, at=NOW).failure_count == 0, at
        # What is on disk chains, and is what was published last.
        keeper = VersionKeeper(directory / "zone")
        stored = keeper.open()
        assert stored is not None
        assert stored.digest() == zone.digest(), at
        # Another start has nothing to do: no signature, no serial.
        disk.run(None, EDITS[-1:])
        assert disk.newest is not None
        assert disk.newest.digest() == zone.digest(), at


@pytest.mark.parametrize("second", [3, 17])
def test_two_ends_one_after_the_other(tmp_path: Path, second: int) -> None:
    count = steps(tmp_path)
    for at in range(0, count, 9):
        directory = tmp_path / str(at)
        directory.mkdir()
        disk = Disk(directory)
        disk.run(at, EDITS)
        disk.run(second, EDITS[:2])
        disk.run(None, EDITS[-1:])
        assert disk.newest is not None
        assert engine.verify(disk.newest, at=NOW).failure_count == 0, at
        assert len(disk.keys) == 2, at


def test_a_task_that_is_stopped_leaves_nobody_writing(tmp_path: Path) -> None:
    """Its successor opens the same directory: what was being written is there by then."""
    begun, go_on = threading.Event(), threading.Event()

    class Slow(VersionKeeper):
        def write(self, zone: engine.Zone, diff: engine.Diff | None) -> None:
            begun.set()
            go_on.wait(10)
            super().write(zone, diff)

    async def scenario() -> None:
        keeper = Slow(tmp_path / "zone")
        keeper.open()
        with ThreadPoolExecutor(2) as executor:
            task = ZoneTask(BLOCK, Text(EDITS[0]), "db", keeper, None, executor, lambda _: None)
            running = asyncio.create_task(task.run())
            await asyncio.to_thread(begun.wait, 10)
            running.cancel()
            _, pending = await asyncio.wait((running,), timeout=0.1)
            assert pending
            go_on.set()
            await asyncio.gather(running, return_exceptions=True)
            successor = VersionKeeper(tmp_path / "zone").open()
            assert successor is not None

    asyncio.run(scenario())
