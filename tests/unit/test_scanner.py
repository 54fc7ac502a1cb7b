"""Zone-file text and the records or the problems that the scanner makes of it."""

from pathlib import Path

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.zone
import pytest

import engine

DATA = Path(__file__).parent.parent / "data"
ORIGIN = dns.name.from_text("example.org.").to_wire()
SOA = "@ 300 SOA ns hostmaster 7 1h 15m 1w 5m\n"


def records(zone: engine.Zone) -> list[str]:
    """Lines of the zone without its SOA, printed by the engine."""
    return [line for line in zone.to_text().splitlines() if " SOA " not in line]


def scan(text: str | bytes, **options: object) -> engine.Zone:
    octets = text.encode() if isinstance(text, str) else text
    return engine.scan_text(octets, ORIGIN, name="zone", **options)  # type: ignore[arg-type]


def problems(text: str | bytes, **options: object) -> list[str]:
    with pytest.raises(engine.ScanError) as raised:
        scan(text, **options)
    assert raised.value.code == "scan"
    assert str(raised.value.problems[0]).startswith(f"{raised.value.place}: ")
    return [str(problem) for problem in raised.value.problems]


GOOD = {
    "owner omitted, class and TTL in either order": (
        "a 60 IN A 192.0.2.1\n  IN 120 AAAA 2001:db8::1\n\tTXT x\n",
        [
            "a.example.org. 60 IN A 192.0.2.1",
            'a.example.org. 120 IN TXT "x"',
            "a.example.org. 120 IN AAAA 2001:db8::1",
        ],
    ),
    "$TTL, not the last TTL": (
        "$TTL 1h30m\na 60 A 192.0.2.1\nb A 192.0.2.2\n",
        ["a.example.org. 60 IN A 192.0.2.1", "b.example.org. 5400 IN A 192.0.2.2"],
    ),
    "$ORIGIN relative and absolute, owner kept": (
        "a A 192.0.2.1\n$ORIGIN sub\n A 192.0.2.2\n$ORIGIN deep.example.org.\nb CNAME @\n",
        [
            "a.example.org. 300 IN A 192.0.2.1",
            "a.example.org. 300 IN A 192.0.2.2",
            "b.deep.example.org. 300 IN CNAME deep.example.org.",
        ],
    ),
    "parentheses, comments, quotes": (
        'a TXT ( "; no comment" ; a comment )\n  b ) ; more\nb MX (10\n@)\n',
        [
            'a.example.org. 300 IN TXT "; no comment" "b"',
            "b.example.org. 300 IN MX 10 example.org.",
        ],
    ),
    "escapes in names and strings": (
        'a\\.b\\032c TXT "q\\"\\\\\\000" \\;x\n',
        ['a\\.b\\032c.example.org. 300 IN TXT "q\\"\\\\\\000" ";x"'],
    ),
    "CRLF, a byte order mark, no final newline": (
        "\ufeff" + "a A 192.0.2.1\r\nb TXT x\r\n\r\nc A 192.0.2.3",
        [
            "a.example.org. 300 IN A 192.0.2.1",
            'b.example.org. 300 IN TXT "x"',
            "c.example.org. 300 IN A 192.0.2.3",
        ],
    ),
    "RFC 3597 for known and unknown types": (
        "a TYPE1 \\# 4 C0000201\nb A \\# 4 ( C000\n 02 02 )\nc CLASS1 TYPE65280 \\# 2 abCD\n"
        "d TYPE65281 \\# 0\n",
        [
            "a.example.org. 300 IN A 192.0.2.1",
            "b.example.org. 300 IN A 192.0.2.2",
            "c.example.org. 300 IN TYPE65280 \\# 2 abcd",
            "d.example.org. 300 IN TYPE65281 \\# 0",
        ],
    ),
    "types that dnspython reads": (
        'a HTTPS 1 . alpn="h2,h3" (\n ipv4hint=192.0.2.1 ) ; x\n'
        "b LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000m 10m\nc APL 1:192.0.2.0/24\n",
        [
            'a.example.org. 300 IN HTTPS 1 . alpn="h2,h3" ipv4hint="192.0.2.1"',
            "b.example.org. 300 IN LOC 52 22 23.000 N 4 53 32.000 E -2.00m 0.00m 10000.00m 10.00m",
            "c.example.org. 300 IN APL 1:192.0.2.0/24",
        ],
    ),
    "an RRset takes its lowest TTL, a record once": (
        "a 60 A 192.0.2.2\na 30 A 192.0.2.1\nA 90 A 192.0.2.1\n",
        ["a.example.org. 30 IN A 192.0.2.1", "a.example.org. 30 IN A 192.0.2.2"],
    ),
    "$GENERATE": (
        "$TTL 300\n$GENERATE 1-3/2 ${0,2,d}-$ 60 IN CNAME ${10,4,x}.x\n"
        "$GENERATE 18-18 ${0,3,n} A 192.0.2.$\n"
        "c A 192.0.2.1\n$GENERATE 1-1 d A 192.0.2.2\n TXT c\n",
        [
            "01-1.example.org. 60 IN CNAME 000b.x.example.org.",
            "03-3.example.org. 60 IN CNAME 000d.x.example.org.",
            "2.1.example.org. 300 IN A 192.0.2.18",
            "c.example.org. 300 IN A 192.0.2.1",
            'c.example.org. 300 IN TXT "c"',
            "d.example.org. 300 IN A 192.0.2.2",
        ],
    ),
    "names in any case, mnemonics too": (
        "A.EXAMPLE.ORG. in a 192.0.2.1\nb mx 1 MiXed\n$ttl 9\nc a 192.0.2.1\n",
        [
            "a.example.org. 300 IN A 192.0.2.1",
            "b.example.org. 300 IN MX 1 MiXed.example.org.",
            "c.example.org. 9 IN A 192.0.2.1",
        ],
    ),
    "an owner that looks like something else": (
        "IN IN A 192.0.2.1\n300 300 A 192.0.2.2\n\\@ A 192.0.2.3\n\\$TTL A 192.0.2.4\n",
        [
            "\\$ttl.example.org. 300 IN A 192.0.2.4",
            "300.example.org. 300 IN A 192.0.2.2",
            "\\@.example.org. 300 IN A 192.0.2.3",
            "in.example.org. 300 IN A 192.0.2.1",
        ],
    ),
    "the SOA again at the end, as a transfer dumps it": (
        "a A 192.0.2.1\n" + SOA,
        ["a.example.org. 300 IN A 192.0.2.1"],
    ),
}


