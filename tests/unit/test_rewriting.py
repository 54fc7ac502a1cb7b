"""*rewrite* in the real engine: what the rest of the chain is asked, and what the client sees."""

from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rdatatype
import dns.rrset
import pytest
from answering import answering, rcode, shown
from house import until
from keymaker import plan, sign_new
from upstream import Heard, Upstream, address_of, reply_to, upstream

import engine
from corefile.names import name_wire

ADDRESS = "127.61.19.3"
UPSTREAM = "127.61.19.4"

# What the upstream has, by name and type.
RECORDS = {
    ("b.test.", "A"): ["b.test. 60 IN CNAME x.b.test.", "x.b.test. 60 IN A 192.0.2.1"],
    ("b.test.", "MX"): ["b.test. 60 IN MX 10 mail.b.test.", "b.test. 60 IN MX 20 else.test."],
    ("b.test.", "NAPTR"): ['b.test. 60 IN NAPTR 1 2 "u" "E2U+sip" "" x.b.test.'],
    ("b.test.", "SOA"): ["b.test. 60 IN SOA ns.b.test. host.b.test. 1 2 3 4 5"],
    ("b.test.", "SRV"): ["b.test. 60 IN SRV 1 2 80 x.b.test."],
    ("b.test.", "TXT"): ['b.test. 60 IN TXT "b.test."'],
    ("ftp.service.us.consul.", "A"): [
        "ftp.service.us.consul. 0 IN CNAME one.service.us.consul.",
        "one.service.us.consul. 0 IN A 192.0.2.2",
    ],
}


def store(heard: Heard) -> bytes:
    (question,) = heard.message.question
    records = RECORDS.get((heard.name.lower(), dns.rdatatype.to_text(question.rdtype)), [])
    reply = dns.message.make_response(heard.message, recursion_available=True)
    reply.answer = [dns.rrset.from_text(*line.split(" ", 4)) for line in records]
    return reply.to_wire()


def lines(one: Upstream, *rules: str) -> str:
    return "\n".join([*rules, f"forward . {UPSTREAM}:{one.port}"])


def answer(reply: dns.message.Message) -> list[str]:
    return [line for rrset in reply.answer for line in rrset.to_text().splitlines()]


@pytest.mark.parametrize(
    ("rule", "question", "asked", "answered"),
    [
        (
            "name a.test b.test",
            ("A.test.", "A"),
            "b.test.",
            ["A.test. 60 IN CNAME x.A.test.", "x.A.test. 60 IN A 192.0.2.1"],
        ),
        (
            "name exact a.test b.test",
            ("a.test.", "MX"),
            "b.test.",
            ["a.test. 60 IN MX 10 mail.a.test.", "a.test. 60 IN MX 20 else.test."],
        ),
        ("name a b", ("a.test.", "A"), "a.test.", []),
        (
            "name prefix a b",
            ("a.test.", "SRV"),
            "b.test.",
            ["b.test. 60 IN SRV 1 2 80 x.b.test."],
        ),
        (
            "name prefix a b answer auto",
            ("a.test.", "NAPTR"),
            "b.test.",
            ['a.test. 60 IN NAPTR 1 2 "u" "E2U+sip" "" x.a.test.'],
        ),
        (
            "name suffix .a.test b.test answer auto",
            ("b.a.test.", "SOA"),
            "bb.test.",
            [],
        ),
        (
            "name suffix a.test. test. answer auto",
            ("b.a.test.", "SOA"),
            "b.test.",
            ["b.a.test. 60 IN SOA ns.b.a.test. host.b.test. 1 2 3 4 5"],
        ),
        (
            "name substring a.a.b b. answer value x x.y",
            ("a.a.test.", "SRV"),
            "a.a.test.",
            [],
        ),
        (
            "name substring a.a.test b.test answer value ^x x.y",
            ("a.a.test.", "SRV"),
            "b.test.",
            ["b.test. 60 IN SRV 1 2 80 x.y."],
        ),
        (
            r"name regex (.*)-(us)\.test {1}.service.{2}.consul "
            r"answer name (.*)\.service\.(us)\.consul {1}-{2}.test",
            ("ftp-us.test.", "A"),
            "ftp.service.us.consul.",
            [
                "ftp-us.test. 0 IN CNAME one.service.us.consul.",
                "one-us.test. 0 IN A 192.0.2.2",
            ],
        ),
        ("ttl suffix test 5-30", ("b.test.", "TXT"), "b.test.", ['b.test. 30 IN TXT "b.test."']),
        ("ttl suffix test 90-", ("b.test.", "TXT"), "b.test.", ['b.test. 90 IN TXT "b.test."']),
        ("ttl a.test 5", ("b.test.", "TXT"), "b.test.", ['b.test. 60 IN TXT "b.test."']),
        ("type ANY TXT", ("b.test.", "ANY"), "b.test.", ['b.test. 60 IN TXT "b.test."']),
    ],
)
def test_one_rule(rule: str, question: tuple[str, str], asked: str, answered: list[str]) -> None:
    with (
        upstream(UPSTREAM, store) as one,
        answering(ADDRESS, lines(one, f"rewrite {rule}")) as running,
    ):
        for tcp in (False, True):
            reply = running.ask(*question, tcp=tcp)
            assert [heard.name.lower() for heard in one.heard] == [asked] * (1 + tcp)
            assert reply.question[0].to_text() == f"{question[0]} IN {question[1]}"
            assert answer(reply) == answered
            assert rcode(reply) == "NOERROR"
            assert reply.edns == 0


