"""Signalling records (RFC 9615): under which names, in which zone, and what is left out."""

import dns.name
import dns.rdatatype as t
import pytest
from keymaker import NOW, key, plan, sign_new, validate

import engine
from signer import candidate
from signer.ds import ds_rdata
from signer.signalling import Child, Signal, fitting, signalling_name, signals
from zones.overlay import overlaid


def name(text: str) -> dns.name.Name:
    return dns.name.from_text(text)


LONG = name(".".join(["a" * 50] * 4))
CDS, CDNSKEY = b"\x30\x39\x0d\x02" + bytes(32), b"\x01\x01\x03\x0d" + bytes(64)


def child(origin: str, *servers: str, ttl: int = 3600) -> Child:
    names = frozenset(map(name, servers))
    return Child(name(origin), names, frozenset({CDS}), frozenset({CDNSKEY}), ttl)


@pytest.mark.parametrize(
    ("scenario", "zone", "one", "zones", "owners"),
    [
        (
            "a server's name in the zone",
            "example.net",
            child("example.com", "ns1.example.net"),
            (),
            ["_dsboot.example.com._signal.ns1.example.net."],
        ),
        (
            "two of them, and one elsewhere",
            "example.net",
            child("example.co.uk", "ns1.example.net", "ns2.example.net", "ns.example.org"),
            (),
            [
                "_dsboot.example.co.uk._signal.ns1.example.net.",
                "_dsboot.example.co.uk._signal.ns2.example.net.",
            ],
        ),
        (
            "the apex as a server's name",
            "example.net",
            child("example.com", "example.net"),
            (),
            ["_dsboot.example.com._signal.example.net."],
        ),
        ("a server elsewhere", "example.net", child("example.com", "ns.example.org"), (), []),
        ("in-domain", "example.net", child("example.net", "ns1.example.net"), (), []),
        ("in-domain of the zone above", "example.net", child("net", "ns1.example.net"), (), []),
        (
            "a child of the zone with a server in its parent",
            "example.net",
            child("sub.example.net", "ns1.example.net"),
            (),
            ["_dsboot.sub.example.net._signal.ns1.example.net."],
        ),
        (
            "the signalling domain is a zone here",
            "example.net",
            child("example.com", "ns1.example.net", "ns2.example.net"),
            ("_signal.ns1.example.net",),
            ["_dsboot.example.com._signal.ns2.example.net."],
        ),
        (
            "and has them",
            "_signal.ns1.example.net",
            child("example.com", "ns1.example.net", "ns2.example.net"),
            ("example.net",),
            ["_dsboot.example.com._signal.ns1.example.net."],
        ),
        (
            "the server's name is a zone here",
            "example.net",
            child("example.com", "ns.dns.example.net"),
            ("dns.example.net",),
            [],
        ),
    ],
)
def test_where_a_zone_is_signalled(
    scenario: str, zone: str, one: Child, zones: tuple[str, ...], owners: list[str]
) -> None:
    found = signals(name(zone), [one], [*map(name, zones), name(zone)], most_ttl=300)
    assert not found.passed_over, scenario
    assert [signal.owner.to_text() for signal in found.rrsets] == [
        owner for owner in owners for _ in range(2)
    ], scenario
    assert {(signal.rtype, signal.ttl, signal.rdatas) for signal in found.rrsets} <= {
        (59, 300, (CDS,)),
        (60, 300, (CDNSKEY,)),
    }


def test_the_name_is_that_of_rfc_9615_section_4_1() -> None:
    found = signalling_name(name("example.co.uk"), name("ns1.example.net"))
    assert found == name("_dsboot.example.co.uk._signal.ns1.example.net")


def test_a_name_that_is_too_long_is_said() -> None:
    one = Child(LONG, frozenset({name(f"ns.{'b' * 40}.example.net")}), frozenset(), frozenset(), 1)
    found = signals(name("example.net"), [one, child("a.test", "ns.example.net")], (), most_ttl=9)
    (line,) = found.passed_over
    assert "longer than 255 octets" in line
    assert len(found.rrsets) == 2


