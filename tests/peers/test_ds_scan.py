"""`zoneward ds scan` as the parent of BIND's and Knot's children: what they publish is taken, kept
in the file that the zone includes, and served; what a server that is behind says is not."""

import json
from pathlib import Path
from typing import Any

import pytest
from children import SignedChild, child
from house import House, until
from peers import door, running

pytestmark = pytest.mark.peers

PARENT = """$TTL 60
$INCLUDE ds
@ SOA ns hostmaster {serial} 3600 900 86400 60
@ NS ns
ns A 192.0.2.1
child NS ns.child
ns.child A {address}
{more}
"""


def serve_parent(house: House, address: str) -> None:
    house.write("ds", "")
    house.write("db", PARENT.format(serial=1, address=address, more=""))
    house.corefile("org:@PORT@ {\n bind @ADDRESS@\n file db\n}")
    house.run()


def scan(house: House, port: int, *options: str, code: int = 0) -> dict[str, Any]:
    """The one child's row."""
    done = house.command("ds", "scan", "org", "--json", "--port", str(port), *options)
    assert done.returncode == code, done.stdout + done.stderr
    (row,) = json.loads(done.stdout)
    assert isinstance(row, dict)
    return row


def served(house: House) -> frozenset[str]:
    return frozenset(text.lower() for text in house.answer("child.org", "DS"))


def published(kind: SignedChild) -> frozenset[str]:
    """CDS in the form of DS."""
    return frozenset(text.lower() for text in kind.rdatas("CDS"))


def take_the_first(house: House, of: SignedChild) -> None:
    """Without a DS nothing is taken but by a person's word; with one, by its own keys."""
    until(lambda: published(of), 40, f"CDS: {of.log}")
    row = scan(house, of.at[1], "-o", "ds", code=1)
    assert "has no DS, and no server outside it" in row["reason"]
    assert served(house) == frozenset()
    row = scan(house, of.at[1], "-o", "ds", "--accept", "child.org")
    assert (row["outcome"], row["reason"]) == ("change", "by a person's word")
    until(lambda: served(house) == published(of), 40, "the DS is served")
    row = scan(house, of.at[1], "-o", "ds")
    assert (row["outcome"], row["reason"]) == ("same", "signed as its DS asks")
    assert frozenset(text.lower() for text in row["after"]) == published(of)


@pytest.mark.parametrize("kind", ["bind", "knot"])
def test_cds_of_a_peer_are_taken_and_a_server_that_is_behind_is_noticed(
    kind: str, house: House, tmp_path: Path, address: str
) -> None:
    at = door(kind, f"127.60.{address.split('.', 2)[2]}")
    behind = f"127.62.{address.split('.', 2)[2]}", at[1]
    with child(kind, tmp_path / kind, at, "child.org.") as of:
        of.has("DNSKEY")
        early = of.copy(tmp_path / "early")
        if kind == "knot":
            # It publishes CDS with its first version; this one is as before that.
            lines = [
                line
                for line in early.read_text().splitlines()
                if not {"CDS", "CDNSKEY"} & set(line.split()[:5])
            ]
            early.write_text("\n".join([*lines, ""]))
        serve_parent(house, at[0])
        take_the_first(house, of)
        before = (tmp_path / "ds").read_text()
        two = f"child NS ns2.child\nns2.child A {behind[0]}"
        house.write("db", PARENT.format(serial=5, address=at[0], more=two))
        until(lambda: len(house.ask("child.org", "NS").authority[0]) == 2, 40, "two servers")
        silent = scan(house, at[1], "-o", "ds", code=1)
        assert f"{behind[0]} port {at[1]} does not answer" in silent["reason"]
        with running("nsd", tmp_path / "nsd", *behind, [("child.org.", early)]):
            row = scan(house, at[1], "-o", "ds", code=1)
        assert row["outcome"] == "refused"
        assert "its servers differ in CDS: ns.child.org." in row["reason"]
        assert f"ns2.child.org. ({behind[0]}) has none" in row["reason"]
        assert (tmp_path / "ds").read_text() == before


def test_knots_rollover_is_followed(house: House, tmp_path: Path, address: str) -> None:
    at = door("knot", f"127.60.{address.split('.', 2)[2]}")
    with child("knot", tmp_path / "knot", at, "child.org.") as of:
        serve_parent(house, at[0])
        take_the_first(house, of)
        first = published(of)
        of.knotc("zone-key-rollover", "child.org.", "ksk")
        until(lambda: published(of) not in (first, frozenset()), 60, f"new CDS: {of.log}")
        before = (tmp_path / "ds").read_text()
        assert scan(house, at[1], "-o", "ds", "--dry-run")["outcome"] == "change"
        assert (tmp_path / "ds").read_text() == before
        row = scan(house, at[1], "-o", "ds")
        assert (row["outcome"], row["reason"]) == ("change", "signed as its DS asks")
        until(lambda: served(house) == published(of), 40, "the new DS is served")
        assert not served(house) & first
        for wrong, line in (("none.org", "has no delegation of none.org."), ("..", "no zone name")):
            done = house.command("ds", "scan", "org", wrong)
            assert done.returncode != 0
            assert line in done.stderr
