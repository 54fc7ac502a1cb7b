"""Following a real etcd: pages, revisions, compaction, leases, transactions, limits."""

import asyncio
import json
import threading
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.name
import pytest
from etcdpeer import Etcd, Security

import corefile
import engine
from corefile.names import name_wire
from zones.config import EtcdZone, compile_block
from zones.etcd import follower as follower_module
from zones.etcd import following as following_module
from zones.etcd import rpc_pb2 as rpc
from zones.etcd.client import Batch, Beat, Connection, Login
from zones.etcd.follower import Mark
from zones.etcd.holding import Holding
from zones.etcd.rrsets import Records, zone_text
from zones.etcd.source import SkydnsSource
from zones.source import SourceError
from zones.versions import VersionKeeper
from zoneward.group import GroupPlan, NameGroup
from zoneward.zonetask import ZoneTask

pytestmark = pytest.mark.peers

ORIGIN = dns.name.from_text("example.org.")
PREFIX = "/skydns/org/example/"
A = 1


@pytest.fixture
def etcd(tmp_path: Path, address: str) -> Iterator[Etcd]:
    found = Etcd(tmp_path, address)
    try:
        found.start()
        yield found
    finally:
        found.kill()


class Scene:
    """A source, and what it tells."""

    def __init__(self, etcd: Etcd, *lines: str) -> None:
        body = "".join(f"{line}\n" for line in (f"endpoint {etcd.url}", *lines))
        parsed = corefile.parse(
            f"example.org {{\n etcd {{\n{body}}}\n}}", path="Corefile", environ={}, read=str
        )
        block = compile_block(parsed.blocks[0], etcd.directory)
        assert block is not None
        (zone,) = block.zones
        assert isinstance(zone, EtcdZone)
        self._executor = ThreadPoolExecutor(2)
        self.source = SkydnsSource(
            ORIGIN, zone.config, kept=etcd.directory / "copy", executor=self._executor
        )
        self.hints = 0
        self._task: asyncio.Task[None] | None = None
        self.base: engine.Zone | None = None
        self.connection = etcd.connection()

    async def __aenter__(self) -> "Scene":
        self._task = asyncio.create_task(self._count())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.source.stop()
        await self.connection.close()
        self._executor.shutdown()

    async def _count(self) -> None:
        async for _ in self.source.changes():
            self.hints += 1

    async def whole(self) -> engine.Zone:
        self.base = await self.source.load()
        await self.source.taken()
        return self.base

    async def next(self) -> engine.Zone:
        """The version after the last: what has changed, applied."""
        assert self.base is not None
        found = await self.source.increment(self.base)
        assert found is not None
        version = found.version(self.base)
        await self.source.taken()
        if version is not None:
            self.base = version[0]
        return self.base

    async def put(self, path: str, **value: object) -> int:
        return await self.connection.put((PREFIX + path).encode(), json.dumps(value).encode())

    async def until(self, revision: int) -> None:
        """Until all up to a revision was told."""
        async with asyncio.timeout(20):
            while self.source.following.mark is None or (
                self.source.following.mark.revision < revision
            ):
                await asyncio.sleep(0.005)


def addresses(zone: engine.Zone, name: str) -> list[str]:
    found = zone.rrset(name_wire(f"{name}.example.org."), A)
    return [] if found is None else sorted(".".join(map(str, one)) for one in found.rdatas)


def content(zone: engine.Zone) -> list[str]:
    """All records but the SOA."""
    return sorted(line for line in zone.to_text().splitlines() if " SOA " not in line)


Story = Callable[[Scene], Awaitable[None]]


def run(etcd: Etcd, story: Callable[[Scene], Coroutine[object, object, None]], *lines: str) -> None:
    async def act() -> None:
        async with Scene(etcd, *lines) as scene:
            await story(scene)

    asyncio.run(act())


