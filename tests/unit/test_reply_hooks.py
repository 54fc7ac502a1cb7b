"""*minimal*, *nsid*, *bufsize*, *header*, *loadbalance* and *timeouts* in the real engine: what
becomes of a reply on its way back."""

import socket
from collections.abc import Callable

import dns.edns
import dns.flags
import dns.message
import dns.rdatatype
import pytest
from answering import answering, rcode, shown
from keymaker import plan, sign_new
from upstream import Heard, reply_to, upstream

import engine
from corefile.names import name_wire

ADDRESS = "127.61.10.3"
UPSTREAM = "127.61.10.4"

ZONE = """$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ MX 10 mx1.example.net.
@ MX 20 mx2.example.net.
@ MX 30 mail
@ A 192.0.2.10
@ A 192.0.2.11
@ A 192.0.2.12
@ AAAA 2001:db8::1
@ AAAA 2001:db8::2
mail A 192.0.2.2
mail A 192.0.2.3
ns A 192.0.2.1
alias CNAME mail
*.wild TXT "wild"
sub NS ns.sub
ns.sub A 192.0.2.4
long TXT "LONG" "LONG" "LONG" "LONG" "LONG"
""".replace("LONG", "x" * 200)


def unsigned() -> engine.Zone:
    return engine.scan_text(ZONE.encode(), name_wire("example.org."))


def signed() -> engine.Zone:
    return sign_new(unsigned(), plan()).zone


def sections(reply: dns.message.Message) -> list[list[str]]:
    return [
        [dns.rdatatype.to_text(rrset.rdtype) for rrset in section]
        for section in (reply.answer, reply.authority, reply.additional)
    ]


# --- minimal --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rtype", "expected"),
    [
        ("example.org.", "MX", [["MX", "RRSIG"], [], []]),
        ("any.wild.example.org.", "TXT", [["TXT", "RRSIG"], ["NSEC", "RRSIG"], []]),
        ("sub.example.org.", "A", [[], ["NS", "NSEC", "RRSIG"], ["A"]]),
        ("mail.example.org.", "AAAA", [[], ["SOA", "RRSIG", "NSEC", "RRSIG"], []]),
    ],
)
def test_only_what_a_validator_needs(name: str, rtype: str, expected: list[list[str]]) -> None:
    with answering(ADDRESS, "file db\nminimal", "example.org") as running:
        running.publish(signed())
        reply = running.ask(name, rtype, want_dnssec=True)
    assert sections(reply) == expected
    assert reply.edns == 0
    assert reply.ednsflags & dns.flags.DO


def test_a_denial_at_the_end_of_an_alias_keeps_its_soa() -> None:
    with answering(ADDRESS, "file db\nminimal", "example.org") as running:
        running.publish(unsigned())
        assert sections(running.ask("alias.example.org.", "AAAA")) == [["CNAME"], ["SOA"], []]
        assert sections(running.ask("alias.example.org.")) == [["CNAME", "A"], [], []]


def test_replies_of_upstreams_too() -> None:
    def full(heard: Heard) -> bytes:
        reply = reply_to(heard, "a.test. 60 IN A 192.0.2.1")
        for section, text in (
            (reply.authority, "NS ns.a.test."),
            (reply.additional, "A 192.0.2.2"),
        ):
            rtype, rdata = text.split(" ")
            section.append(dns.rrset.from_text("ns.a.test.", 60, "IN", rtype, rdata))
        return reply.to_wire()

    with upstream(UPSTREAM, full) as one:
        lines = f"forward . {UPSTREAM}:{one.config['port']}"
        with answering(ADDRESS, lines) as running:
            assert sections(running.ask("a.test.")) == [["A"], ["NS"], ["A"]]
        with answering(ADDRESS, f"{lines}\nminimal") as running:
            assert sections(running.ask("a.test.")) == [["A"], [], []]


