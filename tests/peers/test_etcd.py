"""Zones from etcd, alive: names that come and go, and every fault of etcd's, with queries running
and a validating resolver beside them."""

import itertools
import json
import signal
import threading
import time
from collections.abc import Iterator

import dns.rcode
import pytest
from etcdpeer import PEER_PORT, Etcd, Security, wait_for_all
from etcdscene import PREFIX, Cutter, Scene, block, services, state
from house import House, until

pytestmark = pytest.mark.peers

STABLE = {"host": "192.0.2.7", "ttl": 1}


def alone(address: str) -> str:
    """Another loopback address, of the same test."""
    head, _, last = address.rpartition(".")
    return f"{head}.{(int(last) + 1) % 254 + 1}"


@pytest.fixture
def scene(house: House, address: str) -> Iterator[Scene]:
    """One member, without TLS and users, that holds forty services."""
    etcd = Etcd(state(house.directory), alone(address))
    found = Scene(house, etcd)
    try:
        etcd.start()
        etcd.put_all({f"{PREFIX}stable": STABLE, **services(40)})
        found.start()
        yield found
    finally:
        found.end()


@pytest.fixture
def guarded(house: House, address: str) -> Iterator[Scene]:
    """One member that takes clients with a certificate, a name and a password only."""
    folder = state(house.directory)
    etcd = Etcd(folder, alone(address), security=Security.made(folder, alone(address)))
    assert etcd.security is not None
    security = etcd.security
    found = Scene(
        house,
        etcd,
        lines=(
            f"endpoint {etcd.url}",
            "credentials dns file:password",
            f"tls {security.client.certificate} {security.client.key} {security.authority}",
        ),
    )
    try:
        etcd.start()
        house.write("password", "first\n")
        etcd.put_all({f"{PREFIX}stable": STABLE, **services(40)})
        etcd.protect(("dns", "first"))
        found.start()
        yield found
    finally:
        found.end()


def test_names_come_and_go_with_valid_answers_over_tls_with_a_password(guarded: Scene) -> None:
    etcd = guarded.etcd
    guarded.equals_a_fresh_listing()
    etcd.put(f"{PREFIX}web/a", {"host": "192.0.2.1", "port": 80, "ttl": 1})
    guarded.shows("web", "192.0.2.1")
    assert guarded.validated("web", "SRV") == "NOERROR"
    assert guarded.validated("any.web") == "NOERROR"
    etcd.put(f"{PREFIX}web/b", {"host": "192.0.2.2", "port": 81, "ttl": 1})
    guarded.shows("web", "192.0.2.1", "192.0.2.2")
    assert guarded.validated("b.web") == "NOERROR"
    etcd.delete(f"{PREFIX}web/b")
    guarded.denies("b.web")
    guarded.shows("web", "192.0.2.1")
    etcd.delete(f"{PREFIX}web/a")
    for name in ("web", "a.web", "any.web", "*.web"):
        guarded.denies(name)
    # A wildcard that is a key is one of the DNS.
    etcd.put(f"{PREFIX}wild/*", {"host": "192.0.2.3", "ttl": 1})
    guarded.shows("whatever.wild", "192.0.2.3")
    assert guarded.validated("something.wild") == "NOERROR"
    guarded.equals_a_fresh_listing()


def test_a_change_signs_what_it_touches_and_goes_to_the_server_by_difference(scene: Scene) -> None:
    log = scene.house
    scene.etcd.put(f"{PREFIX}svc1/n1", {"host": "192.0.2.99", "port": 80, "ttl": 1})
    scene.shows("n1.svc1", "192.0.2.99")
    # A of the name and of the one above it, and the SOA.
    assert log.lines("serial 2: signed 3 RRsets")
    # A second of its own: of versions that follow one another the log has one line.
    time.sleep(1)
    scene.etcd.delete(f"{PREFIX}svc1/n1")
    scene.denies("n1.svc1")
    # A and SRV of the name above, the NSEC before the gap, the SOA.
    assert log.lines("serial 3: signed 4 RRsets")
    scene.equals_a_fresh_listing()


