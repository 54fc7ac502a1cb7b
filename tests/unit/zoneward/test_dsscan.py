"""The delegations of a zone, what comes of asking its children, and the file of the DS that they
asked for."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dns.asyncresolver
import dns.name
import pytest

import engine
from signer.childasking import Network
from signer.childscan import Child, Nothing, Refuse, Take, Verdict
from zoneward import delegations, dsfile, dsscan
from zoneward.api import Cut
from zoneward.dsfile import Accepted
from zoneward.dsscan import Scan
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


# --- the children of a zone ------------------------------------------------------------------

A, B, C = (bytes.fromhex(f"000{number}0d02" + DIGEST) for number in (1, 2, 3))
NETWORK = Network(dns.asyncresolver.Resolver(configure=False), ())


def scanned(
    monkeypatch: pytest.MonkeyPatch,
    answer: Callable[[Child], Verdict],
    *cuts: Cut,
    known: dict[dns.name.Name, Accepted] | None = None,
) -> Scan:
    async def scan(child: Child, *_: Any, **__: Any) -> Verdict:
        return answer(child)

    monkeypatch.setattr(dsscan, "scan", scan)
    return asyncio.run(dsscan.run(cuts, known or {}, NETWORK, frozenset()))


def cut(child: str, *ds: bytes) -> Cut:
    return Cut(child=child, servers=("ns.example.",), addresses={}, ds=ds, ttl=30)


def test_what_is_taken_is_kept_and_what_is_refused_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {TWO: Accepted(frozenset({B}), 4, 30)}
    says: dict[dns.name.Name, Verdict] = {ONE: Take(frozenset({A}), 5, "why"), TWO: Refuse("no")}
    found = scanned(
        monkeypatch,
        lambda child: says[child.name],
        cut("one.org."),
        cut("two.org.", B),
        known=known,
    )
    assert found.accepted == {ONE: Accepted(frozenset({A}), 5, 30), **known}
    assert [row.outcome for row in found.rows] == ["change", "refused"]
    assert found.rows[1].after == found.rows[1].before
    assert found.refused


@pytest.mark.parametrize(
    ("verdict", "outcome"),
    [
        (Take(frozenset({A}), 5, ""), "same"),
        (Take(frozenset(), 5, ""), "change"),
        (Nothing(""), "nothing"),
    ],
)
def test_outcomes(monkeypatch: pytest.MonkeyPatch, verdict: Verdict, outcome: str) -> None:
    found = scanned(monkeypatch, lambda _: verdict, cut("one.org.", A))
    assert (found.rows[0].outcome, found.refused) == (outcome, False)


def test_the_last_signatures_are_handed_on(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[int | None] = []

    def answer(child: Child) -> Verdict:
        seen.append(child.accepted)
        return Nothing("")

    scanned(monkeypatch, answer, cut("one.org."), known={ONE: Accepted(frozenset(), 77)})
    assert seen == [77]


def test_a_ds_in_the_zones_own_source_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    known = {ONE: Accepted(frozenset({B}), 4, 30)}
    found = scanned(
        monkeypatch,
        lambda _: Take(frozenset({C}), 5, ""),
        cut("one.org.", A, B),
        known=known,
    )
    assert found.rows[0].stale == (dsfile.ds_text(A),)


def test_one_childs_answers_do_not_end_the_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    def answer(child: Child) -> Verdict:
        if child.name == ONE:
            raise LookupError("what nobody thought of")
        return Take(frozenset({A}), 5, "")

    found = scanned(monkeypatch, answer, cut("one.org."), cut("two.org."))
    assert "LookupError" in found.rows[0].reason
    assert set(found.accepted) == {TWO}
