"""A zone that is signed for years in a second: the real signer, engine, keystore and database;
clock, parent and our server are the scenario's.

The parent reads CDS as RFC 7344 has it, after a delay; our server takes each version at once.
Every version is verified as the strictest validator would, against every DS RRset that a cache
may still hold.
"""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import attrs
import dns.name
from fakeregistrar import FakeRegistrar

import engine
from keystore.files import FileKeyStore
from signer.config import SignConfig
from signer.courier import Courier
from signer.observer import OwnServers
from signer.outcome import Held, Outcome, Published, Refused
from signer.parent import ParentAnswer, Seen
from signer.policy import DAY, HOUR, MINUTE, Policy
from signer.service import ZoneSigner
from signer.state import StateDatabase

ORIGIN = dns.name.from_text("example.org.")
WIRE = ORIGIN.to_wire()
START = 1_800_000_000
BLOCK = "example-org-0123456789ab"
TEXT = (
    "$ORIGIN example.org.\n@ 3600 SOA ns.example.org. admin.example.org. 1 7200 3600 1209600 300\n"
    "@ 3600 NS ns\nns 3600 A 192.0.2.1\nwww 300 A 192.0.2.2\n*.wild 300 A 192.0.2.3\n"
)
DNSKEY, CDS, CDNSKEY, NSEC3PARAM, RRSIG = 48, 59, 60, 51, 46
CDS_DELETE = bytes(5)
PARENT_DELAY = 10 * MINUTE
DS_TTL = DAY
# With short waits, as those who are asked meanwhile are asked again and again: for a world whose
# `ds_ttl` is an hour.
BRIEF = Policy(
    purge=DAY,
    max_zone_ttl=HOUR,
    parent_ds_ttl=HOUR,
    dnskey_ttl=10 * MINUTE,
    publish_safety=10 * MINUTE,
    retire_safety=10 * MINUTE,
)

T = TypeVar("T")


class Crash(Exception):
    """The process ends here."""


@attrs.define
class WorldClock:
    now: float = float(START)
    shift: int = 0

    def wall(self) -> int:
        return int(self.now) + self.shift

    def boot(self) -> float:
        return self.now - START + 5000.0

    def boot_id(self) -> str:
        return "one"

    def synchronised(self) -> bool:
        return True


@attrs.define
class CrashingDatabase:
    """Counts commits; after the `fatal`-th nothing reaches the disk any more."""

    inner: StateDatabase
    fatal: int | None = None
    commits: int = 0

    async def run(self, step: Callable[..., T]) -> T:
        if self.fatal is not None and self.commits >= self.fatal:
            raise Crash
        result = await self.inner.run(step)
        self.commits += 1
        if self.commits == self.fatal:
            raise Crash
        return result


@attrs.define
class CrashingStore:
    """A keystore whose changes count as steps too."""

    inner: FileKeyStore
    database: CrashingDatabase

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.inner, name)
        if name not in ("generate", "delete"):
            return found

        def changing(*args: Any, **kwargs: Any) -> Any:
            database = self.database
            if database.fatal is not None and database.commits >= database.fatal:
                raise Crash
            result = found(*args, **kwargs)
            database.commits += 1
            if database.commits == database.fatal:
                raise Crash
            return result

        return changing


