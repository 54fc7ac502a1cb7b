"""Several signers of one zone (RFC 8901, model 2): whose keys are shown beside ours, which are
refused, and a zone that goes from one signer to another without a bogus moment."""

import asyncio
import functools
import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import pytest
from keymaker import new_pair
from rollworld import BLOCK, DS_TTL, ORIGIN, WIRE, WorldClock

import engine
from keystore.dnskey import key_tag
from keystore.files import FileKeyStore
from signer import multisigner
from signer.config import MultiSigner, SignConfig
from signer.ds import ds_rdata
from signer.keyset import ForeignKey, Goal, Key, KeySet, Record, RecordKind, Role, State
from signer.observer import OwnServers, ServersAnswer, Shown
from signer.observer import Published as PublishedNames
from signer.operations import OperationError
from signer.outcome import Outcome, Published, Refused
from signer.parent import NoParent, ParentAnswer, Seen
from signer.policy import DAY, HOUR, MINUTE, KeyLayout, Policy
from signer.requests import GoInsecure, Roll
from signer.service import ZoneSigner
from signer.state import StateDatabase
from signer.times import shares

PARENT_DELAY = 10 * MINUTE
DNSKEY, CDS, CDNSKEY, SOA, RRSIG = 48, 59, 60, 6, 46
TTL = 3600
TEXT = (
    "$ORIGIN example.org.\n@ 3600 SOA ns.example.org. admin.example.org. 1 7200 3600 1209600 300\n"
    "@ 3600 NS ns\nns 3600 A 192.0.2.1\nwww 300 A 192.0.2.2\n"
)


@functools.cache
def dnskey(number: int, flags: int = 257, algorithm: int = 13) -> bytes:
    """Another one for each number; of an algorithm that nobody knows, no key at all."""
    if algorithm not in (8, 13, 15):
        return flags.to_bytes(2) + bytes([3, algorithm]) + bytes([number]) * 64
    return new_pair(algorithm, flags)[0]


def text(*keys: bytes, owner: str = "example.org.", rtype: str = "DNSKEY") -> str:
    rdatas = (dns.rdata.from_wire(1, DNSKEY, key, 0, len(key)).to_text() for key in keys)
    return "".join(f"{owner} IN {rtype} {rdata}\n" for rdata in rdatas)


# --- what is named ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("scenario", "content", "found"),
    [
        ("nothing", "", set()),
        ("a comment", "; nobody\n", set()),
        ("a pair of keys", text(dnskey(1), dnskey(2, 256)), {dnskey(1), dnskey(2, 256)}),
        ("relative to the zone", text(dnskey(1), owner="@"), {dnskey(1)}),
        ("with a TTL", text(dnskey(1)).replace(" IN", " 300 IN"), {dnskey(1)}),
        (
            "another zone's beside it",
            text(dnskey(1)) + text(dnskey(2), owner="a.test."),
            {dnskey(1)},
        ),
        ("upper case", text(dnskey(1), owner="EXAMPLE.ORG."), {dnskey(1)}),
    ],
)
def test_a_file_names_keys(scenario: str, content: str, found: set[bytes], tmp_path: Path) -> None:
    path = tmp_path / "others"
    path.write_text(content)
    wanted = multisigner.from_files((path,), ORIGIN, KeySet(ORIGIN))
    assert wanted.problem is None, scenario
    assert wanted.named is not None
    assert wanted.named.dnskeys == found
    assert wanted.named.announced == {key for key in found if key[1] & 1}


def test_cdnskey_say_which_keys_the_parent_is_to_have(tmp_path: Path) -> None:
    """As in a rollover of a key that is both: one is shown still, and its DS is gone."""
    path = tmp_path / "others"
    path.write_text(
        text(dnskey(1), dnskey(2))
        + text(dnskey(2), dnskey(3), rtype="CDNSKEY")
        + "@ CDNSKEY 0 3 0 AA==\n"
    )
    wanted = multisigner.from_files((path,), ORIGIN, KeySet(ORIGIN))
    assert wanted.named == multisigner.Named(
        frozenset({dnskey(1), dnskey(2), dnskey(3)}), frozenset({dnskey(2), dnskey(3)})
    )


def shown(*keys: bytes) -> KeySet:
    return KeySet(ORIGIN, foreign=tuple(ForeignKey(key, Record(State.OMNIPRESENT)) for key in keys))


