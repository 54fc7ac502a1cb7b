"""The delegations of a zone, and the file of the DS that its children asked for."""

from pathlib import Path

import dns.name
import pytest

import engine
from zoneward import delegations, dsfile
from zoneward.dsfile import Accepted
from zoneward.refusal import Refusal

DIGEST = "AB" * 32
ZONE = f"""$ORIGIN org.
@ 60 SOA ns host 1 60 60 60 60
@ 60 NS ns
ns 60 A 192.0.2.1
one 60 NS ns.one
one 60 NS ns.example.net.
one 30 DS 1 13 2 {DIGEST}
ns.one 60 A 192.0.2.2
ns.one 60 AAAA 2001:db8::2
sub.one 60 NS ns.one
two 90 NS ns.one
"""
ONE, TWO = (dns.name.from_text(name) for name in ("one.org.", "two.org."))


def test_delegations_with_glue() -> None:
    zone = engine.scan_text(ZONE.encode(), dns.name.from_text("org.").to_wire())
    one, two = delegations.cuts(zone)
    assert (one.child, two.child) == ("one.org.", "two.org.")
    assert sorted(one.servers) == ["ns.example.net.", "ns.one.org."]
    assert one.addresses == {
        "ns.one.org.": ("192.0.2.2", "2001:db8::2"),
        "ns.example.net.": (),
    }
    assert (len(one.ds), one.ttl, two.ds, two.ttl) == (1, 30, (), 90)
    assert list(delegations.cuts(zone, [TWO])) == [two]
    assert (
        list(delegations.cuts(zone, [dns.name.from_text("org."), dns.name.from_text("a.")])) == []
    )


def test_the_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    path = tmp_path / "ds"
    ds = bytes.fromhex("00010d02" + DIGEST)
    written = {ONE: Accepted(frozenset({ds}), 1_764_086_183, 30), TWO: Accepted(frozenset(), 5)}
    dsfile.write(path, written)
    assert dsfile.read(path) == written
    assert path.stat().st_mode & 0o777 == 0o644
    assert f"one.org. 30 IN DS 1 13 2 {DIGEST.lower()}" in path.read_text()


@pytest.mark.parametrize("text", ["", "\n", "; a person's remark\n"])
def test_files_that_hold_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "ds").write_text(text)
    assert dsfile.read(tmp_path / "ds") == dsfile.read(tmp_path / "missing") == {}


@pytest.mark.parametrize(
    "line",
    [
        f"one.org. 30 IN DS 1 13 2 {DIGEST}",
        "one.org. 30 IN NS ns.one.org.",
        "; accepted one.org. signed today",
        "; accepted one..org. signed 5",
        "; accepted one.org. signed 5\none.org. 30 IN DS 1 13 2 AB",
        "; accepted one.org. signed 5\none.org. x IN DS 1 13 2 " + DIGEST,
    ],
)
def test_what_others_wrote_is_not_overwritten(line: str, tmp_path: Path) -> None:
    path = tmp_path / "ds"
    path.write_text(line + "\n")
    with pytest.raises(Refusal, match=r"ds:\d: was not written by"):
        dsfile.read(path)
    assert path.read_text() == line + "\n"


def test_octets_that_are_no_text(tmp_path: Path) -> None:
    (tmp_path / "ds").write_bytes(b"\xff\xfe")
    with pytest.raises(Refusal, match="can't be read"):
        dsfile.read(tmp_path / "ds")
    with pytest.raises(Refusal, match="can't be written"):
        dsfile.write(tmp_path / "none" / "ds", {})
