"""What an answer for a DS is worth, given the parent's keys: signed, denied, or neither."""

import base64
from collections.abc import Callable, Sequence

import dns.dnssec
import dns.name
import dns.rdatatype
import dns.rrset
import keymaker
import pytest
from keymaker import DAY, NOW
from signedparent import SignedParent, rdata

import engine
from signer.absence import Absent, Kind
from signer.rootanchors import ROOT
from signer.trust import Anchor, Bogus, Insecure, ZoneKeys
from signer.validation import Delegated, delegation, keys_of, self_signed

DNSKEY, DS, NSEC, NSEC3 = (
    dns.rdatatype.DNSKEY,
    dns.rdatatype.DS,
    dns.rdatatype.NSEC,
    dns.rdatatype.NSEC3,
)
DIGEST = "13 2 " + "AB" * 32
RECORDS = f"""
ns 3600 A 192.0.2.1
signed 3600 NS ns.signed
signed 3600 DS 11111 {DIGEST}
unsigned 3600 NS ns.unsigned
deep.ent 3600 NS ns.deep.ent
deep.ent 3600 DS 22222 {DIGEST}
plain 3600 A 192.0.2.2
alias 3600 CNAME plain
moved 3600 DNAME example.net.
*.wild 3600 A 192.0.2.3
*.aliases 3600 CNAME plain
"""
Rrsets = Sequence[dns.rrset.RRset]


def name(text: str) -> dns.name.Name:
    return dns.name.from_text(text, dns.name.from_text("org."))


@pytest.fixture(scope="module")
def nsec() -> SignedParent:
    return SignedParent("org.", RECORDS)


@pytest.fixture(scope="module")
def nsec3() -> SignedParent:
    return SignedParent("org.", RECORDS, nsec3=(0, b"", False))


@pytest.fixture(scope="module")
def optout() -> SignedParent:
    return SignedParent("org.", RECORDS, nsec3=(0, b"", True))


def keys(parent: SignedParent) -> ZoneKeys:
    found = keys_of(parent.anchor, parent.rrsets(parent.origin, DNSKEY), NOW)
    assert isinstance(found, ZoneKeys)
    return found


def worth(
    parent: SignedParent, child: str, rrsets: Rrsets, now: int = NOW
) -> Delegated | Absent | Insecure | Bogus:
    return delegation(name(child), rrsets, keys(parent), now)


def reason(found: object) -> str:
    assert isinstance(found, Bogus), found
    return found.reason


# --- a DS that is there --------------------------------------------------------------------


def test_a_signed_ds(nsec: SignedParent) -> None:
    found = worth(nsec, "signed", nsec.rrsets(name("signed"), DS))
    assert isinstance(found, Delegated)
    assert [one.key_tag for one in found.ds] == [11111]
    assert (found.signed.inception, found.signed.expiration) == (NOW - 3600, NOW + 14 * DAY)


def test_the_original_ttl_counts_where_a_server_lowers_it(nsec: SignedParent) -> None:
    rrsets = nsec.rrsets(name("signed"), DS)
    rrsets[0].ttl = 5
    found = worth(nsec, "signed", rrsets)
    assert isinstance(found, Delegated)
    assert found.signed.original_ttl == 3600


def without_signatures(rrsets: Rrsets) -> Rrsets:
    return [one for one in rrsets if one.rdtype != dns.rdatatype.RRSIG]


def with_another_ds(rrsets: Rrsets) -> Rrsets:
    other = dns.rrset.from_text(name("signed"), 3600, "IN", "DS", "33333 " + DIGEST)
    return [other, *rrsets[1:]]


def of_another_name(rrsets: Rrsets) -> Rrsets:
    """A DS RRset that is genuine, with its signature, given for another zone."""
    moved = []
    for one in rrsets:
        copy = dns.rrset.RRset(name("plain"), one.rdclass, one.rdtype, one.covers)
        copy.update(one)
        moved.append(copy)
    return moved


def changed(**changes: object) -> Callable[[Rrsets], Rrsets]:
    def change(rrsets: Rrsets) -> Rrsets:
        rrsig = rrsets[1].copy()
        one = rrsig[0].replace(**changes)
        rrsig.clear()
        rrsig.add(one)
        return [rrsets[0], rrsig]

    return change