@pytest.mark.parametrize(
    ("scenario", "content", "why"),
    [
        ("no such file", None, "No such file or directory; put it back, or empty it"),
        ("no records", "what?\n", ": Text input is malformed.; write DNSKEY records as in a"),
        (
            "other records",
            "example.org. 60 IN A 192.0.2.1\n",
            "has A records; it is for DNSKEY and",
        ),
        ("no text", b"\xff\xfe", "is no text"),
        ("the zone misspelt", text(dnskey(1), owner="example.og."), "holds no DNSKEY of example"),
    ],
)
def test_a_file_that_says_nothing_takes_nothing_away(
    scenario: str, content: str | bytes | None, why: str, tmp_path: Path
) -> None:
    path = tmp_path / "others"
    if content is not None:
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    wanted = multisigner.from_files((path,), ORIGIN, shown(dnskey(1)))
    assert wanted.named is None, scenario
    assert wanted.problem is not None
    assert str(path) in wanted.problem
    assert why in wanted.problem
    assert "\n" not in wanted.problem


def test_sources_count_once_all_of_them_were_read() -> None:
    one, two = frozenset({dnskey(1)}), frozenset({dnskey(2)})
    assert multisigner.from_sources({}) == multisigner.Wanted()
    assert multisigner.from_sources({"a": one, "b": None}) == multisigner.Wanted()
    both = multisigner.Named(one | two, one | two)
    assert multisigner.from_sources({"a": one, "b": two}).named == both
    assert multisigner.from_sources({"a": frozenset()}).named == multisigner.Named()


def ours(algorithm: int = 13) -> KeySet:
    records = tuple((kind, Record(State.OMNIPRESENT)) for kind in RecordKind)
    return KeySet(ORIGIN, (Key("0a", Role.CSK, dnskey(9, algorithm=algorithm), 0, records),))


@pytest.mark.parametrize(
    ("scenario", "keys", "keyset", "why"),
    [
        ("a KSK and a ZSK", (dnskey(1), dnskey(2, 256)), ours(), None),
        ("only ours", (dnskey(9),), ours(), None),
        ("nobody", (), ours(), None),
        ("an algorithm that a rollover leaves", (dnskey(1, algorithm=8),), ours(8), None),
        ("another algorithm", (dnskey(1, algorithm=15),), ours(), "of ED25519, and the zone is"),
        ("one that nobody knows", (dnskey(1, algorithm=200),), ours(), "is of algorithm 200"),
        ("no KSK", (dnskey(2, 256),), ours(), "names no KSK"),
        ("no zone key", (dnskey(1, 1),), ours(), "is no zone key"),
        ("a revoked key", (dnskey(1, 0x0181),), ours(), "or revoked"),
        ("no key", (b"\x01\x01\x03\x0d" + bytes(64),), ours(), "is broken"),
        ("far too many", tuple(map(dnskey, range(20, 40))), ours(), "16 is the most"),
    ],
)
def test_what_may_not_be_shown_beside_ours_is_refused_in_a_line(
    scenario: str, keys: tuple[bytes, ...], keyset: KeySet, why: str | None
) -> None:
    problem = multisigner.refused(multisigner.Named.of(frozenset(keys)), keyset, Policy(), "others")
    if why is None:
        assert problem is None, scenario
    else:
        assert problem is not None, scenario
        assert problem.startswith("others: ")
        assert why in problem


@pytest.mark.parametrize(
    ("role", "goal", "expected"),
    [
        (Role.CSK, Goal.OMNIPRESENT, True),
        (Role.ZSK, Goal.OMNIPRESENT, True),
        (Role.KSK, Goal.OMNIPRESENT, False),
        (Role.CSK, Goal.HIDDEN, False),
    ],
)
def test_whose_dnskey_the_others_have_to_show(role: Role, goal: Goal, expected: bool) -> None:
    key = Key.hidden("0a", role, dnskey(9), 0, 0.0)
    keyset = KeySet(ORIGIN, (key,), foreign=(ForeignKey(dnskey(1), goal=goal),))
    assert shares(keyset, key, RecordKind.DNSKEY) is expected
    assert not shares(attrs.evolve(keyset, foreign=()), key, RecordKind.DNSKEY)


# --- a zone that two sign -----------------------------------------------------------------


@attrs.frozen
class Piece:
    """An RRset with its signatures, as a cache has it."""

    owner: bytes
    rtype: int
    ttl: int
    rdatas: frozenset[bytes]
    signatures: frozenset[bytes]


