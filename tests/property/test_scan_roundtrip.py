"""Scan, print, scan is the identity; and dnspython reads the same out of every type."""

import base64
import datetime
import re

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
from hypothesis import given, settings
from hypothesis import strategies as st

import engine

ORIGIN_NAME = dns.name.from_text("example.org.")
ORIGIN = ORIGIN_NAME.to_wire()
SOA = "@ 300 IN SOA ns hostmaster 7 3600 900 604800 300\n"


def words(*parts: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.tuples(*parts).map(" ".join)


def number(most: int) -> st.SearchStrategy[str]:
    return st.integers(0, most).map(str)


def octets(least: int, most: int) -> st.SearchStrategy[bytes]:
    return st.binary(min_size=least, max_size=most)


def escaped(octet: int) -> str:
    return f"\\{octet:03}" if octet < 0x20 or octet > 0x7E or octet in b'"\\' else chr(octet)


def spaced(text: str) -> str:
    """Broken in two, as long base64 and hex are."""
    return f"{text[: len(text) // 3]} {text[len(text) // 3 :]}" if len(text) > 8 else text


labels = st.one_of(
    st.from_regex("[a-zA-Z0-9_-]{1,12}", fullmatch=True).map(str.encode), octets(1, 20)
)
absolute = st.lists(labels, max_size=5).map(lambda found: dns.name.Name([*found, b""]).to_text())
relative = st.lists(labels, min_size=1, max_size=3).map(
    lambda found: dns.name.Name(found).to_text()
)
name = st.one_of(absolute, relative, st.just("@"))
string = octets(0, 255).map(lambda data: '"' + "".join(map(escaped, data)) + '"')
strings = st.lists(string, min_size=1, max_size=4).map(" ".join)
u8, u16, u32 = number(0xFF), number(0xFFFF), number(0xFFFF_FFFF)
seconds = number(0x7FFF_FFFF)
base64_text = octets(1, 80).map(lambda data: spaced(base64.b64encode(data).decode()))
hex_text = octets(1, 80).map(lambda data: spaced(data.hex()))
salt = st.one_of(st.just("-"), octets(1, 20).map(bytes.hex))
base32 = octets(20, 20).map(lambda data: base64.b32hexencode(data).decode().lower())
mnemonics = st.sampled_from(["A", "NS", "SOA", "MX", "TXT", "AAAA", "RRSIG", "NSEC", "CAA"])
any_type = st.one_of(mnemonics, st.integers(256, 65535).map("TYPE{}".format))
bitmap = st.sets(any_type, min_size=1, max_size=8).map(sorted).map(" ".join)
time = st.datetimes(
    min_value=datetime.datetime(1970, 1, 1),  # noqa: DTZ001 - hypothesis wants it naive
    max_value=datetime.datetime(2106, 2, 7),  # noqa: DTZ001
).map(lambda at: f"{at.year:04}{at:%m%d%H%M%S}")
ipv4 = st.ip_addresses(v=4).map(str)
ipv6 = st.ip_addresses(v=6).map(str)


def digests(*kinds: tuple[int, int]) -> st.SearchStrategy[str]:
    """A digest type and hex of the length that goes with it."""
    return st.sampled_from(kinds).flatmap(
        lambda kind: octets(kind[1], kind[1]).map(lambda data: f"{kind[0]} {spaced(data.hex())}")
    )


digest = digests((1, 20), (2, 32), (4, 48))
zone_digest = digests((1, 48), (2, 64))
association = digests((0, 70), (1, 32), (2, 64))
fingerprint = digests((1, 20), (2, 32))
algorithm = st.sampled_from(["5", "8", "10", "13", "15", "RSASHA256", "ECDSAP384SHA384", "ed448"])
dnskey = words(u16, st.just("3"), algorithm, base64_text)
ds = words(u16, algorithm, digest)
locator = st.lists(octets(2, 2).map(bytes.hex), min_size=4, max_size=4).map(":".join)
tag = st.from_regex("[a-zA-Z0-9]{1,20}", fullmatch=True)


def pairs(count: int) -> st.SearchStrategy[str]:
    return st.lists(octets(1, 1).map(bytes.hex), min_size=count, max_size=count).map("-".join)


# Every native type, and of the foreign ones those with the oddest text.
RDATA: dict[str, st.SearchStrategy[str]] = {
    "A": ipv4,
    "NS": name,
    "CNAME": name,
    "PTR": name,
    "MX": words(u16, name),
    "TXT": strings,
    "SPF": strings,
    "AVC": strings,
    "NINFO": strings,
    "RESINFO": strings,
    "WALLET": strings,
    "AAAA": ipv6,
    "HINFO": words(string, string),
    "X25": st.from_regex("[0-9]{4,15}", fullmatch=True),
    "RP": words(name, name),
    "AFSDB": words(u16, name),
    "RT": words(u16, name),
    "PX": words(u16, name, name),
    "SRV": words(u16, u16, u16, name),
    "NAPTR": words(u16, u16, string, string, string, name),
    "KX": words(u16, name),
    "DNAME": name,
    "DNSKEY": dnskey,
    "CDNSKEY": dnskey,
    "KEY": words(number(0x3FFF), st.just("3"), algorithm, base64_text),
    "DS": ds,
    "CDS": st.one_of(ds, st.just("0 0 0 00")),
    "DLV": ds,
    "RRSIG": words(st.just("A"), algorithm, u8, seconds, time, time, u16, absolute, base64_text),
    "SIG": words(st.just("A"), algorithm, u8, seconds, time, time, u16, absolute, base64_text),
    "NSEC": words(name, bitmap),
    "NSEC3": words(st.just("1"), u8, u16, salt, base32, bitmap),
    "NSEC3PARAM": words(st.just("1"), u8, u16, salt),
    "CSYNC": words(u32, u16, bitmap),
    "ZONEMD": words(u32, st.just("1"), zone_digest),
    "TLSA": words(u8, u8, association),
    "SMIMEA": words(u8, u8, association),
    "SSHFP": words(u8, fingerprint),
    "CERT": words(
        st.sampled_from(["PKIX", "PGP", "URI", "7", "65280"]), u16, algorithm, base64_text
    ),
    "OPENPGPKEY": base64_text,
    "DHCID": base64_text,
    "CAA": words(u8, tag, string),
    "URI": words(u16, u16, octets(1, 60).map(lambda data: '"' + "".join(map(escaped, data)) + '"')),
    "NID": words(u16, locator),
    "L64": words(u16, locator),
    "L32": words(u16, ipv4),
    "LP": words(u16, name),
    "EUI48": pairs(6),
    "EUI64": pairs(8),
    "DSYNC": words(mnemonics, u8, u16, name),
    "HTTPS": words(
        st.integers(1, 0xFFFF).map(str),
        absolute,
        st.sampled_from(["", 'alpn="h2,h3" port=443', 'alpn="f\\\\\\\\oo"']),
    ),
    "IPSECKEY": words(u8, st.just("3"), u8, absolute, base64_text),
    "APL": st.just("1:192.0.2.0/24 !2:2001:db8::/32"),
    "TYPE65280": octets(0, 80).map(lambda data: f"\\# {len(data)} {data.hex()}"),
}


def rdatas_of(zone: engine.Zone, owner: bytes, rtype: int) -> list[bytes]:
    if rtype == dns.rdatatype.RRSIG:
        rrset = zone.rrset(owner, dns.rdatatype.A)
        return rrset.signatures if rrset else []
    rrset = zone.rrset(owner, rtype)
    return rrset.rdatas if rrset else []


def by_dnspython(rtype: int, text: str) -> bytes:
    return dns.rdata.from_text("IN", rtype, text, ORIGIN_NAME, relativize=False).to_wire()


@given(st.sampled_from(sorted(RDATA)).flatmap(lambda t: st.tuples(st.just(t), RDATA[t])))
@settings(max_examples=800, deadline=None)
def test_wire_and_text_are_dnspythons(record: tuple[str, str]) -> None:
    mnemonic, text = record
    rtype = dns.rdatatype.from_text(mnemonic)
    expected = by_dnspython(rtype, text)
    also = "" if mnemonic == "CNAME" else "r A 192.0.2.1\n"
    zone = engine.scan_text(f"{SOA}{also}r {mnemonic} {text}\n".encode(), ORIGIN)
    assert expected in rdatas_of(zone, b"\1r" + ORIGIN, rtype)
    printed = [line.split(" ", 4) for line in zone.to_text().splitlines()]
    assert expected in [by_dnspython(rtype, line[4]) for line in printed if line[3] == mnemonic]


def test_a_soa_is_dnspythons() -> None:
    text = "ns hostmaster.example.net. 4294967295 1h30m 900 1w 2d3h4m5s"
    zone = engine.scan_text(f"@ 300 SOA {text}\n".encode(), ORIGIN)
    assert rdatas_of(zone, ORIGIN, dns.rdatatype.SOA) == [by_dnspython(dns.rdatatype.SOA, text)]


@st.composite
def zone_texts(draw: st.DrawFn) -> str:
    """Zones of many types; owners hold either one CNAME or DNAME or what may stand together."""
    lines = [SOA]
    together = sorted(set(RDATA) - {"CNAME", "DNAME", "NS", "NSEC3"})
    owners = draw(st.lists(relative, max_size=8, unique_by=lambda text: unescaped(text)))
    for owner in owners:
        alone = draw(st.sampled_from(["CNAME", "DNAME", "NS", None]))
        types = [alone] if alone else draw(st.lists(st.sampled_from(together), max_size=6))
        for mnemonic in types:
            ttl = draw(st.one_of(seconds, st.just("1w2d3h4m5s")))
            lines.append(f"{owner} {ttl} {mnemonic} {draw(RDATA[mnemonic])}\n")
    return "".join(lines)


def unescaped(text: str) -> bytes:
    return dns.name.from_text(text, None).canonicalize().to_wire(None, None, ORIGIN_NAME) or b""


@given(zone_texts())
@settings(max_examples=300, deadline=None)
def test_scan_print_scan_is_the_identity(text: str) -> None:
    zone = engine.scan_text(text.encode(), ORIGIN)
    printed = zone.to_text()
    again = engine.scan_text(printed.encode(), ORIGIN)
    assert again.digest() == zone.digest()
    assert again.to_text() == printed
    assert printed.count("\n") == zone.record_count


blanks = [*' \t\n\r();"\\$.0-', "\n\n"]
directives = ["$TTL", "$ORIGIN", "$INCLUDE", "$GENERATE", "1-3", "${1,2,n}"]
others = ["IN", "CLASS1", "TYPE1", "300", "@", "\\#", "192.0.2.1", "\\000"]
tokens = st.sampled_from([*sorted(RDATA), *blanks, *directives, *others])


@given(
    st.one_of(st.binary(max_size=400), st.lists(tokens, max_size=60).map(" ".join).map(str.encode))
)
@settings(max_examples=800, deadline=None)
def test_any_octets_give_a_zone_or_problems_with_places(text: bytes) -> None:
    whole = SOA.encode() + text
    lines = whole.split(b"\n")
    found = problems_of(whole)
    assert len(found) <= 20
    for problem in found:
        assert problem.file == "zone"
        assert 1 <= problem.line <= len(lines)
        assert 1 <= problem.column <= len(lines[problem.line - 1]) + 1
        assert re.fullmatch(r"[^\n]+", problem.message)


def problems_of(text: bytes) -> list[engine.Problem]:
    try:
        engine.scan_text(text, ORIGIN, name="zone")
    except engine.ScanError as error:
        return error.problems
    return []
