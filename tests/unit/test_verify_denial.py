"""Verification of the denial of existence in whole zones: what lacks in a chain of NSEC or NSEC3,
lies in it or is too much is found by its code."""

from collections.abc import Callable

import dns.dnssec
import dns.name
import dns.rdatatype as t
import pytest
from keymaker import NOW
from verified import (
    NSEC3,
    OPT_OUT,
    ORIGIN,
    ORIGIN_NAME,
    build,
    codes,
    covers,
    edited,
    name,
    records,
    resigned,
    sign_by_hand,
    signed,
    without,
)

import engine


def test_a_missing_nsec() -> None:
    zone = build(without(signed(), name("www"), t.NSEC))
    assert codes(zone) == {("www.example.org.", "denial-missing")}
    bare = edited(signed(), lambda r: None if r[1] == t.NSEC or covers(r, t.NSEC) else r)
    assert {code for _, code in codes(bare)} == {"denial-missing"}


def test_an_nsec_that_points_elsewhere() -> None:
    lied = resigned(
        signed(), name("ns"), t.NSEC, lambda r: name("www") + r[dns.name.from_wire(r, 0)[1] :]
    )
    assert codes(lied) == {("ns.example.org.", "denial-wrong")}


def toggled(rtype: int) -> Callable[[bytes], bytes]:
    """Set or clear a bit of an NSEC's first window."""

    def change(rdata: bytes) -> bytes:
        end = dns.name.from_wire(rdata, 0)[1]
        bits = bytearray(rdata[end + 2 : end + 2 + rdata[end + 1]])
        bits[rtype // 8] ^= 0x80 >> rtype % 8
        return rdata[: end + 2] + bytes(bits)

    return change


@pytest.mark.parametrize(
    ("owner", "rtype", "why"),
    [
        ("www", t.TXT, "leaves out TXT"),
        ("www", t.AAAA, "tells of AAAA, which is not there"),
        ("secure", t.DS, "leaves out DS"),
        ("insecure", t.DS, "tells of DS, which is not there"),
        ("insecure", t.A, "tells of A, which is not there"),
        ("@", t.SOA, "leaves out SOA"),
    ],
)
def test_a_bitmap_that_lies(owner: str, rtype: int, why: str) -> None:
    lied = resigned(signed(), name(owner), t.NSEC, toggled(rtype))
    [failure] = engine.verify(lied, at=NOW).failures
    assert (failure.owner, failure.code) == (name(owner), "denial-bitmap")
    assert why in failure.message


@pytest.mark.parametrize("owner", ["deep", "below", "ns.secure", "below.alias"])
def test_an_nsec_where_none_may_be(owner: str) -> None:
    extra = sign_by_hand(name(owner), t.NSEC, 300, [name("www") + b"\0\6\0\0\0\0\0\3"])
    got = codes(build([*records(signed()), *extra]))
    assert (f"{owner}.example.org.", "denial-extra") in got


def test_glue_taken_for_authoritative_is_found() -> None:
    """Glue with an NSEC and signatures, and the chain led through it."""
    glue, before = name("ns.secure"), name("secure")
    link = signed().rrset(before, t.NSEC)
    assert link is not None
    behind = link.rdatas[0][: dns.name.from_wire(link.rdatas[0], 0)[1]]
    lied = resigned(signed(), before, t.NSEC, lambda r: glue + r[len(behind) :])
    content = without(lied, glue, t.A)
    content += sign_by_hand(glue, t.A, 3600, [b"\xc0\0\2\3"])
    content += sign_by_hand(glue, t.NSEC, 300, [behind + b"\0\6\x40\0\0\0\0\3"])
    assert codes(build(content)) == {
        ("secure.example.org.", "denial-wrong"),
        ("ns.secure.example.org.", "denial-extra"),
        ("ns.secure.example.org.", "signed-glue"),
    }


def nsec3_owner(text: str, nsec3: tuple[int, bytes, bool]) -> bytes:
    hashed = engine.nsec3_hash(name(text), nsec3[0], nsec3[1])
    return next(
        rrset.owner
        for rrset in signed(nsec3)
        if rrset.rtype == t.NSEC3
        and dns.dnssec.nsec3_hash(
            dns.name.from_wire(name(text), 0)[0], nsec3[1], nsec3[0], 1
        ).lower()
        == dns.name.from_wire(rrset.owner, 0)[0].labels[0].decode().lower()
        and len(hashed) == 20
    )


@pytest.mark.parametrize("owner", ["@", "www", "deep", "below", "*.wild", "insecure"])
def test_a_missing_nsec3(owner: str) -> None:
    """Without opt-out each name has one, empty non-terminals and insecure cuts too."""
    hashed = nsec3_owner(owner, NSEC3)
    got = codes(build(without(signed(NSEC3), hashed, t.NSEC3)))
    assert (dns.name.from_wire(name(owner), 0)[0].to_text(), "denial-missing") in got
    assert {code for _, code in got} == {"denial-missing", "denial-wrong"}


def test_opting_out_is_for_insecure_delegations_alone() -> None:
    zone = signed(OPT_OUT)
    hashed = nsec3_owner("secure", OPT_OUT)
    got = codes(build(without(zone, hashed, t.NSEC3)))
    assert ("secure.example.org.", "denial-missing") in got
    # The span over the insecure delegations, saying that nothing was left out.
    lied = zone
    for rrset in zone:
        if rrset.rtype == t.NSEC3:
            lied = resigned(lied, rrset.owner, t.NSEC3, lambda r: r[:1] + b"\0" + r[2:])
    assert codes(lied) == {
        (f"{owner}.example.org.", "denial-missing") for owner in ("insecure", "cut.below", "below")
    }


@pytest.mark.parametrize(
    ("change", "code"),
    [
        (lambda r: r[:1] + b"\x02" + r[2:], "denial-wrong"),
        (lambda r: r[:2] + b"\0\1" + r[4:], "denial-wrong"),
        (lambda r: r[:5] + b"\xcd" + r[6:], "denial-wrong"),
        (lambda r: r[:7] + bytes(20) + r[27:], "denial-wrong"),
        (lambda r: r[:27], "denial-bitmap"),
    ],
)
def test_an_nsec3_that_lies(change: Callable[[bytes], bytes], code: str) -> None:
    hashed = nsec3_owner("www", NSEC3)
    got = codes(resigned(signed(NSEC3), hashed, t.NSEC3, change))
    assert (dns.name.from_wire(hashed, 0)[0].to_text(), code) in got


def test_an_nsec3_of_no_name() -> None:
    owner = dns.name.from_text("0" * 32, ORIGIN_NAME).to_wire()
    extra = sign_by_hand(owner, t.NSEC3, 300, [b"\1\0\0\0\1\xab\x14" + bytes(20)])
    got = codes(build([*records(signed(NSEC3)), *extra]))
    assert (dns.name.from_wire(owner, 0)[0].to_text(), "denial-extra") in got


def test_nsec_and_nsec3_do_not_mix() -> None:
    hashed = nsec3_owner("www", NSEC3)
    content = records(signed())
    content += [one for one in records(signed(NSEC3)) if one[0] == hashed]
    assert (dns.name.from_wire(hashed, 0)[0].to_text(), "denial-extra") in codes(build(content))


def test_too_many_iterations() -> None:
    zone = resigned(signed(NSEC3), ORIGIN, t.NSEC3PARAM, lambda r: r[:2] + b"\1\xf5" + r[4:])
    assert codes(zone) == {("example.org.", "structure")}