def as_it_is(rrsets: Rrsets) -> Rrsets:
    return rrsets


@pytest.mark.parametrize(
    ("what", "change", "at", "child", "says"),
    [
        ("expired", as_it_is, NOW + 15 * DAY, "signed", "has expired"),
        ("not yet valid", as_it_is, NOW - DAY, "signed", "is not yet valid"),
        ("unsigned", without_signatures, NOW, "signed", "DS of signed.org. carries no signature"),
        ("another DS under the signature", with_another_ds, NOW, "signed", "does not verify"),
        ("a DS of another zone", of_another_name, NOW, "plain", "does not verify"),
        ("made from a wildcard", changed(labels=1), NOW, "signed", "made from a wildcard"),
        (
            "signed by the zone itself",
            changed(signer=name("signed")),
            NOW,
            "signed",
            "signed by signed.org., not by org.",
        ),
        ("a window moved", changed(expiration=NOW + 99 * DAY), NOW, "signed", "does not verify"),
        ("a lowered TTL", changed(original_ttl=1), NOW, "signed", "does not verify"),
        ("a tag of no key", changed(key_tag=1), NOW, "signed", "has no key 1"),
        ("a signature cut short", changed(signature=b"\1"), NOW, "signed", "does not verify"),
        ("an empty signature", changed(signature=b""), NOW, "signed", "does not verify"),
        ("another algorithm", changed(algorithm=8), NOW, "signed", "has no key"),
        ("asked of the zone itself", as_it_is, NOW, "@", "org. has no DS of org."),
    ],
)
def test_a_ds_that_is_bogus(
    nsec: SignedParent,
    what: str,
    change: Callable[[Rrsets], Rrsets],
    at: int,
    child: str,
    says: str,
) -> None:
    rrsets = change(nsec.rrsets(name("signed"), DS))
    assert says in reason(worth(nsec, child, rrsets, at)), what


def test_a_ds_signed_by_other_keys(nsec: SignedParent) -> None:
    liar = SignedParent("org.", RECORDS, [keymaker.key(number=1)])
    found = worth(nsec, "signed", liar.rrsets(name("signed"), DS))
    assert "the DNSKEY RRset of org. has no key" in reason(found)


def test_one_good_signature_among_bad_ones(nsec: SignedParent) -> None:
    liar = SignedParent("org.", RECORDS, [keymaker.key(number=1)])
    rrsets = nsec.rrsets(name("signed"), DS)
    rrsets[1].update(liar.rrsets(name("signed"), DS)[1])
    assert isinstance(worth(nsec, "signed", rrsets), Delegated)


def test_more_signatures_than_are_worth_trying(nsec: SignedParent) -> None:
    rrsets = nsec.rrsets(name("signed"), DS)
    good = rrsets[1][0]
    for number in range(40):
        rrsets[1].add(good.replace(signature=bytes([number]) * 64))
    rrsets[1].remove(good)
    assert "too many signatures" in reason(worth(nsec, "signed", rrsets))


@pytest.mark.parametrize("algorithm", sorted(keymaker.ALGORITHMS))
def test_every_algorithm_that_is_known(algorithm: int) -> None:
    parent = SignedParent("org.", RECORDS, [keymaker.key(algorithm)])
    found = worth(parent, "signed", parent.rrsets(name("signed"), DS))
    assert isinstance(found, Delegated)


# --- a DS that is not there ----------------------------------------------------------------

ABSENT = [
    ("an unsigned delegation", "unsigned", Kind.CUT),
    ("a name without a delegation", "plain", Kind.NO_CUT),
    ("an empty non-terminal", "ent", Kind.NO_CUT),
    ("no such name", "nothing", Kind.NO_NAME),
    ("no such name below one that is there", "a.b.plain", Kind.NO_NAME),
    ("no such name before the first", "-", Kind.NO_NAME),
    ("no such name behind the last", "zzz", Kind.NO_NAME),
    ("a name made from a wildcard", "any.wild", Kind.NO_CUT),
]