def piece(zone: engine.Zone, owner: bytes, rtype: int) -> Piece:
    found = zone.rrset(owner, rtype)
    assert found is not None
    return Piece(owner, rtype, found.ttl, frozenset(found.rdatas), frozenset(found.signatures))


def rdataset(rtype: int, ttl: int, rdatas: frozenset[bytes]) -> dns.rdataset.Rdataset:
    read = (dns.rdata.from_wire(dns.rdataclass.IN, rtype, one, 0, len(one)) for one in rdatas)
    return dns.rdataset.from_rdata_list(ttl, list(read))


def verifies(of: Piece, keys: frozenset[bytes], now: int) -> bool:
    owner, _ = dns.name.from_wire(of.owner, 0)
    trusted = {ORIGIN: rdataset(DNSKEY, TTL, keys)}
    if not keys or not of.signatures:
        return False
    try:
        dns.dnssec.validate(
            (owner, rdataset(of.rtype, of.ttl, of.rdatas)),
            (owner, rdataset(RRSIG, of.ttl, of.signatures)),
            trusted,
            now=now,
        )
    except dns.dnssec.ValidationFailure:
        return False
    return True


@attrs.define
class Signer:
    """One of the zone's signers, with a directory of its own."""

    directory: Path
    world: "World"
    policy: Policy
    zone: engine.Zone | None = None
    published: bool = False
    database: StateDatabase = attrs.field(init=False)
    signer: ZoneSigner = attrs.field(init=False)

    @property
    def file(self) -> Path:
        return self.directory / "others"

    async def start(self, *others: bytes) -> None:
        self.directory.mkdir(exist_ok=True)
        self.name_others(*others)
        self.database = StateDatabase(self.directory / "state.db")
        await self.restart()

    async def restart(self) -> None:
        world, own = self.world, self

        class Parent:
            async def ds(self, zone: dns.name.Name) -> ParentAnswer:
                return Seen(world.ds, world.ds, DS_TTL, ("192.0.2.53:53",))

        class Everybody(OwnServers):
            async def look(self, zone: dns.name.Name, published: PublishedNames) -> ServersAnswer:
                shown = [one.dnskeys() for one in world.signers if one.published]
                return Shown(frozenset.intersection(*shown), frozenset.union(*shown), (), TTL)

        class Own(OwnServers):
            async def own(self, zone: dns.name.Name) -> frozenset[bytes]:
                return own.dnskeys()

        self.signer = ZoneSigner(
            ORIGIN,
            SignConfig(policy=self.policy, multi_signer=MultiSigner((self.file,))),
            FileKeyStore(
                self.directory / "keys",
                lambda: bytearray(b"correct horse"),
                memory_kib=64,
                iterations=1,
                lanes=1,
            ),
            self.database,
            self.world.clock,
            Parent(),
            self.world.executor,
            servers=Own(),
            everybody=Everybody(),
        )
        await self.signer.start({} if self.zone is None else {BLOCK: self.zone})
        assert self.signer.held is None, self.signer.held
        await self.reload()

    def name_others(self, *keys: bytes) -> None:
        self.file.write_text(text(*keys))

    async def copy_from(self, other: "Signer") -> None:
        """What a person does who asks the other signer's server for its keys."""
        mine = set(self.own_keys())
        self.file.write_text(
            text(*other.dnskeys() - mine) + text(*other.rdatas(CDNSKEY) - mine, rtype="CDNSKEY")
        )
        await self.reload()

    async def reload(self) -> None:
        await self.sign("all", reread=True)

    async def sign(self, scope: str, *, reread: bool = False) -> Outcome:
        base = self.zone
        if base is None:
            changes = engine.source_changes(None, engine.scan_text(TEXT.encode(), WIRE))
        else:
            changes = base.difference(base)
        outcome = await self.signer.sign(
            BLOCK,
            base,
            changes,
            scope,
            source_serial=1,
            dnskeys=frozenset() if reread else None,
        )
        assert not isinstance(outcome, Refused), outcome
        if isinstance(outcome, Published):
            self.zone = outcome.zone
        assert self.zone is not None
        await self.signer.observed(BLOCK, self.zone.serial)
        return outcome

    def dnskeys(self) -> frozenset[bytes]:
        return self.rdatas(DNSKEY)

    def rdatas(self, rtype: int) -> frozenset[bytes]:
        found = None if self.zone is None else self.zone.rrset(WIRE, rtype)
        return frozenset() if found is None else frozenset(found.rdatas)

    def own_keys(self, role: Role | None = None) -> list[bytes]:
        """DNSKEY of its own in the version."""
        return [
            key.dnskey for key in self.signer.keyset.published() if role is None or key.role is role
        ]

    def settled(self) -> bool:
        keyset = self.signer.keyset
        return all(
            record.state in (State.OMNIPRESENT, State.HIDDEN)
            for key in keyset.keys
            for _, record in key.records
        ) and all(key.record.state is State.OMNIPRESENT for key in keyset.foreign)

    async def step(self) -> None:
        changed = await self.signer.tick()
        await self.sign("all" if changed else "expiring")