def test_etcd_is_frozen(scene: Scene) -> None:
    revision = scene.followed()["revision"]
    scene.etcd.signal(signal.SIGSTOP)
    lost = until(lambda: scene.followed()["problem"], 20, "that etcd is silent is said")
    assert scene.etcd.target in str(lost)
    time.sleep(1)
    found = scene.followed()
    assert found["revision"] == revision
    assert float(str(found["behind"])) > 2
    assert scene.house.command("status").returncode == 1
    assert scene.metric("zoneward_zone_source_lost") == 1
    assert scene.metric("zoneward_zone_source_behind_seconds") > 2
    assert scene.house.lines(f"what is served is of revision {revision}")
    assert scene.validated("stable") == "NOERROR"
    scene.etcd.signal(signal.SIGCONT)
    scene.etcd.put(f"{PREFIX}after", {"host": "192.0.2.1"})
    scene.shows("after", "192.0.2.1")
    until(lambda: scene.followed()["problem"] is None, 20, "that all is well is said")
    assert scene.house.command("status").returncode == 0
    scene.equals_a_fresh_listing()


def test_etcd_is_killed_and_comes_back_and_knows_no_token_any_more(guarded: Scene) -> None:
    guarded.etcd.kill()
    until(lambda: guarded.followed()["problem"], 20, "that etcd is gone is said")
    guarded.etcd.start()
    guarded.etcd.put(f"{PREFIX}after", {"host": "192.0.2.1"})
    guarded.etcd.delete(f"{PREFIX}svc3/n3")
    guarded.shows("after", "192.0.2.1")
    guarded.denies("n3.svc3")
    guarded.equals_a_fresh_listing()


def test_authentication_expires(guarded: Scene) -> None:
    """The password is another: tokens made with the old one end at once."""
    guarded.etcd.ctl("user", "passwd", "dns", "--interactive=false", text="second")
    refused = until(lambda: guarded.followed()["problem"], 30, "that we are refused is said")
    assert "dns is refused" in str(refused)
    guarded.etcd.put(f"{PREFIX}unheard", {"host": "192.0.2.1"})
    assert guarded.house.answer("stable.example.org") == ["192.0.2.7"]
    guarded.house.write("password", "second\n")
    guarded.shows("unheard", "192.0.2.1")
    assert "second" not in guarded.house.log
    guarded.equals_a_fresh_listing()


def test_history_is_compacted_under_us(house: House, address: str) -> None:
    """Cut off from etcd while what we would go on from is thrown away."""
    etcd = Etcd(state(house.directory), alone(address))
    etcd.start()
    door = Cutter(alone(alone(address)), 2379, (etcd.address, 2379))
    scene = Scene(house, etcd, lines=(f"endpoint http://{alone(alone(address))}:2379",))
    try:
        etcd.put_all({f"{PREFIX}stable": STABLE, **services(40)})
        scene.start()
        door.cut()
        until(lambda: scene.followed()["problem"], 20, "that etcd is gone is said")
        etcd.put_all(services(10, first=100))
        etcd.delete(f"{PREFIX}svc1/n1")
        etcd.compact()
        door.mend()
        scene.shows("n105.svc5", "10.0.0.105")
        scene.denies("n1.svc1")
        assert house.lines("has been compacted")
        scene.equals_a_fresh_listing()
    finally:
        scene.end()
        door.close()


def test_all_data_is_replaced(scene: Scene) -> None:
    """Within one transaction, then by an etcd that was set up anew."""
    etcd = scene.etcd
    only = f'put "{PREFIX}only" "{{\\"host\\":\\"192.0.2.1\\"}}"'
    etcd.ctl("txn", text=f'\ndel --prefix "{PREFIX}svc"\n{only}\n\n\n')
    scene.shows("only", "192.0.2.1")
    scene.denies("n2.svc2")
    scene.equals_a_fresh_listing()
    etcd.kill()
    etcd.data.rename(etcd.directory / "gone")
    etcd.start()
    etcd.put_all({f"{PREFIX}stable": STABLE, **services(60, first=1000)})
    scene.shows("n1001.svc1", "10.0.3.233")
    scene.denies("only")
    assert scene.house.lines("listing it anew")
    # Until the data was put etcd was empty, and so may the zone have been.
    assert scene.clients is not None
    scene.clients.wrong[:] = [one for one in scene.clients.wrong if not one.endswith("NXDOMAIN")]
    scene.equals_a_fresh_listing()