def test_rules_are_followed_until_one_ends_them_and_undone_backwards() -> None:
    rules = (
        "rewrite continue name a.test c.test",
        "rewrite continue ttl c.test 7",
        "rewrite name c.test b.test",
        "rewrite name b.test d.test",
    )
    with upstream(UPSTREAM, store) as one, answering(ADDRESS, lines(one, *rules)) as running:
        reply = running.ask("a.test.")
    assert [heard.name.lower() for heard in one.heard] == ["b.test."]
    assert answer(reply) == ["a.test. 7 IN CNAME x.a.test.", "x.a.test. 7 IN A 192.0.2.1"]


@pytest.mark.parametrize(
    ("rule", "heard", "expected"),
    [
        ("rcode a.test. NXDOMAIN NOERROR", 3, "NOERROR"),
        ("rcode prefix a SERVFAIL REFUSED", 2, "REFUSED"),
        ("rcode a.test. NXDOMAIN NOERROR", 5, "REFUSED"),
        ("rcode b.test. NXDOMAIN NOERROR", 3, "NXDOMAIN"),
    ],
)
def test_rcodes(rule: str, heard: int, expected: str) -> None:
    def coded(query: Heard) -> bytes:
        return reply_to(query, rcode=heard).to_wire()

    with (
        upstream(UPSTREAM, coded) as one,
        answering(ADDRESS, lines(one, f"rewrite {rule}")) as running,
    ):
        assert rcode(running.ask("a.test.")) == expected


def test_a_query_of_another_class_is_taken_where_it_becomes_one_of_ours() -> None:
    query = dns.message.make_query("a.test.", "A", "CH")
    with answering(ADDRESS, "rewrite class CH IN\nwhoami") as running:
        reply = dns.query.udp(query, ADDRESS, port=running.port, timeout=4)
    assert (rcode(reply), reply.question) == ("NOERROR", query.question)


def test_a_name_that_is_none_is_answered_with_servfail() -> None:
    with answering(ADDRESS, "errors\nrewrite name regex ^(.*)$ {1}.{1}\nwhoami") as running:
        reply = running.ask("a.test.")
        (_, line) = running.server.drain_log()[-1]
    assert (rcode(reply), reply.question[0].name.to_text()) == ("SERVFAIL", "a.test.")
    assert "a rewritten name is none" in line


