"""Keys, digests and what a signing pass does and refuses."""

import base64
import itertools

import dns.dnssec
import dns.name
import dns.rdatatype as t
import pytest
from keymaker import DAY, NOW, key, new_key, new_pair, pkcs8, plan, sign_new, validate

import engine

ORIGIN = dns.name.from_text("example.org.").to_wire()
ZONE = """
@ 3600 SOA ns hostmaster 1 3600 600 86400 300
@ 3600 NS ns
ns 3600 A 192.0.2.1
www 3600 A 192.0.2.2
www 3600 TXT text
secure 3600 NS ns.secure
secure 3600 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns.secure 3600 A 192.0.2.3
cut.below.insecure 3600 NS ns
"""


def zone(text: str = ZONE) -> engine.Zone:
    return engine.scan_text(text.encode(), ORIGIN)


def name(text: str) -> bytes:
    return dns.name.from_text(text, dns.name.from_text("example.org.")).to_wire()


def expirations(rrset: engine.RRset) -> list[int]:
    return [int.from_bytes(signature[8:12], "big") for signature in rrset.signatures]


def nothing(of: engine.Zone) -> engine.Diff:
    return engine.source_changes(of, of)


# --- keys ------------------------------------------------------------------------------


def test_a_private_key_is_taken_out_of_its_buffer() -> None:
    dnskey, private = new_pair(13)
    buffer = pkcs8(private)
    made = engine.SigningKey(dnskey, buffer)
    assert not any(buffer)
    assert (made.algorithm, made.tag, made.dnskey) == (13, engine.key_tag(dnskey), dnskey)


@pytest.mark.parametrize("algorithm", [8, 10, 13, 14, 15])
def test_halves_that_do_not_belong_together_are_refused(algorithm: int) -> None:
    dnskey, _ = new_pair(algorithm)
    _, other = new_pair(algorithm)
    buffer = pkcs8(other)
    with pytest.raises(engine.EngineError, match="does not belong to the DNSKEY") as caught:
        engine.SigningKey(dnskey, buffer)
    assert caught.value.code == "key"
    assert not any(buffer)


def test_a_key_in_bytes_that_cannot_be_wiped_is_refused() -> None:
    dnskey, private = new_pair(15)
    with pytest.raises(ValueError, match="bytearray"):
        engine.SigningKey(dnskey, bytes(pkcs8(private)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("dnskey", "why"),
    [
        (b"\x01\x01\x03", "too short"),
        (b"\x01\x01\x02\x0d" + bytes(64), "protocol"),
        (b"\x01\x01\x03\x05" + bytes(64), "algorithm 5 is not supported"),
        (b"\x01\x01\x03\x0d" + bytes(63), "wrong length"),
        (b"\x01\x01\x03\x0d" + bytes(64), "no valid key"),
        (b"\x01\x01\x03\x08\x00\xff\xff\x01", "no valid key"),
        (b"\x01\x01\x03\x08\x03\x01\x00\x01" + b"\xff" * 64, "no valid key"),
    ],
)
def test_a_dnskey_that_is_none_is_refused(dnskey: bytes, why: str) -> None:
    with pytest.raises(engine.EngineError, match=why):
        engine.SigningKey.external(dnskey, lambda messages: [])


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (lambda messages: [bytes(64) for _ in messages], "does not verify"),
        (lambda messages: [], "0 signatures"),
        (lambda messages: 1 / 0, "division by zero"),
    ],
)
def test_what_an_external_signer_gives_is_not_believed(answer, why: str) -> None:  # type: ignore[no-untyped-def]
    dnskey, _ = new_pair(13)
    outside = engine.SigningKey.external(dnskey, answer)
    with pytest.raises(engine.EngineError, match=why):
        sign_new(zone(), plan(outside))


def test_ed448_signs_through_python() -> None:
    signed = sign_new(zone(), plan(key(16)))
    assert validate(signed.zone) == signed.zone.signature_count == signed.made