@pytest.mark.parametrize(
    ("scenario", "source", "problem"),
    [
        ("nothing there", {}, None),
        ("records there", {"_dsboot.a.test._signal.ns.example.net": [16]}, "has records there"),
        ("a cut above", {"ns.example.net": [2]}, "is delegated away at ns.example.net."),
        ("a DNAME above", {"_signal.ns.example.net": [39]}, "away at _signal.ns.example.net."),
        ("a DNAME at the apex", {"example.net": [39]}, "is delegated away at example.net."),
        ("the apex's own NS", {"example.net": [2, 6]}, None),
        ("addresses above", {"ns.example.net": [1, 28]}, None),
    ],
)
def test_what_the_source_has_goes_first(
    scenario: str, source: dict[str, list[int]], problem: str | None
) -> None:
    owner = name("_dsboot.a.test._signal.ns.example.net")
    wanted = [Signal(owner, 59, 60, (CDS,)), Signal(owner, 60, 60, (CDNSKEY,))]
    at = {name(owner): types for owner, types in source.items()}
    found = fitting(name("example.net"), wanted, lambda owner: at.get(owner, []))
    if problem is None:
        assert (list(found.rrsets), found.passed_over) == (wanted, ()), scenario
    else:
        assert not found.rrsets
        (line,) = found.passed_over
        assert problem in line


ZONE = "@ 60 SOA ns h 7 3600 600 86400 60\n@ 60 NS ns\nns 60 A 192.0.2.1\n"


def version(*cds: bytes, cdnskeys: tuple[bytes, ...] = ()) -> engine.Zone:
    read = engine.scan_text(ZONE.encode(), name("Example.COM").to_wire())
    return sign_new(read, plan(cds=list(cds), cdnskeys=list(cdnskeys))).zone


def test_what_a_version_says() -> None:
    ds = ds_rdata(name("example.com"), key().dnskey)
    found = Child.of(version(ds, cdnskeys=(key().dnskey,)))
    assert found is not None
    assert (found.origin, found.servers) == (name("example.com"), {name("ns.example.com")})
    assert (found.cds, found.cdnskeys, found.ttl) == ({ds}, {key().dnskey}, 3600)
    assert Child.of(version()) is None
    assert Child.of(version(bytes(5), cdnskeys=(b"\0\0\3\0\0",))) is None


def test_laid_over_a_source_they_are_its_data() -> None:
    """Signed by a zone key, and kept apart from the CDS of the zone itself."""
    origin = name("example.net")
    read = engine.scan_text(ZONE.encode(), origin.to_wire())
    assert overlaid(read, "") is read
    ds, owner = (
        ds_rdata(name("a.test"), key().dnskey),
        name("_dsboot.a.test._signal.ns.example.net"),
    )
    hexadecimal = ds[4:].hex()
    laid = overlaid(read, f"{owner} 60 IN CDS {key().tag} 13 2 {hexadecimal}\n")
    assert laid.serial == read.serial == 7
    found = laid.rrset(owner.to_wire(), t.CDS)
    assert found is not None
    assert (found.rdatas, found.ttl) == ([ds], 60)
    ksk, zsk = key(13, 257), key(13, 256)
    own = ds_rdata(origin, ksk.dnskey)
    signed = sign_new(
        laid,
        plan(
            keys=[(ksk, engine.SIGNS_KEYS), (zsk, engine.SIGNS_ZONE)],
            dnskeys=[ksk.dnskey, zsk.dnskey],
            cds=[own],
            serial=8,
        ),
    ).zone
    assert validate(signed) == signed.signature_count
    for place, rdata, signer in ((owner, ds, zsk), (origin, own, ksk)):
        rrset = signed.rrset(place.to_wire(), t.CDS)
        assert rrset is not None
        assert rrset.rdatas == [rdata]
        (signature,) = rrset.signatures
        assert int.from_bytes(signature[16:18]) == signer.tag
    source = signed.source()
    assert source.rrset(owner.to_wire(), t.CDS) is not None
    assert source.rrset(origin.to_wire(), t.CDS) is None


def test_the_content_guard_does_not_count_them() -> None:
    """Most of the names of a small zone may go with the zones that they were of."""
    origin = name("example.net")
    hosts = "".join(f"host{number} 60 A 192.0.2.9\n" for number in range(20))
    read = engine.scan_text((ZONE + hosts).encode(), origin.to_wire())
    lines = [
        f"{owner}._signal.ns.example.net. 60 IN {rdata}\n"
        for owner in (f"_dsboot.{number}.test" for number in range(40))
        for rdata in ("CDS 1 13 2 " + "00" * 32, "CDNSKEY 257 3 13 AAAA")
    ]
    full = overlaid(read, "".join(lines))
    base = sign_new(full, plan()).zone

    def guarded(new: engine.Zone) -> str | None:
        changes = engine.source_changes(full, new)
        signed = engine.sign(base, changes, plan(serial=9))
        return candidate.examine(
            signed,
            base,
            changes,
            at=NOW,
            ds=(),
            memory=None,
            base_verified=None,
            percent=10,
        ).guarded

    assert guarded(read) is None
    assert guarded(engine.scan_text(ZONE.encode(), origin.to_wire())) is not None
