"""Signing what changed gives what signing all of it gives."""

import itertools
from collections.abc import Iterable

import dns.name
import dns.rdatatype as t
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from keymaker import NOW, key, plan, sign_new, validate, wires

import engine

ORIGIN = dns.name.from_text("example.org.").to_wire()
DENIALS = {"nsec": None, "nsec3": (1, b"\xaa", False), "opt-out": (0, b"", True)}

# Few names and many ways to be under, beside and between one another.
OWNERS = ["a", "b", "*.b", "x.a", "y.x.a", "z.y.x.a", "z.b", "q.w.e", "w.e", "*", "0"]
DS = "DS 12345 13 2 " + "00" * 32
CONTENTS = [
    ["A 192.0.2.1"],
    ["A 192.0.2.2", "TXT two"],
    ["TXT longer text", "MX 10 Mail.a"],
    ["NS ns.a"],
    ["NS ns.a", DS],
    ["NS ns.a", "A 192.0.2.3"],
    ["DNAME elsewhere.test."],
    ["CNAME a"],
]
Content = dict[str, int]
PAIRS = [(0,), (1,), (0, 1), (1, 2)]
zones = st.dictionaries(st.sampled_from(OWNERS), st.integers(0, len(CONTENTS) - 1))


def source(content: Content, minimum: int = 300) -> engine.Zone:
    lines = [f"@ 3600 SOA ns.a hostmaster 7 3600 600 86400 {minimum}", "@ 3600 NS ns.a"]
    for owner, choice in content.items():
        lines += [f"{owner} 600 {record}" for record in CONTENTS[choice]]
    return engine.scan_text("\n".join([*lines, ""]).encode(), ORIGIN)


def unsigned_content(zone: engine.Zone) -> list[tuple[bytes, int, int, list[bytes]]]:
    return wires([rrset for rrset in zone if rrset.rtype != t.SOA])


def signed_sets(zone: engine.Zone) -> dict[tuple[bytes, int], list[bytes]]:
    return {(rrset.owner, rrset.rtype): rrset.signatures for rrset in zone}


def covered(zone: engine.Zone) -> set[tuple[bytes, int]]:
    return {place for place, signatures in signed_sets(zone).items() if signatures}


@pytest.mark.parametrize("denial", DENIALS)
@settings(max_examples=120, deadline=None)
@given(contents=st.lists(zones, min_size=2, max_size=6), minimum=st.sampled_from([300, 300, 60]))
def test_a_row_of_changes_gives_what_signing_the_last_state_gives(
    denial: str, contents: list[Content], minimum: int
) -> None:
    states = [source(content) for content in contents]
    states.append(source(contents[-1], minimum))
    nsec3 = DENIALS[denial]
    version = sign_new(states[0], plan(serial=10, nsec3=nsec3)).zone
    for serial, (last, new) in enumerate(itertools.pairwise(states), start=11):
        step = engine.sign(
            version, engine.source_changes(last, new), plan(serial=serial, nsec3=nsec3)
        )
        fresh = sign_new(new, plan(serial=serial, nsec3=nsec3)).zone
        assert unsigned_content(step.zone) == unsigned_content(fresh)
        assert covered(step.zone) == covered(fresh)
        assert step.zone.record_count == fresh.record_count
        assert only_touched_was_signed(version, step.zone, step.made)
        if step.changed:
            assert step.diff is not None
            assert step.zone.serial == serial
            assert version.apply(step.diff).digest() == step.zone.digest()
        else:
            assert not step.made
            assert step.zone is version
        again = engine.sign(
            step.zone, engine.source_changes(new, new), plan(serial=99, nsec3=nsec3), scope="all"
        )
        assert (again.changed, again.made) == (False, 0)
        version = step.zone
    assert validate(version) == version.signature_count > 0
    assert [str(one.message) for one in engine.verify(version, at=NOW).failures] == []
    assert version.source().digest() == source_at(states[-1], version).digest()


def source_at(zone: engine.Zone, version: engine.Zone) -> engine.Zone:
    """The source with the serial that the signer gave it."""
    soa = version.rrset(ORIGIN, t.SOA)
    assert soa is not None
    text = zone.to_text().replace(" 7 3600 600", f" {version.serial} 3600 600", 1)
    return engine.scan_text(text.encode(), ORIGIN)


def only_touched_was_signed(before: engine.Zone, after: engine.Zone, made: int) -> bool:
    """An RRset that is as it was kept its signatures; `made` counts the others."""
    old, new = signed_sets(before), signed_sets(after)
    contents = {(r.owner, r.rtype): (r.ttl, r.rdatas) for r in before}
    fresh = 0
    for rrset in after:
        place = rrset.owner, rrset.rtype
        same = contents.get(place) == (rrset.ttl, rrset.rdatas)
        if same and old[place] and new[place]:
            assert old[place] == new[place]
        elif new[place]:
            fresh += 1
    return fresh == made


@settings(max_examples=60, deadline=None)
@given(content=zones, kinds=st.lists(st.sampled_from(sorted(DENIALS)), min_size=2, max_size=4))
def test_the_kind_of_denial_can_change_at_any_time(content: Content, kinds: list[str]) -> None:
    zone = source(content)
    nothing = engine.source_changes(zone, zone)
    version = sign_new(zone, plan(serial=10, nsec3=DENIALS[kinds[0]])).zone
    for serial, kind in enumerate(kinds[1:], start=11):
        wanted = plan(serial=serial, nsec3=DENIALS[kind])
        step = engine.sign(version, nothing, wanted, scope="all")
        fresh = sign_new(zone, wanted).zone
        assert unsigned_content(step.zone) == unsigned_content(fresh)
        assert covered(step.zone) == covered(fresh)
        assert only_touched_was_signed(version, step.zone, step.made)
        version = step.zone


@settings(max_examples=60, deadline=None)
@given(
    content=zones,
    pairs=st.lists(st.sampled_from([(0,), (1,), (0, 1), (1, 2)]), min_size=2, max_size=4),
)
def test_the_keys_of_a_plan_are_the_keys_that_sign(
    content: Content, pairs: Iterable[tuple[int, ...]]
) -> None:
    zone = source(content)
    changes = engine.source_changes(None, zone)
    version = None
    for serial, numbers in enumerate(pairs, start=10):
        keys = [key(13, 257, number) for number in numbers]
        step = engine.sign(version, changes, plan(*keys, serial=serial), scope="all")
        version, changes = step.zone, engine.source_changes(zone, zone)
        wanted = sorted(one.tag for one in keys)
        for rrset in version:
            tags = sorted(int.from_bytes(one[16:18], "big") for one in rrset.signatures)
            assert tags in ([], wanted)
    assert version is not None
    assert validate(version) == version.signature_count > 0
    assert [str(one.message) for one in engine.verify(version, at=NOW).failures] == []