def test_a_dnskey_gives_the_ds_of_rfc_6605_section_6_1() -> None:
    dnskey = bytes.fromhex("0101030d") + base64.b64decode(
        "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA=="
    )
    owner = dns.name.from_text("example.net.").to_wire()
    assert engine.key_tag(dnskey) == 55648
    digest = "b4c8c1fe2e7477127b27115656ad6256f424625bf5c1e2770ce6d6e37df61d17"
    expected = (55648).to_bytes(2, "big") + bytes([13, 2]) + bytes.fromhex(digest)
    assert engine.ds_digest(owner, dnskey, 2) == expected
    for number, text in ((1, "SHA1"), (2, "SHA256"), (4, "SHA384")):
        rdata = dns.rdata.from_wire(1, t.DNSKEY, dnskey, 0, len(dnskey))
        policy = dns.dnssec.allow_all_policy
        theirs = dns.dnssec.make_ds("example.net.", rdata, text, policy=policy)
        assert engine.ds_digest(owner, dnskey, number) == theirs.to_wire()
    with pytest.raises(engine.EngineError, match="digest type 3"):
        engine.ds_digest(owner, dnskey, 3)


@pytest.mark.parametrize(
    ("owner", "hashed"),
    [
        ("example.", "0p9mhaveqvm6t7vbl5lop2u3t2rp3tom"),
        ("a.Example.", "35mthgpgcu1qg68fab165klnsnk3dpvl"),
        ("*.w.example.", "r53bq7cc2uvmubfu5ocmm6pers9tk9en"),
    ],
)
def test_hashes_are_those_of_rfc_5155_appendix_a(owner: str, hashed: str) -> None:
    wire = dns.name.from_text(owner).to_wire()
    digest = engine.nsec3_hash(wire, 12, bytes.fromhex("aabbccdd"))
    assert base64.b32hexencode(digest).decode().lower() == hashed


# --- plans -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"expiration": NOW - 7200}, "expire before their inception"),
        ({"jitter": 30 * DAY}, "jitter"),
        ({"refresh_before": NOW + 15 * DAY}, "renewal at once"),
        ({"keys": [(key(), engine.SIGNS_ZONE)]}, "one of the roles"),
        ({"nsec3": (0, bytes(256), False)}, "salt"),
    ],
)
def test_a_plan_that_cannot_be_is_refused(changes: dict[str, object], why: str) -> None:
    with pytest.raises(engine.EngineError, match=why) as caught:
        plan(**changes)  # type: ignore[arg-type]
    assert caught.value.code == "plan"


# --- passes ----------------------------------------------------------------------------


def test_each_role_signs_its_own() -> None:
    ksk, zsk = key(13, 257), key(13, 256)
    roles = [(ksk, engine.SIGNS_KEYS), (zsk, engine.SIGNS_ZONE)]
    signed = sign_new(zone(), plan(keys=roles, dnskeys=[ksk.dnskey, zsk.dnskey], cds=[CDS])).zone
    for rrset in signed:
        tags = {int.from_bytes(signature[16:18], "big") for signature in rrset.signatures}
        assert tags <= {ksk.tag if rrset.rtype in (t.DNSKEY, t.CDS) else zsk.tag}
    assert validate(signed) == signed.signature_count


CDS = bytes.fromhex("00010d02") + bytes(32)


def test_what_is_not_authoritative_is_not_signed() -> None:
    signed = sign_new(zone(), plan()).zone
    bare = {(rrset.owner, rrset.rtype) for rrset in signed if not rrset.signatures}
    assert bare == {
        (name("secure"), t.NS),
        (name("ns.secure"), t.A),
        (name("cut.below.insecure"), t.NS),
    }
    assert signed.rrset(name("ns.secure"), t.NSEC) is None
    assert signed.rrset(name("below.insecure"), t.NSEC) is None


def chained(signed: engine.Zone) -> set[bytes]:
    """The owners of NSEC3 records."""
    return {rrset.owner for rrset in signed if rrset.rtype == t.NSEC3}


def hashed(*names: str) -> set[bytes]:
    """The NSEC3 owners of these names, with no salt and no iterations."""
    hashes = [engine.nsec3_hash(name(text) if text else ORIGIN, 0, b"") for text in names]
    return {bytes([32]) + base64.b32hexencode(digest).lower() + ORIGIN for digest in hashes}