@attrs.define
class World:
    """Caches hold what any published signer showed, for its TTL. The parent follows CDS once
    all published signers have the same (RFC 8901 section 8)."""

    executor: ThreadPoolExecutor
    clock: WorldClock = attrs.field(factory=WorldClock)
    signers: list[Signer] = attrs.field(factory=list)
    ds: frozenset[bytes] = frozenset()
    cds: tuple[float, frozenset[bytes]] | None = None
    cache: dict[Piece, float] = attrs.field(factory=dict)
    cached_ds: dict[frozenset[bytes], float] = attrs.field(factory=dict)
    ever_secure: bool = False
    mixes: int = 0
    judged: dict[tuple[Piece, Piece, frozenset[bytes]], bool] = attrs.field(factory=dict)

    def remember(self) -> None:
        now = self.clock.now
        for one in self.signers:
            if one.published and one.zone is not None:
                for owner, rtype in ((WIRE, DNSKEY), (WIRE, SOA), (b"\3www" + WIRE, 1)):
                    found = piece(one.zone, owner, rtype)
                    self.cache[found] = now + max(found.ttl, 300)
        self.cached_ds[self.ds] = now + DS_TTL
        self.cache = {one: until for one, until in self.cache.items() if until >= now}
        self.cached_ds = {one: until for one, until in self.cached_ds.items() if until >= now}

    def judge(self) -> None:
        """Every mix of a DS, a DNSKEY and another RRset that caches may hold validates."""
        self.remember()
        self.ever_secure = self.ever_secure or bool(self.ds)
        key_sets = [one for one in self.cache if one.rtype == DNSKEY]
        for ds, keys, data in itertools.product(self.cached_ds, key_sets, self.cache):
            if not ds:
                continue
            self.mixes += 1
            mix = (keys, data, ds)
            if mix not in self.judged:
                now = self.clock.wall()
                led = frozenset(key for key in keys.rdatas if ds_rdata(ORIGIN, key) in ds)
                good = verifies(keys, led, now) and verifies(data, keys.rdatas, now)
                self.judged[mix] = good
            assert self.judged[mix], self.story(keys, data, ds)

    def story(self, keys: Piece, data: Piece, ds: frozenset[bytes]) -> str:
        tags = sorted(map(key_tag, keys.rdatas))
        by = sorted(int.from_bytes(one[16:18]) for one in data.signatures)
        led = sorted(int.from_bytes(one[:2]) for one in ds)
        return f"DS {led}, DNSKEY {tags}, type {data.rtype} signed by {by}"

    def parent_reads(self) -> None:
        found = {one.rdatas(CDS) for one in self.signers if one.published}
        wanted = found.pop() if len(found) == 1 else self.ds
        if wanted == self.ds or not wanted:
            self.cds = None
        elif self.cds is None or self.cds[1] != wanted:
            self.cds = (self.clock.now, wanted)
        elif self.clock.now >= self.cds[0] + PARENT_DELAY:
            self.remember()
            self.ds, self.cds = wanted, None

    async def step(self) -> None:
        dues = [one.signer.next_due() for one in self.signers]
        # Being late is no harm; polling once a minute for days is long.
        ahead = max(HOUR, min(due.timestamp() for due in dues if due) - self.clock.wall())
        self.remember()
        self.clock.now += ahead
        for one in self.signers:
            await one.step()
            self.judge()
        self.parent_reads()
        self.judge()

    async def settle(self, days: float = 12) -> None:
        """Until nothing moves and the parent has what every CDS says."""
        end = self.clock.now + days * DAY
        while not (
            all(one.settled() for one in self.signers)
            and self.cds is None
            and all(one.rdatas(CDS) == self.ds for one in self.signers if one.published)
        ):
            assert self.clock.now < end, [
                (one.signer.keyset.foreign, one.signer.status().waits) for one in self.signers
            ]
            await self.step()

    async def run(self, seconds: float) -> None:
        end = self.clock.now + seconds
        while self.clock.now < end:
            await self.step()


