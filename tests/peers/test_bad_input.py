"""What is wrong is refused in one line that says where and what to do; what was served before
goes on being served."""

import resource
import socket
import sqlite3
import time

import dns.rcode
import pytest
from house import PORT, ZONE, House, until

pytestmark = pytest.mark.peers

BLOCK = """
example.org:@PORT@ {
    bind @ADDRESS@
    file db.example.org
    sign {
        parent none
    }
}
"""


@pytest.fixture
def signed(house: House) -> House:
    house.write("db.example.org", ZONE)
    house.corefile(BLOCK)
    house.run()
    return house


def still_serves(house: House, serial: int = 1) -> None:
    assert house.answer("www.example.org") == ["192.0.2.80"]
    assert house.serial("example.org") == serial


def refused(house: House, *, seconds: float = 20) -> str:
    """The only line on standard error of a start that is refused."""
    assert house.end(seconds) == 1
    lines = [line for line in house.log.splitlines() if " info " not in line]
    told = [line for line in lines if " warning " not in line]
    assert len(told) == 1, house.log
    return told[0]


def test_a_zone_with_an_error_leaves_the_one_before(signed: House) -> None:
    signed.write("db.example.org", ZONE + "bad A 192.0.2.256\n")
    (line,) = until(lambda: signed.lines("db.example.org:7:"), 5, "a line about it")
    assert "error" in line.split()[1]
    assert "correct the file (serial 1 stays served)" in line
    still_serves(signed)
    status = signed.command("status")
    assert status.returncode == 1
    assert "problem:" in status.stdout
    signed.write("db.example.org", ZONE + "good A 192.0.2.26\n")
    until(lambda: signed.answer("good.example.org"), 5, "the corrected zone")
    assert signed.command("status").returncode == 0


def test_a_zone_with_an_error_at_the_start_keeps_the_others_going(house: House) -> None:
    house.write("db.example.org", "nonsense\n")
    house.write("db.example.com", ZONE)
    house.corefile(BLOCK, BLOCK.replace("example.org", "example.com"))
    house.start()
    until(lambda: house.answer("www.example.com"), 20, f"the good zone\n{house.log}")
    until(lambda: "example.org.  not answered" in house.out, 20, f"a word about it\n{house.log}")
    assert house.lines("db.example.org:1:")
    assert house.ask("www.example.org").rcode() == dns.rcode.SERVFAIL


def test_a_file_that_vanishes_leaves_the_zone(signed: House) -> None:
    (signed.directory / "db.example.org").unlink()
    (line,) = until(lambda: signed.lines("there is no such file; put it back"), 5, "a line")
    assert "(serial 1 stays served)" in line
    still_serves(signed)
    signed.write("db.example.org", ZONE + "back A 192.0.2.26\n")
    until(lambda: signed.answer("back.example.org"), 5, "the file that is back")