AUTHORITATIVE = ("", "ns", "www", "secure")
ONLY_INSECURE = ("insecure", "below.insecure", "cut.below.insecure")


def test_opt_out_leaves_out_insecure_delegations_and_what_only_leads_to_them() -> None:
    every = sign_new(zone(), plan(nsec3=(0, b"", False))).zone
    some = sign_new(zone(), plan(nsec3=(0, b"", True))).zone
    assert chained(every) == hashed(*AUTHORITATIVE, *ONLY_INSECURE)
    assert chained(some) == hashed(*AUTHORITATIVE)


def test_with_opt_out_a_ds_brings_the_names_above_into_the_chain_and_takes_them_out() -> None:
    insecure = zone()
    secure = zone(ZONE + "cut.below.insecure 3600 DS 1 13 2 " + "00" * 32 + "\n")
    nsec3 = (0, b"", True)
    version = sign_new(insecure, plan(nsec3=nsec3)).zone
    there = engine.sign(
        version, engine.source_changes(insecure, secure), plan(serial=3, nsec3=nsec3)
    ).zone
    assert chained(there) == hashed(*AUTHORITATIVE, *ONLY_INSECURE)
    back = engine.sign(
        there, engine.source_changes(secure, insecure), plan(serial=4, nsec3=nsec3)
    ).zone
    assert chained(back) == chained(version)
    assert validate(back) == back.signature_count


def test_denial_lives_as_long_as_a_negative_answer() -> None:
    """RFC 9077: the lesser of the SOA's TTL and its minimum."""
    for ttl, minimum in ((3600, 300), (300, 3600)):
        text = ZONE.replace("@ 3600 SOA", f"@ {ttl} SOA").replace("86400 300", f"86400 {minimum}")
        signed = sign_new(zone(text), plan()).zone
        assert {rrset.ttl for rrset in signed if rrset.rtype == t.NSEC} == {300}


def test_what_another_signer_left_is_passed_over() -> None:
    foreign = sign_new(zone(), plan(key(13, 257, 7), nsec3=(0, b"\x01", False), cds=[CDS])).zone
    ours = sign_new(foreign, plan(serial=9)).zone
    assert ours.digest() != foreign.digest()
    assert [rrset.owner for rrset in ours if rrset.rtype in (t.NSEC3, t.NSEC3PARAM, t.CDS)] == []
    dnskeys = ours.rrset(ORIGIN, t.DNSKEY)
    assert dnskeys is not None
    assert dnskeys.rdatas == [key().dnskey]
    assert validate(ours) == ours.signature_count


def test_a_change_signs_what_it_touches_and_nothing_else() -> None:
    first, second = zone(), zone(ZONE + "mail 60 A 192.0.2.9\n")
    version = sign_new(first, plan()).zone
    later = engine.sign(version, engine.source_changes(first, second), plan(serial=3))
    # mail A, mail NSEC, the NSEC before it, and the SOA.
    assert later.made == 4
    assert later.diff is not None
    assert later.diff.owners == [ORIGIN, name("cut.below.insecure"), name("mail")]


def test_nothing_to_do_is_no_new_version() -> None:
    first = zone()
    version = sign_new(first, plan()).zone
    for scope in ("changes", "expiring", "all"):
        again = engine.sign(version, nothing(first), plan(serial=3), scope=scope)
        assert (again.zone, again.changed, again.made, again.diff) == (version, False, 0, None)


