"""What the server answers, as a table: name, type and DO to rcode, flags and sections, the last
as zone-file text. Signatures are left out of the text, and shown to be there where they have to."""

import base64
import bisect
import socket
from collections.abc import Iterator

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from keymaker import plan, sign_new
from ours import serving

import engine

ADDRESS = "127.61.8.1"

ZONE = """$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ MX 10 mail
ns A 192.0.2.1
mail A 192.0.2.2
alias CNAME mail
away CNAME www.example.com.
*.wild TXT "wild"
moved DNAME tree
leaf.tree A 192.0.2.3
end.of.the.road A 192.0.2.4
insecure NS ns.insecure
ns.insecure A 192.0.2.5
secure NS ns.secure
secure DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
ns.secure A 192.0.2.6
"""

SOA = "@ 60 IN SOA ns hostmaster 2 3600 600 86400 60"
NS_INSECURE = "insecure 300 IN NS ns.insecure"
GLUE = "ns.insecure 300 IN A 192.0.2.5"
MAIL = "mail 300 IN A 192.0.2.2"
LEAF = "leaf.tree 300 IN A 192.0.2.3"
REDIRECT = "moved 300 IN DNAME tree\nleaf.moved 300 IN CNAME leaf.tree"
DS = (
    "secure 300 IN DS 12345 13 2 0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef\n"
)

# Name, type; rcode, AA; answer, authority, additional.
TABLE = [
    ("mail", "A", "NOERROR", True, "mail 300 IN A 192.0.2.2", "", ""),
    ("mail", "AAAA", "NOERROR", True, "", SOA, ""),
    ("nothing", "A", "NXDOMAIN", True, "", SOA, ""),
    ("the.road", "A", "NOERROR", True, "", SOA, ""),
    ("not.the.road", "A", "NXDOMAIN", True, "", SOA, ""),
    ("@", "MX", "NOERROR", True, "@ 300 IN MX 10 mail", "", "mail 300 IN A 192.0.2.2"),
    ("@", "NS", "NOERROR", True, "@ 300 IN NS ns", "", "ns 300 IN A 192.0.2.1"),
    ("alias", "A", "NOERROR", True, f"alias 300 IN CNAME mail\n{MAIL}", "", ""),
    ("alias", "CNAME", "NOERROR", True, "alias 300 IN CNAME mail", "", ""),
    ("alias", "TXT", "NOERROR", True, "alias 300 IN CNAME mail", SOA, ""),
    ("away", "A", "NOERROR", True, "away 300 IN CNAME www.example.com.", "", ""),
    ("some.wild", "TXT", "NOERROR", True, 'some.wild 300 IN TXT "wild"', "", ""),
    ("some.wild", "A", "NOERROR", True, "", SOA, ""),
    ("wild", "TXT", "NOERROR", True, "", SOA, ""),
    ("leaf.moved", "A", "NOERROR", True, f"{REDIRECT}\n{LEAF}", "", ""),
    ("leaf.moved", "CNAME", "NOERROR", True, REDIRECT, "", ""),
    ("moved", "A", "NOERROR", True, "", SOA, ""),
    ("insecure", "A", "NOERROR", False, "", NS_INSECURE, GLUE),
    ("deep.below.insecure", "MX", "NOERROR", False, "", NS_INSECURE, GLUE),
    ("ns.insecure", "A", "NOERROR", False, "", NS_INSECURE, GLUE),
    ("insecure", "DS", "NOERROR", True, "", SOA, ""),
    ("secure", "DS", "NOERROR", True, DS, "", ""),
]

# Name, type; the owners of the NSEC records shown; the names whose hash is at ("=") or is covered
# by ("<") the NSEC3 records shown.
PROOFS = [
    ("mail", "A", "", ""),
    ("mail", "AAAA", "mail", "=mail"),
    ("nothing", "A", "moved @", "=@ <nothing <*"),
    ("the.road", "A", "ns", "=the.road"),
    ("some.wild", "TXT", "*.wild", "<some.wild"),
    ("some.wild", "A", "*.wild", "=wild <some.wild =*.wild"),
    ("alias", "TXT", "mail", "=mail"),
    ("insecure", "A", "insecure", "=insecure"),
    ("deep.below.insecure", "A", "insecure", "=insecure"),
    ("insecure", "DS", "insecure", "=insecure"),
    ("secure", "A", "", ""),
]
# With opt-out an insecure delegation has no NSEC3: its closest provable encloser has, and what
# covers it says that it may be there (RFC 5155 section 7.2.7).
OPT_OUT = [
    ("insecure", "A", "=@ <insecure"),
    ("insecure", "DS", "=@ <insecure"),
    ("secure", "A", ""),
    ("nothing", "A", "=@ <nothing <*"),
]