def test_the_manager_is_killed_in_a_burst(scene: Scene) -> None:
    house, etcd = scene.house, scene.etcd
    end = threading.Event()

    def burst() -> None:
        for number in itertools.count():
            if end.wait(0.02):
                return
            etcd.put_all(services(20, first=number % 20 * 20, net=11 + number // 20 % 100))

    writer = threading.Thread(target=burst, daemon=True)
    writer.start()
    try:
        for _ in range(2):
            time.sleep(0.5)
            house.kill("manage")
            killed_at = house.serial("example.org")
            assert killed_at is not None
            goes_past(house, killed_at)
    finally:
        end.set()
        writer.join()
    scene.equals_a_fresh_listing(60)


def goes_past(house: House, serial: int) -> None:
    until(lambda: (house.serial("example.org") or 0) > serial, 30, f"it goes on\n{house.log}")


def test_one_of_three_members_is_cut_off(house: House, address: str) -> None:
    """The one that is followed. It answers for itself, and knows nothing new."""
    folder = state(house.directory)
    addresses = [alone(address)]
    for _ in range(5):
        addresses.append(alone(addresses[-1]))
    names = ("one", "two", "three")
    # Members reach one another by way of relays.
    peers = {
        name: f"http://{relay}:{PEER_PORT}"
        for name, relay in zip(names, addresses[3:], strict=True)
    }
    members = [
        Etcd(folder, own, name, peers, options=("--heartbeat-interval", "100"))
        for own, name in zip(addresses, names, strict=False)
    ]
    relays = [
        Cutter(relay, PEER_PORT, (member.address, PEER_PORT))
        for relay, member in zip(addresses[3:], members, strict=True)
    ]
    scene = Scene(house, *members)
    try:
        for member in members:
            member.begin()
        wait_for_all(members)
        members[0].put_all({f"{PREFIX}stable": STABLE, **services(40)})
        scene.start()
        one, two = members[0], members[1]
        status = json.loads(one.ctl("endpoint", "status", "-w", "json"))
        own = format(status[0]["Status"]["header"]["member_id"], "x").encode()
        relays[0].cut()
        for relay in relays[1:]:
            relay.cut(b"X-Server-From: " + own)
        until(two.healthy, 20, "the other two have a leader")
        two.put(f"{PREFIX}after", {"host": "192.0.2.1"})
        scene.shows("after", "192.0.2.1", seconds=30)
        assert house.lines(f"etcd at {one.target}: ")
        for relay in relays:
            relay.mend()
        two.put(f"{PREFIX}later", {"host": "192.0.2.2"})
        scene.shows("later", "192.0.2.2")
        until(one.healthy, 20, "all three are one cluster")
        scene.equals_a_fresh_listing()
    finally:
        scene.end()
        for relay in relays:
            relay.close()


def test_bad_entries_are_counted_and_the_rest_is_served(scene: Scene) -> None:
    scene.etcd.put(f"{PREFIX}bad", "no JSON")
    scene.etcd.put(f"{PREFIX}two..dots", {"host": "192.0.2.1"})
    scene.etcd.put(f"{PREFIX}good", {"host": "192.0.2.1"})
    scene.shows("good", "192.0.2.1")
    found = scene.followed()
    assert (found["entries"], found["left_out"]) == (42, 2)
    assert scene.metric("zoneward_zone_source_entries") == 42
    assert scene.metric("zoneward_zone_source_left_out") == 2
    assert scene.metric("zoneward_zone_source_revision") == found["revision"]
    assert scene.metric("zoneward_zone_source_lost") == 0
    shown = scene.house.command("status").stdout
    assert "left out: 2 entries" in shown
    assert f"'{PREFIX}bad': the value is no JSON object" in shown
    assert scene.house.lines(f"left out '{PREFIX}two..dots'")
    assert scene.house.command("zones", "reload").stdout.endswith(": nothing changed\n")
    scene.equals_a_fresh_listing()


WHOLE = """
test:@PORT@ {
    bind @ADDRESS@
    etcd {
        @ETCD@
        layout zonefile
        path /zones
    }
    sign {
        parent none
    }
}
skydns.local:@PORT@ {
    bind @ADDRESS@
    etcd {
        @ETCD@
        path /skydns
    }
}
"""
TEXT = """$TTL 60
@ SOA ns1 hostmaster 1 3600 900 86400 300
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
"""


def test_whole_zones_come_and_go_and_a_corefile_of_coredns_works(
    house: House, address: str
) -> None:
    etcd = Etcd(state(house.directory), alone(address))
    try:
        etcd.start()
        etcd.put("/zones/a.test", TEXT)
        etcd.put("/skydns/local/skydns/www", {"host": "192.0.2.1"})
        house.corefile(block(f"endpoint {etcd.url}", text=WHOLE))
        house.run(60)
        until(lambda: house.answer("www.a.test"), 20, f"a zone that was there\n{house.log}")
        assert house.answer("www.skydns.local") == ["192.0.2.1"]
        etcd.put("/zones/b.test", TEXT)
        etcd.put("/zones/b.org", TEXT)
        until(lambda: house.answer("www.b.test"), 20, f"a zone that came\n{house.log}")
        assert any(rrset.rdtype == 46 for rrset in house.ask("www.b.test").answer)
        etcd.put("/zones/b.test", TEXT.replace("192.0.2.80", "192.0.2.81"))
        until(lambda: house.answer("www.b.test") == ["192.0.2.81"], 20, "an edit")
        # An error leaves what was there, and is named with its place.
        etcd.put("/zones/b.test", TEXT + "bad A 192.0.2.300\n")
        until(lambda: house.lines("/zones/b.test:6:"), 20, f"the error\n{house.log}")
        assert house.answer("www.b.test") == ["192.0.2.81"]
        assert house.lines("left out '/zones/b.org': b.org. is not at or below test.")
        etcd.delete("/zones/a.test")
        until(lambda: house.ask("www.a.test").rcode() == dns.rcode.REFUSED, 20, "a zone that went")
        # What is not signed here changes just so.
        etcd.put("/skydns/local/skydns/new", {"host": "192.0.2.2"})
        until(lambda: house.answer("new.skydns.local"), 20, "a new name")
        etcd.delete("/skydns/local/skydns/new")
        until(lambda: house.ask("new.skydns.local").rcode() == dns.rcode.NXDOMAIN, 20, "it is gone")
        # A start without etcd: what was served is, zones that only etcd names included.
        serial = house.serial("b.test")
        etcd.kill()
        house.stop()
        house.run(60)
        assert house.answer("www.b.test") == ["192.0.2.81"]
        assert house.answer("www.skydns.local") == ["192.0.2.1"]
        assert house.serial("b.test") == serial
        for zone in ("b.test.", "skydns.local."):
            says_that_it_stays(house, zone)
        etcd.start()
        etcd.put("/zones/b.test", TEXT.replace("192.0.2.80", "192.0.2.82"))
        etcd.put("/skydns/local/skydns/www", {"host": "192.0.2.3"})
        until(lambda: house.answer("www.b.test") == ["192.0.2.82"], 20, "the next edit")
        until(lambda: house.answer("www.skydns.local") == ["192.0.2.3"], 20, "the next change")
    finally:
        etcd.kill()


def says_that_it_stays(house: House, zone: str) -> None:
    until(
        lambda: any("stays served" in line for line in house.lines(f"zone {zone}: etcd ")),
        20,
        f"{zone} says that etcd is not there\n{house.log}",
    )