def test_a_listing_of_many_pages_is_of_one_revision(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    etcd.put_all({f"{PREFIX}n{number}": {"host": "192.0.2.1"} for number in range(250)})
    monkeypatch.setattr(follower_module, "PAGE", 10)
    page = Connection.page
    pages = 0

    async def disturbed(self: Connection, *arguments: object) -> object:
        """Between any two pages something changes before and behind where they are."""
        nonlocal pages
        pages += 1
        if pages > 1:
            await self.write(
                rpc.PutRequest(key=f"{PREFIX}a{pages}".encode(), value=b'{"host":"192.0.2.9"}'),
                rpc.DeleteRangeRequest(key=f"{PREFIX}n{99 - pages}".encode()),
            )
        return await page(self, *arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(Connection, "page", disturbed)

    async def story(scene: Scene) -> None:
        first = await scene.whole()
        assert pages == 25
        await scene.until((await scene.connection.beat(b"x")).revision)
        last = await scene.next()
        there = {name for name in range(250) if addresses(last, f"n{name}")}
        assert there == set(range(250)) - {99 - page for page in range(2, 26)}
        assert all(addresses(last, f"a{page}") for page in range(2, 26))
        assert first.name_count <= last.name_count + 24

    run(etcd, story)
    monkeypatch.undo()
    check_equal(etcd)


def check_equal(etcd: Etcd) -> None:
    """What a source that starts from nothing has is what the copy and the watch lead to."""

    async def anew() -> list[str]:
        async with Scene(etcd) as scene:
            return content(await scene.whole())

    kept = asyncio.run(anew())
    (etcd.directory / "copy").unlink()
    assert asyncio.run(anew()) == kept


def test_a_burst_is_one_increment_of_what_it_touched(etcd: Etcd) -> None:
    etcd.put_all({f"{PREFIX}n{number}": {"host": "192.0.2.1"} for number in range(200)})

    async def story(scene: Scene) -> None:
        await scene.whole()
        for number in range(10):
            revision = await scene.put(f"n{number}", host="192.0.2.7")
        await scene.until(revision)
        assert scene.base is not None
        found = await scene.source.increment(scene.base)
        assert found is not None
        changes = found.changes()
        assert changes.added_count == changes.removed_count == 10
        assert found.before.name_count < 30
        last = await scene.next()
        assert addresses(last, "n9") == ["192.0.2.7"]
        assert content(last) == content(await scene.whole())

    run(etcd, story)


def test_a_transaction_is_served_whole(etcd: Etcd) -> None:
    async def story(scene: Scene) -> None:
        await scene.whole()
        for number in range(20):
            value = json.dumps({"host": f"192.0.2.{number}"}).encode()
            revision = await scene.connection.write(
                *(
                    rpc.PutRequest(key=f"{PREFIX}{name}".encode(), value=value)
                    for name in ("a", "b", "c")
                )
            )
            if number % 3 == 0:
                await scene.until(revision)
            zone = await scene.next()
            assert addresses(zone, "a") == addresses(zone, "b") == addresses(zone, "c")

    run(etcd, story)


def test_what_comes_in_a_thread_while_a_version_is_taken_waits_for_the_next(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Many keys at a time are taken in a thread, which has what is held for itself."""
    monkeypatch.setattr(following_module, "_MANY", 0)
    change, began, end = Holding.change, threading.Event(), threading.Event()

    def slow(self: Holding, *arguments: object) -> None:
        began.set()
        end.wait(20)
        change(self, *arguments)  # type: ignore[arg-type]

    async def story(scene: Scene) -> None:
        await scene.whole()
        await scene.source.load()
        monkeypatch.setattr(Holding, "change", slow)
        revision = await scene.put("a", host="192.0.2.1")
        await asyncio.to_thread(began.wait, 20)
        taken = asyncio.create_task(scene.source.taken())
        await asyncio.sleep(0)
        try:
            assert not taken.done()
        finally:
            end.set()
        await taken
        await scene.until(revision)
        assert addresses(await scene.next(), "a") == ["192.0.2.1"]

    run(etcd, story)


def test_a_start_goes_on_from_the_revision_on_disk(etcd: Etcd) -> None:
    etcd.put(f"{PREFIX}stays", {"host": "192.0.2.1"})
    etcd.put(f"{PREFIX}goes", {"host": "192.0.2.2"})

    async def first(scene: Scene) -> None:
        await scene.whole()
        assert scene.source.following.listings == 1

    run(etcd, first)
    etcd.delete(f"{PREFIX}goes")
    etcd.put(f"{PREFIX}comes", {"host": "192.0.2.3"})

    async def second(scene: Scene) -> None:
        zone = await scene.whole()
        assert addresses(zone, "stays") == ["192.0.2.1"]
        assert addresses(zone, "goes") == []
        assert addresses(zone, "comes") == ["192.0.2.3"]
        assert scene.source.following.listings == 0

    run(etcd, second)


def test_a_revision_that_was_compacted_is_listed_again(etcd: Etcd) -> None:
    etcd.put(f"{PREFIX}goes", {"host": "192.0.2.2"})

    async def first(scene: Scene) -> None:
        await scene.whole()

    run(etcd, first)
    etcd.delete(f"{PREFIX}goes")
    etcd.put(f"{PREFIX}comes", {"host": "192.0.2.3"})
    etcd.compact()

    async def second(scene: Scene) -> None:
        zone = await scene.whole()
        assert addresses(zone, "goes") == []
        assert addresses(zone, "comes") == ["192.0.2.3"]
        assert scene.source.following.listings == 1

    run(etcd, second)


def test_a_watch_that_does_not_catch_up_gives_way_to_a_listing(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """etcd gives no sign of life on a watch that is behind."""
    marks: list[Mark | None] = []

    async def first(scene: Scene) -> None:
        await scene.whole()
        marks.append(scene.source.following.mark)

    run(etcd, first)
    etcd.put(f"{PREFIX}comes", {"host": "192.0.2.3"})
    for name, seconds in (("BEAT", 0.1), ("SILENCE", 0.6), ("_CATCHING_UP", 1.0)):
        monkeypatch.setattr(follower_module, name, seconds)
    watch = Connection.watch

    async def behind(
        self: Connection, start: bytes, end: bytes, revision: int, ask: asyncio.Event
    ) -> AsyncGenerator[Batch, None]:
        (mark,) = marks
        assert mark is not None
        if revision == mark.revision + 1:
            await asyncio.Event().wait()
        async for batch in watch(self, start, end, revision, ask):
            yield batch

    monkeypatch.setattr(Connection, "watch", behind)

    async def second(scene: Scene) -> None:
        assert addresses(await scene.whole(), "comes") == ["192.0.2.3"]
        assert scene.source.following.listings == 1

    run(etcd, second)


@pytest.mark.parametrize("damage", ["cut", "changed", "empty"])
def test_a_damaged_copy_costs_a_listing(etcd: Etcd, damage: str) -> None:
    etcd.put(f"{PREFIX}a", {"host": "192.0.2.2"})

    async def story(scene: Scene) -> None:
        assert addresses(await scene.whole(), "a") == ["192.0.2.2"]
        assert scene.source.following.listings == 1

    run(etcd, story)
    kept = etcd.directory / "copy"
    octets = kept.read_bytes()
    changed = octets[:-5] + bytes([octets[-5] ^ 1]) + octets[-4:]
    kept.write_bytes({"cut": octets[:-1], "changed": changed, "empty": b""}[damage])
    run(etcd, story)


@pytest.mark.parametrize("ahead", [False, True])
def test_an_etcd_that_was_set_up_anew_is_noticed_and_listed(etcd: Etcd, ahead: bool) -> None:
    """Under its old identity: behind the revision that was taken, or ahead of it."""
    for number in range(5):
        etcd.put(f"{PREFIX}old{number}", {"host": "192.0.2.2"})

    async def first(scene: Scene) -> None:
        await scene.whole()

    run(etcd, first)
    etcd.kill()
    etcd.data.rename(etcd.directory / "gone")
    etcd.start()
    for number in range(20 if ahead else 1):
        etcd.put(f"{PREFIX}new{number}", {"host": "192.0.2.3"})

    async def second(scene: Scene) -> None:
        # What is there while nothing is known yet is no zone.
        zone = await scene.whole()
        assert addresses(zone, "old0") == []
        assert addresses(zone, "new0") == ["192.0.2.3"]
        assert scene.source.following.listings == 1

    run(etcd, second)


def test_a_change_that_overtakes_a_sign_of_life_is_no_restored_backup(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    beat = Connection.beat
    overtaken = 0

    async def story(scene: Scene) -> None:
        async def slow(self: Connection, key: bytes, deadline: float = 3.0) -> Beat:
            nonlocal overtaken
            found = await beat(self, key, deadline)
            await scene.until(await scene.put(f"n{overtaken}", host="192.0.2.1"))
            overtaken += 1
            return found

        await scene.whole()
        monkeypatch.setattr(follower_module, "BEAT", 0.05)
        monkeypatch.setattr(Connection, "beat", slow)
        async with asyncio.timeout(20):
            while overtaken < 3:
                await asyncio.sleep(0.01)
        assert scene.source.following.listings == 1

    run(etcd, story)
    assert not [line for line in caplog.messages if "restored from a backup" in line]


def test_a_leases_time_is_a_ttl_and_its_end_takes_the_name_away(etcd: Etcd) -> None:
    lease = etcd.ctl("lease", "grant", "60").split()[1]
    etcd.ctl("put", f"--lease={lease}", f"{PREFIX}a", text='{"host":"192.0.2.1"}')
    etcd.ctl("put", f"--lease={lease}", f"{PREFIX}b", text='{"host":"192.0.2.1","ttl":45}')

    async def story(scene: Scene) -> None:
        zone = await scene.whole()
        assert ttl(zone, "a") == 60
        assert ttl(zone, "b") == 45
        other = etcd.ctl("lease", "grant", "50").split()[1]
        etcd.ctl("put", f"--lease={other}", f"{PREFIX}c", text='{"host":"192.0.2.1"}')
        etcd.ctl("lease", "revoke", lease)
        await scene.until((await scene.connection.beat(b"x")).revision)
        zone = await scene.next()
        assert ttl(zone, "c") == 50
        assert addresses(zone, "a") == addresses(zone, "b") == []

    run(etcd, story)


def ttl(zone: engine.Zone, name: str) -> int:
    found = zone.rrset(name_wire(f"{name}.example.org."), A)
    assert found is not None
    return found.ttl


def test_bad_entries_are_left_out_and_counted_and_the_rest_is_there(
    etcd: Etcd, caplog: pytest.LogCaptureFixture
) -> None:
    etcd.put(f"{PREFIX}good", {"host": "192.0.2.1"})
    etcd.put(f"{PREFIX}json", "{")
    etcd.put(f"{PREFIX}host", {"host": "no name"})
    etcd.put(f"{PREFIX}bad..key", {"host": "192.0.2.1"})
    etcd.put(f"{PREFIX}long", {"text": "x" * 40_000})

    async def story(scene: Scene) -> None:
        zone = await scene.whole()
        assert addresses(zone, "good") == ["192.0.2.1"]
        standing = scene.source.standing()
        assert (standing.entries, standing.left_out) == (1, 4)
        assert len(standing.examples) == 3
        # One is corrected, one goes, a good one goes bad.
        await scene.put("json", host="192.0.2.2")
        etcd.delete(f"{PREFIX}host")
        revision = await scene.connection.put(f"{PREFIX}good".encode(), b"[]")
        await scene.until(revision)
        zone = await scene.next()
        assert addresses(zone, "good") == []
        assert addresses(zone, "json") == ["192.0.2.2"]
        assert scene.source.standing().left_out == 3

    run(etcd, story)
    said = [record.getMessage() for record in caplog.records]
    assert [line for line in said if f"left out '{PREFIX}json': the value is no JSON" in line]
    assert [line for line in said if f"left out '{PREFIX}bad..key': the key is no name" in line]


def test_a_name_that_the_engine_does_not_take_counts_until_it_does(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    def spoilt(name: str, records: Records) -> str:
        text = zone_text(name, records)
        return text.replace("192.0.2.9", "nonsense")

    monkeypatch.setattr("zones.etcd.source.zone_text", spoilt)
    etcd.put_all({f"{PREFIX}{name}": {"host": "192.0.2.9"} for name in ("a", "b", "c")})

    async def story(scene: Scene) -> None:
        await scene.whole()
        standing = scene.source.standing()
        assert (standing.entries, standing.left_out) == (3, 3)
        await scene.until(await scene.put("a", host="192.0.2.1"))
        assert addresses(await scene.next(), "a") == ["192.0.2.1"]
        assert scene.source.standing().left_out == 2
        revision = await scene.connection.write(rpc.DeleteRangeRequest(key=f"{PREFIX}b".encode()))
        await scene.until(revision)
        await scene.whole()
        (example,) = scene.source.standing().examples
        assert example.startswith("'c.example.org.': ")

    run(etcd, story)


def test_entries_over_the_limit_come_in_when_there_is_room(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "_LEAST_REST", 0.1)
    etcd.put_all({f"{PREFIX}n{number}": {"host": "192.0.2.1"} for number in range(8)})

    async def story(scene: Scene) -> None:
        zone = await scene.whole()
        assert [number for number in range(8) if addresses(zone, f"n{number}")] == [0, 1, 2, 3, 4]
        assert scene.source.standing().left_out == 3
        etcd.delete(f"{PREFIX}n0")
        async with asyncio.timeout(20):
            while scene.source.standing().left_out > 2:
                await asyncio.sleep(0.01)
        zone = await scene.next()
        assert [number for number in range(8) if addresses(zone, f"n{number}")] == [1, 2, 3, 4, 5]

    run(etcd, story, "max-entries 5")


def test_coming_and_going_at_the_limit_is_no_reason_to_list_all_the_time(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower_module, "BEAT", 0.05)
    monkeypatch.setattr(follower_module, "_LEAST_REST", 3600.0)
    etcd.put_all({f"{PREFIX}n{number}": {"host": "192.0.2.1"} for number in range(8)})
    beat = Connection.beat
    beats = asyncio.Semaphore(0)

    async def counted(self: Connection, key: bytes, deadline: float = 3.0) -> Beat:
        beats.release()
        return await beat(self, key, 3.0)

    monkeypatch.setattr(Connection, "beat", counted)

    async def story(scene: Scene) -> None:
        await scene.whole()
        for number in range(4):
            await scene.until(
                await scene.connection.write(
                    rpc.DeleteRangeRequest(key=f"{PREFIX}n{number}".encode())
                )
            )
            assert scene.source.standing().left_out
            for _ in range(5):
                await beats.acquire()
        assert scene.source.following.listings == 1

    run(etcd, story, "max-entries 5")


def test_pages_that_are_too_large_are_asked_for_in_smaller_ones(
    etcd: Etcd, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page of values of a megabyte each is more than is taken in one message."""
    large = {f"{PREFIX}n{number}": "x" * 1_000_000 for number in range(70)}

    async def fill(connection: Connection) -> None:
        for key, value in large.items():
            await connection.put(key.encode(), value.encode())
        await connection.put(f"{PREFIX}small".encode(), b'{"host":"192.0.2.1"}')

    etcd.connected(fill)

    async def story(scene: Scene) -> None:
        assert addresses(await scene.whole(), "small") == ["192.0.2.1"]
        assert scene.source.standing().left_out == 70

    run(etcd, story)


def test_a_zone_of_very_many_keys_is_taken_up_to_the_limit(
    etcd: Etcd, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = int(request.config.getoption("--etcd-keys"))
    over = count // 10
    monkeypatch.setattr("zones.etcd.source.FIRST_WAIT", 60 + count / 1000)
    etcd.put_all(
        {f"{PREFIX}g{number // 10}/n{number:09}": {"host": "192.0.2.1"} for number in range(count)}
    )

    async def first(scene: Scene) -> None:
        zone = await scene.whole()
        standing = scene.source.standing()
        assert (standing.entries, standing.left_out) == (count - over, over)
        # The names, those above them, their aliases, and the apex.
        groups = len({number // 10 for number in range(count) if taken(number)})
        assert zone.name_count == count - over + 2 * groups + 1

    def taken(number: int) -> bool:
        return f"{PREFIX}g{number // 10}/n{number:09}" in kept

    kept = set(
        sorted(f"{PREFIX}g{number // 10}/n{number:09}" for number in range(count))[: count - over]
    )
    run(etcd, first, f"max-entries {count - over}")

    async def second(scene: Scene) -> None:
        """A start knows them all, and one change among them is a small one."""
        await scene.whole()
        assert scene.source.following.listings == 0
        assert scene.source.standing().left_out == over
        name = min(kept)
        revision = await scene.connection.put(name.encode(), b'{"host":"192.0.2.2"}')
        await scene.until(revision)
        assert scene.base is not None
        found = await scene.source.increment(scene.base)
        assert found is not None
        assert found.before.name_count < 10
        assert found.changes().added_count == 2

    run(etcd, second, f"max-entries {count - over}")


def test_a_source_that_was_asked_before_its_zone_ran_ends_with_its_group(etcd: Etcd) -> None:
    """As for the keys of other signers, which a signer has to know at its start."""

    async def act() -> None:
        scene = Scene(etcd)
        with ThreadPoolExecutor(1) as executor:
            task = ZoneTask(
                "a",
                scene.source,
                "etcd",
                VersionKeeper(etcd.directory / "zone"),
                None,
                executor,
                lambda _: None,
            )
            plan = GroupPlan(ORIGIN, (), None)
            group = NameGroup(plan, None, {"a": task}, lambda _: None, asyncio.Lock())
            assert await task.dnskeys() == frozenset()
            assert following()
            await group.stop()
            assert not following()

    def following() -> list[str]:
        names = (task.get_name() for task in asyncio.all_tasks())
        return [name for name in names if name.startswith("etcd ")]

    asyncio.run(act())


def test_an_etcd_whose_authority_is_the_systems_is_trusted(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    security = Security.made(tmp_path, address)
    etcd = Etcd(tmp_path, address, security=security)
    monkeypatch.setenv("SSL_CERT_FILE", str(security.authority))

    async def story(scene: Scene) -> None:
        assert addresses(await scene.whole(), "a") == ["192.0.2.1"]

    try:
        etcd.start()
        etcd.put(f"{PREFIX}a", {"host": "192.0.2.1"})
        run(etcd, story, f"tls {security.client.certificate} {security.client.key}")
    finally:
        etcd.kill()


def test_a_token_that_expires_is_renewed_and_no_change_is_lost(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each use prolongs a token: nobody may ask for longer than it lasts."""
    etcd = Etcd(tmp_path, address, options=("--auth-token-ttl", "1"))
    authenticate = Connection._authenticate
    tokens: list[str] = []

    async def noted(self: Connection, login: Login) -> str:
        token = await authenticate(self, login)
        if login.name == "dns":
            tokens.append(token)
        return token

    monkeypatch.setattr(Connection, "_authenticate", noted)
    monkeypatch.setattr(follower_module, "BEAT", 3.0)
    monkeypatch.setattr(follower_module, "SILENCE", 30.0)

    async def story(scene: Scene) -> None:
        await scene.whole()
        for number in range(4):
            await scene.put(f"n{number}", host="192.0.2.1")
            async with asyncio.timeout(20):
                while len(tokens) <= number:
                    await asyncio.sleep(0.01)
        await scene.until((await scene.connection.beat(b"x")).revision)
        zone = await scene.next()
        assert all(addresses(zone, f"n{number}") for number in range(4))
        assert len(set(tokens)) == len(tokens)
        assert scene.source.following.listings == 1

    try:
        etcd.start()
        etcd.put(f"{PREFIX}a", {"host": "192.0.2.1"})
        etcd.protect(("dns", "secret"))
        run(etcd, story, "credentials dns secret")
    finally:
        etcd.kill()


def test_an_etcd_that_is_not_there_is_no_zone_and_says_why_once(
    tmp_path: Path, address: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("zones.etcd.source.FIRST_WAIT", 1.5)

    async def story(scene: Scene) -> None:
        with pytest.raises(SourceError) as caught:
            await scene.source.load()
        assert f"etcd {address}:2379 {PREFIX}" in str(caught.value)
        standing = scene.source.standing()
        assert standing.revision is None
        assert standing.problem is not None
        assert "onnect" in standing.problem

    run(Etcd(tmp_path, address), story, f"endpoint http://{address}:2380")
    said = [line.getMessage() for line in caplog.records if "etcd at" in line.getMessage()]
    assert len(said) == 1
