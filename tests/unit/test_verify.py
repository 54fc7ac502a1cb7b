"""Verification of whole zones: a true one passes, and each lie is found by its code."""

import calendar
import functools
import random
import time
from pathlib import Path

import dns.name
import dns.rdatatype as t
import pytest
from keymaker import DAY, NOW, key, plan, sign_new
from verified import (
    NSEC3,
    OPT_OUT,
    ORIGIN,
    ZONE,
    Record,
    build,
    codes,
    covers,
    edited,
    flipped,
    hand,
    name,
    records,
    resigned,
    sign_by_hand,
    signed,
    without,
)

import engine

ROOT = Path(__file__).parents[1] / "data" / "root-2011.signed.zone"
ROOT_AT = calendar.timegm((2011, 3, 3, 0, 0, 0))


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