def test_signatures_are_renewed_when_they_are_due_and_others_are_not() -> None:
    first = zone()
    version = sign_new(first, plan(jitter=4 * DAY)).zone
    spread = {place for rrset in version for place in expirations(rrset)}
    assert len(spread) > 5
    assert all(NOW + 10 * DAY <= one <= NOW + 14 * DAY for one in spread)
    later = NOW + 7 * DAY
    refresh = later + 5 * DAY
    due = sum(any(one < refresh for one in expirations(rrset)) for rrset in version)
    renewed = engine.sign(
        version, nothing(first), plan(serial=3, now=later, jitter=4 * DAY), scope="expiring"
    )
    soa = version.rrset(ORIGIN, t.SOA)
    assert soa is not None
    fresh_soa = 0 if expirations(soa)[0] < refresh else 1
    assert 0 < due < version.signature_count
    assert renewed.made == due + fresh_soa
    earliest = renewed.zone.earliest_expiration()
    assert earliest is not None
    assert earliest >= refresh
    assert validate(renewed.zone, later) == renewed.zone.signature_count


def test_a_source_change_renews_nothing_that_it_does_not_touch() -> None:
    first, second = zone(), zone(ZONE + "zz 60 A 192.0.2.9\n")
    version = sign_new(first, plan()).zone
    late = plan(serial=3, now=NOW + 10 * DAY)
    later = engine.sign(version, engine.source_changes(first, second), late)
    kept = later.zone.rrset(name("www"), t.TXT)
    before = version.rrset(name("www"), t.TXT)
    assert kept is not None
    assert before is not None
    assert kept.signatures == before.signatures


def fresh(old: engine.Zone, new: engine.Zone) -> list[tuple[str, str]]:
    """Owner and type of the RRsets whose signatures are all others."""
    held = {one for rrset in old for one in rrset.signatures}
    origin = dns.name.from_text("example.org.")
    return [
        (
            dns.name.from_wire(rrset.owner, 0)[0].relativize(origin).to_text(),
            t.to_text(t.RdataType.make(rrset.rtype)),
        )
        for rrset in new
        if rrset.signatures and not held & set(rrset.signatures)
    ]


@pytest.mark.parametrize("scope", ["changes", "expiring", "all"])
@pytest.mark.parametrize(
    ("resign", "renewed"),
    [
        ([("www", t.TXT)], [("@", "SOA"), ("www", "TXT")]),
        ([("WWW", None)], [("@", "SOA"), ("www", "A"), ("www", "NSEC"), ("www", "TXT")]),
        ([("secure", None)], [("@", "SOA"), ("secure", "DS"), ("secure", "NSEC")]),
        ([("www", t.A), ("@", t.DNSKEY)], [("@", "DNSKEY"), ("@", "SOA"), ("www", "A")]),
        ([("@", t.SOA)], [("@", "SOA")]),
        ([("ns.secure", None), ("nowhere", None)], []),
    ],
)
def test_what_is_named_gets_new_signatures_and_nothing_else(
    scope: str, resign: list[tuple[str, int | None]], renewed: list[tuple[str, str]]
) -> None:
    first = zone()
    version = sign_new(first, plan()).zone
    named = [(name(owner), rtype) for owner, rtype in resign]
    again = engine.sign(
        version, nothing(first), plan(serial=3, now=NOW + 60, resign=named), scope=scope
    )
    assert sorted(fresh(version, again.zone)) == renewed
    assert (again.changed, again.made) == (bool(renewed), len(renewed))
    assert validate(again.zone, NOW + 60) == version.signature_count
    if renewed:
        assert again.diff is not None
        assert again.diff.added_count == again.diff.removed_count == len(renewed) + 1


def test_an_nsec3_record_is_named_by_its_own_owner() -> None:
    first, nsec3 = zone(), (0, b"", False)
    version = sign_new(first, plan(nsec3=nsec3)).zone
    hashed = next(rrset.owner for rrset in version if rrset.rtype == t.NSEC3)
    again = engine.sign(
        version, nothing(first), plan(serial=3, now=NOW + 60, nsec3=nsec3, resign=[(hashed, None)])
    )
    assert [rtype for _, rtype in fresh(version, again.zone)] == ["SOA", "NSEC3"]


