"""What a parent takes over of a child's CDS and CDNSKEY, and what it does not: real signatures,
the answers as the scenario says."""

from collections.abc import Callable, Sequence

import attrs
import dns.name
import dns.rdatatype
import keymaker
import pytest
from keymaker import DAY, NOW
from signedparent import SignedParent

import engine
from signer.asking import Answered, Silent
from signer.childscan import (
    CDNSKEY,
    CDNSKEY_DELETE,
    CDS,
    CDS_DELETE,
    DNSKEY,
    Child,
    Heard,
    Nothing,
    Refuse,
    Signal,
    Take,
    Verdict,
    judge,
)
from signer.ds import ds_rdata

CHILD = dns.name.from_text("child.org.")
SERVERS = frozenset(map(dns.name.from_text, ("ns.child.org.", "ns1.example.net.")))
OLD, NEW, OTHER = (keymaker.key(number=number) for number in (1, 2, 3))
ED = keymaker.key(15, number=1)


def ds(*keys: engine.SigningKey, digest: int = 2) -> frozenset[bytes]:
    return frozenset(ds_rdata(CHILD, key.dnskey, digest) for key in keys)


def version(
    keys: Sequence[engine.SigningKey],
    cds: frozenset[bytes],
    cdnskeys: frozenset[bytes],
    **changes: object,
) -> SignedParent:
    announced = {"cds": sorted(cds), "cdnskeys": sorted(cdnskeys)}
    return SignedParent("child.org.", "", keys, **announced, **changes)


def wants(
    *wanted: engine.SigningKey, keys: Sequence[engine.SigningKey] = (OLD, NEW), **changes: object
) -> SignedParent:
    """A version signed by `keys` that asks for the DS of others, by CDS and CDNSKEY."""
    return version(keys, ds(*wanted), frozenset(key.dnskey for key in wanted), **changes)


def heard(zone: SignedParent, where: str = "ns.child.org. (192.0.2.1)") -> Heard:
    def answer(rtype: dns.rdatatype.RdataType) -> Answered:
        found = zone.rrsets(CHILD, rtype)
        if not found:
            return Answered(frozenset(), 300, tuple(zone.rrsets(CHILD, dns.rdatatype.SOA)))
        return Answered(
            frozenset(one.to_digestable() for one in found[0]), found[0].ttl, tuple(found)
        )

    return Heard(where, answer(dns.rdatatype.SOA), *map(answer, (DNSKEY, CDS, CDNSKEY)))


def verdict(
    *zones: SignedParent,
    has: frozenset[bytes] | None = None,
    accepted: int | None = None,
    now: int = NOW,
    **more: object,
) -> Verdict:
    """With the DS of OLD at the parent, unless `has` says otherwise."""
    child = Child(CHILD, SERVERS, ds(OLD) if has is None else has, accepted)
    answers = [heard(zone, f"192.0.2.{number}") for number, zone in enumerate(zones, 1)]
    return judge(child, answers, now, **more)  # type: ignore[arg-type]


def taken(found: Verdict) -> frozenset[bytes]:
    assert isinstance(found, Take), found
    return found.ds


def refused(found: Verdict) -> str:
    assert isinstance(found, Refuse), found
    return found.reason


# --- with a DS -----------------------------------------------------------------------------


def test_what_the_child_asks_for_is_taken() -> None:
    zone = wants(OLD, NEW)
    found = verdict(zone, zone)
    assert found == Take(ds(OLD, NEW), NOW - 3600, "signed as its DS asks")


@pytest.mark.parametrize(
    ("cds", "cdnskeys", "result"),
    [
        (ds(NEW), frozenset(), ds(NEW)),
        (frozenset(), frozenset({NEW.dnskey}), ds(NEW)),
        (ds(NEW) | ds(NEW, digest=4), frozenset({NEW.dnskey}), ds(NEW) | ds(NEW, digest=4)),
        (ds(NEW) | ds(NEW, digest=1), frozenset(), ds(NEW)),
        (ds(OLD), frozenset({OLD.dnskey}), ds(OLD)),
    ],
    ids=["CDS alone", "CDNSKEY alone", "two digests", "SHA-1 is left out", "the DS that it has"],
)
def test_forms_of_a_wish(
    cds: frozenset[bytes], cdnskeys: frozenset[bytes], result: frozenset[bytes]
) -> None:
    assert taken(verdict(version((OLD, NEW), cds, cdnskeys))) == result