def test_the_cache_behind_it_knows_what_was_asked_and_is_asked_anew_for_that() -> None:
    def short(heard: Heard) -> bytes:
        return address_of(heard, ttl=1)

    rules = ("rewrite name a.test b.test", "cache {\n serve_stale\n}")
    with upstream(UPSTREAM, short) as one, answering(ADDRESS, lines(one, *rules)) as running:
        names = ["a.test.", "b.test.", "A.test."]
        replies = [running.ask(name) for name in names]
        assert [answer(reply)[0].split(" ")[0] for reply in replies] == names
        assert len(one.heard) == 1

        def asked_anew() -> bool:
            running.ask("a.test.")
            return len(one.heard) > 1

        until(asked_anew, 10, "a reply that is too old is asked for anew")
        assert {heard.name.lower() for heard in one.heard} == {"b.test."}


def test_what_is_logged_is_what_came() -> None:
    body = 'log . "{name} {type} {rcode}"\nrewrite name a.test b.test\nwhoami'
    with answering(ADDRESS, body) as running:
        running.ask("a.test.")
        assert [line for _, line in running.server.drain_log()] == ["a.test. A NOERROR"]


@pytest.mark.parametrize(
    ("question", "answered"),
    [
        ("a.test.", ["a.test. 60 IN CNAME x.b.test.", "x.b.test. 60 IN A 192.0.2.9"]),
        ("inside.test.", ["inside.test. 5 IN CNAME x.b.test.", "x.b.test. 60 IN A 192.0.2.9"]),
    ],
)
def test_what_a_policy_leads_elsewhere_is_an_answer_to_what_came(
    question: str, answered: list[str], tmp_path: Path
) -> None:
    """Found before the upstream is asked, and in its answer."""

    def address(heard: Heard) -> bytes:
        found = "10.1.2.3" if heard.name.lower() == "i.test." else "192.0.2.9"
        return address_of(heard, found)

    feed = tmp_path / "feed"
    feed.write_text(
        "$TTL 60\n@ SOA ns h 1 2 3 4 5\n@ NS ns\n"
        "c.test CNAME x.b.test.\n32.3.2.1.10.rpz-ip CNAME x.b.test.\n"
    )
    rules = (
        "rewrite name a.test c.test",
        "rewrite name inside.test i.test",
        f"rpz feed.test {{\nfile {feed}\n}}",
    )
    with upstream(UPSTREAM, address) as one, answering(ADDRESS, lines(one, *rules)) as running:
        for tcp in (False, True):
            reply = running.ask(question, tcp=tcp)
            assert reply.question[0].name.to_text() == question
            assert [line.split(" ", 2)[::2] for line in answer(reply)] == [
                line.split(" ", 2)[::2] for line in answered
            ]


# --- in zones of our own --------------------------------------------------------------


def zone(origin: str, *, signed: bool) -> engine.Zone:
    text = b"$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns\nns A 192.0.2.1\nwww A 192.0.2.2\n"
    found = engine.scan_text(text, name_wire(origin))
    return sign_new(found, plan()).zone if signed else found


@pytest.mark.parametrize(
    ("signed", "name", "answered"),
    [
        (False, "alias.example.org.", ["300 A 192.0.2.2"]),
        (True, "alias.example.org.", []),
        (True, "alias.test.", ["300 A 192.0.2.2"]),
    ],
)
def test_nothing_is_forged_in_a_signed_zone(signed: bool, name: str, answered: list[str]) -> None:
    """From elsewhere into it, its records are shown without their signatures."""
    body = "file db example.org\nrewrite name alias.test www.example.org\n"
    body += "rewrite name prefix alias www answer auto"
    with answering(ADDRESS, body) as running:
        running.publish(zone("example.org.", signed=signed))
        reply = running.ask(name, want_dnssec=True)
        assert shown(running.ask("www.example.org.")) == ["300 A 192.0.2.2"]
    assert shown(reply) == answered
    assert rcode(reply) == ("NOERROR" if answered else "NXDOMAIN")
    assert {rrset.name.to_text() for rrset in reply.answer} <= {name}
