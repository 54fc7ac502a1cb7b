"""Verification of whole zones: a true one passes, and each lie is found by its code."""

import calendar
import functools
import random
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

import dns.dnssec
import dns.dnssectypes
import dns.name
import dns.rdata
import dns.rdataset
import dns.rdatatype as t
import dns.rrset
import pytest
from keymaker import DAY, IN, NOW, key, new_pair, pkcs8, plan, sign_new

import engine

ROOT = Path(__file__).parents[1] / "data" / "root-2011.signed.zone"
ROOT_AT = calendar.timegm((2011, 3, 3, 0, 0, 0))
ORIGIN_NAME = dns.name.from_text("example.org.")
ORIGIN = ORIGIN_NAME.to_wire()
ZONE = """
@ 3600 SOA ns hostmaster 1 3600 600 86400 300
@ 3600 NS ns
ns 3600 A 192.0.2.1
www 3600 A 192.0.2.2
www 3600 TXT text
*.wild 3600 MX 10 www
ent.deep 3600 TXT below
secure 3600 NS ns.secure
secure 3600 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns.secure 3600 A 192.0.2.3
insecure 3600 NS ns.insecure
insecure 3600 A 192.0.2.5
ns.insecure 3600 A 192.0.2.4
alias 3600 DNAME www
below.alias 3600 A 192.0.2.6
cut.below 3600 NS ns
"""
Record = tuple[bytes, int, int, bytes]
Edit = Callable[[Record], Record | None]


def name(text: str) -> bytes:
    return dns.name.from_text(text, ORIGIN_NAME).to_wire()


def records(zone: engine.Zone) -> list[Record]:
    made = []
    for rrset in zone:
        made += [(rrset.owner, rrset.rtype, rrset.ttl, rdata) for rdata in rrset.rdatas]
        made += [(rrset.owner, t.RRSIG, rrset.ttl, rdata) for rdata in rrset.signatures]
    return made


@functools.cache
def line(record: Record) -> str:
    owner, rtype, ttl, rdata = record
    shown = dns.name.from_wire(owner, 0)[0].to_text()
    return rf"{shown} {ttl} TYPE{rtype} \# {len(rdata)} {rdata.hex()}"


def build(content: Iterable[Record], origin: bytes = ORIGIN) -> engine.Zone:
    return engine.scan_text(("\n".join(map(line, content)) + "\n").encode(), origin)


def edited(zone: engine.Zone, edit: Edit) -> engine.Zone:
    return build(new for old in records(zone) if (new := edit(old)) is not None)


def covers(record: Record, rtype: int) -> bool:
    return record[1] == t.RRSIG and int.from_bytes(record[3][:2], "big") == rtype


def codes(zone: engine.Zone, at: int = NOW, **options: object) -> set[tuple[str, str]]:
    report = engine.verify(zone, at=at, **options)  # type: ignore[arg-type]
    assert report.failure_count >= len(report.failures)
    return {(dns.name.from_wire(one.owner, 0)[0].to_text(), one.code) for one in report.failures}


class Hand(NamedTuple):
    """A key whose private half signs by dnspython, so that lies can be signed truly."""

    engine: engine.SigningKey
    private: object
    dnskey: dns.rdata.Rdata


@functools.cache
def hand() -> Hand:
    dnskey, private = new_pair(13)
    rdata = dns.rdata.from_wire(IN, t.DNSKEY, dnskey, 0, len(dnskey))
    return Hand(engine.SigningKey(dnskey, pkcs8(private)), private, rdata)


def sign_by_hand(owner: bytes, rtype: int, ttl: int, rdatas: list[bytes]) -> list[Record]:
    """The RRset with a true signature, whatever it says."""
    owner_name = dns.name.from_wire(owner, 0)[0]
    parsed = [dns.rdata.from_wire(IN, rtype, one, 0, len(one)) for one in rdatas]
    rrset = dns.rrset.from_rdata_list(owner_name, ttl, parsed)
    rrsig = dns.dnssec.sign(
        rrset, hand().private, ORIGIN_NAME, hand().dnskey, NOW - 3600, expiration=NOW + 14 * DAY
    )
    made = [(owner, rtype, ttl, one) for one in rdatas]
    return [*made, (owner, t.RRSIG, ttl, rrsig.to_wire())]