@pytest.mark.parametrize("case", GOOD)
def test_text_gives_records(case: str) -> None:
    text, expected = GOOD[case]
    mark = "\ufeff" if text.startswith("\ufeff") else ""
    assert records(scan(mark + SOA + text.removeprefix("\ufeff"))) == expected


BAD = {
    "wrong rdata": ("a A 192.0.2\n", ["2:5: A: expected an IPv4 address"]),
    "missing rdata": ("a MX 10\n", ["2:8: MX: a domain name is missing"]),
    "no key": ('@ DNSKEY 257 3 13 ""\n', ["2:19: DNSKEY: the data is empty"]),
    "no digest": ('a DS 1 13 2 ""\n', ["2:13: DS: the data is empty"]),
    "too much rdata": ("a A 192.0.2.1 192.0.2.2\n", ["2:15: A: more than the record can hold"]),
    "in a later line of parentheses": (
        "a SRV ( 1 2\n  3000000\n  x )\nb A x\n",
        ["3:3: SRV: expected a number up to 65535", "5:5: A: expected an IPv4 address"],
    ),
    "unknown type": ("a FOO x\n", ['2:3: unknown record type "FOO"']),
    "type of questions only": ("a ANY x\nb OPT x\n", ["2:3: ANY is not", "3:3: OPT is not"]),
    "no type": ("a 300 IN\n", ["2:9: the record ends before its type"]),
    "class": ("a CH TXT x\na CLASS7 A x\n", ['2:3: class "CH"', '3:3: class "CLASS7"']),
    "class twice": ("a IN IN A 192.0.2.1\n", ["2:6: the class stands twice"]),
    "TTL": (
        "a 2147483648 A 192.0.2.1\nb 1x A 192.0.2.1\n$TTL 1h30\n",
        ["2:3: a TTL is at most", '3:3: not a TTL: "1x"', '4:6: not a TTL: "1h30"'],
    ),
    "outside the zone": (
        "a.example.com. A 192.0.2.1\n A 192.0.2.2\nb A 192.0.2.300\n",
        ["2:1: a.example.com. is outside the zone example.org.", "4:5: A: "],
    ),
    "owner": (
        "a..b A 192.0.2.1\n\\256 A 192.0.2.1\n" + "x" * 64 + " A 192.0.2.1\n",
        ['2:1: owner "a..b": an empty label', "3:1: owner", "4:1: owner"],
    ),
    "name of 256 octets": (
        f"a CNAME {'x' * 60}.{'x' * 60}.{'x' * 60}.{'x' * 60}\n",
        ["2:9: CNAME: a name of more than 255"],
    ),
    "string": (f"a TXT {'x' * 256}\n", ["2:7: TXT: a string of 256 octets: split it"]),
    "quotes": ('a TXT "x\nb A x\n', ["2:7: a string is not closed", "3:5: A: "]),
    "parentheses": (
        "a TXT ( x\nb A 1\n",
        ['2:7: "(" is never closed', "3:5: A: "],
    ),
    "a parenthesis too many": ("a TXT x )\n", ['2:9: ")" without "("']),
    "directives": (
        "$FOO x\n$ORIGIN\n$TTL a\n$INCLUDE\n",
        [
            '2:1: unknown directive "$FOO"',
            "3:1: expected $ORIGIN NAME",
            "4:6: not a TTL",
            "5:1: expected $INCLUDE FILE",
        ],
    ),
    "$INCLUDE in text": ("$INCLUDE /etc/passwd\n", ["2:10: $INCLUDE is for zone files"]),
    "$GENERATE": (
        "$GENERATE 2-1 a A 192.0.2.1\n$GENERATE 0-4294967295 a A 192.0.2.1\n"
        "$GENERATE 1-2 a${0,x} A 192.0.2.1\n$GENERATE 1-2 a\n$GENERATE 254-300 a$ A 192.0.2.$\n",
        [
            "2:11: a range begins",
            "3:11: a range of more than",
            "4:15: not a modifier",
            "5:1: expected $GENERATE",
        ]
        + ["6:1: A: expected"] * 16,
    ),
    "RFC 3597": (
        "a A \\# 4 C00002\nb TYPE65280 \\# 1 zz\nc TYPE65280 x\nd MX \\# 3 000A03\n",
        [
            "2:8: A: \\# says 4 octets, 3 follow",
            "3:18: TYPE65280: not hex",
            "4:13: TYPE65280: ",
            "5:9: MX: not the rdata of a MX record",
        ],
    ),
    "SOA": (
        "@ 300 SOA ns hostmaster 8 1h 15m 1w 5m\na SOA ns hostmaster 8 1h 15m 1w 5m\n",
        ["2:1: a second SOA that differs", "3:1: a SOA stands only at the apex"],
    ),
    "CNAME and DNAME": (
        "a CNAME b\nb A 192.0.2.1\na A 192.0.2.1\nc CNAME a\nc CNAME b\nd DNAME a\nd NS b\n",
        [
            "4:1: a.example.org.: a CNAME beside A",
            "6:1: c.example.org.: a second CNAME",
            "8:1: d.example.org.: a DNAME beside NS",
        ],
    ),
    "CNAME among other problems": (
        "a CNAME b\na A 192.0.2.1\nb A x\n",
        ["3:1: a.example.org.: a CNAME beside A", "4:5: A: "],
    ),
    "digests": ("a DS 1 13 2 00\n", ["2:6: DS: the digest's length"]),
    "what dnspython refuses": ("a LOC x\n", ["2:7: LOC: "]),
}


