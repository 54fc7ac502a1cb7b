"""A backup from before a rollover, restored after it; and no state at all beside a live DS: what is
served stays valid, the zone is held, the way out is said, and it is one."""

import json
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dns.flags
import dns.name
import dns.rcode
import pytest
from house import House, until
from knotparent import PORT as PARENT_PORT
from knotparent import KnotParent
from unbound import Unbound

import engine

pytestmark = pytest.mark.peers

NAME = "child.example.net"
ZONE = """$TTL 1
@ SOA ns1 hostmaster {serial} 3600 900 86400 1
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
edit A 192.0.2.{edit}
"""
BLOCK = """
child.example.net:@PORT@ {{
    bind @ADDRESS@
    file db.child.example.net
    sign {{
        keys {keys}
        parent @ADDRESS@:{parent}
        observe @ADDRESS@:@PORT@
        dnskey-ttl 1s
        max-zone-ttl 1s
        parent-ds-ttl 1s
        propagation 1s
        parent-propagation 1s
        publish-safety 1s
        retire-safety 1s
        validity 1d
        refresh 6h
        jitter 1h
    }}
}}
"""
LAYOUTS = ("csk", "ksk+zsk")


class Scene:
    """A zone between its owner, its parent and validators."""

    def __init__(self, house: House, keys: str) -> None:
        self.house = house
        self.parent = KnotParent(
            house.directory / "parent", house.address, dns.name.from_text(NAME)
        )
        house.corefile(BLOCK.format(keys=keys, parent=PARENT_PORT))
        self.edits = 0

    @property
    def manager(self) -> Path:
        return self.house.directory / "state" / "manager"

    def edit(self, serial: int = 1) -> str:
        """The owner changes the zone; the address that has to be answered then."""
        self.edits += 1
        self.house.write("db.child.example.net", ZONE.format(serial=serial, edit=self.edits))
        return f"192.0.2.{self.edits}"

    def begin(self) -> None:
        """Until the zone is anchored."""
        self.edit()
        self.house.run()
        self.settle()
        assert self.parent.ds()

    def settle(self) -> None:
        """The parent does what it is asked for, until nothing is waited for."""
        until(self._settled, 90, f"the end of all waits\n{self.house.log}")

    def _settled(self) -> bool:
        self.parent.read_cds(self.house)
        signing = self.status()["signing"]
        return not signing["waits"] and all(
            record["state"] in ("omnipresent", "hidden")
            for key in signing["keys"]
            for record in key["records"]
        )

    def roll(self) -> None:
        done = self.house.command("keys", "roll", NAME, "--yes")
        assert done.returncode == 0, done.stderr
        self.settle()

    def status(self) -> dict[str, Any]:
        done = self.house.command("status", "--json")
        row: dict[str, Any] = json.loads(done.stdout)["zones"][0] if done.stdout else {}
        return row or {"signing": {"waits": ["it is starting"], "keys": []}}

    def used(self) -> dict[str, int]:
        """The keys that sign: fingerprint and tag."""
        return {
            key["fingerprint"]: key["tag"]
            for key in self.status()["signing"]["keys"]
            if key["signing"]
        }

    def backup(self, name: str) -> None:
        assert self.house.command("backup", name).returncode == 0

    def restore(self, name: str) -> None:
        done = self.house.command("restore", name, "--force")
        assert done.returncode == 0, done.stderr

    def held(self) -> str:
        """Wait until the zone is held: what `status` says then."""
        said = ""

        def is_held() -> bool:
            nonlocal said
            done = self.house.command("status")
            said = done.stdout
            return "held since" in said and done.returncode == 1

        until(is_held, 30, f"a hold\n{said}\n{self.house.log}")
        return said

    def copy(self) -> engine.Zone | None:
        """The server's copy of the version that it serves, which it writes once it does."""
        (store,) = (self.house.directory / "state/server/zones").glob(f"*/{NAME}")
        shutil.copytree(store, self.house.directory / "looked at", dirs_exist_ok=True)
        zone = engine.ZoneStore(str(self.house.directory / "looked at")).load()
        shutil.rmtree(self.house.directory / "looked at")
        return zone if zone is not None and zone.serial == self.house.serial(NAME) else None

    def is_valid(self) -> int:
        """What the server has validates by the parent's DS, as the strictest validator sees it
        and as Unbound does. Its serial."""
        ds = self.parent.ds()
        assert ds
        zone = until(self.copy, 30, "the server's copy on disk")
        report = engine.verify(zone, at=int(time.time()), ds=[ds])
        assert report.failure_count == 0, [failure.message for failure in report.failures]
        anchors = [f"{NAME}. IN DS {rdata.to_text()}" for rdata in self.parent.records()]
        unbound = Unbound(self.house.directory, self.house.address, anchors, [NAME])
        try:
            for name, rcode in (("www", "NOERROR"), ("nowhere", "NXDOMAIN")):
                reply = unbound.ask(f"{name}.{NAME}", "A")
                seen = dns.rcode.to_text(reply.rcode()), bool(reply.flags & dns.flags.AD)
                assert seen == (rcode, True), unbound.log.read_text()[-3000:]
        finally:
            unbound.end()
        return zone.serial

    def goes_on(self) -> int:
        """An edit is served, and valid; its serial."""
        wanted = self.edit()
        until(lambda: self.house.answer(f"edit.{NAME}") == [wanted], 30, self.house.log)
        self.settle()
        assert self.house.command("status").returncode == 0, self.house.command("status").stdout
        return self.is_valid()


