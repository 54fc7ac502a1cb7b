"""*firewall* in the real engine: which line decides, and what becomes of the query."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import pytest
from answering import Answering, answering, rcode, shown, told
from keymaker import plan, sign_new
from upstream import Heard, reply_to, upstream

import engine
from corefile.names import name_wire
from server.counters import decode
from server.refills import Refills

ADDRESS, ABOVE = "127.61.12.1", "127.61.12.2"
FRIEND, FOE = "127.61.12.3", "127.61.13.9"

RECORDS = {
    "plain.test.": ["192.0.2.1"],
    "inside.test.": ["192.0.2.7", "10.1.2.3"],
    "garden.test.": ["192.0.2.80"],
}


def answer(heard: Heard) -> bytes:
    name = heard.name.lower()
    found = RECORDS.get(name)
    if name == "alias.test.":
        chain = ["alias.test. 60 IN CNAME inside.test.", "inside.test. 60 IN A 10.1.2.3"]
        return reply_to(heard, *chain).to_wire()
    if found is None:
        return reply_to(heard, rcode=3).to_wire()
    return reply_to(heard, *(f"{heard.name} 60 IN A {one}" for one in found)).to_wire()


@contextmanager
def guarded(lines: str, *, around: str = "") -> Iterator[Answering]:
    """A firewall with these lines ahead of an upstream."""
    with upstream(ABOVE, answer) as above:
        body = f"{around}\nfirewall {{\n{lines}\n}}\nforward . {above.address}:{above.port}"
        with answering(ADDRESS, body) as running:
            yield running


def hits(running: Answering) -> dict[str, int]:
    found = decode(running.server.stats()).hits
    return {("dry " if one.dry else "") + one.rule: one.count for one in found}


PLAIN = ("NOERROR", [], ["60 A 192.0.2.1"])
LINES = f"""
 allow net {FRIEND} name friend.test plain.test
 drop name dropped.test
 refuse suffix refused.test
 nxdomain suffix gone.test type A
 nodata suffix gone.test
 truncate name big.test plain.test type TXT
 spoof to 192.0.2.99 2001:db8::99 name forged.test ttl 30
 spoof to garden.test name walled.test
 refuse transport tcp name streamed.test
 refuse net {FOE}