@pytest.mark.parametrize("case", BAD)
def test_text_gives_problems(case: str) -> None:
    text, expected = BAD[case]
    found = problems(SOA + text)
    assert len(found) == len(expected), found
    for problem, start in zip(found, expected, strict=True):
        assert problem.startswith(f"zone:{start}")


def test_twenty_problems_are_told_and_the_number_can_be_chosen() -> None:
    text = SOA + "a A x\n" * 30
    assert len(problems(text)) == 20
    assert len(problems(text, max_problems=3)) == 3


def test_a_zone_needs_a_soa_and_a_first_owner() -> None:
    assert problems("$TTL 1\na A 192.0.2.1\n")[0].startswith("zone:1:1: no SOA record")
    assert problems("")[0].startswith("zone:1:1: no SOA record")
    assert problems("  A 192.0.2.1\n")[0].startswith("zone:1:3: no owner is known")


def test_ttls_without_ttl_directive() -> None:
    """RFC 1035's last TTL, the SOA's minimum where the SOA has none, then none at all."""
    soa = "@ SOA ns hostmaster 7 1h 15m 1w 5m\n"
    assert records(scan(soa + "a A 192.0.2.1\n"))[0].startswith("a.example.org. 300 ")
    assert problems("a A 192.0.2.1\n" + SOA)[0].startswith("zone:1:1: no TTL is known")
    assert records(scan("a A 192.0.2.1\n" + SOA, default_ttl=5))[0].startswith("a.example.org. 5 ")


