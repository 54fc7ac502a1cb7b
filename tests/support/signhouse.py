"""A zone's signer on real keys, a real database and the real engine; clock and parent are the
scenario's."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import dns.name

import engine
from keystore.files import FileKeyStore
from signer.config import ParentConfig, SignConfig
from signer.outcome import Outcome, Published
from signer.parent import NoParent, ParentAnswer
from signer.policy import Policy
from signer.service import ZoneSigner
from signer.state import StateDatabase

ORIGIN = dns.name.from_text("example.org.")
WIRE = ORIGIN.to_wire()
START = 1_800_000_000
BLOCK = "example-org-0123456789ab"
SOA = "@ 3600 SOA ns.example.org. admin.example.org. {serial} 7200 3600 1209600 300\n"
RECORDS = "@ 3600 NS ns\nns 3600 A 192.0.2.1\nwww 300 A 192.0.2.2\nmail 300 A 192.0.2.3\n"
DNSKEY, CDS, NSEC3PARAM = 48, 59, 51


@attrs.define
class FakeClock:
    """Both clocks go together unless the scenario sets the wall."""

    now: int = START
    started: float = 5000.0
    shift: int = 0

    def wall(self) -> int:
        return self.now + self.shift

    def boot(self) -> float:
        return self.started + (self.now - START)

    def boot_id(self) -> str:
        return "one"

    def synchronised(self) -> bool:
        return True


@attrs.define
class FakeParent:
    answer: ParentAnswer = attrs.field(factory=NoParent)
    asked: int = 0

    async def ds(self, zone: dns.name.Name) -> ParentAnswer:
        self.asked += 1
        return self.answer


def scan(records: str = RECORDS, serial: int = 2026010100) -> engine.Zone:
    text = "$ORIGIN example.org.\n" + SOA.format(serial=serial) + records
    return engine.scan_text(text.encode(), WIRE)


def nothing(zone: engine.Zone) -> engine.Diff:
    return zone.difference(zone)


@attrs.define
class House:
    """One state directory, and whatever managers run on it one after the other."""

    directory: Path
    executor: ThreadPoolExecutor
    clock: FakeClock = attrs.field(factory=FakeClock)
    parent: FakeParent = attrs.field(factory=FakeParent)
    policy: Policy = attrs.field(factory=Policy)
    passphrase: bytes = b"correct horse"
    key_files: tuple[Path, ...] = ()
    database: StateDatabase = attrs.field(init=False)
    zones: dict[str, engine.Zone] = attrs.field(factory=dict)
    signer: ZoneSigner = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        self.database = StateDatabase(self.directory / "state.db")

    @property
    def keystore(self) -> FileKeyStore:
        return FileKeyStore(
            self.directory / "keys",
            lambda: bytearray(self.passphrase),
            memory_kib=64,
            iterations=1,
            lanes=1,
        )

    def before_start(self) -> ZoneSigner:
        """A manager that has not read anything yet."""
        self.signer = ZoneSigner(
            ORIGIN,
            SignConfig(policy=self.policy, parent=ParentConfig(), key_files=self.key_files),
            self.keystore,
            self.database,
            self.clock,
            self.parent,
            self.executor,
            memory=self.directory / "verified",
        )
        return self.signer

    async def start(self) -> ZoneSigner:
        """A manager that comes up on what is on disk."""
        await self.before_start().start(self.zones)
        return self.signer

    async def sign(
        self, source: engine.Zone | None = None, scope: str = "changes", variant: str = BLOCK
    ) -> Outcome:
        """What the manager does with a reading of the source, or with an alarm."""
        base = self.zones.get(variant)
        if source is None:
            assert base is not None
            changes, serial = nothing(base), base.serial
        else:
            changes = engine.source_changes(
                None if base is None else base.source(), source.source(keep_dnskey=True)
            )
            serial = source.serial
        outcome = await self.signer.sign(variant, base, changes, scope, source_serial=serial)
        if isinstance(outcome, Published):
            self.zones[variant] = outcome.zone
        return outcome

    def read(self, step: Callable[..., Any]) -> Any:
        return self.database.run_blocking(step)

    def rdatas(self, rtype: int) -> list[bytes]:
        found = self.zones[BLOCK].rrset(WIRE, rtype)
        return [] if found is None else found.rdatas

    def states(self) -> str:
        """Letters of DNSKEY, ZRRSIG, KRRSIG and DS of the first key."""
        return "".join(record.state[0] for record in self.signer.key_rows()[0].records)


def scenario(function: Callable[[House], Awaitable[None]]) -> Callable[[House], None]:
    """Runs an async test; its fixture is the house."""

    def run(house: House) -> None:
        asyncio.run(asyncio.wait_for(function(house), 60))

    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    return run