def test_a_wish_for_nothing() -> None:
    assert verdict(wants()) == Nothing("publishes neither CDS nor CDNSKEY")


@pytest.mark.parametrize(
    ("cds", "cdnskeys", "reason"),
    [
        (ds(NEW), frozenset({OLD.dnskey}), "CDS and CDNSKEY differ"),
        (ds(NEW), frozenset({NEW.dnskey, OLD.dnskey}), "CDS and CDNSKEY differ"),
        (ds(NEW) | ds(OLD, digest=4), frozenset(), "other keys with SHA-256 than with SHA-384"),
        (ds(NEW, digest=1), frozenset(), "no digest of SHA-256 or SHA-384"),
        (ds(OTHER), frozenset({OTHER.dnskey}), "no DNSKEY of child.org. is the one"),
        (frozenset({CDS_DELETE}), frozenset({NEW.dnskey}), "removal of its DS and for a DS"),
        (ds(NEW) | {CDS_DELETE}, frozenset(), "removal of its DS and for a DS"),
        (ds(NEW), frozenset({CDNSKEY_DELETE}), "removal of its DS and for a DS"),
    ],
)
def test_wishes_that_are_refused(
    cds: frozenset[bytes], cdnskeys: frozenset[bytes], reason: str
) -> None:
    assert reason in refused(verdict(version((OLD, NEW), cds, cdnskeys)))


def test_more_than_anybody_has() -> None:
    cds = frozenset(bytes([0, number, 13, 2]) + bytes(32) for number in range(40))
    assert "more than 32" in refused(verdict(version((OLD,), cds, frozenset())))


def test_a_key_that_is_published_but_signs_nothing_is_refused() -> None:
    zone = wants(NEW, keys=(OLD,), dnskeys=[OLD.dnskey, NEW.dnskey])
    assert f"has no key {tag_of(OLD)}" in refused(verdict(zone))


def test_each_algorithm_of_the_new_ds_has_to_lead_somewhere() -> None:
    both = wants(OLD, ED, keys=(OLD, ED))
    assert taken(verdict(both)) == ds(OLD, ED)
    early = wants(OLD, ED, keys=(OLD,))
    assert "no DNSKEY of child.org. is the one" in refused(verdict(early))


def test_a_ds_ahead_of_its_key_is_taken_beside_one_that_leads() -> None:
    assert taken(verdict(wants(OLD, NEW, keys=(OLD,)))) == ds(OLD, NEW)


def test_cds_signed_by_a_key_without_ds_are_refused() -> None:
    """RFC 7344 section 4.1: by a key in the DNSKEY RRset and in the DS RRset."""
    zone = wants(NEW)
    cds = zone.rrsets(CHILD, CDS)
    tag = dns.rdatatype.RRSIG
    assert cds[1].rdtype == tag
    for one in [one for one in cds[1] if one.key_tag == tag_of(OLD)]:
        cds[1].remove(one)
    answer = heard(zone)
    assert isinstance(answer.cds, Answered)
    other = attrs.evolve(answer, cds=attrs.evolve(answer.cds, rrsets=tuple(cds)))
    found = judge(Child(CHILD, SERVERS, ds(OLD)), [other], NOW)
    assert f"has no key {tag_of(NEW)}" in refused(found)


def tag_of(key: engine.SigningKey) -> int:
    return int.from_bytes(ds_rdata(CHILD, key.dnskey)[:2], "big")


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda: verdict(wants(OLD), has=ds(OTHER)), "no DNSKEY of child.org. is the one"),
        (lambda: verdict(wants(OLD), now=NOW + 30 * DAY), "has expired"),
        (lambda: verdict(wants(OLD), now=NOW - DAY), "not yet valid"),
        (lambda: verdict(), "none of its servers has an address"),
    ],
)
def test_answers_that_are_refused(change: Callable[[], Verdict], reason: str) -> None:
    assert reason in refused(change())


