"""*rpz* in the real engine: what feeds say, in which order, and what is made of it."""

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

ADDRESS, ABOVE = "127.61.14.1", "127.61.14.2"
FRIEND, FOE = "127.61.14.3", "127.61.15.9"

HEAD = "$TTL 60\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\n"
CHAINS = {
    "alias.test.": ["alias.test. 60 IN CNAME second.test.", "second.test. 60 IN CNAME bad.test."],
    "inside.test.": ["inside.test. 60 IN A 192.0.2.7", "inside.test. 60 IN A 10.1.2.3"],
    "to.inside.test.": ["to.inside.test. 60 IN CNAME x.test.", "x.test. 60 IN A 10.1.2.3"],
}


def answer(heard: Heard) -> bytes:
    name = heard.name.lower()
    if name == "broken.test.":
        return reply_to(heard, rcode=2).to_wire()
    records = list(CHAINS.get(name, [f"{heard.name} 60 IN A 192.0.2.1"]))
    if name == "alias.test.":
        records.append("bad.test. 60 IN A 192.0.2.1")
    return reply_to(heard, *records).to_wire()


@contextmanager
def fed(directory: Path, *feeds: str, options: str = "", around: str = "") -> Iterator[Answering]:
    """Feeds of these records, in their order, ahead of an upstream; the last has `options`."""
    lines = []
    for number, records in enumerate(feeds):
        (directory / f"feed{number}").write_text(HEAD + records)
        more = options if number == len(feeds) - 1 else ""
        lines.append(f"rpz feed{number}.test {{\nfile {directory}/feed{number}\n{more}\n}}")
    with upstream(ABOVE, answer) as above:
        body = "\n".join([around, *lines, f"forward . {above.address}:{above.port}"])
        with answering(ADDRESS, body) as running:
            yield running


PLAIN = ("NOERROR", [], ["60 A 192.0.2.1"])
NOT_THERE, EMPTY = ("NXDOMAIN", [15], []), ("NOERROR", [15], [])

FEED = """
bad.test CNAME .
*.bad.test CNAME .
fine.bad.test CNAME rpz-passthru.
empty.test CNAME *.
dropped.test CNAME rpz-drop.
streamed.test CNAME rpz-tcp-only.
*.wild.test CNAME *.
deep.in.wild.test CNAME .
walled.test CNAME garden.example.
*.walled.test CNAME *.garden.example.
data.test A 192.0.2.99
data.test A 192.0.2.98
data.test TXT "why"
self.test CNAME self.test.
8.0.0.0.10.rpz-ip CNAME .
32.3.2.1.10.rpz-ip A 192.0.2.50
32.9.15.61.127.rpz-client-ip CNAME *.
ns.example.rpz-nsdname CNAME .
"""


@pytest.mark.parametrize(
    ("name", "rtype", "expected"),
    [
        ("plain.test.", "A", PLAIN),
        ("BAD.test.", "A", NOT_THERE),
        ("bad.test.", "MX", NOT_THERE),
        ("x.bad.test.", "A", NOT_THERE),
        ("fine.bad.test.", "A", PLAIN),
        ("empty.test.", "A", EMPTY),
        ("dropped.test.", "A", "silence"),
        ("wild.test.", "A", PLAIN),
        ("x.wild.test.", "A", EMPTY),
        ("deep.in.wild.test.", "A", NOT_THERE),
        ("in.wild.test.", "A", PLAIN),  # a name of the feed's zone, though nothing is said of it
        ("data.test.", "A", ("NOERROR", [4], ["5 A 192.0.2.98", "5 A 192.0.2.99"])),
        ("data.test.", "TXT", ("NOERROR", [4], ['5 TXT "why"'])),
        ("data.test.", "MX", ("NOERROR", [4], [])),
        (
            "walled.test.",
            "A",
            ("NOERROR", [4], ["5 CNAME garden.example.", "60 A 192.0.2.1"]),
        ),
        (
            "X.walled.test.",
            "A",
            ("NOERROR", [4], ["5 CNAME x.walled.test.garden.example.", "60 A 192.0.2.1"]),
        ),
        ("self.test.", "A", PLAIN),
        ("inside.test.", "A", ("NOERROR", [4], ["5 A 192.0.2.50"])),
        (
            "to.inside.test.",
            "A",
            ("NOERROR", [4], ["60 CNAME x.test.", "5 A 192.0.2.50"]),
        ),
        (
            "alias.test.",
            "A",
            ("NXDOMAIN", [15], ["60 CNAME second.test.", "60 CNAME bad.test."]),
        ),
        ("broken.test.", "A", ("SERVFAIL", [], [])),
    ],
)
def test_what_a_feed_says(running: Answering, name: str, rtype: str, expected: object) -> None:
    assert told(running, name, rtype) == expected