def test_cds_below_the_apex_are_data_of_the_source() -> None:
    """RFC 9615 section 4.1: they speak of another zone. Those of the apex are the plan's."""
    cds = "CDS 1 13 2 " + "00" * 32
    first = zone(f"{ZONE}_dsboot.a 60 {cds}\n@ 60 {cds}\n")
    ksk, zsk = key(13, 257), key(13, 256)
    roles = [(ksk, engine.SIGNS_KEYS), (zsk, engine.SIGNS_ZONE)]
    split = {"keys": roles, "dnskeys": [ksk.dnskey, zsk.dnskey]}
    version = sign_new(first, plan(**split)).zone
    below = version.rrset(name("_dsboot.a"), t.CDS)
    assert below is not None
    assert not below.ours
    assert [int.from_bytes(one[16:18], "big") for one in below.signatures] == [zsk.tag]
    assert version.rrset(ORIGIN, t.CDS) is None
    assert engine.verify(version, at=NOW).failure_count == 0
    source = version.source()
    assert source.rrset(name("_dsboot.a"), t.CDS) is not None
    gone = engine.sign(version, engine.source_changes(source, zone()), plan(serial=3, **split))
    assert gone.zone.rrset(name("_dsboot.a"), t.CDS) is None


def test_keys_that_share_a_tag_are_told_apart() -> None:
    """RFC 4034 appendix B: a tag is a hint. Of a thousand keys, two have the same one."""
    seen: dict[int, tuple[bytes, bytearray]] = {}
    for _ in itertools.count():
        dnskey, private = new_pair(13)
        tag = engine.key_tag(dnskey)
        if tag in seen:
            break
        seen[tag] = dnskey, pkcs8(private)
    old, new = engine.SigningKey(*seen[tag]), engine.SigningKey(dnskey, pkcs8(private))
    first = zone()
    version = sign_new(first, plan(old)).zone
    rolled = engine.sign(version, nothing(first), plan(new, serial=3), scope="all")
    assert rolled.made == rolled.zone.signature_count
    assert validate(rolled.zone) == rolled.zone.signature_count


def test_without_keys_the_zone_becomes_unsigned() -> None:
    first = zone()
    version = sign_new(first, plan()).zone
    bare = engine.sign(
        version, nothing(first), plan(keys=[], dnskeys=[], serial=3), scope="all"
    ).zone
    assert bare.signature_count == 0
    assert bare.rrset_count == first.rrset_count
    assert bare.serial == 3


def test_the_source_can_be_had_back() -> None:
    first = zone()
    version = sign_new(first, plan(serial=1, nsec3=(0, b"", False), cds=[CDS])).zone
    assert version.source().digest() == first.digest()


def test_a_change_that_cannot_stand_is_refused_with_its_place() -> None:
    first = zone()
    version = sign_new(first, plan()).zone
    other = zone("@ 3600 SOA ns hostmaster 1 3600 600 86400 300\n@ 3600 NS ns\nwww 60 CNAME ns\n")
    with pytest.raises(engine.EngineError, match="CNAME beside") as caught:
        engine.sign(version, engine.source_changes(None, other), plan(serial=3))
    assert (caught.value.code, caught.value.place) == ("conflict", "www.example.org.")


def test_a_serial_that_secondaries_would_not_take_is_refused() -> None:
    first, second = zone(), zone(ZONE + "zz 60 A 192.0.2.9\n")
    version = sign_new(first, plan(serial=2**31 + 5)).zone
    changes = engine.source_changes(first, second)
    for serial in (2**31 + 5, 2**31 + 4, 6):
        with pytest.raises(engine.EngineError, match="does not come after") as caught:
            engine.sign(version, changes, plan(serial=serial))
        assert caught.value.code == "serial"
    assert engine.sign(version, changes, plan(serial=2**31 + 6)).zone.serial == 2**31 + 6


def test_threads_do_not_matter() -> None:
    """RSA is deterministic: what one thread makes is what three make."""
    one, three = (sign_new(zone(), plan(key(8), threads=count)).zone for count in (1, 3))
    assert one.digest() == three.digest()


def test_secrets_do_not_show() -> None:
    dnskey, private = new_pair(13)
    made = engine.SigningKey(dnskey, pkcs8(private))
    assert repr(made) == f"<SigningKey algorithm 13 tag {made.tag}>"
    assert new_key(13).dnskey != dnskey