@pytest.fixture
def executor() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(2) as pool:
        yield pool


@pytest.mark.parametrize("layout", list(KeyLayout))
def test_a_zone_goes_from_one_signer_to_another_and_no_mix_of_their_answers_is_bogus(
    layout: KeyLayout, tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    policy = Policy(keys=layout, max_zone_ttl=HOUR)

    async def story() -> None:
        world = World(executor)
        first = Signer(tmp_path / "first", world, policy)
        world.signers.append(first)
        first.published = True
        await first.start()
        await world.settle()
        assert len(world.ds) == 1

        # The second signs beside it, with nothing but the first's keys to go by: not held.
        second = Signer(tmp_path / "second", world, policy)
        await second.start(*first.own_keys())
        world.signers.append(second)
        assert set(first.own_keys()) < second.dnskeys()
        assert not second.rdatas(CDS)
        assert not [kind for kind in second.signer.status().alarm_kinds if kind == "ds-mismatch"]
        await world.run(6 * HOUR)
        waits = [wait.evidence for wait in second.signer.status().waits]
        assert any("the other signers' servers don't all show it" in wait for wait in waits)

        # The first shows the second's keys; its CDS names both, and the parent follows.
        first.name_others(*second.own_keys())
        await first.reload()
        assert set(second.own_keys()) < first.dnskeys()
        await world.settle()
        assert len(world.ds) == 2
        assert first.rdatas(CDS) == second.rdatas(CDS) == world.ds
        assert first.rdatas(CDNSKEY) == second.rdatas(CDNSKEY)
        assert {entry.ds for entry in first.signer.wanted_ds().entries} == world.ds
        assert [*map(frozenset, (first.signer.ds_records(), second.signer.ds_records()))] == (
            [world.ds] * 2
        )
        rows = [(row.tag, row.role) for row in second.signer.key_rows() if row.role == "foreign"]
        assert sorted(rows) == sorted((key_tag(key), "foreign") for key in first.own_keys())

        # Now both answer.
        second.published = True
        await world.run(2 * DAY)
        with pytest.raises(OperationError, match="has other signers"):
            await second.signer.request(GoInsecure())
        await second.restart()

        # A zone key of one is used once the other shows it, however long that takes.
        role = Role.CSK if layout is KeyLayout.CSK else Role.ZSK
        old = set(first.own_keys(role))
        await first.signer.request(Roll(frozenset({role})))
        await world.run(5 * DAY)
        assert old < set(first.own_keys(role))
        assert first.zone is not None
        (signature,) = piece(first.zone, WIRE, SOA).signatures
        assert int.from_bytes(signature[16:18]) in map(key_tag, old)
        for _ in range(400):
            await second.copy_from(first)
            if not old & set(first.own_keys(role)) and first.settled():
                break
            await world.step()
        await world.settle()
        assert not old & (first.dnskeys() | second.dnskeys())

        # The first leaves: no longer asked, then forgotten.
        first.published = False
        await world.run(DS_TTL)
        second.name_others()
        await second.reload()
        world.signers.remove(first)
        await world.settle()
        await world.run(5 * HOUR)
        assert second.dnskeys() == set(second.own_keys())
        assert len(world.ds) == 1
        assert world.ds == second.rdatas(CDS)
        assert not second.signer.keyset.foreign
        assert not second.signer.status().alarms
        assert world.mixes > 1000

    asyncio.run(asyncio.wait_for(story(), 300))


def test_a_key_used_before_the_others_show_it_is_bogus_in_this_world(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    """The check itself is checked: without that wait it finds the mix."""

    async def story() -> None:
        policy = Policy(keys=KeyLayout.KSK_ZSK, max_zone_ttl=HOUR)
        world = World(executor)
        first, second = (Signer(tmp_path / name, world, policy) for name in ("first", "second"))
        world.signers.append(first)
        first.published = True
        await first.start()
        await world.settle()
        await second.start(*first.own_keys())
        world.signers.append(second)
        first.name_others(*second.own_keys())
        await first.reload()
        await world.settle()
        second.published = True
        first.name_others()
        await first.reload()
        with pytest.raises(AssertionError, match="signed by"):
            await world.settle()

    asyncio.run(asyncio.wait_for(story(), 120))


@pytest.mark.parametrize(
    ("scenario", "at_parent", "others", "held"),
    [
        ("the other signer's DS alone", (1,), (1,), None),
        ("a DS of nobody that is named", (1, 5), (1,), "there is no key here"),
        ("nobody named", (1,), (), "there is no key here"),
    ],
)
def test_a_first_start_beside_another_signers_ds(
    scenario: str,
    at_parent: tuple[int, ...],
    others: tuple[int, ...],
    held: str | None,
    tmp_path: Path,
    executor: ThreadPoolExecutor,
) -> None:
    async def story() -> None:
        world = World(executor, ds=frozenset(ds_rdata(ORIGIN, dnskey(one)) for one in at_parent))
        signer = Signer(tmp_path / "own", world, Policy())
        if held is None:
            await signer.start(*map(dnskey, others))
            assert set(map(dnskey, others)) < signer.dnskeys()
        else:
            with pytest.raises(AssertionError, match=held):
                await signer.start(*map(dnskey, others))

    asyncio.run(asyncio.wait_for(story(), 60))


def test_keys_that_are_refused_change_nothing_and_are_an_alarm(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    async def story() -> None:
        world = World(executor)
        signer = Signer(tmp_path / "own", world, Policy())
        signer.published = True
        await signer.start(dnskey(1))
        assert dnskey(1) in signer.dnskeys()
        signer.name_others(dnskey(1), dnskey(2, algorithm=15))
        await signer.reload()
        (row,) = [row for row in signer.signer.key_rows() if row.role == "foreign"]
        assert row.tag == key_tag(dnskey(1))
        status = signer.signer.status()
        assert "foreign-keys" in status.alarm_kinds
        assert any("RFC 8901 section 4" in alarm for alarm in status.alarms)
        signer.file.unlink()
        await signer.reload()
        assert dnskey(1) in signer.dnskeys()
        assert any("put it back" in alarm for alarm in signer.signer.status().alarms)

    asyncio.run(asyncio.wait_for(story(), 60))


def test_keys_in_the_source_count_with_multi_signer_alone(
    tmp_path: Path, executor: ThreadPoolExecutor
) -> None:
    async def story() -> None:
        class Island:
            async def ds(self, zone: dns.name.Name) -> ParentAnswer:
                return NoParent()

        database = StateDatabase(tmp_path / "state.db")
        store = FileKeyStore(
            tmp_path / "keys", lambda: bytearray(b"x"), memory_kib=64, iterations=1, lanes=1
        )
        zone: engine.Zone | None = None

        async def start(config: SignConfig, *keys: bytes) -> tuple[ZoneSigner, Outcome]:
            nonlocal zone
            signer = ZoneSigner(ORIGIN, config, store, database, WorldClock(), Island(), executor)
            read = engine.scan_text((TEXT + text(*keys)).encode(), WIRE)
            base = None if zone is None else zone.source()
            changes = engine.source_changes(base, read.source(keep_dnskey=True))
            sources = {BLOCK: frozenset(keys)} if config.multi_signer else None
            await signer.start({} if zone is None else {BLOCK: zone}, (), sources)
            assert signer.held is None
            outcome = await signer.sign(
                BLOCK, zone, changes, "all", source_serial=1, dnskeys=frozenset(keys)
            )
            if isinstance(outcome, Published):
                zone = outcome.zone
            return signer, outcome

        plain, shared = SignConfig(), SignConfig(multi_signer=MultiSigner())
        _, outcome = await start(plain, dnskey(1))
        assert isinstance(outcome, Refused)
        assert "multi-signer" in outcome.lines[0]
        signer, outcome = await start(shared, dnskey(1))
        assert isinstance(outcome, Published)
        found = outcome.zone.rrset(WIRE, DNSKEY)
        assert found is not None
        assert dnskey(1) in found.rdatas
        assert [key.dnskey for key in signer.keyset.foreign] == [dnskey(1)]
        _, outcome = await start(shared, dnskey(1), dnskey(2, 256, 15))
        assert isinstance(outcome, Refused)
        assert "RFC 8901 section 4" in outcome.lines[0]
        signer, outcome = await start(shared)
        assert isinstance(outcome, Published)
        found = outcome.zone.rrset(WIRE, DNSKEY)
        assert found is not None
        assert dnskey(1) not in found.rdatas

    asyncio.run(asyncio.wait_for(story(), 60))
