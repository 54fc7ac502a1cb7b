"""*acl*, *any*, *chaos*, *local* and *hosts* in the real engine: who gets what."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import dns.exception
import dns.flags
import dns.rdataclass
import pytest
from answering import Answering, answering, extended_errors, rcode, shown
from keymaker import plan, sign_new

import engine
from corefile.names import name_wire
from server.compiledrules import Record, Reply, Rule, encode

ADDRESS = "127.61.10.1"
FRIEND, FOE = "127.61.10.2", "127.61.11.9"

ZONE = """$TTL 300
@ SOA ns hostmaster 1 3600 600 86400 60
@ NS ns
@ TXT "mine"
ns A 192.0.2.1
localhost A 192.0.2.2
"""


def signed() -> engine.Zone:
    source = engine.scan_text(ZONE.encode(), name_wire("example.org."))
    return sign_new(source, plan()).zone


def unsigned() -> engine.Zone:
    return engine.scan_text(ZONE.encode(), name_wire("example.org."))


# --- acl ------------------------------------------------------------------------------

ACL = """acl {
 allow type A net 127.61.10.0/24
 drop type SRV
 filter type TXT
 block type A AAAA net 127.61.11.9 2001:db8::/32
}
acl example.org {
 block
}
whoami"""


@pytest.mark.parametrize(
    ("name", "rtype", "source", "expected"),
    [
        ("example.com.", "A", FRIEND, ("NOERROR", [])),
        ("example.org.", "A", FRIEND, ("NOERROR", [])),  # allowed: past the second list too
        ("example.org.", "MX", FRIEND, ("REFUSED", [15])),
        ("sub.example.org.", "MX", FRIEND, ("REFUSED", [15])),
        ("example.com.", "MX", FRIEND, ("NOERROR", [])),
        ("example.com.", "TXT", FRIEND, ("NOERROR", [17])),
        ("example.com.", "A", FOE, ("REFUSED", [15])),
        ("example.com.", "MX", FOE, ("NOERROR", [])),
        ("example.com.", "SRV", FOE, None),
    ],
)
def test_the_first_line_that_fits_decides(
    acl: Answering, name: str, rtype: str, source: str, expected: tuple[str, list[int]] | None
) -> None:
    if expected is None:
        with pytest.raises(dns.exception.Timeout):
            acl.ask(name, rtype, source=source, timeout=0.3)
        return
    reply = acl.ask(name, rtype, source=source)
    assert (rcode(reply), extended_errors(reply)) == expected


@pytest.fixture(scope="module")
def acl() -> Iterator[Answering]:
    with answering(ADDRESS, ACL) as running:
        yield running


def test_decisions_are_counted() -> None:
    with answering(ADDRESS, ACL) as running:
        for name, rtype in (("a.", "A"), ("a.", "TXT"), ("example.org.", "MX"), ("b.", "MX")):
            running.ask(name, rtype, source=FRIEND)
        assert running.series().marks == {
            "allowed": 2,
            "blocked": 1,
            "dropped": 0,
            "filtered": 1,
            "localhost": 0,
        }


def test_ten_thousand_networks() -> None:
    nets = " ".join(f"10.{number // 256}.{number % 256}.0/24" for number in range(10_000))
    with answering(ADDRESS, f"acl {{\n block net {nets} {FOE}/32\n}}\nwhoami") as running:
        assert rcode(running.ask("a.", source=FOE)) == "REFUSED"
        assert rcode(running.ask("a.", source=FRIEND)) == "NOERROR"


def test_in_a_signed_zone_a_filter_refuses_what_it_would_have_to_forge() -> None:
    lines = "file db\nacl {\n filter type TXT\n}"
    with answering(ADDRESS, lines, "example.org") as running:
        for zone, expected in ((signed(), "REFUSED"), (unsigned(), "NOERROR")):
            running.publish(zone)
            reply = running.ask("example.org.", "TXT", want_dnssec=True)
            assert (rcode(reply), extended_errors(reply)) == (expected, [17])
            assert reply.answer == []


def test_a_zone_that_has_not_arrived_may_be_a_signed_one() -> None:
    lines = "file db\nacl {\n filter type TXT\n}"
    with answering(ADDRESS, lines, "example.org") as running:
        assert rcode(running.ask("example.org.", "TXT")) == "REFUSED"


# --- any ------------------------------------------------------------------------------


def test_any_is_obsolete() -> None:
    with answering(ADDRESS, "any\nwhoami") as running:
        assert shown(running.ask("a.test.", "ANY")) == ['8482 HINFO "ANY obsoleted" "See RFC 8482"']
        assert shown(running.ask("a.test.", "A")) == []


@pytest.mark.parametrize("tcp", [False, True])
def test_in_a_signed_zone_any_is_one_rrset_with_its_signature(tcp: bool) -> None:
    with answering(ADDRESS, "file db\nany", "example.org") as running:
        running.publish(signed())
        reply = running.ask("example.org.", "ANY", tcp=tcp, want_dnssec=True)
    types = [line.split()[1] for line in shown(reply)]
    assert types == ["NS", "RRSIG"]


# --- chaos ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("lines", "name", "expected"),
    [
        ("chaos CoreDNS-001", "version.bind.", ["CoreDNS-001"]),
        ("chaos CoreDNS-001", "VERSION.server.", ["CoreDNS-001"]),
        ("chaos", "version.bind.", [f"Zoneward-{engine.__version__}"]),
        ("chaos x", "hostname.bind.", [socket.gethostname()]),
        ("chaos x", "id.server.", [socket.gethostname()]),
        ("chaos x b@a.test a@a.test b@a.test", "authors.bind.", ["a@a.test", "b@a.test"]),
    ],
)
def test_who_we_are(lines: str, name: str, expected: list[str]) -> None:
    with answering(ADDRESS, lines) as running:
        reply = running.ask(name, "TXT", rdclass=dns.rdataclass.CH)
        assert shown(reply) == [f'0 TXT "{text}"' for text in expected]
        assert all(rrset.rdclass == dns.rdataclass.CH for rrset in reply.answer)
        assert rcode(running.ask(name, "TXT")) == "REFUSED", "of class IN"
        assert rcode(running.ask("other.bind.", "TXT", rdclass=dns.rdataclass.CH)) == "REFUSED"


def test_without_chaos_other_classes_are_refused() -> None:
    with answering(ADDRESS, "any\nlocal\nwhoami") as running:
        reply = running.ask("version.bind.", "TXT", rdclass=dns.rdataclass.CH)
        assert rcode(reply) == "REFUSED"


# --- local ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "rtype", "code", "answer", "soa"),
    [
        ("localhost.", "A", "NOERROR", ["604800 A 127.0.0.1"], ""),
        ("LocalHost.", "AAAA", "NOERROR", ["604800 AAAA ::1"], ""),
        ("localhost.", "NS", "NOERROR", ["604800 NS localhost."], ""),
        ("localhost.", "MX", "NOERROR", [], "localhost."),
        ("www.localhost.", "A", "NXDOMAIN", [], "localhost."),
        ("localhost.a.test.", "A", "NOERROR", ["604800 A 127.0.0.1"], ""),
        ("localhost.a.test.", "MX", "NOERROR", [], "localhost.a.test."),
        ("127.in-addr.arpa.", "A", "NOERROR", [], "127.in-addr.arpa."),
        ("1.0.0.127.in-addr.arpa.", "PTR", "NOERROR", ["604800 PTR localhost."], ""),
        ("1.0.0.127.in-addr.arpa.", "A", "NOERROR", [], "127.in-addr.arpa."),
        ("2.0.0.127.in-addr.arpa.", "PTR", "NXDOMAIN", [], "127.in-addr.arpa."),
        ("255.255.255.255.in-addr.arpa.", "PTR", "NXDOMAIN", [], "255.in-addr.arpa."),
        ("xlocalhost.a.test.", "A", "REFUSED", [], ""),
    ],
)
def test_what_stays_here(
    local: Answering, name: str, rtype: str, code: str, answer: list[str], soa: str
) -> None:
    reply = local.ask(name, rtype)
    assert (rcode(reply), shown(reply)) == (code, answer)
    assert [rrset.name.to_text() for rrset in reply.authority] == ([soa] if soa else [])


@pytest.fixture(scope="module")
def local() -> Iterator[Answering]:
    with answering(ADDRESS, "local") as running:
        yield running


def test_in_a_signed_zone_localhost_is_what_the_zone_says() -> None:
    with answering(ADDRESS, "file db\nlocal", "example.org") as running:
        running.publish(signed())
        assert shown(running.ask("localhost.example.org.")) == ["300 A 192.0.2.2"]


# --- hosts ----------------------------------------------------------------------------

HOSTS = """# a comment
192.0.2.1 www.a.test Alias.a.test # another
192.0.2.2 www.a.test
2001:db8::1 www.a.test
nonsense
192.0.2.3 elsewhere.b.test
"""


@pytest.mark.parametrize(
    ("name", "rtype", "code", "answer"),
    [
        ("WWW.a.test.", "A", "NOERROR", ["60 A 192.0.2.1", "60 A 192.0.2.2"]),
        ("www.a.test.", "AAAA", "NOERROR", ["60 AAAA 2001:db8::1"]),
        ("alias.a.test.", "AAAA", "NOERROR", []),
        ("alias.a.test.", "ANY", "NOERROR", []),
        ("inline.a.test.", "A", "NOERROR", ["60 A 192.0.2.9"]),
        ("none.a.test.", "A", "SERVFAIL", []),
        ("www.a.test.", "PTR", "REFUSED", []),
        ("on.in.a.test.", "A", "REFUSED", []),
        ("elsewhere.b.test.", "A", "REFUSED", []),
        (
            "1.2.0.192.in-addr.arpa.",
            "PTR",
            "NOERROR",
            ["60 PTR www.a.test.", "60 PTR alias.a.test."],
        ),
        ("3.2.0.192.in-addr.arpa.", "PTR", "REFUSED", []),
    ],
)
def test_a_file_and_lines_beside_it(
    hosts: Answering, name: str, rtype: str, code: str, answer: list[str]
) -> None:
    reply = hosts.ask(name, rtype)
    assert (rcode(reply), shown(reply)) == (code, answer)
    assert bool(reply.flags & dns.flags.AA) == (code == "NOERROR")


@pytest.fixture(scope="module")
def hosts(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Answering]:
    path = tmp_path_factory.mktemp("hosts") / "hosts"
    path.write_text(HOSTS)
    inline = (
        f"hosts {path} a.test {{\n 192.0.2.9 inline.a.test\n ttl 60\n fallthrough in.a.test\n}}"
    )
    with answering(ADDRESS, inline) as running:
        yield running


def test_without_reverse_no_name_is_told(tmp_path: Path) -> None:
    (tmp_path / "hosts").write_text(HOSTS)
    with answering(ADDRESS, f"hosts {tmp_path}/hosts {{\n no_reverse\n}}") as running:
        assert rcode(running.ask("1.2.0.192.in-addr.arpa.", "PTR")) == "REFUSED"


def test_in_a_signed_zone_a_host_is_what_the_zone_says() -> None:
    lines = f"file db\nhosts {os.devnull} {{\n 192.0.2.99 ns.example.org other.example.org\n}}"
    with answering(ADDRESS, lines, "example.org") as running:
        running.publish(signed())
        assert shown(running.ask("ns.example.org.")) == ["300 A 192.0.2.1"]
        assert rcode(running.ask("other.example.org.")) == "NXDOMAIN"
        running.publish(unsigned())
        assert shown(running.ask("ns.example.org.")) == ["3600 A 192.0.2.99"]


def test_rules_are_changed_while_queries_come() -> None:
    address = Record(rtype=1, ttl=5, rdata="c0000263")
    rules = (Rule(names=("new.a.test.",), action=Reply(records=(address,))),)
    with answering(ADDRESS, f"hosts {os.devnull} {{\n 192.0.2.1 old.a.test\n}}") as running:
        (chain,) = running.compiled.config.chains
        assert shown(running.ask("old.a.test.")) == ["3600 A 192.0.2.1"]
        running.server.refill(chain.id, "hosts", encode(rules))
        assert shown(running.ask("new.a.test.")) == ["5 A 192.0.2.99"]
        assert rcode(running.ask("old.a.test.")) == "REFUSED"
        for where, plugin, what in (
            (chain.id, "acl", encode(rules)),
            ("nowhere", "hosts", encode(rules)),
            (chain.id, "hosts", b'[{"action": {"do": "sing"}}]'),
        ):
            with pytest.raises(engine.EngineError) as raised:
                running.server.refill(where, plugin, what)
            assert raised.value.code == "config"
        assert shown(running.ask("new.a.test.")) == ["5 A 192.0.2.99"]