def test_absurdly_long_lines_and_deep_parentheses() -> None:
    many = " ".join(f"x{number}" for number in range(10_000))
    zone = scan(f"{SOA}a TXT {'(' * 5000} {many} {')' * 5000} ; {'y' * 100_000}\n")
    rrset = zone.rrset(b"\1a" + ORIGIN, dns.rdatatype.TXT)
    assert rrset is not None
    assert (
        len(dns.rdata.from_wire("IN", "TXT", rrset.rdatas[0], 0, len(rrset.rdatas[0])).strings)
        == 10_000
    )  # type: ignore[attr-defined]
    long = problems(f"{SOA}a TXT {many} {many}\n")
    assert "65535" in long[0]


def test_an_owner_holds_as_many_records_as_a_message_can_count() -> None:
    lines = [f"a A 10.{i >> 16}.{i >> 8 & 255}.{i & 255}\n" for i in range(65_536)]
    assert scan(SOA + "".join(lines[1:])).record_count == 65_536
    assert problems(SOA + "".join(lines)) == [
        "zone:65537:1: a.example.org.: more than 65535 records at one owner"
    ]


def test_every_mnemonic_of_dnspython_is_known() -> None:
    for rtype in dns.rdatatype.RdataType:
        if rtype in (0, 41) or 128 <= rtype <= 255:
            assert "is not a type that a zone can hold" in problems(f"{SOA}a {rtype.name} x\n")[0]
        else:
            mnemonic = dns.rdatatype.to_text(rtype)
            found = problems(f"{SOA}a {mnemonic} \\# 1\n")[0]
            assert found.startswith(f"zone:2:{len(mnemonic) + 7}: {mnemonic}: \\# says 1"), found