def without(zone: engine.Zone, owner: bytes, rtype: int) -> list[Record]:
    return [
        record
        for record in records(zone)
        if not (record[0] == owner and (record[1] == rtype or covers(record, rtype)))
    ]


def resigned(
    zone: engine.Zone, owner: bytes, rtype: int, change: Callable[[bytes], bytes]
) -> engine.Zone:
    rrset = zone.rrset(owner, rtype)
    assert rrset is not None
    new = sign_by_hand(owner, rtype, rrset.ttl, [change(rdata) for rdata in rrset.rdatas])
    return build([*without(zone, owner, rtype), *new])


@functools.cache
def signed(nsec3: tuple[int, bytes, bool] | None = None) -> engine.Zone:
    unsigned = engine.scan_text(ZONE.encode(), ORIGIN)
    return sign_new(unsigned, plan(hand().engine, nsec3=nsec3)).zone


NSEC3 = (0, b"\xab", False)
OPT_OUT = (5, b"", True)


@functools.cache
def root() -> engine.Zone:
    return engine.scan(str(ROOT), b"\0")


# --- what is true ------------------------------------------------------------------------


def test_the_root_of_2011_was_right_then() -> None:
    report = engine.verify(root(), at=ROOT_AT)
    assert report.failures == []
    assert report.failure_count == 0
    assert report.verified == root().signature_count


def test_the_root_of_2011_has_expired_since_and_we_say_which_and_when() -> None:
    report = engine.verify(root(), at=int(time.time()), max_failures=10_000)
    assert {one.code for one in report.failures} == {"expired"}
    assert report.failure_count == root().signature_count
    soa = next(one for one in report.failures if one.owner == b"\0" and one.rtype == t.SOA)
    assert soa.message == "expired 2011-03-09T00:00:00Z by key 21639"
    assert report.earliest_expiration == calendar.timegm((2011, 3, 9, 0, 0, 0))


def test_failures_are_counted_beyond_those_that_are_listed() -> None:
    report = engine.verify(root(), at=int(time.time()), max_failures=3, threads=1)
    assert len(report.failures) == 3
    assert report.failure_count == root().signature_count


@pytest.mark.parametrize("nsec3", [None, NSEC3, OPT_OUT, (500, b"", False)])
def test_what_we_sign_holds(nsec3: tuple[int, bytes, bool] | None) -> None:
    assert codes(signed(nsec3)) == set()


def test_a_zone_without_keys_has_that_one_failure() -> None:
    [failure] = engine.verify(engine.scan_text(ZONE.encode(), ORIGIN), at=NOW).failures
    assert (failure.code, failure.owner, failure.rtype) == ("no-keys", ORIGIN, t.DNSKEY)


# --- signatures --------------------------------------------------------------------------