def test_over_tcp_and_of_a_client(running: Answering) -> None:
    assert running.ask("streamed.test.").flags & dns.flags.TC
    assert told(running, "streamed.test.", tcp=True) == PLAIN
    assert told(running, "plain.test.", source=FOE) == EMPTY
    assert told(running, "bad.test.", source=FOE) == EMPTY, "the client comes before the name"


@pytest.fixture(scope="module")
def running(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    with fed(tmp_path_factory.mktemp("feed"), FEED) as running:
        yield running


# --- several feeds --------------------------------------------------------------------

PASSES, FORBIDS = "a.test CNAME rpz-passthru.\n", "a.test CNAME .\nb.test CNAME .\n"
OF_ANSWERS = "32.1.2.0.192.rpz-ip CNAME *.\n32.3.2.1.10.rpz-ip CNAME rpz-passthru.\n"


@pytest.mark.parametrize(
    ("feeds", "name", "expected"),
    [
        ((PASSES, FORBIDS), "a.test.", PLAIN),
        ((FORBIDS, PASSES), "a.test.", NOT_THERE),
        ((PASSES, FORBIDS), "b.test.", NOT_THERE),
        # What an earlier feed says of the answer comes before what a later one says of the name.
        ((OF_ANSWERS, FORBIDS), "a.test.", EMPTY),
        ((FORBIDS, OF_ANSWERS), "a.test.", NOT_THERE),
        ((PASSES, OF_ANSWERS), "a.test.", PLAIN),
        (
            (OF_ANSWERS, "to.inside.test CNAME g.test."),
            "to.inside.test.",
            ("NOERROR", [4], ["5 CNAME g.test.", "60 A 192.0.2.1"]),
        ),
        (
            (OF_ANSWERS.replace("CNAME *.", "CNAME rpz-passthru."), "x.test CNAME g.test."),
            "to.inside.test.",
            ("NOERROR", [], ["60 CNAME x.test.", "60 A 10.1.2.3"]),
        ),
        (
            ("32.9.9.9.9.rpz-ip CNAME .", "x.test CNAME *.g.test."),
            "to.inside.test.",
            (
                "NOERROR",
                [4],
                ["60 CNAME x.test.", "5 CNAME x.test.g.test.", "60 A 192.0.2.1"],
            ),
        ),
        ((OF_ANSWERS, "inside.test CNAME ."), "inside.test.", None),
        ((OF_ANSWERS, "broken.test CNAME ."), "broken.test.", NOT_THERE),
    ],
)
def test_the_first_feed_that_speaks_decides(
    feeds: tuple[str, ...], name: str, expected: object, tmp_path: Path
) -> None:
    untouched = ("NOERROR", [], ["60 A 192.0.2.7", "60 A 10.1.2.3"])
    with fed(tmp_path, *feeds) as running:
        assert told(running, name) == (expected or untouched)


@pytest.mark.parametrize(
    ("policy", "expected"),
    [
        ("given", NOT_THERE),
        ("disabled", PLAIN),
        ("passthru", PLAIN),
        ("drop", "silence"),
        ("nxdomain", NOT_THERE),
        ("nodata", EMPTY),
        ("cname g.test", ("NOERROR", [4], ["5 CNAME g.test.", "60 A 192.0.2.1"])),
        ("nodata\nede 17", ("NOERROR", [17], [])),
        ("cname g.test\nmax_ttl 9", ("NOERROR", [4], ["9 CNAME g.test.", "60 A 192.0.2.1"])),
    ],
)
def test_what_is_made_of_a_feed_here(policy: str, expected: object, tmp_path: Path) -> None:
    with fed(tmp_path, FORBIDS, options=f"policy {policy}") as running:
        assert told(running, "a.test.") == expected


def test_a_feed_on_trial_is_counted_and_logged_and_the_next_one_decides(tmp_path: Path) -> None:
    trial = "a.test CNAME rpz-drop.\n32.1.2.0.192.rpz-ip CNAME .\n"
    with fed(tmp_path, FORBIDS, trial, options="policy disabled") as running:
        assert told(running, "a.test.", source=FOE) == NOT_THERE
        assert told(running, "c.test.", source=FOE) == PLAIN
        found = {
            (one.rule, one.trigger, one.action, one.dry): one.count
            for one in decode(running.server.stats()).hits
        }
        assert found == {
            ("feed0.test.", "qname", "nxdomain", False): 1,
            ("feed1.test.", "ip", "nxdomain", True): 1,
        }
        assert [line for _, line in running.server.drain_log()] == [
            f"rpz: {FOE} asked for c.test. A: dry run: ip in feed1.test.: nxdomain"
        ]


def test_a_feed_that_changes_is_read_again_and_a_wrong_one_is_not(tmp_path: Path) -> None:
    path = tmp_path / "feed0"
    with fed(tmp_path, "a.test CNAME .\n", options="log") as running:
        refills = Refills(running.server)
        for records, blocked in (("b.test CNAME .\n", "b"), ("c.test NONSENSE\n", "b")):
            path.write_text(HEAD + records)
            refills.begin(running.compiled.refills)
            for name in ("a", "b", "c"):
                expected = NOT_THERE if name == blocked else PLAIN
                assert told(running, f"{name}.test.") == expected
        assert len(running.server.drain_log()) == 2


def test_the_cache_holds_what_came_from_upstream(tmp_path: Path) -> None:
    with fed(tmp_path, OF_ANSWERS, around="cache") as running:
        assert [told(running, "a.test.") for _ in range(2)] == [EMPTY] * 2
        (tmp_path / "feed0").write_text(HEAD)
        Refills(running.server).begin(running.compiled.refills)
        assert told(running, "a.test.") == PLAIN


ZONE = "$TTL 300\n@ SOA ns hostmaster 1 3600 600 86400 60\n@ NS ns\nns A 192.0.2.1\n"


@pytest.mark.parametrize(
    ("record", "signed", "unsigned"),
    [
        ("ns.example.org CNAME .", "REFUSED", "NXDOMAIN"),
        ("ns.example.org A 192.0.2.9", "192.0.2.1", "192.0.2.9"),
        ("32.1.2.0.192.rpz-ip CNAME *.", "REFUSED", "NOERROR"),
    ],
)
def test_nothing_is_forged_where_it_would_be_bogus(
    record: str, signed: str, unsigned: str, tmp_path: Path
) -> None:
    (tmp_path / "feed").write_text(HEAD + record + "\n")
    source = engine.scan_text(ZONE.encode(), name_wire("example.org."))
    body = f"file db\nrpz feed.test {{\nfile {tmp_path}/feed\n}}"
    with answering(ADDRESS, body, "example.org") as running:
        for zone, expected in ((sign_new(source, plan()).zone, signed), (source, unsigned)):
            running.publish(zone)
            reply = running.ask("ns.example.org.")
            found = shown(reply)[0].split()[-1] if reply.answer else rcode(reply)
            assert found == expected