def test_nothing_older_than_the_last_is_taken() -> None:
    """RFC 7344 section 6.2."""
    zone = wants(OLD, NEW)
    assert taken(verdict(zone, accepted=NOW - 3600))
    assert "signed 1 seconds before" in refused(verdict(zone, accepted=NOW - 3599))


def test_servers_that_differ_change_nothing() -> None:
    reason = refused(verdict(wants(OLD, NEW, serial=7), wants(OLD, serial=6)))
    tags = ", ".join(map(str, sorted(map(tag_of, (OLD, NEW)))))
    assert f"192.0.2.1 has {tags} in serial 7" in reason
    assert f"192.0.2.2 has {tag_of(OLD)} in serial 6" in reason


def test_a_server_without_cds_differs() -> None:
    assert "192.0.2.2 has none" in refused(verdict(wants(NEW), wants()))


@pytest.mark.parametrize("missing", ["soa", "dnskey", "cds", "cdnskey"])
def test_a_server_that_does_not_answer_changes_nothing(missing: str) -> None:
    good = heard(wants(NEW))
    bad = attrs.evolve(good, **{missing: Silent("192.0.2.2 port 53 does not answer")})
    found = judge(Child(CHILD, SERVERS, ds(OLD)), [good, bad], NOW)
    assert refused(found) == "192.0.2.2 port 53 does not answer"


def test_a_server_that_has_another_zone() -> None:
    good = heard(wants(NEW))
    parent = SignedParent("org.", "")
    soa = Answered(frozenset(), 1, tuple(parent.rrsets(dns.name.from_text("org."), 6)))
    found = judge(Child(CHILD, SERVERS, ds(OLD)), [attrs.evolve(good, soa=soa)], NOW)
    assert "does not have the zone child.org." in refused(found)


# --- removal -------------------------------------------------------------------------------

GONE = version((OLD,), frozenset({CDS_DELETE}), frozenset({CDNSKEY_DELETE}))


def test_the_ds_is_removed_where_that_is_asked_for_under_it() -> None:
    assert taken(verdict(GONE)) == frozenset()
    assert "no DNSKEY of child.org." in refused(verdict(GONE, has=ds(OTHER)))
    assert isinstance(verdict(GONE, has=frozenset()), Nothing)


# --- the first DS --------------------------------------------------------------------------

NS = dns.name.from_text("ns1.example.net.")
FIRST = wants(OLD)
SAME = Signal(ds(OLD), frozenset({OLD.dnskey}))


def test_servers_outside_vouch_for_the_first_ds() -> None:
    found = verdict(FIRST, has=frozenset(), signals={NS: SAME})
    assert found == Take(ds(OLD), NOW - 3600, "ns1.example.net. vouch for it")


@pytest.mark.parametrize(
    ("signals", "reason"),
    [
        ({}, "was not asked"),
        ({NS: Silent("CDS of … is not signed")}, "is not signed"),
        ({NS: Signal(ds(NEW), frozenset({OLD.dnskey}))}, "vouches for other CDS"),
        ({NS: Signal(ds(OLD), frozenset())}, "vouches for other CDS"),
        ({dns.name.from_text("ns.child.org."): SAME}, "was not asked"),
    ],
)
def test_a_first_ds_that_nobody_vouches_for(
    signals: dict[dns.name.Name, Signal | Silent], reason: str
) -> None:
    assert reason in refused(verdict(FIRST, has=frozenset(), signals=signals))


def test_servers_of_its_own_vouch_for_nothing() -> None:
    inside = Child(CHILD, frozenset({dns.name.from_text("ns.child.org.")}))
    assert "--accept child.org." in refused(judge(inside, [heard(FIRST)], NOW, signals={}))
    assert taken(judge(inside, [heard(FIRST)], NOW, unsigned=True)) == ds(OLD)


def test_a_persons_word_is_not_for_what_would_be_bogus() -> None:
    found = verdict(wants(OTHER), has=frozenset(), unsigned=True)
    assert "no DNSKEY of child.org. is the one" in refused(found)
