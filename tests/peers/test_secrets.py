"""The server's reach: nothing of a key is in it, and no secret is in a log."""

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import dns.name
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from house import ZONE, House, until

from keystore.files import FileKeyStore

pytestmark = pytest.mark.peers

MARK = b"a-record-that-is-in-memory-0815"
PASSPHRASE = "correct-horse-battery-staple-4711"
BLOCK = """
example.org:@PORT@ {
    bind @ADDRESS@
    file db.example.org
    sign {
        parent none
    }
}
"""
KEYSTORE = "    keystore files {\n        passphrase env:ZONEWARD_TEST_PASSPHRASE\n    }\n"
FORBIDDEN = ("keystore", "registrars", "signer", "zones", "cryptography", "zoneward.manage")


@pytest.fixture
def signed(house: House) -> House:
    house.environ["ZONEWARD_TEST_PASSPHRASE"] = PASSPHRASE
    house.environ["ZONEWARD_TEST_BYSTANDER"] = "not for anybody"
    house.write("db.example.org", ZONE)
    house.corefile(BLOCK, options=KEYSTORE)
    house.run()
    return house


def needles(house: House) -> dict[str, bytes]:
    """What must not be found: the key in the forms that libraries hold it in."""
    store = FileKeyStore(
        house.directory / "state/manager/keys", lambda: bytearray(PASSPHRASE, "ascii")
    )
    zone = dns.name.from_text("example.org.")
    (key,) = store.list(zone)
    der = bytes(store.export(zone, key.fingerprint))
    private = serialization.load_der_private_key(der, None)
    assert isinstance(private, ec.EllipticCurvePrivateKey)
    scalar = private.private_numbers().private_value.to_bytes(32, "big")
    return {
        "the private key": scalar,
        "the private key, least octet first": scalar[::-1],
        "the private key, encoded": der,
        "the passphrase": PASSPHRASE.encode(),
    }


def memory(pid: int) -> Iterator[bytes]:
    """All that a process has mapped and that can be read."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as source:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            (
                span,
                rights,
                *_,
            ) = line.split()
            if "r" not in rights or line.endswith(("[vvar]", "[vsyscall]", "[vvar_vclock]")):
                continue
            start, end = (int(part, 16) for part in span.split("-"))
            if end - start > 1 << 30:
                continue
            try:
                source.seek(start)
                yield source.read(end - start)
            except OSError:
                # Guard pages, and files that were cut.
                continue


def holds(pid: int, needle: bytes) -> bool:
    return any(needle in region for region in memory(pid))


def test_the_servers_memory_holds_nothing_of_a_key(signed: House) -> None:
    # Some traffic and a change first, so that whatever could pass by has passed by.
    signed.write("db.example.org", ZONE + f'new TXT "{MARK.decode()}"\n')
    until(lambda: signed.answer("new.example.org", "TXT"), 5, "the edit")
    server = signed.child("serve")
    # The search finds what is there: a record that is served.
    assert holds(server, MARK)
    for what, needle in needles(signed).items():
        assert not holds(server, needle), what


def test_the_servers_environment_and_files_hold_nothing_of_a_key(signed: House) -> None:
    server = signed.child("serve")
    environ = Path(f"/proc/{server}/environ").read_bytes()
    assert b"ZONEWARD_TEST" not in environ
    assert PASSPHRASE.encode() not in environ
    manager = Path(f"/proc/{signed.child('manage')}/environ").read_bytes()
    assert PASSPHRASE.encode() in manager
    assert b"BYSTANDER" not in manager
    private = signed.directory / "state" / "manager"
    opened = [entry.readlink() for entry in Path(f"/proc/{server}/fd").iterdir()]
    assert opened
    assert not [path for path in opened if path.is_relative_to(private)]


def test_the_servers_modules_cannot_reach_a_key(house: House) -> None:
    """A plugin's view of the process: the interpreter's own list of modules."""
    script = (
        "import sys, json\n"
        "sys.argv = ['zoneward', 'serve', '--help']\n"
        "from zoneward import cli\n"
        "try:\n    cli.main()\nexcept SystemExit:\n    pass\n"
        "print('MODULES ' + json.dumps(sorted(sys.modules)))\n"
    )
    done = subprocess.run(
        [sys.executable, "-P", "-c", script],
        cwd=house.directory,
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    (line,) = [line for line in done.stdout.splitlines() if line.startswith("MODULES ")]
    modules = json.loads(line.removeprefix("MODULES "))
    assert "server.service" in modules
    reached = [
        name
        for name in modules
        if any(name == room or name.startswith(room + ".") for room in FORBIDDEN)
    ]
    assert reached == []


def test_the_mapped_code_of_a_running_server_has_no_crypto_library(signed: House) -> None:
    maps = Path(f"/proc/{signed.child('serve')}/maps").read_text()
    assert "_native" in maps
    assert "cryptography/hazmat" not in maps
    assert "cryptography/hazmat" in Path(f"/proc/{signed.child('manage')}/maps").read_text()


def test_no_secret_is_in_a_log_or_on_disk_in_the_clear(signed: House) -> None:
    signed.command("status", "--json")
    signed.command("keys", "list")
    assert signed.stop(signal.SIGTERM) == 0
    found = needles(signed)
    files = [path for path in signed.directory.rglob("*") if path.is_file()]
    assert len(files) > 5
    for path in files:
        content = path.read_bytes()
        for what, needle in found.items():
            assert needle not in content, f"{what} is in {path}"


@pytest.mark.parametrize("who", ["manage", "serve", "run"])
def test_no_process_leaves_a_core_dump(signed: House, who: str) -> None:
    assert signed.process is not None
    pid = signed.process.pid if who == "run" else signed.child(who)
    limits = Path(f"/proc/{pid}/limits").read_text().splitlines()
    (core,) = [line.split() for line in limits if line.startswith("Max core file size")]
    assert core[4:6] == ["0", "0"]
