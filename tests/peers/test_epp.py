"""The suite's EPP server, asked by Debian's libnet-epp-perl as well: what our driver gets along
with isn't only what we took EPP to be."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import eppserver
import pytest
from eppscene import ZONE, Scene, key, row

from registrars.protocol import Plan, Progress

pytestmark = pytest.mark.peers

SCRIPT = Path(__file__).parents[1] / "support" / "epp_peer.pl"
OURS, THEIRS = key(1), key(2)
DS = ":".join(row(THEIRS))


@pytest.fixture
def scene(tmp_path: Path) -> Iterator[Scene]:
    server, authority = eppserver.make(tmp_path)
    authority.client("client")
    (tmp_path / "password").write_text(eppserver.PASSWORD)
    server.registry.add(ZONE.to_text(omit_final_dot=True))
    with server.running():
        scene = Scene(server, authority, tmp_path)
        yield scene
        for one in scene.opened:
            one.close()
    assert server.violations == []


def perl(scene: Scene, *actions: str) -> list[str]:
    files = [scene.directory / name for name in ("client.pem", "client.key", "registry-ca.pem")]
    where = [scene.server.address, str(scene.server.port), *map(str, files)]
    done = subprocess.run(
        ["perl", str(SCRIPT), *where, eppserver.PASSWORD, "example.org", *actions],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    greeting, login, *lines, logout = done.stdout.splitlines()
    assert (greeting, login) == ("greeting The suite's registry", "login 1000")
    assert logout == "logout 1500"
    return lines


def listed(*entries: str) -> list[str]:
    return ["info 1000", *(f"DS {one}" for one in entries)]


def test_each_sees_what_the_other_did(scene: Scene) -> None:
    ours, theirs = " ".join(row(OURS)), " ".join(row(THEIRS))
    registrar = scene.open()
    assert perl(scene, "info", f"add:{DS}", "info") == [*listed(), "add 1000", *listed(theirs)]
    assert [one.ds for one in registrar.list(ZONE)] == [THEIRS.ds]
    plan = Plan(ZONE, add=(OURS,), keep=(THEIRS,))
    assert registrar.apply(plan).progress is Progress.ACCEPTED
    assert perl(scene, "info", f"rem:{DS}", "info") == [
        *listed(theirs, ours),
        "rem 1000",
        *listed(ours),
    ]
    assert [one.ds for one in registrar.list(ZONE)] == [OURS.ds]


def test_what_is_not_there_and_what_is_there_already(scene: Scene) -> None:
    assert perl(scene, f"rem:{DS}", f"add:{DS}", f"add:{DS}") == [
        "rem 2303",
        "add 1000",
        "add 2302",
    ]


def test_pending_and_the_queue(scene: Scene) -> None:
    scene.server.registry.slow = True
    registrar = scene.open()
    reference = registrar.apply(Plan(ZONE, add=(OURS,))).reference
    assert perl(scene, "next", "info", f"add:{DS}") == ["next 1300", *listed(), "add 2304"]
    scene.server.registry.decide("example.org")
    assert perl(scene, "next", "ack:1", "next") == [
        "next 1301",
        "message 1 of 1",
        "ack 1000",
        "next 1300",
    ]
    # Taken from under us: the domain itself says that it is done.
    assert registrar.poll(ZONE, reference).progress is Progress.ACCEPTED


def test_a_password_that_is_wrong(scene: Scene) -> None:
    scene.server.password = "another-one"
    done = subprocess.run(
        ["perl", str(SCRIPT), scene.server.address, str(scene.server.port)]
        + [str(scene.directory / name) for name in ("client.pem", "client.key", "registry-ca.pem")]
        + [eppserver.PASSWORD, "example.org"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert "login 2200\n" in done.stdout