@attrs.define
class World:
    directory: Path
    executor: ThreadPoolExecutor
    policy: Policy
    clock: WorldClock = attrs.field(factory=WorldClock)
    database: StateDatabase = attrs.field(init=False)
    crashing: CrashingDatabase = attrs.field(init=False)
    signer: ZoneSigner = attrs.field(init=False)
    # On the manager's disk, and what the server has.
    zone: engine.Zone | None = None
    served: engine.Zone | None = None
    ds: frozenset[bytes] = frozenset()
    # DS RRsets that were at the parent, and until when a cache may hold them.
    cached: dict[frozenset[bytes], float] = attrs.field(factory=dict)
    cds_since: float | None = None
    cds: frozenset[bytes] = frozenset()
    parent_works: bool = True
    # With one, the parent has what it brings, and CDS are nobody's to read.
    registrar: FakeRegistrar | None = None
    # Whether a person has what failed there tried again at once.
    impatient: bool = False
    parent_delay: float = PARENT_DELAY
    ds_ttl: int = DS_TTL
    versions: list[int] = attrs.field(factory=list)
    contents: dict[int, bytes] = attrs.field(factory=dict)
    ever_secure: bool = False
    # Serial and DS of what the verifier found good, and from when until when that holds.
    verified: tuple[int, frozenset[tuple[bytes, ...]]] | None = None
    verified_for: range = range(0)

    def __attrs_post_init__(self) -> None:
        self.open()

    def open(self) -> None:
        self.database = StateDatabase(self.directory / "state.db")
        self.crashing = CrashingDatabase(self.database)

    def copied(self, directory: Path) -> "World":
        """Another world that goes on from the state on disk and the world's own."""
        directory.mkdir()
        self.database.copy_to(directory / "state.db")
        shutil.copytree(self.directory / "keys", directory / "keys")
        other = World(directory, self.executor, self.policy)
        other.clock.now = self.clock.now
        other.zone, other.served = self.zone, self.served
        other.ds, other.cached = self.ds, dict(self.cached)
        other.contents = dict(self.contents)
        return other

    # --- the parent ---------------------------------------------------------------------

    async def answer(self, _: dns.name.Name) -> ParentAnswer:
        return Seen(self.ds, self.ds, self.ds_ttl, ("192.0.2.53:53",))

    def parent_reads(self) -> None:
        """CDS that differ from the DS are taken over when they have stood for a while."""
        assert self.zone is not None
        found = self.zone.rrset(WIRE, CDS)
        wanted = self.ds if found is None else frozenset(found.rdatas)
        if wanted == frozenset({CDS_DELETE}):
            wanted = frozenset()
        if self.registrar is not None:
            wanted = frozenset(entry.ds for entry in self.registrar.has)
        if not self.parent_works or wanted == self.ds:
            self.cds_since = None
        elif self.cds_since is None or self.cds != wanted:
            self.cds_since, self.cds = self.clock.now, wanted
        elif self.clock.now >= self.cds_since + self.parent_delay:
            self.cached[self.ds] = self.clock.now + self.ds_ttl
            self.ds, self.cds_since = wanted, None

    def cached_ds(self) -> list[list[bytes]]:
        """Every DS RRset, not empty, that a validator may go by now."""
        held = [ds for ds, until in self.cached.items() if until > self.clock.now]
        return [sorted(ds) for ds in {self.ds, *held} if ds]

    # --- the manager --------------------------------------------------------------------

    async def start(self) -> ZoneSigner:
        """A manager that comes up on what is on disk."""
        world = self

        class Parent:
            async def ds(self, zone: dns.name.Name) -> ParentAnswer:
                return await world.answer(zone)

        class Servers(OwnServers):
            async def own(self, zone: dns.name.Name) -> frozenset[bytes]:
                found = None if world.served is None else world.served.rrset(WIRE, DNSKEY)
                return frozenset() if found is None else frozenset(found.rdatas)

        store = FileKeyStore(
            self.directory / "keys",
            lambda: bytearray(b"correct horse"),
            memory_kib=64,
            iterations=1,
            lanes=1,
        )
        self.signer = ZoneSigner(
            ORIGIN,
            SignConfig(policy=self.policy),
            CrashingStore(store, self.crashing),
            self.crashing,  # type: ignore[arg-type]
            self.clock,
            Parent(),
            self.executor,
            servers=Servers(),
            courier=None
            if self.registrar is None
            else Courier(
                ORIGIN,
                self.registrar,
                self.crashing,  # type: ignore[arg-type]
                self.clock,
                self.executor,
            ),
        )
        await self.signer.start({} if self.zone is None else {BLOCK: self.zone})
        await self.sign("all")
        return self.signer

    async def sign(self, scope: str) -> Outcome:
        base = self.zone
        if base is None:
            changes = engine.source_changes(None, engine.scan_text(TEXT.encode(), WIRE))
        else:
            changes = base.difference(base)
        serial = 1 if base is None else base.serial
        outcome = await self.signer.sign(BLOCK, base, changes, scope, source_serial=serial)
        assert not isinstance(outcome, Refused), outcome
        if isinstance(outcome, Published):
            self.write(outcome)
        elif isinstance(outcome, Held):
            return outcome
        assert self.zone is not None
        self.verify()
        if self.served is None or self.served.serial <= self.zone.serial:
            self.serve(self.zone)
        assert self.served is not None
        await self.signer.observed(BLOCK, self.served.serial)
        return outcome

    def write(self, version: Published) -> None:
        """The manager has a version: nobody has seen it yet."""
        serial, digest = version.zone.serial, version.zone.digest()
        assert self.contents.setdefault(serial, digest) == digest
        self.zone = version.zone
        self.versions.append(serial)

    def serve(self, zone: engine.Zone) -> None:
        """Our server takes it."""
        self.served = zone

    def later(self, seconds: float) -> None:
        """Time passes."""
        self.clock.now += seconds

    def verify(self) -> None:
        """No validator finds a fault, whichever DS it has; who has none does not look."""
        served = self.served or self.zone
        assert served is not None
        ds = self.cached_ds()
        if not ds and (self.signer.keyset.insecure or not served.signature_count):
            return
        # Of the same version and DS only an expiration makes another answer (RFC 4035 5.3.1).
        question, now = (served.serial, frozenset(map(tuple, ds))), self.clock.wall()
        if question == self.verified and now in self.verified_for:
            return
        report = engine.verify(served, at=now, ds=ds)
        assert report.failure_count == 0, [
            (failure.code, failure.message, self.letters()) for failure in report.failures
        ]
        self.verified = question
        self.verified_for = range(now, served.earliest_expiration() or now)

    def letters(self) -> dict[str, str]:
        return {
            f"{key.role.value} {key.algorithm} {key.fingerprint[:6]}": key.letters()
            for key in self.signer.keyset.keys
        }

    async def step(self) -> None:
        """Until the next thing is due, and then that."""
        due = self.signer.next_due()
        assert due is not None
        ahead = max(1.0, due.timestamp() - self.clock.wall())
        if self.cds_since is not None:
            ahead = min(ahead, max(1.0, self.cds_since + self.parent_delay - self.clock.now))
        self.later(ahead)
        changed = await self.signer.tick()
        if self.signer.courier is not None:
            await self.signer.courier.close()
            if self.impatient and self.signer.courier.delivery.bad:
                self.signer.courier.push()
        await self.sign("all" if changed else "expiring")
        self.parent_reads()
        self.verify()

    async def until(self, reached: Callable[[], bool], days: int = 60) -> None:
        """Step until something is so. Fails when it isn't within so many days."""
        end = self.clock.now + days * DAY
        while not reached():
            assert self.clock.now < end, (self.letters(), self.signer.status().waits)
            await self.step()

    def settled(self) -> bool:
        """No record of ours moves: each is everywhere or nowhere."""
        return all(
            record.state.value in ("omnipresent", "hidden")
            for key in self.signer.keyset.keys
            for _, record in key.records
        )

    def in_use(self) -> list[str]:
        """Fingerprints of the keys that are everywhere."""
        return [key.fingerprint for key in self.signer.keyset.keys if key.everywhere()]

    def everywhere(self) -> bool:
        """Whether the zone is as its policy wants it, with a DS."""
        return self.settled() and bool(self.in_use()) and bool(self.ds)


def live(world: World, story: Callable[[World], Awaitable[None]]) -> None:
    asyncio.run(asyncio.wait_for(story(world), 120))