def test_include(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    (tmp_path / "main").write_text(
        SOA + "a A 192.0.2.1\n$INCLUDE sub/one s ; comment\n TXT a\nb A 192.0.2.9\n"
    )
    (tmp_path / "sub" / "one").write_text('x A 192.0.2.2\n$INCLUDE "two"\n')
    (tmp_path / "sub" / "two").write_text("y A 192.0.2.3\n$ORIGIN example.org.\nz A 192.0.2.4\n")
    zone = engine.scan(str(tmp_path / "main"), ORIGIN)
    assert records(zone) == [
        "a.example.org. 300 IN A 192.0.2.1",
        'a.example.org. 300 IN TXT "a"',
        "b.example.org. 300 IN A 192.0.2.9",
        "x.s.example.org. 300 IN A 192.0.2.2",
        "y.s.example.org. 300 IN A 192.0.2.3",
        "z.example.org. 300 IN A 192.0.2.4",
    ]


def test_include_that_goes_wrong(tmp_path: Path) -> None:
    main, one = tmp_path / "main", tmp_path / "one"
    main.write_text(f"{SOA}$INCLUDE one\n$INCLUDE nowhere\n$INCLUDE {tmp_path}\nb A x\n")
    one.write_text("a A x\n$INCLUDE main\n")
    with pytest.raises(engine.ScanError) as raised:
        engine.scan(str(main), ORIGIN)
    found = [str(problem) for problem in raised.value.problems]
    assert found[0].startswith(f"{one}:1:5: A: ")
    assert found[1] == f"{one}:2:10: {tmp_path}/main includes itself"
    assert found[2].startswith(f"{main}:3:10: {tmp_path}/nowhere: No such file")
    assert found[3] == f"{main}:4:10: {tmp_path}: not a plain file"
    assert found[4].startswith(f"{main}:5:5: A: ")


def test_includes_are_bounded(tmp_path: Path) -> None:
    for depth in range(20):
        (tmp_path / str(depth)).write_text(f"$INCLUDE {depth + 1}\n")
    (tmp_path / "0").write_text(SOA + "$INCLUDE 1\n")
    with pytest.raises(engine.ScanError, match="too many included files"):
        engine.scan(str(tmp_path / "0"), ORIGIN)


def test_a_file_that_cannot_be_read(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError) as raised:
        engine.scan(str(tmp_path / "missing"), ORIGIN)
    assert raised.value.code == "io"
    assert not isinstance(raised.value, engine.ScanError)


@pytest.mark.parametrize(
    ("file", "serial", "count"),
    [("root-2018.zone", 2018031200, 19597), ("root-2011.signed.zone", 2011030200, 3979)],
)
def test_the_root_zone(file: str, serial: int, count: int, tmp_path: Path) -> None:
    zone = engine.scan(str(DATA / file), b"\0")
    assert (zone.serial, zone.record_count) == (serial, count)
    written = tmp_path / "root"
    zone.write_text(str(written))
    again = engine.scan(str(written), b"\0")
    assert again.digest() == zone.digest()
    assert [entry.name for entry in tmp_path.iterdir()] == ["root"]


def test_write_text_reports_where_it_cannot_write(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError) as raised:
        scan(SOA).write_text(str(tmp_path / "no" / "where"))
    assert (raised.value.code, raised.value.place) == ("io", str(tmp_path / "no" / "where"))


def test_foreign_callables_are_asked() -> None:
    def parse(rtype: int, text: str, origin: bytes) -> bytes:
        assert (rtype, origin) == (65280, ORIGIN)
        if text == "bad":
            raise ValueError("not good")
        return text.encode()

    zone = scan(SOA + "a TYPE65280 x (\n y) ; z\n", foreign=parse)
    assert zone.to_text(foreign=lambda rtype, rdata: f"{rtype}-{rdata.decode()}").endswith(
        "a.example.org. 300 IN TYPE65280 65280-x y\n"
    )
    assert problems(SOA + "a TYPE65280 bad\n", foreign=parse) == ["zone:2:13: TYPE65280: not good"]