@pytest.fixture(params=LAYOUTS)
def scene(request: pytest.FixtureRequest, house: House) -> Iterator[Scene]:
    found = Scene(house, request.param)
    try:
        found.begin()
        yield found
    finally:
        found.parent.end()


def test_a_backup_from_before_a_rollover_signs_nothing_after_it(scene: Scene) -> None:
    house = scene.house
    scene.backup("old")
    before = scene.used()
    scene.roll()
    rolled = scene.used()
    assert not rolled.keys() & before.keys()
    scene.goes_on()
    scene.backup("newest")
    scene.edit()
    until(lambda: house.answer(f"edit.{NAME}") == [f"192.0.2.{scene.edits}"], 30, house.log)
    serial = scene.is_valid()
    assert house.stop() == 0

    scene.restore("old")
    # One that is above all serials that there were: the server would take it.
    scene.edit(serial=serial + 100)
    house.start()
    said = scene.held()
    for tag in rolled.values():
        assert str(tag) in said, said
    assert "restore the newest" in said
    time.sleep(3)
    assert scene.is_valid() == serial
    assert house.stop() == 0
    house.start()
    scene.held()
    assert scene.is_valid() == serial
    assert house.stop() == 0

    scene.restore("newest")
    house.run()
    assert scene.goes_on() > serial
    assert scene.used() == rolled
    assert before.keys().isdisjoint(scene.used())


def export(scene: Scene) -> list[Path]:
    """The keys that sign, as BIND's files."""
    directory = scene.house.directory / "exported"
    directory.mkdir()
    for fingerprint in scene.used():
        done = scene.house.command("keys", "export", NAME, fingerprint, "-o", str(directory))
        assert done.returncode == 0, done.stderr
    return sorted(directory.glob("*.private"))


@pytest.mark.parametrize("lost", ["manager's", "all"])
def test_no_state_beside_a_live_ds_makes_no_key(scene: Scene, lost: str) -> None:
    house = scene.house
    used = scene.used()
    exported = export(scene)
    serial = scene.is_valid()
    ds = scene.parent.ds()
    assert house.stop() == 0

    shutil.rmtree(scene.manager if lost == "manager's" else scene.manager.parent)
    # One that is above all serials that there were: the server would take it.
    scene.edit(serial=serial + 100)
    house.start()
    said = scene.held()
    assert "there is no key here" in said
    assert "zoneward keys import" in said
    time.sleep(3)
    assert not list(scene.manager.glob("keys/*/*"))
    assert not list(scene.manager.glob(f"zones/*/{NAME}/*"))
    assert house.serial(NAME) == (serial if lost == "manager's" else None)
    if lost == "manager's":
        assert scene.is_valid() == serial

    done = house.command("keys", "import", NAME, *map(str, exported))
    assert done.returncode == 0, done.stderr
    until(lambda: (house.serial(NAME) or 0) > serial, 30, "a version")
    assert scene.is_valid() > serial
    assert scene.goes_on() > serial
    assert scene.used() == used, "the keys that were imported, and no others"
    assert scene.parent.ds() == ds