def test_a_half_copied_file_is_not_taken(signed: House) -> None:
    text = ZONE + "".join(f"h{i} A 192.0.2.{i % 250}\n" for i in range(2000))
    with (signed.directory / "db.example.org").open("w") as file:
        for start in range(0, len(text), len(text) // 15):
            file.write(text[start : start + len(text) // 15])
            file.flush()
            still_serves(signed)
            time.sleep(0.06)
    until(lambda: signed.answer("h1999.example.org"), 5, f"the whole file\n{signed.log}")
    assert signed.serial("example.org") == 2
    assert not signed.lines(" error ")


def test_a_zone_that_loses_its_names_is_held_until_accepted(signed: House) -> None:
    many = ZONE + "".join(f"h{number} A 192.0.2.9\n" for number in range(12))
    signed.write("db.example.org", many)
    until(lambda: signed.answer("h11.example.org"), 5, "the whole zone")
    few = "".join(line + "\n" for line in ZONE.splitlines() if not line.startswith("www"))
    signed.write("db.example.org", few)
    until(lambda: signed.lines("zones accept"), 5, f"a word about it\n{signed.log}")
    still_serves(signed, 2)
    assert signed.command("zones", "accept", "example.org").returncode == 0
    until(lambda: not signed.answer("www.example.org"), 5, "what was accepted")
    assert signed.command("zones", "accept", "example.org").returncode == 1


@pytest.mark.parametrize("what", ["passphrase", "key"])
def test_a_key_that_cannot_be_decrypted_never_makes_a_new_one(signed: House, what: str) -> None:
    keys = signed.directory / "state/manager/keys"
    before = signed.everything("example.org", ["www.example.org"])
    assert signed.stop() == 0
    if what == "passphrase":
        (signed.directory / "state/manager/passphrase").write_text("another\n")
    else:
        (key,) = keys.glob("*/*.json")
        text = bytearray(key.read_bytes())
        text[len(text) // 2] ^= 1
        key.write_bytes(text)
    files = sorted(str(path) for path in keys.rglob("*"))
    signed.start()
    place = "keystore.json" if what == "passphrase" else ".json"
    until(
        lambda: [line for line in signed.lines(" error ") if place in line],
        20,
        f"a line about it\n{signed.log}",
    )
    until(lambda: signed.answer("www.example.org"), 20, f"answers\n{signed.log}")
    assert signed.everything("example.org", ["www.example.org"]) == before
    assert sorted(str(path) for path in keys.rglob("*")) == files
    assert len(signed.lines(": signed ")) == 1


def test_a_port_in_use_is_refused(house: House) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind((house.address, PORT))
        other.listen()
        house.write("db.example.org", ZONE)
        house.corefile(BLOCK)
        house.start()
        line = refused(house)
    assert f"{house.address}:{PORT}" in line


def test_a_metrics_port_in_use_is_refused(house: House) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
        other.bind((house.address, 9154))
        other.listen()
        house.write("db.example.org", ZONE)
        house.corefile(BLOCK, options="    metrics @ADDRESS@:9154")
        house.start()
        line = refused(house)
    assert f"metrics {house.address}:9154: can't listen: Address already in use; choose" in line


def test_a_full_disk_leaves_the_version_before(house: House) -> None:
    """The kernel's limit on a file's size stands for the disk: writes fail half-way."""
    house.write("db.example.org", ZONE)
    house.corefile(BLOCK)
    house.start(limits=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, 300_000)))
    house.ready()
    many = ZONE + "".join(f"h{i} A 10.0.{i >> 8}.{i & 255}\n" for i in range(5000))
    house.write("db.example.org", many)
    until(lambda: house.lines("the version before stays served"), 20, f"a line\n{house.log}")
    still_serves(house)
    house.write("db.example.org", ZONE + "small A 192.0.2.7\n")
    until(lambda: house.answer("small.example.org"), 30, f"what fits again\n{house.log}")
    assert house.process is not None
    assert house.process.poll() is None


def test_a_state_directory_in_use_is_refused(signed: House) -> None:
    done = signed.command("manage", "-c", "Corefile")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"in use by the manager with process id {signed.child('manage')}; stop" in done.stderr
    still_serves(signed)


def test_a_state_directory_of_another_layout_is_refused(signed: House) -> None:
    assert signed.stop() == 0
    (signed.directory / "state/manager/layout").write_text("99\n")
    done = signed.command("run", "-c", "Corefile")
    assert done.returncode == 1
    assert "has layout '99', this version of Zoneward knows 1; use the version" in done.stderr


def test_a_database_of_another_version_is_refused(signed: House) -> None:
    assert signed.stop() == 0
    with sqlite3.connect(signed.directory / "state/manager/state.db") as database:
        database.execute("PRAGMA user_version = 999")
    database.close()
    (signed.directory / "log").unlink()
    signed.start()
    assert "state.db" in refused(signed)


def test_a_damaged_zone_store_is_left_alone(signed: House) -> None:
    assert signed.stop() == 0
    (store,) = (signed.directory / "state/manager/zones").glob("example-org-*/example.org")
    for path in store.iterdir():
        content = bytearray(path.read_bytes())
        if len(content) > 64:
            content[40] ^= 0xFF
            path.write_bytes(content)
    saved = {path: path.read_bytes() for path in store.iterdir()}
    signed.start()
    until(lambda: signed.lines("it is left alone: restore"), 20, f"a line\n{signed.log}")
    until(lambda: signed.answer("www.example.org"), 10, "the server's own copy")
    still_serves(signed)
    assert {path: path.read_bytes() for path in store.iterdir()} == saved


def test_a_corefile_with_a_typo_starts_nothing(house: House) -> None:
    house.corefile(BLOCK.replace("bind", "bimd"))
    house.start()
    line = refused(house)
    assert line.endswith("unknown directive 'bimd'; did you mean 'bind'?")
    assert "Corefile:" in line
    assert not (house.directory / "state").exists()
