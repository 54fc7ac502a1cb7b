"""`zoneward sign` and `zoneward verify`."""

import json
import re
import stat
import time
from pathlib import Path

import dns.name
import pytest
from click.testing import CliRunner, Result

import engine
from keystore import algorithms, bind
from zoneward import offline
from zoneward.cli import zoneward
from zoneward.refusal import Refusal

DATA = Path(__file__).parents[2] / "data"
ZONE = """$ORIGIN example.org.
$TTL 300
@ SOA ns1 hostmaster 1 3600 900 86400 300
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
"""


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "db").write_text(ZONE)
    return tmp_path


def run(*arguments: str | Path) -> Result:
    return CliRunner().invoke(zoneward, [str(argument) for argument in arguments])


def signed(directory: Path, *options: str | Path) -> Result:
    return run("sign", directory / "db", "--origin", "example.org", *options)


def test_a_signed_root_of_2011_was_good_in_2011() -> None:
    done = run("verify", "--at", "2011-03-03T00:00:00Z", DATA / "root-2011.signed.zone")
    assert done.exit_code == 0
    assert done.output.startswith(". serial 2011030200: good at 2011-03-03T00:00:00Z: ")
    assert "the first to expire at 2011-03-09T00:00:00Z" in done.output


def test_today_it_is_refused_and_told_which_signatures_expired_when() -> None:
    done = run("verify", "--show", "2", DATA / "root-2011.signed.zone")
    assert done.exit_code == 1
    first, second, summary = done.output.splitlines()
    for line in (first, second):
        assert re.match(r"\S+ \w+: expired: expired 2011-03-09T00:00:00Z by key 21639$", line)
    assert summary.endswith("failures (372 expired)")


def test_verify_speaks_json() -> None:
    done = run("verify", "--json", "--at", "20120101000000", DATA / "root-2011.signed.zone")
    found = json.loads(done.output)
    assert (found["ok"], found["kinds"]) == (False, {"expired": 372})
    assert found["at"] == "2012-01-01T00:00:00Z"


@pytest.mark.parametrize("options", [[], ["--nsec3"], ["--nsec3", "--opt-out", "--salt", "abcd"]])
@pytest.mark.parametrize("algorithm", ["ECDSAP256SHA256", "ED25519", "ED448", "RSASHA256"])
def test_what_is_signed_with_a_new_key_verifies(
    directory: Path, algorithm: str, options: list[str]
) -> None:
    done = signed(directory, "--generate", algorithm, "--verify", *options)
    assert done.exit_code == 0, done.output
    (private,) = directory.glob("Kexample.org.+*.private")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    anchor = directory / "ds"
    anchor.write_text("\n".join(line for line in done.stderr.splitlines() if " DS " in line))
    checked = run("verify", directory / "db.signed", "--ds", anchor)
    assert checked.exit_code == 0, checked.output


def test_keys_of_bind_sign_with_their_roles(directory: Path) -> None:
    name = dns.name.from_text("example.org.")
    for flags in (256, 257):
        key = algorithms.make(13, None)
        rdata = algorithms.dnskey(key, 13, flags)
        bind.save(directory, name, rdata, algorithms.to_pkcs8(key))
    done = signed(directory, "--keys", directory, "-o", directory / "out", "--verify")
    assert done.exit_code == 0, done.output
    zone = offline.scan(directory / "out", name)
    apex = zone.rrset(zone.origin, 48)
    soa = zone.rrset(zone.origin, 6)
    assert apex is not None
    assert soa is not None
    # The key tag is in octets 16 and 17 of an RRSIG's rdata (RFC 4034 section 3.1).
    tags = {engine.key_tag(rdata): int.from_bytes(rdata[:2], "big") for rdata in apex.rdatas}
    assert [tags[int.from_bytes(sig[16:18], "big")] for sig in apex.signatures] == [257]
    assert [tags[int.from_bytes(sig[16:18], "big")] for sig in soa.signatures] == [256]


def test_a_ds_that_no_key_answers_is_found(directory: Path) -> None:
    assert signed(directory, "--generate", "ED25519").exit_code == 0
    (directory / "ds").write_text(f"example.org. IN DS 4711 15 2 {'ab' * 32}\n")
    done = run("verify", directory / "db.signed", "--ds", directory / "ds")
    assert done.exit_code == 1
    assert "no-ds-path" in done.output


def test_a_flipped_bit_is_found(directory: Path) -> None:
    assert signed(directory, "--generate", "ED25519").exit_code == 0
    path = directory / "db.signed"
    path.write_text(path.read_text().replace("192.0.2.80", "192.0.2.81"))
    done = run("verify", path)
    assert done.exit_code == 1
    assert "www.example.org. A: bad-signature" in done.output


def test_serial_and_validity_are_as_asked(directory: Path) -> None:
    done = signed(directory, "--generate", "ED25519", "--serial", "increment", "--validity", "3d")
    assert done.exit_code == 0
    zone = offline.scan(directory / "db.signed", dns.name.from_text("example.org."))
    assert zone.serial == 2
    expiration = zone.earliest_expiration()
    assert expiration is not None
    assert abs(expiration - time.time() - 3 * 86400) < 60


@pytest.mark.parametrize(
    "options",
    [
        [],
        ["--keys", "x", "--generate", "ED25519"],
        ["--generate", "MD5"],
        ["--generate", "ED25519", "--serial", "tomorrow"],
        ["--generate", "ED25519", "--nsec3", "--salt", "xyz"],
        ["--generate", "ED25519", "--expiration", "never"],
    ],
)
def test_wrong_usage_writes_nothing(directory: Path, options: list[str]) -> None:
    assert signed(directory, *options).exit_code == 2
    assert not (directory / "db.signed").exists()
    assert not list(directory.glob("K*")) or "--salt" in options or "--serial" in options


def test_all_errors_of_a_zone_file_are_told(directory: Path) -> None:
    path = directory / "db"
    path.write_text(ZONE + "a A 1.2.3\nb MX ten mail\n")
    with pytest.raises(Refusal) as caught:
        offline.scan(path, dns.name.from_text("example.org."))
    lines = str(caught.value).splitlines()
    assert [line.split(":")[1] for line in lines] == ["7", "8"]


@pytest.mark.parametrize(
    ("text", "origin"),
    [
        ("$ORIGIN example.org.\n@ SOA", "example.org."),
        ("; a comment\nexample.com. 300 IN SOA a. b. 1 2 3 4 5\n", "example.com."),
        (".\t86400\tIN\tSOA a. b. 1 2 3 4 5\n", "."),
    ],
)
def test_the_zones_name_is_found_in_the_file(tmp_path: Path, text: str, origin: str) -> None:
    (tmp_path / "db").write_text(text)
    assert str(offline.find_origin(tmp_path / "db")) == origin


def test_a_file_that_does_not_name_its_zone_needs_origin(tmp_path: Path) -> None:
    (tmp_path / "db").write_text("@ SOA a b 1 2 3 4 5\n")
    with pytest.raises(Refusal, match="say --origin NAME"):
        offline.find_origin(tmp_path / "db")
