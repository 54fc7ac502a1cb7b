"""A zone that several sign (RFC 8901, model 2): each signer with a directory of its own, caches
that hold what any of them showed, and a parent that follows what all of their CDS say."""

import functools
import itertools
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import attrs
import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
from keymaker import new_pair
from rollworld import BLOCK, DS_TTL, ORIGIN, WIRE, WorldClock

import engine
from keystore.dnskey import key_tag
from keystore.files import FileKeyStore
from signer.config import MultiSigner, SignConfig
from signer.ds import ds_rdata
from signer.keyset import Role, State
from signer.observer import OwnServers, ServersAnswer, Shown
from signer.observer import Published as PublishedNames
from signer.outcome import Outcome, Published, Refused
from signer.parent import ParentAnswer, Seen
from signer.policy import DAY, HOUR, MINUTE, Policy
from signer.service import ZoneSigner
from signer.state import StateDatabase

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