@pytest.mark.parametrize("chain", ["nsec", "nsec3"])
@pytest.mark.parametrize(("what", "child", "kind"), ABSENT, ids=[one[0] for one in ABSENT])
def test_absence_proved(
    chain: str, what: str, child: str, kind: Kind, request: pytest.FixtureRequest
) -> None:
    parent: SignedParent = request.getfixturevalue(chain)
    proof = parent.all_of(NSEC) + parent.all_of(NSEC3)
    assert prove(parent, child, proof) == Absent(kind)


def prove(parent: SignedParent, child: str, proof: Rrsets) -> Delegated | Absent | Insecure | Bogus:
    """With as few of the records as an honest server gives: all are too many."""
    owners = {one.name for one in proof if one.rdtype in (NSEC, NSEC3)}
    needed = set(owners)
    whole = judged(parent, child, proof, needed)
    for owner in sorted(owners):
        if judged(parent, child, proof, needed - {owner}) == whole:
            needed -= {owner}
    found = [one for one in proof if one.name in needed]
    return worth(parent, child, found)


def judged(parent: SignedParent, child: str, proof: Rrsets, owners: set[dns.name.Name]) -> object:
    """Without the bound on the number of records."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("signer.absence._MOST_RECORDS", 99)
        return worth(parent, child, [one for one in proof if one.name in owners])


def test_an_opt_out_span_is_evidence_with_a_flag(optout: SignedParent) -> None:
    found = prove(optout, "unsigned", optout.all_of(NSEC3))
    assert found == Absent(Kind.CUT, opt_out=True)


@pytest.mark.parametrize(
    ("what", "child", "owners", "says"),
    [
        ("nothing at all", "unsigned", [], "org. is signed, and that unsigned.org. has no DS"),
        ("another span", "nothing", ["unsigned"], "the proof does not cover nothing.org."),
        ("the span before it", "unsigned", ["signed"], "does not cover unsigned.org."),
        ("a name without its wildcard", "nothing", ["moved"], "does not cover *.org."),
        ("where the NSEC has a DS", "signed", ["signed"], "its NSEC says that there is one"),
        ("an alias", "alias", ["alias"], "is not the one of a delegation"),
        ("a wildcard alias", "any.aliases", ["*.aliases"], "*.aliases.org. may have an answer"),
        ("below a delegation", "x.unsigned", ["unsigned"], "does not cover x.unsigned.org."),
        ("below a DNAME", "x.moved", ["moved"], "does not cover x.moved.org."),
    ],
)
def test_nsec_that_proves_nothing(
    nsec: SignedParent, what: str, child: str, owners: list[str], says: str
) -> None:
    proof = [one for owner in owners for one in nsec.rrsets(name(owner), NSEC)]
    assert says in reason(worth(nsec, child, proof)), what


def nsec3_of(parent: SignedParent, *owners: str) -> Rrsets:
    return [one for at in owners for one in parent.rrsets(parent.nsec3_owner(at), NSEC3)]


@pytest.mark.parametrize(
    ("what", "child", "owners", "says"),
    [
        ("no closest encloser", "nothing", ["plain.org."], "no closest encloser of nothing.org."),
        ("a closest encloser alone", "nothing", ["org."], "does not cover nothing.org."),
        ("where the NSEC3 has a DS", "signed", ["signed.org."], "its NSEC says that there is one"),
        ("below a delegation", "x.unsigned", ["unsigned.org."], "unsigned.org. is not of org.'s"),
        ("below a DNAME", "x.moved", ["moved.org."], "moved.org. is not of org.'s own"),
    ],
)
def test_nsec3_that_proves_nothing(
    nsec3: SignedParent, what: str, child: str, owners: list[str], says: str
) -> None:
    assert says in reason(worth(nsec3, child, nsec3_of(nsec3, *owners))), what


@pytest.mark.parametrize("chain", ["nsec", "nsec3"])
def test_the_childs_own_apex_denies_no_ds(chain: str) -> None:
    """A server that has lost the parent and has the zone answers from there."""
    denial = {"nsec3": (0, b"", False)} if chain == "nsec3" else {}
    child = SignedParent("unsigned.org.", "www 300 A 192.0.2.1\n", **denial)
    parent = SignedParent("org.", RECORDS)
    proof = child.all_of(NSEC) + child.all_of(NSEC3)
    found = worth(parent, "unsigned", proof)
    assert "signed by unsigned.org., not by org." in reason(found)


def test_a_proof_without_its_signatures(nsec: SignedParent) -> None:
    proof = without_signatures(nsec.rrsets(name("unsigned"), NSEC))
    assert "carries no signature" in reason(worth(nsec, "unsigned", proof))


def test_more_iterations_than_anybody_has_to_hash() -> None:
    parent = SignedParent("org.", RECORDS, nsec3=(151, b"", False))
    proof = parent.all_of(NSEC3)[:2]
    found = worth(parent, "unsigned", proof)
    assert found == Insecure("org. has NSEC3 with 151 iterations")


def test_a_flood_of_records_is_not_looked_at(nsec: SignedParent) -> None:
    assert reason(worth(nsec, "unsigned", nsec.all_of(NSEC))) == "too many NSEC records"


# --- records that no signer makes ----------------------------------------------------------


class HandSigned:
    """A key of org. that signs whatever it is given."""

    def __init__(self, flags: int = 257) -> None:
        dnskey, self.private = keymaker.new_pair(13, flags)
        self.dnskey = rdata(DNSKEY, dnskey)
        self.keys = ZoneKeys(name("@"), (self.dnskey,))

    def sign(self, *rrsets: dns.rrset.RRset) -> Rrsets:
        found: list[dns.rrset.RRset] = []
        for rrset in rrsets:
            signature = dns.dnssec.sign(
                rrset, self.private, name("@"), self.dnskey, inception=NOW, lifetime=DAY
            )
            rrsig = dns.rrset.RRset(rrset.name, rrset.rdclass, dns.rdatatype.RRSIG, rrset.rdtype)
            rrsig.add(signature, rrset.ttl)
            found += [rrset, rrsig]
        return found


def record(owner: str, rtype: str, text: str) -> dns.rrset.RRset:
    return dns.rrset.from_text(name(owner), 300, "IN", rtype, text)


def hashed(of: str, offset: int, salt: bytes = b"") -> str:
    """The NSEC3 hash of a name in base32hex, moved a little."""
    number = int.from_bytes(engine.nsec3_hash(name(of).to_wire(), 0, salt)) + offset
    return base64.b32hexencode(number.to_bytes(20)).decode()


@pytest.mark.parametrize(
    ("what", "records", "says"),
    [
        ("an apex below the parent's own", [("cut", "NSEC", "d. NS SOA")], "not the one of a del"),
        ("a proof outside the zone", [("net.", "NSEC", "org. NS")], "it is not in org."),
        (
            "an unknown flag",
            [(hashed("cut", 0), "NSEC3", f"1 2 0 - {hashed('cut', 1)} NS")],
            "does not cover cut.org.",
        ),
        (
            "an unknown hash",
            [(hashed("cut", 0), "NSEC3", f"2 0 0 - {hashed('cut', 1)} NS")],
            "does not cover cut.org.",
        ),
        (
            "two chains",
            [
                (hashed("@", 0), "NSEC3", f"1 0 0 - {hashed('@', 1)} NS SOA"),
                (hashed("cut", -1, b"\1"), "NSEC3", f"1 1 0 01 {hashed('cut', 1, b'1')} NS"),
            ],
            "of several chains",
        ),
    ],
)
def test_a_proof_that_is_signed_and_wrong(
    what: str, records: list[tuple[str, str, str]], says: str
) -> None:
    signer = HandSigned()
    proof = signer.sign(*(record(*one) for one in records))
    assert says in reason(delegation(name("cut"), proof, signer.keys, NOW)), what


def test_a_proof_that_is_signed_and_right() -> None:
    signer = HandSigned()
    proof = signer.sign(record("cut", "NSEC", "d.org. NS RRSIG NSEC"))
    assert delegation(name("cut"), proof, signer.keys, NOW) == Absent(Kind.CUT)
    at = record(hashed("cut", 0), "NSEC3", f"1 0 0 - {hashed('cut', 1)} NS")
    assert delegation(name("cut"), signer.sign(at), signer.keys, NOW) == Absent(Kind.CUT)


def test_a_key_that_was_revoked_is_no_anchor() -> None:
    signer = HandSigned(flags=257 | 0x80)
    shown = dns.rrset.from_rdata(name("@"), 300, signer.dnskey)
    anchor = Anchor(name("@"), dnskeys=frozenset({signer.dnskey}))
    assert "no DNSKEY of org. is the one" in reason(keys_of(anchor, signer.sign(shown), NOW))


def test_more_keys_than_a_zone_has() -> None:
    signer = HandSigned()
    others = (signer.dnskey.replace(key=number.to_bytes(64)) for number in range(64))
    shown = dns.rrset.from_rdata(name("@"), 300, signer.dnskey, *others)
    assert "too many DNSKEY" in reason(self_signed(name("@"), signer.sign(shown), NOW))


# --- keys ----------------------------------------------------------------------------------


def test_an_anchor_of_dnskey_records(nsec: SignedParent) -> None:
    anchor = Anchor(nsec.origin, dnskeys=frozenset(nsec.dnskeys))
    found = keys_of(anchor, nsec.rrsets(nsec.origin, DNSKEY), NOW)
    assert found == ZoneKeys(nsec.origin, tuple(nsec.dnskeys))


def test_an_anchor_of_other_keys(nsec: SignedParent) -> None:
    other = SignedParent("org.", RECORDS, [keymaker.key(number=1)])
    found = keys_of(other.anchor, nsec.rrsets(nsec.origin, DNSKEY), NOW)
    assert "no DNSKEY of org. is the one that its anchor or DS names" in reason(found)


@pytest.mark.parametrize(("digest", "algorithm"), [(1, 13), (99, 13), (2, 5), (2, 12), (2, 99)])
def test_an_anchor_that_nobody_can_check_is_insecure(
    nsec: SignedParent, digest: int, algorithm: int
) -> None:
    octets = 20 if digest == 1 else 32
    ds = dns.rrset.from_text("org.", 0, "IN", "DS", f"1 {algorithm} {digest} {'AB' * octets}")
    anchor = Anchor(nsec.origin, frozenset(ds))
    found = keys_of(anchor, nsec.rrsets(nsec.origin, DNSKEY), NOW)
    assert found == Insecure("org. is signed by no algorithm that is known here")


@pytest.mark.parametrize(
    ("what", "change", "at", "says"),
    [
        ("none", lambda _: [], NOW, "org. has no DNSKEY, and should be signed"),
        ("unsigned", without_signatures, NOW, "DNSKEY of org. carries no signature"),
        ("expired", as_it_is, NOW + 15 * DAY, "has expired"),
        ("not yet valid", as_it_is, NOW - DAY, "is not yet valid"),
    ],
)
def test_keys_that_are_bogus(
    nsec: SignedParent, what: str, change: Callable[[Rrsets], Rrsets], at: int, says: str
) -> None:
    rrsets = change(nsec.rrsets(nsec.origin, DNSKEY))
    assert says in reason(keys_of(nsec.anchor, rrsets, at)), what


def test_only_the_key_that_is_named_may_sign_the_others() -> None:
    """A DNSKEY RRset that a zone key signs, beside the KSK that the anchor names."""
    ksk, zsk = keymaker.key(number=2), keymaker.key(flags=256)
    signed_by_zsk = SignedParent("org.", RECORDS, [zsk], dnskeys=[ksk.dnskey, zsk.dnskey])
    anchor = SignedParent("org.", RECORDS, [ksk]).anchor
    found = keys_of(anchor, signed_by_zsk.rrsets(name("@"), DNSKEY), NOW)
    assert f"has no key {zsk.tag}" in reason(found)


def test_keys_that_sign_themselves(nsec: SignedParent) -> None:
    found = self_signed(nsec.origin, nsec.rrsets(nsec.origin, DNSKEY), NOW)
    assert found == ZoneKeys(nsec.origin, tuple(nsec.dnskeys))
    stale = self_signed(nsec.origin, nsec.rrsets(nsec.origin, DNSKEY), NOW + 15 * DAY)
    assert "has expired" in reason(stale)
    assert self_signed(nsec.origin, [], NOW) == Insecure("org. has no DNSKEY")


def test_the_root_s_anchors() -> None:
    assert sorted(one.key_tag for one in ROOT.ds) == [20326, 38696]
    assert {(one.algorithm, one.digest_type, len(one.digest)) for one in ROOT.ds} == {(8, 2, 32)}