def flipped(rdata: bytes, bit: int) -> bytes:
    octets = bytearray(rdata)
    octets[bit // 8] ^= 0x80 >> bit % 8
    return bytes(octets)


def found(zone: engine.Zone, old: Record, new: Record, at: int) -> bool:
    """Whether a changed record is refused: by the verifier, or since it is no record."""
    try:
        changed = build((new if one == old else one for one in records(zone)), zone.origin)
    except engine.ScanError:
        return True
    return engine.verify(changed, at=at, since=zone).failure_count > 0


def rrsig_start(rdata: bytes) -> int:
    """Where the signature starts: behind the fixed fields and the signer's name."""
    return 18 + dns.name.from_wire(rdata, 18)[1]


def test_any_flipped_bit_of_a_few_rrsets_and_signatures_is_found() -> None:
    zone = signed()
    content = records(zone)
    count = 0
    # What did not change need not be computed thousands of times.
    memory = engine.VerifyMemory()
    for old in content:
        owner, rtype, ttl, rdata = old
        if owner not in (name("www"), name("secure")) or (owner, rtype) == (name("secure"), t.NS):
            continue
        for bit in range(len(rdata) * 8):
            changed = flipped(rdata, bit)
            # Case is not in the canonical form of a signer's name (RFC 4034 section 6.2).
            if rtype == t.RRSIG and bit >= 18 * 8 and changed.lower() == rdata.lower():
                continue
            if rtype == t.NSEC and changed.lower() == rdata.lower():
                continue
            new = (owner, rtype, ttl, changed)
            altered = [new if one is old else one for one in content]
            try:
                made = build(altered)
            except engine.ScanError:
                continue
            report = engine.verify(made, at=NOW, memory=memory)
            assert report.failure_count > 0, (owner, rtype, bit)
            count += 1
    assert count > 1000


def test_flipped_bits_across_the_root_are_found() -> None:
    content = records(root())
    chosen = random.Random(2011)
    authoritative = [
        one
        for one in content
        if one[1] in (t.RRSIG, t.NSEC, t.DS, t.DNSKEY, t.SOA) or one[:2] == (b"\0", t.NS)
    ]
    for old in chosen.sample(authoritative, 120):
        owner, rtype, ttl, rdata = old
        start = rrsig_start(rdata) if rtype == t.RRSIG else 0
        bit = chosen.randrange(start * 8, len(rdata) * 8)
        changed = flipped(rdata, bit)
        if changed.lower() == rdata.lower():
            continue
        assert found(root(), old, (owner, rtype, ttl, changed), ROOT_AT), (owner, rtype, bit)


@pytest.mark.parametrize("rtype", [t.A, t.NSEC, t.SOA, t.DNSKEY, t.DS, t.MX])
def test_a_missing_signature(rtype: int) -> None:
    zone = edited(signed(), lambda one: None if covers(one, rtype) else one)
    found_codes = {code for _, code in codes(zone)}
    # A DNSKEY RRset that nobody signed is no key set that a DS could lead to.
    assert found_codes == {"no-signature"}


def test_a_wrong_signature_names_its_key() -> None:
    def spoil(one: Record) -> Record:
        return (*one[:3], flipped(one[3], len(one[3]) * 8 - 1)) if covers(one, t.MX) else one

    [failure] = engine.verify(edited(signed(), spoil), at=NOW).failures
    assert failure.code == "bad-signature"
    assert str(hand().engine.tag) in failure.message
    assert failure.owner == name("*.wild")


@pytest.mark.parametrize(
    ("at", "code"),
    [
        (NOW - 3600, None),
        (NOW - 3601, "not-yet-valid"),
        (NOW + 14 * DAY - 3600, None),
        (NOW + 14 * DAY - 3599, "ttl"),
        (NOW + 14 * DAY + 1, "expired"),
    ],
)
def test_signatures_hold_in_their_time_and_nothing_outlives_them(at: int, code: str | None) -> None:
    assert {one for _, one in codes(signed(), at)} == ({code} if code else set())


def test_a_signature_by_a_key_that_is_not_published() -> None:
    def other(one: Record) -> Record:
        rdata = one[3][:16] + b"\0\1" + one[3][18:]
        return (*one[:3], rdata) if covers(one, t.TXT) and one[0] == name("www") else one

    assert codes(edited(signed(), other)) == {("www.example.org.", "unknown-key")}


def test_a_signature_for_another_zone() -> None:
    def foreign(one: Record) -> Record:
        rdata = one[3][:18] + name("sub") + one[3][18 + len(ORIGIN) :]
        return (*one[:3], rdata) if covers(one, t.MX) else one

    assert codes(edited(signed(), foreign)) == {("*.wild.example.org.", "unknown-key")}


def test_every_published_algorithm_signs_everything() -> None:
    both = sign_new(engine.scan_text(ZONE.encode(), ORIGIN), plan(hand().engine, key(15))).zone
    assert codes(both) == set()
    one_gone = edited(both, lambda r: None if covers(r, t.MX) and r[3][2] == 15 else r)
    assert codes(one_gone) == {("*.wild.example.org.", "missing-algorithm")}


def test_an_algorithm_may_enter_by_its_signatures_first() -> None:
    """RFC 6781 section 4.1.4: signatures before keys."""
    unsigned = engine.scan_text(ZONE.encode(), ORIGIN)
    entering = sign_new(unsigned, plan(hand().engine, key(15), dnskeys=[hand().engine.dnskey])).zone
    assert codes(entering) == set()


def test_a_ttl_that_is_not_the_signed_one() -> None:
    shorter = edited(
        signed(), lambda one: (one[0], one[1], 60, one[3]) if one[0] == name("www") else one
    )
    assert codes(shorter) == {("www.example.org.", "ttl")}


def test_the_ttl_of_a_denial() -> None:
    zone = signed()
    owner = name("www")
    rrset = zone.rrset(owner, t.NSEC)
    assert rrset is not None
    longer = sign_by_hand(owner, t.NSEC, 301, rrset.rdatas)
    assert codes(build([*without(zone, owner, t.NSEC), *longer])) == {("www.example.org.", "ttl")}


def test_a_signature_over_nothing() -> None:
    zone = signed()
    gone = build(one for one in records(zone) if one[1] != t.MX)
    assert ("*.wild.example.org.", "orphan-signature") in codes(gone)


@pytest.mark.parametrize(
    ("owner", "rtype", "code"),
    [
        ("secure", t.NS, "signed-cut"),
        ("ns.secure", t.A, "signed-glue"),
        ("insecure", t.A, "signed-glue"),
        ("below.alias", t.A, "signed-glue"),
    ],
)
@pytest.mark.parametrize("nsec3", [None, NSEC3])
def test_signatures_over_what_is_not_ours_to_sign(
    owner: str, rtype: int, code: str, nsec3: tuple[int, bytes, bool] | None
) -> None:
    lied = resigned(signed(nsec3), name(owner), rtype, lambda rdata: rdata)
    assert codes(lied) == {(f"{owner}.example.org.", code)}


# --- the way in --------------------------------------------------------------------------


def ds(signing: engine.SigningKey, digest: int = 2) -> bytes:
    return engine.ds_digest(ORIGIN, signing.dnskey, digest)


def test_each_ds_rrset_leads_to_a_key() -> None:
    right, other = ds(hand().engine), ds(key(13, 257, 7))
    zone = signed()
    for rrsets in ([], [[right]], [[right, other]], [[right], [right, ds(hand().engine, 4)]], [[]]):
        assert codes(zone, ds=rrsets) == set(), rrsets
    for rrsets in ([[other]], [[right], [other]], [[right, ds(key(15))]], [[b"\0\1\2"]]):
        assert codes(zone, ds=rrsets) == {("example.org.", "no-ds-path")}, rrsets


def test_sha_1_leads_nowhere_beside_a_better_digest() -> None:
    """RFC 4509 section 3."""
    broken = bytearray(ds(hand().engine))
    broken[-1] ^= 1
    old = ds(hand().engine, 1)
    assert codes(signed(), ds=[[old]]) == set()
    assert codes(signed(), ds=[[old, bytes(broken)]]) == {("example.org.", "no-ds-path")}


def test_a_ds_of_a_key_that_does_not_sign_the_key_set() -> None:
    standby = key(13, 257, 5)
    zone = sign_new(
        engine.scan_text(ZONE.encode(), ORIGIN),
        plan(hand().engine, dnskeys=[hand().engine.dnskey, standby.dnskey]),
    ).zone
    assert codes(zone) == set()
    assert codes(zone, ds=[[ds(standby)]]) == {("example.org.", "no-ds-path")}
    assert codes(zone, ds=[[ds(standby), ds(hand().engine)]]) == set()


def test_key_sets_are_signed_by_keys_that_a_ds_may_lead_to() -> None:
    entry, zone_key = key(13, 257, 3), key(13, 256, 4)
    zone = sign_new(
        engine.scan_text(ZONE.encode(), ORIGIN),
        plan(
            dnskeys=[entry.dnskey, zone_key.dnskey],
            keys=[(entry, engine.SIGNS_ZONE), (zone_key, engine.SIGNS_KEYS)],
        ),
    ).zone
    assert codes(zone) == {("example.org.", "no-ds-path")}


def test_cds_is_signed_by_a_key_that_a_ds_leads_to() -> None:
    """RFC 7344 section 4.1."""
    entry = key(13, 257, 3)
    zone = sign_new(
        engine.scan_text(ZONE.encode(), ORIGIN),
        plan(
            dnskeys=[entry.dnskey, hand().engine.dnskey],
            keys=[(entry, engine.SIGNS_KEYS), (hand().engine, engine.SIGNS_ZONE)],
            cds=[ds(entry)],
        ),
    ).zone
    assert codes(zone, ds=[[ds(entry)]]) == set()
    lied = resigned(zone, ORIGIN, t.CDS, lambda rdata: rdata)
    report = engine.verify(lied, at=NOW, ds=[[ds(entry)]])
    assert [(one.rtype, one.code) for one in report.failures] == [(t.CDS, "no-ds-path")]


def test_a_key_that_nobody_can_use_is_told() -> None:
    old = b"\x01\x00\x03\x05" + bytes(64)
    zone = signed()
    keys = zone.rrset(ORIGIN, t.DNSKEY)
    assert keys is not None
    both = sign_by_hand(ORIGIN, t.DNSKEY, keys.ttl, [*keys.rdatas, old])
    assert codes(build([*without(zone, ORIGIN, t.DNSKEY), *both])) == {
        ("example.org.", "structure")
    }


# --- denial ------------------------------------------------------------------------------


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


# --- memory and what differs ---------------------------------------------------------------


def test_what_verified_once_is_remembered(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    memory = engine.VerifyMemory(str(path))
    first = engine.verify(signed(), at=NOW, memory=memory)
    assert (first.verified, first.remembered) == (signed().signature_count, 0)
    memory.save()
    again = engine.VerifyMemory(str(path))
    assert len(again) == len(memory) == first.verified
    second = engine.verify(signed(), at=NOW, memory=again)
    assert (second.verified, second.remembered) == (0, first.verified)
    # Remembering spares the arithmetic, not the clock.
    assert {code for _, code in codes(signed(), NOW + 15 * DAY, memory=again)} == {"expired"}


def test_memory_does_not_vouch_for_what_was_changed() -> None:
    memory = engine.VerifyMemory()
    engine.verify(signed(), at=NOW, memory=memory)

    def spoil(one: Record) -> Record:
        return (*one[:3], flipped(one[3], 31)) if one[:2] == (name("www"), t.A) else one

    got = codes(edited(signed(), spoil), memory=memory)
    assert got == {("www.example.org.", "bad-signature")}


def test_a_damaged_memory_is_an_empty_one(tmp_path: Path) -> None:
    path = tmp_path / "seen"
    memory = engine.VerifyMemory(str(path))
    engine.verify(signed(), at=NOW, memory=memory)
    memory.save()
    whole = path.read_bytes()
    for content in (whole[:-1], b"", flipped(whole, 100), whole + b"x"):
        path.write_bytes(content)
        assert len(engine.VerifyMemory(str(path))) == 0


@pytest.mark.parametrize("nsec3", [None, NSEC3])
def test_a_small_change_costs_little(nsec3: tuple[int, bytes, bool] | None) -> None:
    text = ZONE + "".join(f"host{number} 3600 A 192.0.2.1\n" for number in range(500))
    before = sign_new(engine.scan_text(text.encode(), ORIGIN), plan(nsec3=nsec3)).zone
    source = before.source()
    grown = engine.scan_text((text + "new 3600 A 192.0.2.9\n").encode(), ORIGIN)
    changes = engine.source_changes(source, grown)
    after = engine.sign(before, changes, plan(nsec3=nsec3, serial=3)).zone
    report = engine.verify(after, at=NOW, since=before)
    assert report.failures == []
    assert report.verified < 20


@pytest.mark.parametrize("rtype", [t.NSEC, t.A])
def test_lies_since_a_version_that_held_are_found(rtype: int) -> None:
    lied = build(without(signed(), name("www"), rtype))
    assert codes(lied, since=signed()) == codes(lied)
    assert codes(lied, since=signed())


def test_time_passes_for_what_did_not_differ_too() -> None:
    got = codes(signed(), NOW + 15 * DAY, since=signed())
    assert ("www.example.org.", "expired") in got
