"""Following a real etcd: bursts, transactions, leases, who may read it."""

import asyncio
import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from etcdpeer import Etcd, Security
from etcdsource import ORIGIN, PREFIX, A, Scene, addresses, content, run, started

import engine
from corefile.names import name_wire
from zones.etcd import follower as follower_module
from zones.etcd import following as following_module
from zones.etcd import rpc_pb2 as rpc
from zones.etcd.client import Connection, Login
from zones.etcd.holding import Holding
from zones.source import SourceError
from zones.versions import VersionKeeper
from zoneward.group import GroupPlan, NameGroup
from zoneward.zonetask import ZoneTask

pytestmark = pytest.mark.peers


@pytest.fixture
def etcd(tmp_path: Path, address: str) -> Iterator[Etcd]:
    with started(tmp_path, address) as found:
        yield found


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