"""


@pytest.mark.parametrize(
    ("name", "rtype", "source", "expected"),
    [
        ("plain.test.", "A", None, PLAIN),
        ("dropped.test.", "A", None, "silence"),
        ("below.dropped.test.", "A", None, ("NXDOMAIN", [], [])),
        ("REFUSED.test.", "A", None, ("REFUSED", [15], [])),
        ("a.b.refused.test.", "MX", None, ("REFUSED", [15], [])),
        ("gone.test.", "A", None, ("NXDOMAIN", [15], [])),
        ("x.gone.test.", "AAAA", None, ("NOERROR", [15], [])),
        ("forged.test.", "A", None, ("NOERROR", [4], ["30 A 192.0.2.99"])),
        ("forged.test.", "AAAA", None, ("NOERROR", [4], ["30 AAAA 2001:db8::99"])),
        ("forged.test.", "MX", None, ("NOERROR", [4], [])),
        (
            "walled.test.",
            "A",
            None,
            ("NOERROR", [4], ["60 CNAME garden.test.", "60 A 192.0.2.80"]),
        ),
        ("walled.test.", "CNAME", None, ("NOERROR", [4], ["60 CNAME garden.test."])),
        ("other.test.", "A", FOE, ("REFUSED", [18], [])),
        ("plain.test.", "A", FOE, ("REFUSED", [18], [])),
        ("plain.test.", "A", FRIEND, PLAIN),
    ],
)
def test_the_first_line_that_fits_decides(
    firewall: Answering, name: str, rtype: str, source: str | None, expected: object
) -> None:
    assert told(firewall, name, rtype, source=source) == expected


def test_over_tcp(firewall: Answering) -> None:
    cut = firewall.ask("big.test.", "TXT")
    assert bool(cut.flags & dns.flags.TC)
    assert told(firewall, "big.test.", "TXT", tcp=True) == ("NXDOMAIN", [], [])
    assert told(firewall, "streamed.test.", tcp=True) == ("REFUSED", [15], [])
    assert told(firewall, "streamed.test.") == ("NXDOMAIN", [], [])
    alias = ["60 CNAME garden.test.", "60 A 192.0.2.80"]
    assert told(firewall, "walled.test.", tcp=True) == ("NOERROR", [4], alias)


@pytest.fixture(scope="module")
def firewall() -> Iterator[Answering]:
    with guarded(LINES) as running:
        yield running


# --- lists ----------------------------------------------------------------------------


def test_lists_of_names_and_of_suffixes(tmp_path: Path) -> None:
    (tmp_path / "ads").write_text("# ads\nads.test\n0.0.0.0 tracker.test\n*.wild.test\nno good\n")
    (tmp_path / "bad").write_text("bad.test\n")
    lines = f"nxdomain names {tmp_path}/ads name own.test\nrefuse suffixes {tmp_path}/bad type A"
    with guarded(lines) as running:
        cases = [
            ("ads.test.", "NXDOMAIN", [15]),
            ("own.test.", "NXDOMAIN", [15]),
            ("x.ads.test.", "NXDOMAIN", []),
            ("TRACKER.test.", "NXDOMAIN", [15]),
            ("x.wild.test.", "NXDOMAIN", [15]),
            ("bad.test.", "REFUSED", [15]),
            ("x.y.bad.test.", "REFUSED", [15]),
            ("xbad.test.", "NXDOMAIN", []),
        ]
        for name, code, errors in cases:
            assert told(running, name) == (code, errors, []), name
        assert told(running, "bad.test.", "MX") == ("NXDOMAIN", [], [])


def test_a_list_that_changes_is_read_again_and_one_that_comes_later_too(tmp_path: Path) -> None:
    path = tmp_path / "ads"
    with guarded(f"refuse names {path}") as running:
        (warning,) = running.compiled.warnings
        assert "there is no file" in str(warning)
        refills = Refills(running.server)
        for names in ("one.test\n", "two.test\nthree.test\n"):
            path.write_text(names)
            refills.begin(running.compiled.refills)
            for name in ("one", "two", "three"):
                expected = "REFUSED" if f"{name}.test\n" in names else "NXDOMAIN"
                assert rcode(running.ask(f"{name}.test.")) == expected
        path.unlink()
        refills.begin(running.compiled.refills)
        assert rcode(running.ask("two.test.")) == "REFUSED", "what there was stays"


# --- rates ----------------------------------------------------------------------------


def test_who_asks_too_fast() -> None:
    with guarded("refuse rate 1 3 prefix 32\ndrop rate 1000 name never.test") as running:
        told_to_one = [told(running, "plain.test.", source=FRIEND) for _ in range(5)]
        assert told_to_one == [PLAIN] * 3 + [("REFUSED", [18], [])] * 2
        assert told(running, "plain.test.", source=FOE) == PLAIN, "another client"
        assert told(running, "never.test.", source=FOE) == ("NXDOMAIN", [], [])


def test_a_prefix_is_one_client_and_the_limited_come_back_over_tcp() -> None:
    with guarded("allow transport tcp\ntruncate rate 1 2 prefix 16") as running:
        for source in (FRIEND, "127.61.13.7"):
            assert told(running, "plain.test.", source=source) == PLAIN
        assert running.ask("plain.test.", source=FOE).flags & dns.flags.TC
        assert told(running, "plain.test.", tcp=True, source=FOE) == PLAIN


# --- answers --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "name", "expected"),
    [
        ("nxdomain answer 10.0.0.0/8", "inside.test.", ("NXDOMAIN", [15], [])),
        ("nxdomain answer 10.0.0.0/8", "alias.test.", ("NXDOMAIN", [15], [])),
        ("nxdomain answer 10.0.0.0/8", "plain.test.", PLAIN),
        ("drop answer 10.0.0.0/8", "inside.test.", "silence"),
        ("refuse answer 10.0.0.0/8 name other.test", "inside.test.", None),
        ("refuse answer 10.0.0.0/8 suffix test", "inside.test.", ("REFUSED", [15], [])),
        (
            "spoof to 192.0.2.9 answer 10.0.0.0/8",
            "inside.test.",
            ("NOERROR", [4], ["60 A 192.0.2.9"]),
        ),
        (
            "spoof to garden.test answer 10.0.0.0/8",
            "inside.test.",
            ("NOERROR", [4], ["60 CNAME garden.test.", "60 A 192.0.2.80"]),
        ),
        ("allow answer 192.0.2.7\nrefuse answer 10.0.0.0/8", "inside.test.", None),
        ("refuse answer 10.0.0.0/8\nallow answer 192.0.2.7", "inside.test.", ("REFUSED", [15], [])),
        (f"allow net {ADDRESS}\nrefuse answer 10.0.0.0/8", "inside.test.", None),
        ("log name inside.test\nrefuse answer 10.0.0.0/8", "inside.test.", ("REFUSED", [15], [])),
    ],
)
def test_an_answers_address(lines: str, name: str, expected: object) -> None:
    untouched = ("NOERROR", [], ["60 A 192.0.2.7", "60 A 10.1.2.3"])
    with guarded(lines) as running:
        assert told(running, name, source=ADDRESS) == (expected or untouched)


def test_what_the_cache_keeps_is_looked_at_each_time() -> None:
    with guarded(f"refuse answer 10.0.0.0/8 net {FOE}", around="cache") as running:
        for source, expected in ((FRIEND, "NOERROR"), (FOE, "REFUSED"), (FRIEND, "NOERROR")):
            assert rcode(running.ask("inside.test.", source=source)) == expected


# --- dry runs, counters, the log ------------------------------------------------------


def test_a_dry_line_is_counted_and_logged_and_the_next_one_decides() -> None:
    lines = "dry drop name plain.test\nlog type A\nrefuse name other.test"
    with guarded(lines) as running:
        assert told(running, "plain.test.", source=FOE) == PLAIN
        assert told(running, "other.test.", source=FOE) == ("REFUSED", [15], [])
        assert hits(running) == {
            "dry drop name plain.test": 1,
            "log type A": 2,
            "refuse name other.test": 1,
        }
        assert [line for _, line in running.server.drain_log()] == [
            f"firewall: {FOE} asked for plain.test. A: dry run: drop name plain.test",
            f"firewall: {FOE} asked for plain.test. A: log type A",
            f"firewall: {FOE} asked for other.test. A: log type A",
        ]


def test_all_of_it_dry() -> None:
    with guarded("dry_run\ndrop name plain.test\nrefuse answer 192.0.2.0/24") as running:
        assert told(running, "plain.test.") == PLAIN
        assert hits(running) == {
            "dry drop name plain.test": 1,
            "dry refuse answer 192.0.2.0/24": 1,
        }


# --- zones that are signed here -------------------------------------------------------

ZONE = "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n"


@pytest.mark.parametrize(
    ("line", "signed", "unsigned"),
    [
        ("nxdomain name ns.example.org", "REFUSED", "NXDOMAIN"),
        ("nodata name ns.example.org", "REFUSED", "NOERROR"),
        ("spoof to 192.0.2.9 name ns.example.org", "192.0.2.1", "192.0.2.9"),
        ("spoof to x.example name ns.example.org type A", "192.0.2.1", "x.example."),
        ("dry spoof to 192.0.2.9 name ns.example.org", "192.0.2.1", "192.0.2.1"),
        ("nxdomain answer 192.0.2.1", "REFUSED", "NXDOMAIN"),
    ],
)
def test_nothing_is_forged_where_it_would_be_bogus(line: str, signed: str, unsigned: str) -> None:
    source = engine.scan_text(ZONE.encode(), name_wire("example.org."))
    with answering(ADDRESS, f"file db\nfirewall {{\n{line}\n}}", "example.org") as running:
        for zone, expected in ((sign_new(source, plan()).zone, signed), (source, unsigned)):
            running.publish(zone)
            reply = running.ask("ns.example.org.")
            found = shown(reply)[0].split()[-1] if reply.answer else rcode(reply)
            assert found == expected
