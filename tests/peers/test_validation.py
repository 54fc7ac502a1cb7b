"""Unbound, given nothing but the printed DS, validates what we serve of the example zones."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import dns.flags
import dns.rcode
import dns.rdatatype
import pytest
from house import House
from unbound import Unbound

EXAMPLES = Path(__file__).parents[2] / "examples/zones"
ORIGINS = ("example.org", "example.com")
# Children that are delegated without DS; the second from an opt-out span.
CHILDREN = ("insecure.example.org", "customer1.example.com")
CHILD = """$TTL 300
@ SOA ns1 hostmaster 1 3600 900 86400 300
@ NS ns1
ns1 A 192.0.2.1
www A 192.0.2.2
"""

# Name, type, rcode, whether the answer is to be authenticated, what it is an example of.
SIGNED, UNSIGNED = True, False
CASES = [
    ("example.org SOA", "NOERROR", SIGNED, "apex"),
    ("example.org DNSKEY", "NOERROR", SIGNED, "the keys themselves"),
    ("example.org MX", "NOERROR", SIGNED, "apex data"),
    ("example.org CAA", "NOERROR", SIGNED, "a newer type"),
    ("www.example.org A", "NOERROR", SIGNED, "an RRset of two"),
    ("www.example.org HTTPS", "NOERROR", SIGNED, "a type that dnspython reads"),
    ("_25._tcp.mail.example.org TLSA", "NOERROR", SIGNED, "DANE"),
    ("ftp.example.org A", "NOERROR", SIGNED, "CNAME and its target"),
    ("ftp.example.org MX", "NOERROR", SIGNED, "CNAME and no data"),
    ("www.old.example.org A", "NOERROR", SIGNED, "DNAME"),
    ("a.b.wild.example.org A", "NOERROR", SIGNED, "wildcard"),
    ("a.wild.example.org AAAA", "NOERROR", SIGNED, "wildcard, no data"),
    ("host.wild.example.org A", "NOERROR", SIGNED, "a name beside the wildcard"),
    ("host.wild.example.org TXT", "NOERROR", SIGNED, "which the wildcard does not cover"),
    ("nx.host.wild.example.org A", "NXDOMAIN", SIGNED, "nor what is below it"),
    ("www.example.org TXT", "NOERROR", SIGNED, "no data"),
    ("ent.example.org A", "NOERROR", SIGNED, "an empty non-terminal"),
    ("deep.ent.example.org TXT", "NOERROR", SIGNED, "one below another"),
    ("nx.ent.example.org A", "NXDOMAIN", SIGNED, "no name below it"),
    ("nx.example.org A", "NXDOMAIN", SIGNED, "no such name"),
    ("0.example.org A", "NXDOMAIN", SIGNED, "no such name, before the first"),
    ("zzz.example.org A", "NXDOMAIN", SIGNED, "no such name, behind the last"),
    ("secure.example.org DS", "NOERROR", SIGNED, "a DS at a cut"),
    ("insecure.example.org DS", "NOERROR", SIGNED, "no DS at a cut"),
    ("example.com SOA", "NOERROR", SIGNED, "NSEC3: apex"),
    ("www.example.com A", "NOERROR", SIGNED, "NSEC3: data"),
    ("www.example.com TXT", "NOERROR", SIGNED, "NSEC3: no data"),
    ("alias.example.com AAAA", "NOERROR", SIGNED, "NSEC3: CNAME"),
    ("signed.example.com DS", "NOERROR", SIGNED, "NSEC3: a DS at a cut"),
    ("empty.example.com A", "NOERROR", SIGNED, "NSEC3: an empty non-terminal"),
    (
        "x.pages.example.com TXT",
        "NOERROR",
        UNSIGNED,
        "opt-out: what the span may hide (RFC 5155 9.2)",
    ),
    ("nx.example.com A", "NXDOMAIN", UNSIGNED, "opt-out: no such name (RFC 5155 9.2)"),
    ("customer1.example.com DS", "NOERROR", UNSIGNED, "opt-out: a delegation without DS"),
]


@pytest.fixture
def resolver(house: House) -> Iterator[Unbound]:
    """Our server with the example zones, and Unbound before it."""
    for origin in ORIGINS:
        shutil.copy(EXAMPLES / f"db.{origin}", house.directory)
    house.write("db.child", CHILD)
    house.corefile(
        *(
            f"{origin}:@PORT@ {{\n bind @ADDRESS@\n file db.{origin}\n"
            f" sign {{\n  parent none\n  {denial}\n }}\n}}"
            for origin, denial in zip(ORIGINS, ("nsec", "nsec3 opt-out"), strict=True)
        ),
        *(f"{child}:@PORT@ {{\n bind @ADDRESS@\n file db.child\n}}" for child in CHILDREN),
    )
    house.run()
    anchors = []
    for origin in ORIGINS:
        shown = house.command("ds", "show", origin)
        assert shown.returncode == 0, shown.stderr
        anchors += [line for line in shown.stdout.splitlines() if " DS " in line]
    assert len(anchors) == len(ORIGINS)
    unbound = Unbound(house.directory, house.address, anchors, (*ORIGINS, *CHILDREN))
    try:
        yield unbound
    finally:
        unbound.end()


def test_unbound_validates_all_that_is_signed(resolver: Unbound) -> None:
    wrong = []
    for question, rcode, authenticated, what in CASES:
        name, rtype = question.split()
        reply = resolver.ask(name, rtype)
        seen = dns.rcode.to_text(reply.rcode()), bool(reply.flags & dns.flags.AD)
        if seen != (rcode, authenticated):
            wrong.append(f"{question} ({what}): {seen}")
    assert not wrong, "\n".join([*wrong, resolver.log.read_text()[-3000:]])


def test_names_below_an_unsigned_delegation_are_insecure_and_not_bogus(resolver: Unbound) -> None:
    for child in CHILDREN:
        for name, rcode in ((f"www.{child}", "NOERROR"), (f"nx.{child}", "NXDOMAIN")):
            reply = resolver.ask(name, "A")
            seen = dns.rcode.to_text(reply.rcode()), bool(reply.flags & dns.flags.AD)
            assert seen == (rcode, False), resolver.log.read_text()[-3000:]


def test_nothing_validates_below_another_keys_ds(house: House) -> None:
    """The tests above can fail."""
    shutil.copy(EXAMPLES / "db.example.org", house.directory)
    house.corefile(
        "example.org:@PORT@ {\n bind @ADDRESS@\n file db.example.org\n sign {\n  parent none\n }\n}"
    )
    house.run()
    anchor = "example.org. IN DS 12345 13 2 " + "ab" * 32
    unbound = Unbound(house.directory, house.address, [anchor], ORIGINS)
    try:
        assert unbound.ask("www.example.org", "A").rcode() == dns.rcode.SERVFAIL
    finally:
        unbound.end()
