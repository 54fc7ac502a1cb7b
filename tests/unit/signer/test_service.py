"""A zone's signer on real keys, a real database and the real engine; clock and parent are the
scenario's."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import attrs
import dns.name
import pytest
from prometheus_client import CollectorRegistry, generate_latest

import engine
from keystore import KeystoreError, algorithms, bind
from keystore.files import FileKeyStore
from signer import candidate, keytables, tables
from signer.config import ParentConfig, SignConfig
from signer.ds import ds_rdata
from signer.keyset import Role
from signer.metrics import SignerCollector
from signer.operations import OperationError
from signer.outcome import Held, Outcome, Published, Refused, Unchanged
from signer.parent import NoParent, ParentAnswer, Seen, Unknown
from signer.policy import ALGORITHM_NAMES, DAY, HOUR, KeyLayout, Nsec3, Policy
from signer.requests import Roll
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


@pytest.fixture
def house(tmp_path: Path) -> Iterator[House]:
    with ThreadPoolExecutor(2) as executor:
        found = House(tmp_path, executor)
        yield found
        found.database.close()


def scenario(function: Callable[[House], Awaitable[None]]) -> Callable[[House], None]:
    """Runs an async test; its fixture is the house."""

    def run(house: House) -> None:
        asyncio.run(asyncio.wait_for(function(house), 60))

    run.__name__ = function.__name__
    run.__doc__ = function.__doc__
    return run


# --- first keys and first version -----------------------------------------------------------


@scenario
async def test_a_new_zone_gets_its_key_and_is_signed(house: House) -> None:
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    assert (outcome.zone.serial, outcome.kept, outcome.alarms) == (2026010100, 0, ())
    (key,) = house.keystore.list(ORIGIN)
    assert house.rdatas(DNSKEY) == [key.dnskey]
    assert list(house.signer.ds_records()) == [ds_rdata(ORIGIN, key.dnskey)]
    report = engine.verify(
        outcome.zone, at=house.clock.wall(), ds=[list(house.signer.ds_records())]
    )
    assert report.failure_count == 0


@scenario
async def test_a_split_key_set(house: House) -> None:
    house.policy = Policy(keys=KeyLayout.KSK_ZSK, algorithm=15)
    await house.start()
    assert isinstance(await house.sign(scan()), Published)
    assert sorted(row.role for row in house.signer.key_rows()) == ["KSK", "ZSK"]
    assert len(house.rdatas(DNSKEY)) == 2
    assert len(house.signer.ds_records()) == 1


@pytest.mark.parametrize("algorithm", [8, 10, 13, 14, 15, 16])
def test_every_algorithm_signs_what_verifies(house: House, algorithm: int) -> None:
    async def run() -> Outcome:
        house.policy = Policy(algorithm=algorithm)
        await house.start()
        return await house.sign(scan())

    outcome = asyncio.run(run())
    assert isinstance(outcome, Published)
    assert [row.algorithm for row in house.signer.key_rows()] == [ALGORITHM_NAMES[algorithm]]
    report = engine.verify(outcome.zone, at=START, ds=[list(house.signer.ds_records())])
    assert (report.failure_count, report.verified > 0) == (0, True)


@scenario
async def test_keys_of_a_corefile_for_coredns_are_imported_and_kept(house: House) -> None:
    """`key file K…` names a pair that dnssec-keygen made; its DS is at the parent."""
    pair = algorithms.make(13, None)
    dnskey = algorithms.dnskey(pair, 13, 257)
    base = bind.save(house.directory, ORIGIN, dnskey, algorithms.to_pkcs8(pair))
    house.key_files = (base,)
    ds = frozenset({ds_rdata(ORIGIN, dnskey)})
    house.parent.answer = Seen(ds, ds, DAY, ("192.0.2.53:53",))
    await house.start()
    assert isinstance(await house.sign(scan()), Published)
    assert house.rdatas(DNSKEY) == [dnskey]
    base.with_name(base.name + ".private").unlink()
    house.key_files = ()
    await house.start()
    assert house.signer.held is None
    assert [row.role for row in house.signer.key_rows()] == ["CSK"]


@scenario
async def test_a_key_file_that_is_gone_holds_and_names_it(house: House) -> None:
    house.key_files = (house.directory / "Kexample.org.+013+00001",)
    await house.start()
    assert house.signer.held is not None
    assert "Kexample.org.+013+00001.key" in house.signer.held.reason
    assert house.keystore.list() == ()


@scenario
async def test_a_restart_without_a_change_makes_nothing(house: House) -> None:
    await house.start()
    await house.sign(scan())
    digest = house.zones[BLOCK].digest()
    versions = house.read(lambda db: db.execute("SELECT * FROM versions").fetchall())
    serials = house.read(lambda db: db.execute("SELECT * FROM serials").fetchall())
    await house.start()
    assert house.signer.held is None
    assert await house.sign(scan()) == Unchanged()
    assert await house.sign(None, "expiring") == Unchanged()
    assert house.zones[BLOCK].digest() == digest
    assert len(house.keystore.list()) == 1
    assert house.read(lambda db: db.execute("SELECT * FROM versions").fetchall()) == versions
    assert house.read(lambda db: db.execute("SELECT * FROM serials").fetchall()) == serials


@scenario
async def test_an_edit_signs_what_changed_and_nothing_else(house: House) -> None:
    await house.start()
    await house.sign(scan())
    outcome = await house.sign(scan(RECORDS.replace("192.0.2.2", "192.0.2.99")))
    assert isinstance(outcome, Published)
    assert outcome.zone.serial == 2026010101, "the source's serial need not move"
    assert outcome.made == 2, "the A RRset and the SOA"
    assert outcome.diff is not None
    assert outcome.diff.from_serial == 2026010100


@scenario
async def test_the_sources_serial_is_taken_where_it_is_ahead(house: House) -> None:
    await house.start()
    await house.sign(scan())
    outcome = await house.sign(scan(RECORDS.replace("192.0.2.2", "192.0.2.9"), serial=2026020100))
    assert isinstance(outcome, Published)
    assert outcome.zone.serial == 2026020100


@scenario
async def test_signatures_are_renewed_before_they_end(house: House) -> None:
    await house.start()
    await house.sign(scan())
    due = house.signer.next_due()
    assert due is not None
    house.clock.now = int(due.timestamp())
    assert house.signer.expiring() == (BLOCK,)
    assert house.clock.now <= START + 9 * DAY, "five days before the end of fourteen"
    outcome = await house.sign(None, "expiring")
    assert isinstance(outcome, Published)
    assert outcome.made > 0
    left = outcome.zone.earliest_expiration()
    assert left is not None
    assert left - house.clock.now > house.policy.refresh
    assert house.signer.expiring() == ()


@scenario
async def test_a_late_start_mends_what_has_ended(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.clock.now += 30 * DAY
    await house.start()
    outcome = await house.sign(None, "expiring")
    assert isinstance(outcome, Published)
    assert outcome.alarms == ()


@scenario
async def test_another_kind_of_denial_re_signs_the_zone(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.policy = Policy(nsec3=Nsec3())
    await house.start()
    assert await house.sign(None) == Unchanged(), "the first kind is not everywhere yet"
    await house.signer.observed(BLOCK, 2026010100)
    house.clock.now += 2 * DAY
    assert await house.signer.tick()
    outcome = await house.sign(None, "all")
    assert isinstance(outcome, Published)
    assert house.rdatas(NSEC3PARAM)
    trail = "\n".join(entry.detail for entry in await house.signer.audit())
    for line in (
        "NSEC: hidden -> rumoured",
        "NSEC: rumoured -> unretentive",
        "NSEC3 0 - 0: hidden -> rumoured",
    ):
        assert line in trail


# --- holds --------------------------------------------------------------------------------------


def foreign_ds() -> Seen:
    records = frozenset({b"\x12\x34\x0d\x02" + bytes(32)})
    return Seen(records, records, DAY, ("192.0.2.53:53",))


@scenario
async def test_a_ds_that_is_not_ours_stops_a_new_zone(house: House) -> None:
    house.parent.answer = foreign_ds()
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Held)
    assert "DS 4660" in outcome.hold.reason
    assert house.keystore.list() == (), "no key was made"
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    house.clock.now += 60
    assert await house.signer.tick(), "the cause is gone"
    assert house.signer.held is None
    # Caches may hold the DS that was withdrawn, and would refuse what is signed now.
    outcome = await house.sign(scan())
    assert isinstance(outcome, Refused)
    assert "key 4660" in outcome.lines[0]
    house.clock.now += DAY
    assert isinstance(await house.sign(scan()), Published)
    log = house.read(lambda db: [entry.action for entry in tables.audit_log(db)])
    assert log[:2] == ["hold", "resume"] or log[:3] == ["hold", "generate", "resume"]


@scenario
async def test_a_foreign_ds_found_later_leaves_signing_alone(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.parent.answer = foreign_ds()
    await house.start()
    await house.signer.tick()
    assert house.signer.held is not None
    assert house.signer.held.signing
    house.clock.now += 10 * DAY
    assert isinstance(await house.sign(None, "expiring"), Published)


@scenario
async def test_a_parent_that_is_silent_does_not_stop_a_zone_that_runs(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.parent.answer = Unknown("no route")
    await house.start()
    assert house.signer.held is None


@scenario
async def test_an_answer_that_is_bogus_is_an_alarm_and_no_answer(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.parent.answer = Unknown("ns.org.: DS of example.org. has expired", bogus=True)
    await house.start()
    await house.signer.tick()
    status = house.signer.status()
    assert house.signer.held is None
    assert status.alarm_kinds == ("parent-bogus",)
    assert status.parent == "the parent's answer is bogus: ns.org.: DS of example.org. has expired"


@scenario
async def test_status_says_on_what_the_parent_is_believed(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 0, ("ns.org.",), why="org. has no DNSKEY")
    await house.start()
    assert house.signer.status().parent == "asked: ns.org. (unvalidated: org. has no DNSKEY)"


@scenario
async def test_a_wrong_passphrase_holds_and_says_so(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.passphrase = b"wrong"
    await house.start()
    hold = house.signer.held
    assert hold is not None
    assert "the passphrase is not the one" in hold.reason
    assert "\n" not in str(hold)
    assert isinstance(await house.sign(scan(RECORDS + "new A 192.0.2.9\n")), Held)
    house.passphrase = b"correct horse"
    await house.start()
    assert house.signer.held is None


@scenario
async def test_a_key_that_is_gone_is_never_replaced(house: House) -> None:
    await house.start()
    await house.sign(scan())
    (key,) = house.keystore.list()
    house.keystore.delete(ORIGIN, key.fingerprint)
    await house.start()
    assert house.signer.held is not None
    assert "a new key is never made in its place" in house.signer.held.remedy
    assert house.keystore.list() == ()


@scenario
async def test_lost_state_with_the_keys_in_place_goes_on_with_them(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.database.close()
    for path in house.directory.glob("state.db*"):
        path.unlink()
    house.database = StateDatabase(house.directory / "state.db")
    await house.start()
    assert house.signer.held is None
    outcome = await house.sign(scan(RECORDS + "new 300 A 192.0.2.9\n"))
    assert isinstance(outcome, Published)
    assert outcome.zone.serial == 2026010101
    assert len(house.keystore.list()) == 1


@scenario
async def test_lost_keys_and_state_stop_before_anything_is_made(house: House) -> None:
    await house.start()
    await house.sign(scan())
    house.database.close()
    for path in [*house.directory.glob("state.db*"), *(house.directory / "keys").rglob("*.json")]:
        path.unlink()
    house.database = StateDatabase(house.directory / "state.db")
    await house.start()
    assert house.signer.held is not None
    assert "its state was lost" in house.signer.held.reason
    assert house.keystore.list() == ()


@scenario
async def test_a_key_that_a_crash_left_in_the_store_is_taken(house: House) -> None:
    """Killed between the key on disk and its row."""
    made = house.keystore.generate(ORIGIN, 13, 257)
    await house.start()
    await house.sign(scan())
    assert house.rdatas(DNSKEY) == [made.dnskey]
    assert len(house.keystore.list()) == 1


@scenario
async def test_half_a_key_set_is_completed(house: House) -> None:
    """Killed between the KSK and the ZSK."""
    house.policy = Policy(keys=KeyLayout.KSK_ZSK)
    house.read(lambda db: tables.begin(db, ORIGIN, "generate", "KSK ZSK", START))
    made = house.keystore.generate(ORIGIN, 13, 257)
    await house.start()
    rows = {row.fingerprint: row.role for row in house.signer.key_rows()}
    assert rows[made.fingerprint] == "KSK"
    assert sorted(rows.values()) == ["KSK", "ZSK"]


# What a half-written file may be without.
HOSTS = "".join(f"h{number} 300 A 192.0.2.9\n" for number in range(12))

# --- the gate ---------------------------------------------------------------------------------


@scenario
async def test_a_version_that_loses_names_waits_for_a_person(house: House) -> None:
    await house.start()
    await house.sign(scan(RECORDS + HOSTS))
    fewer = scan()
    outcome = await house.sign(fewer)
    assert isinstance(outcome, Held)
    assert "the new version has 4 names and the old one 16: 75 % are gone" in outcome.hold.reason
    assert house.signer.status().state == "held"
    assert await house.sign(None, "expiring") == Unchanged(), "re-signing goes on"
    assert isinstance(await house.sign(fewer), Held)
    assert await house.signer.accept(BLOCK) == outcome.hold.token
    accepted = await house.sign(fewer)
    assert isinstance(accepted, Published)
    assert accepted.zone.serial == 2026010101, "what was held used no serial"
    assert house.signer.held is None
    assert await house.signer.accept(BLOCK) is None


@scenario
async def test_accepting_one_version_is_not_accepting_another(house: House) -> None:
    await house.start()
    await house.sign(scan(RECORDS + HOSTS))
    await house.sign(scan())
    await house.signer.accept(BLOCK)
    other = await house.sign(scan(RECORDS.replace("www 300 A 192.0.2.2\n", "")))
    assert isinstance(other, Held)


@scenario
async def test_a_small_zone_may_lose_a_name(house: House) -> None:
    await house.start()
    await house.sign(scan())
    fewer = await house.sign(scan(RECORDS.replace("mail 300 A 192.0.2.3\n", "")))
    assert isinstance(fewer, Published)


@scenario
async def test_a_ttl_that_outlives_the_refresh_is_refused(house: House) -> None:
    await house.start()
    await house.sign(scan())
    outcome = await house.sign(scan(RECORDS + "slow 600000 A 192.0.2.9\n"))
    assert isinstance(outcome, Refused)
    assert "6d22h40m + propagation 5m" in outcome.lines[0]
    assert house.signer.status().alarms == outcome.lines


@scenario
async def test_foreign_dnskeys_in_a_source_are_refused(house: House) -> None:
    await house.start()
    foreign = "@ 3600 DNSKEY 257 3 13 " + "A" * 86 + "==\n"
    outcome = await house.sign(scan(RECORDS + foreign))
    assert isinstance(outcome, Refused)
    assert "of keys that are not ours" in outcome.lines[0]


@scenario
async def test_a_version_that_validators_would_refuse_is_not_published(house: House) -> None:
    """Signed with a clock ten years ahead: nothing of it is valid yet."""
    await house.start()
    first = await house.sign(scan())
    assert isinstance(first, Published)
    before = house.zones[BLOCK].digest()
    house.clock.shift = 3650 * DAY
    ahead = house.signer
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(candidate, "verify", at_true_time(candidate.verify))
        outcome = await ahead.sign(
            BLOCK,
            house.zones[BLOCK],
            engine.source_changes(
                house.zones[BLOCK].source(), scan(RECORDS + "new 300 A 192.0.2.9\n")
            ),
            source_serial=1,
        )
    assert isinstance(outcome, Refused)
    assert any("not-yet-valid" in line for line in outcome.lines)
    assert house.zones[BLOCK].digest() == before
    status = ahead.status()
    assert (status.state, status.variants[0].gate_refusals) == ("refused", 1)


def at_true_time(verify: Callable[..., candidate.Verified]) -> Callable[..., candidate.Verified]:
    """What a validator with the right time sees."""

    def verified(zone: engine.Zone, at: int, *rest: Any) -> candidate.Verified:
        return verify(zone, START, *rest)

    return verified


@scenario
async def test_a_serial_is_never_used_for_two_contents(house: House) -> None:
    """The disk was full: the version passed the gate and never got on disk."""
    await house.start()
    first = await house.sign(scan())
    assert isinstance(first, Published)
    base = house.zones[BLOCK]
    second = await house.sign(scan(RECORDS + "a 300 A 192.0.2.9\n"))
    house.zones[BLOCK] = base
    third = await house.sign(scan(RECORDS + "b 300 A 192.0.2.9\n"))
    assert isinstance(second, Published)
    assert isinstance(third, Published)
    assert second.zone.serial != third.zone.serial


@scenario
async def test_after_lost_state_the_serial_is_above_what_servers_hold(house: House) -> None:
    await house.start()
    await house.signer.observed(BLOCK, 2026123199)
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    assert outcome.zone.serial == 2026123200
    assert await house.signer.observed(BLOCK, 2026123205), "a server is ahead of us"
    again = await house.sign(None)
    assert isinstance(again, Published)
    assert again.zone.serial == 2026123206
    assert again.zone.source().name_count == outcome.zone.source().name_count
    assert await house.sign(None) == Unchanged()


@pytest.mark.parametrize("scope", ["changes", "anew"])
def test_an_edit_is_in_a_version_that_is_signed_anew(house: House, scope: str) -> None:
    """Whatever serial the source has it under."""

    async def story(house: House) -> None:
        await house.start()
        assert isinstance(await house.sign(scan()), Published)
        if scope == "changes":
            assert await house.signer.observed(BLOCK, 2026010105), "a server is ahead of us"
        edited = scan(RECORDS + "new 300 A 192.0.2.9\n", serial=1)
        outcome = await house.sign(edited, scope)
        assert isinstance(outcome, Published)
        assert outcome.zone.serial == (2026010106 if scope == "changes" else 2026010101)
        new = dns.name.from_text("new.example.org.").to_wire()
        assert outcome.zone.rrset(new, 1) is not None

    asyncio.run(asyncio.wait_for(story(house), 60))


@scenario
async def test_what_is_heard_before_the_start_touches_no_key(house: House) -> None:
    await house.start()
    assert isinstance(await house.sign(scan()), Published)
    before = house.read(lambda db: keytables.load_keyset(db, ORIGIN))
    signer = house.before_start()
    await signer.observed(BLOCK, 2026010100)
    with pytest.raises(OperationError, match="has not started yet"):
        await signer.request(Roll())
    with pytest.raises(OperationError, match="has not started yet"):
        await signer.add_key(house.keystore.list(ORIGIN)[0])
    assert house.read(lambda db: keytables.load_keyset(db, ORIGIN)) == before
    assert len(house.keystore.list(ORIGIN)) == 1


@scenario
async def test_after_lost_state_the_same_serial_is_not_the_same_version(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    serial = outcome.zone.serial
    assert await house.signer.observed(BLOCK, serial, foreign=True)
    again = await house.sign(None)
    assert isinstance(again, Published)
    assert (again.zone.serial, again.diff) == (serial + 1, None), "no difference leads there"
    # Nor did it show that our key is published.
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states() == "rrrh"
    assert not await house.signer.observed(BLOCK, serial + 1)
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states()[0] == "o"


# --- key states, evidence, time -----------------------------------------------------------------


@scenario
async def test_keys_move_when_timer_and_observation_agree(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states() == "rrrh", "nobody has seen it published"
    await house.signer.observed(BLOCK, outcome.zone.serial)
    house.clock.now += 2 * DAY
    assert await house.signer.tick(), "CDS is to be published"
    assert house.states() == "ooor"
    await house.sign(None)
    assert house.rdatas(CDS) == list(house.signer.ds_records())
    ds = frozenset(house.signer.ds_records())
    house.parent.answer = Seen(ds, ds, DAY, ("192.0.2.53:53",))
    for _ in range(2):
        house.clock.now += DAY + 3 * HOUR
        await house.signer.tick()
    assert house.states() == "oooo"
    await house.start()
    assert house.states() == "oooo", "and it is remembered"


@scenario
async def test_an_edit_between_a_move_and_its_signatures_does_not_count_as_them(
    house: House,
) -> None:
    """Our server takes a version, keys move upon that, an edit is signed before anything else:
    what is written down of that version has to be true of all its RRsets."""
    house.policy = Policy(keys=KeyLayout.KSK_ZSK)
    await house.start()
    await house.sign(scan())
    await house.signer.observed(BLOCK, house.zones[BLOCK].serial)
    house.clock.now += 2 * DAY
    await house.signer.tick()
    await house.sign(None, scope="all")
    await house.signer.request(Roll(frozenset({Role.ZSK})))
    await house.sign(None, scope="all")
    await house.signer.observed(BLOCK, house.zones[BLOCK].serial)
    house.clock.now += 2 * DAY
    edits = (
        scan(RECORDS + f"new 300 A 192.0.2.{number}\n", serial=2026010200 + number)
        for number in range(1, 4)
    )
    await house.sign(next(edits))
    due = house.signer.next_due()
    assert due is not None
    assert due.timestamp() <= house.clock.wall(), "it is to be signed now"
    assert await house.signer.tick(), "all of it"
    old, new = [key for key in house.signer.keyset.keys if key.role is Role.ZSK]
    assert [old.letters(), new.letters()] == ["OU--", "OR--"]
    outcome = await house.sign(next(edits))
    assert isinstance(outcome, Published)
    for name in ("www", "mail", "ns", "new"):
        assert signing_tags(outcome.zone, f"{name}.example.org.", 1) == {new.tag}
    assert not await house.signer.tick(), "and nothing more"
    made = await house.sign(next(edits))
    assert isinstance(made, Published)
    assert made.made == 2, "the A and the SOA"


def signing_tags(zone: engine.Zone, name: str, rtype: int) -> set[int]:
    found = zone.rrset(dns.name.from_text(name).to_wire(), rtype)
    assert found is not None
    return {int.from_bytes(signature[16:18], "big") for signature in found.signatures}


@scenario
async def test_a_jump_of_the_wall_clock_moves_no_key(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    await house.signer.observed(BLOCK, outcome.zone.serial)
    house.clock.shift = 400 * DAY
    house.clock.now += 60
    await house.signer.tick()
    assert house.states() == "rrrh"


@scenario
async def test_a_key_is_published_when_every_variant_is(house: House) -> None:
    await house.start()
    for variant in ("inside", "outside"):
        assert isinstance(await house.sign(scan(), variant=variant), Published)
    await house.signer.observed("inside", 2026010100)
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states()[0] == "r"
    await house.signer.observed("outside", 2026010101)
    house.clock.now += 7 * DAY
    await house.signer.tick()
    assert house.states()[0] == "o"


@scenario
async def test_a_block_that_gets_another_name_goes_on_with_the_serial(house: House) -> None:
    await house.start()
    assert isinstance(await house.sign(scan(), variant="before"), Published)
    again = await house.sign(scan(RECORDS + "a 300 A 192.0.2.9\n"), variant="before")
    assert isinstance(again, Published)
    house.zones.clear()
    await house.start()
    renamed = await house.sign(scan(), variant="after")
    assert isinstance(renamed, Published)
    assert renamed.zone.serial == again.zone.serial + 1


@scenario
async def test_an_imported_key_joins_the_set(
    house: House,
) -> None:
    await house.start()
    await house.sign(scan())
    key = house.keystore.generate(ORIGIN, 13, 257, avoid_tags=house.signer.keyset.tags_used)
    await house.signer.add_key(key)
    await house.sign(None, "all")
    assert key.dnskey in house.rdatas(DNSKEY)
    other = house.keystore.generate(ORIGIN, 15, 257)
    with pytest.raises(KeystoreError, match="that is a rollover"):
        await house.signer.add_key(other)


# --- what is said ---------------------------------------------------------------------------------


@scenario
async def test_the_status_says_what_is_waited_for(house: House) -> None:
    house.parent.answer = Seen(frozenset(), frozenset(), 300, ("192.0.2.53:53",))
    await house.start()
    await house.sign(scan())
    status = house.signer.status()
    assert (status.zone, status.state, status.hold) == ("example.org.", "signed", None)
    assert any("our servers don't all show" in wait.evidence for wait in status.waits)
    await house.signer.observed(BLOCK, 2026010100)
    waits = house.signer.status().waits
    dnskey = next(wait for wait in waits if wait.what.startswith("DNSKEY"))
    assert dnskey.until == "2027-01-15T10:05:00Z", "a TTL, propagation and safety after START"
    assert status.least_validity is not None
    assert 13 * DAY < status.least_validity <= 14 * DAY


@scenario
async def test_metrics_of_a_zone(house: House) -> None:
    await house.start()
    outcome = await house.sign(scan())
    assert isinstance(outcome, Published)
    registry = CollectorRegistry()
    registry.register(SignerCollector(lambda: [house.signer.status()]))
    text = generate_latest(registry).decode()
    ends = outcome.zone.earliest_expiration()
    labels = f'{{variant="{BLOCK}",zone="example.org."}}'
    name = "zoneward_zone_earliest_rrsig_expiration_timestamp_seconds"
    assert f"{name}{labels} {float(ends or 0)!r}"[:60] in text
    assert 'zoneward_zone_alarms{zone="example.org."} 0.0' in text
    assert 'record="DNSKEY",role="CSK",state="rumoured"' in text


@scenario
async def test_a_whole_version_can_be_verified_again(house: House) -> None:
    await house.start()
    await house.sign(scan())
    assert await house.signer.reverify(BLOCK, house.zones[BLOCK]) == ()
    house.clock.now += 20 * DAY
    assert any("expired" in line for line in await house.signer.reverify(BLOCK, house.zones[BLOCK]))


@scenario
async def test_verified_signatures_are_remembered_over_a_restart(house: House) -> None:
    await house.start()
    await house.sign(scan())
    await house.signer.close()
    memory = engine.VerifyMemory(str(house.directory / "verified"))
    assert len(memory) >= 10


@pytest.mark.parametrize("first", [256, 257], ids=["zsk first", "ksk first"])
def test_two_keys_imported_after_lost_state_are_what_they_were(house: House, first: int) -> None:
    """Whichever comes first: it is the zone's only key until the other comes."""

    async def story(house: House) -> None:
        house.policy = Policy(keys=KeyLayout.KSK_ZSK)
        keys = {flags: house.keystore.generate(ORIGIN, 13, flags) for flags in (256, 257)}
        pairs = {
            flags: (key.dnskey, house.keystore.export(ORIGIN, key.fingerprint))
            for flags, key in keys.items()
        }
        for key in keys.values():
            house.keystore.delete(ORIGIN, key.fingerprint)
        ds = frozenset({ds_rdata(ORIGIN, keys[257].dnskey)})
        house.parent.answer = Seen(ds, ds, 300, ("192.0.2.53:53",))
        await house.start()
        assert house.signer.held is not None
        for flags in (first, 513 - first):
            key = house.keystore.import_(ORIGIN, *pairs[flags])
            await house.signer.add_key(key)
        assert house.signer.held is None
        assert {row.fingerprint: row.role for row in house.signer.key_rows()} == {
            keys[256].fingerprint: "ZSK",
            keys[257].fingerprint: "KSK",
        }
        outcome = await house.sign(scan())
        assert isinstance(outcome, Published)
        assert len(house.rdatas(DNSKEY)) == 2
        at = house.clock.wall()
        assert engine.verify(outcome.zone, at=at, ds=[sorted(ds)]).failure_count == 0

    asyncio.run(asyncio.wait_for(story(house), 60))