# --- nsid -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "expected"),
    [("nsid", socket.gethostname()), ("nsid one", "one"), ("nsid Use The Force", "Use The Force")],
)
def test_an_identifier_for_those_who_ask(lines: str, expected: str) -> None:
    with answering(ADDRESS, f"{lines}\nwhoami") as running:
        reply = running.ask("a.test.", options=[dns.edns.NSIDOption(b"")])
        (option,) = reply.options
        assert isinstance(option, dns.edns.NSIDOption)
        assert option.nsid.decode() == expected
        assert running.ask("a.test.").options == ()
        assert running.ask("a.test.", edns=-1).options == ()


# --- bufsize --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "payload", "truncated"),
    [("", 1400, False), ("bufsize 1000", 1400, True), ("bufsize 4096", 1400, False)],
)
def test_what_is_longer_is_truncated(lines: str, payload: int, truncated: bool) -> None:
    with answering(ADDRESS, f"file db\n{lines}", "example.org") as running:
        running.publish(unsigned())
        reply = running.ask("long.example.org.", "TXT", payload=payload)
        assert bool(reply.flags & dns.flags.TC) == truncated
        assert len(running.ask("long.example.org.", "TXT", tcp=True).answer) == 1


# --- header ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "zone", "flags"),
    [
        ("", unsigned, "QR AA RD"),
        ("header {\n set ra\n clear aa rd\n}", unsigned, "QR RA"),
        ("header {\n response set ra\n}", unsigned, "QR AA RD RA"),
        ("header {\n set ra\n clear ra\n}", unsigned, "QR AA RD"),
        ("header {\n clear aa\n}", signed, "QR AA RD"),
    ],
)
def test_bits(lines: str, zone: Callable[[], engine.Zone], flags: str) -> None:
    with answering(ADDRESS, f"file db\n{lines}", "example.org") as running:
        running.publish(zone())
        assert dns.flags.to_text(running.ask("example.org.").flags) == flags


# --- loadbalance ----------------------------------------------------------------------


@pytest.mark.parametrize("rtype", ["A", "AAAA", "MX"])
def test_each_record_comes_first_at_times(rtype: str) -> None:
    with answering(ADDRESS, "file db\nloadbalance", "example.org") as running:
        running.publish(signed())
        replies = [running.ask("example.org.", rtype, want_dnssec=True) for _ in range(60)]
    plain, signature = replies[0].answer
    assert signature.rdtype == dns.rdatatype.RRSIG
    assert all(reply.answer == replies[0].answer for reply in replies), "the same records"
    assert {reply.answer[0][0] for reply in replies} == set(plain), "each is first at times"


def test_a_message_in_another_order_says_the_same() -> None:
    with answering(ADDRESS, "file db\nloadbalance", "example.org") as running:
        running.publish(signed())
        shuffled = running.ask("example.org.", "MX", want_dnssec=True, tcp=True)
    with answering(ADDRESS, "file db", "example.org") as running:
        running.publish(signed())
        plain = running.ask("example.org.", "MX", want_dnssec=True, tcp=True)
    names = [[rrset.name for rrset in reply.additional] for reply in (shuffled, plain)]
    assert sections(shuffled) == sections(plain)
    assert names[0] == names[1]
    assert (shuffled.flags, shuffled.ednsflags) == (plain.flags, plain.ednsflags)
    assert set(shuffled.answer[0]) == set(plain.answer[0])


def test_preferred_addresses_come_first() -> None:
    lines = "file db\nloadbalance round_robin {\n prefer 192.0.2.12/32 192.0.2.11/32\n}"
    with answering(ADDRESS, lines, "example.org") as running:
        running.publish(unsigned())
        replies = [shown(running.ask("example.org.")) for _ in range(20)]
    assert {reply[2] for reply in replies} == {"300 A 192.0.2.10"}
    assert len({reply[0] for reply in replies}) == 2


# --- timeouts -------------------------------------------------------------------------


def test_an_idle_connection_is_closed() -> None:
    lines = "whoami\ntimeouts {\n idle 1s\n}"
    with answering(ADDRESS, lines) as running:
        with socket.create_connection((ADDRESS, running.port), timeout=8) as idle:
            assert idle.recv(1) == b""
        assert rcode(running.ask("a.test.", tcp=True)) == "NOERROR"