ORIGINS = {
    "plain.example.org.": None,
    "nsec.example.org.": None,
    "nsec3.example.org.": (0, b"", False),
    "optout.example.org.": (3, b"\xab", True),
}


@pytest.fixture(scope="module")
def zones() -> dict[str, engine.Zone]:
    made = {}
    for origin, nsec3 in ORIGINS.items():
        zone = engine.scan_text(ZONE.encode(), dns.name.from_text(origin).to_wire())
        signed = sign_new(zone, plan(nsec3=nsec3, serial=2)).zone
        made[origin] = signed.source() if origin.startswith("plain") else signed
    return made


@pytest.fixture(scope="module")
def server(zones: dict[str, engine.Zone]) -> Iterator[int]:
    """The port of a server with the zones."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((ADDRESS, 0))
        port: int = probe.getsockname()[1]
    with serving(ADDRESS, port, [*zones.values()]):
        yield port


def ask(port: int, origin: str, name: str, rtype: str, dnssec: bool) -> dns.message.Message:
    apex = dns.name.from_text(origin)
    query = dns.message.make_query(
        dns.name.from_text(name, apex), rtype, want_dnssec=dnssec, use_edns=0
    )
    return dns.query.udp(query, ADDRESS, port=port, timeout=5)


Section = list[dns.rrset.RRset]


def lines(section: Section, origin: str) -> set[str]:
    apex = dns.name.from_text(origin)
    return {
        line
        for rrset in section
        if rrset.rdtype not in (dns.rdatatype.RRSIG, dns.rdatatype.NSEC, dns.rdatatype.NSEC3)
        for line in rrset.to_text(origin=apex, relativize=True).splitlines()
    }


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize("dnssec", [False, True], ids=["", "do"])
@pytest.mark.parametrize(
    ("name", "rtype", "rcode", "authoritative", "answer", "authority", "additional"), TABLE
)
def test_an_answer_is_what_the_table_says(
    server: int,
    origin: str,
    dnssec: bool,
    name: str,
    rtype: str,
    rcode: str,
    authoritative: bool,
    answer: str,
    authority: str,
    additional: str,
) -> None:
    reply = ask(server, origin, name, rtype, dnssec)
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert bool(reply.flags & dns.flags.AA) is authoritative
    expected = {"answer": answer, "authority": authority, "additional": additional}
    for section, text in expected.items():
        assert lines(getattr(reply, section), origin) == set(text.split("\n")) - {""}, section


def hashes_shown(zone: engine.Zone, what: str) -> set[str]:
    """Owners of the NSEC3 records that match ("=") or cover ("<") the names."""
    apex = dns.name.from_wire(zone.origin, 0)[0]
    origin = apex.to_text()
    iterations, salt, _ = ORIGINS[origin] or (0, b"", False)
    owners = sorted(
        dns.name.from_wire(rrset.owner, 0)[0][0].lower()
        for rrset in zone
        if rrset.rtype == dns.rdatatype.NSEC3
    )
    shown = set()
    for word in what.split():
        name = dns.name.from_text(word[1:], apex).to_wire()
        digest = engine.nsec3_hash(name, iterations, salt)
        label = base64.b32hexencode(digest).lower()
        if word[0] == "=":
            assert label in owners
        else:
            assert label not in owners
        at = bisect.bisect_right(owners, label) - 1
        shown.add(owners[at].decode())
    return shown


def proofs_in(reply: dns.message.Message, rtype: dns.rdatatype.RdataType) -> set[dns.name.Name]:
    """Owners of the proofs; each has its signature beside it."""
    found = {rrset.name for rrset in reply.authority if rrset.rdtype == rtype}
    signed = {rrset.name for rrset in reply.authority if rrset.covers == rtype}
    assert found == signed
    return found


@pytest.mark.parametrize(("name", "rtype", "nsec", "nsec3"), PROOFS)
def test_denials_are_proven(
    server: int, zones: dict[str, engine.Zone], name: str, rtype: str, nsec: str, nsec3: str
) -> None:
    origin = "nsec.example.org."
    apex = dns.name.from_text(origin)
    reply = ask(server, origin, name, rtype, True)
    expected = {dns.name.from_text(owner, apex) for owner in nsec.split()}
    assert proofs_in(reply, dns.rdatatype.NSEC) == expected
    origin = "nsec3.example.org."
    reply = ask(server, origin, name, rtype, True)
    found = {owner[0].decode() for owner in proofs_in(reply, dns.rdatatype.NSEC3)}
    assert found == hashes_shown(zones[origin], nsec3)


@pytest.mark.parametrize(("name", "rtype", "nsec3"), OPT_OUT)
def test_denials_are_proven_with_opt_out(
    server: int, zones: dict[str, engine.Zone], name: str, rtype: str, nsec3: str
) -> None:
    origin = "optout.example.org."
    reply = ask(server, origin, name, rtype, True)
    found = {owner[0].decode() for owner in proofs_in(reply, dns.rdatatype.NSEC3)}
    assert found == hashes_shown(zones[origin], nsec3)


@pytest.mark.parametrize("origin", ORIGINS)
@pytest.mark.parametrize(("name", "rtype"), [row[:2] for row in TABLE])
def test_what_is_authoritative_is_signed_and_nothing_else(
    server: int, origin: str, name: str, rtype: str
) -> None:
    reply = ask(server, origin, name, rtype, True)
    for section in (reply.answer, reply.authority, reply.additional):
        signed = {(rrset.name, rrset.covers) for rrset in section if rrset.covers}
        synthesised = {
            (rrset.name, rrset.rdtype)
            for rrset in section
            if rrset.name.to_text().startswith("leaf.moved.")
        }
        glue = {
            (rrset.name, rrset.rdtype)
            for rrset in section
            if (rrset.rdtype == dns.rdatatype.NS and rrset.name != dns.name.from_text(origin))
            or rrset.name.to_text().startswith(("ns.insecure.", "ns.secure."))
        }
        all_of_it = {(rrset.name, rrset.rdtype) for rrset in section if not rrset.covers}
        expected = set() if origin.startswith("plain") else all_of_it - synthesised - glue
        assert signed == expected


def test_a_reply_never_exceeds_what_the_client_takes(server: int) -> None:
    for size in (0, 512, 600, 1232, 4096):
        query = dns.message.make_query(
            "nothing.nsec3.example.org.", "A", want_dnssec=True, payload=size
        )
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.settimeout(5)
            own.sendto(query.to_wire(), (ADDRESS, server))
            wire = own.recv(65_535)
        reply = dns.message.from_wire(wire)
        assert len(wire) <= max(512, min(size, 1232))
        assert bool(reply.flags & dns.flags.TC) is (len(wire) < 600)


MALFORMED = {
    "another opcode": (lambda q: q[:2] + b"\x28" + q[3:], dns.rcode.NOTIMP),
    "no question": (lambda q: q[:4] + b"\0\0" + q[6:12], dns.rcode.FORMERR),
    "octets behind the end": (lambda q: q + b"\0", dns.rcode.FORMERR),
    "a pointer in the question": (lambda q: q[:12] + b"\xc0\x0c" + q[-4:], dns.rcode.FORMERR),
}


@pytest.mark.parametrize("what", MALFORMED)
def test_what_is_malformed_is_told_so(server: int, what: str) -> None:
    change, rcode = MALFORMED[what]
    query = change(dns.message.make_query("mail.nsec.example.org.", "A").to_wire())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(5)
        own.sendto(query, (ADDRESS, server))
        reply = own.recv(512)
    assert reply[3] & 15 == rcode
    assert reply[:2] == query[:2]
    assert len(reply) == 12


def test_a_version_of_edns_to_come_is_badvers(server: int) -> None:
    query = dns.message.make_query("mail.nsec.example.org.", "A", use_edns=1)
    reply = dns.query.udp(query, ADDRESS, port=server, timeout=5)
    assert reply.rcode() == dns.rcode.BADVERS
    assert reply.edns == 0


def test_tcp_takes_queries_one_behind_the_other(server: int) -> None:
    names = [f"some{number}.wild.nsec.example.org." for number in range(200)]
    with socket.create_connection((ADDRESS, server), timeout=5) as own:
        for number, name in enumerate(names):
            query = dns.message.make_query(name, "TXT", want_dnssec=True)
            query.id = number
            dns.query.send_tcp(own, query)
        replies = [dns.query.receive_tcp(own)[0] for _ in names]
    assert sorted(reply.id for reply in replies) == [*range(len(names))]
    assert all(reply.answer for reply in replies)
