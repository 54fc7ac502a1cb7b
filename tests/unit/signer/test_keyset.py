"""The first keys of a zone, from hidden to omnipresent: what moves, when, and who says no."""

import attrs
import dns.name
import pytest

from signer.actions import Action, Advance, ObserveParent, ObserveServers, SignApex, SubmitDs
from signer.advance import advance
from signer.keyset import Goal, Key, KeySet, Record, RecordKind, Role, State
from signer.observations import Observations
from signer.policy import DAY, HOUR, MINUTE, Policy

ORIGIN = dns.name.from_text("example.org.")
POLICY = Policy()
H, R, O = State.HIDDEN, State.RUMOURED, State.OMNIPRESENT  # noqa: E741
DNSKEY, ZRRSIG, KRRSIG, DS = RecordKind


def key(role: Role = Role.CSK, number: int = 1, algorithm: int = 13) -> Key:
    flags = b"\x01\x00" if role is Role.ZSK else b"\x01\x01"
    dnskey = flags + bytes([3, algorithm]) + bytes([number]) * 64
    return Key.hidden(f"{number:064x}", role, dnskey, 0, 0.0)


def keyset(*keys: Key) -> KeySet:
    found = KeySet(ORIGIN)
    for one in keys:
        found = found.with_key(one, made_here=True)
    return found


def states(keys: KeySet, number: int = 1) -> str:
    """H, R, O or U for each record of a key, in the order DNSKEY ZRRSIG KRRSIG DS."""
    found = keys.key(f"{number:064x}")
    assert found is not None
    return "".join(
        "-" if (state := found.state(kind)) is None else state.value[0].upper()
        for kind in RecordKind
    )


def published(at: float, *numbers: int) -> Observations:
    return Observations(
        shown={
            (f"{number:064x}", kind): at
            for number in numbers or (1,)
            for kind in (DNSKEY, ZRRSIG, KRRSIG)
        },
        denial={None: at},
    )


def with_ds(seen: Observations, at: float, ttl: int = 0) -> Observations:
    """The parent's servers all show the DS of key 1."""
    shown = {**seen.shown, (f"{1:064x}", DS): at}
    anywhere = frozenset({f"{1:064x}"})
    return attrs.evolve(
        seen, shown=shown, ds_anywhere=anywhere, ds_ttl=ttl, parent_looked=float("inf")
    )


def kinds(step: Advance) -> set[type[Action]]:
    return {type(action) for action in step.actions}


def test_the_keys_of_a_new_zone_are_published_and_sign_at_once() -> None:
    step = advance(keyset(key()), POLICY, Observations(), 100.0)
    assert states(step.keyset) == "RRRH"
    (signer,) = step.keyset.signers()
    assert signer[1] == 3, "one key signs keys and zone"
    assert step.keyset.announced() == (), "no CDS before the keys are everywhere"
    assert {SignApex, ObserveServers} <= kinds(step)


def test_a_split_key_set_signs_with_each_its_own() -> None:
    step = advance(keyset(key(Role.KSK, 1), key(Role.ZSK, 2)), POLICY, Observations(), 0.0)
    assert (states(step.keyset, 1), states(step.keyset, 2)) == ("R-RH", "RR--")
    assert [(one.role, duty) for one, duty in step.keyset.signers()] == [
        (Role.KSK, 1),
        (Role.ZSK, 2),
    ]


def test_no_clock_runs_before_publication_was_seen() -> None:
    """.nl, 2012: the signer's timers ran on while the zone was not published."""
    first = advance(keyset(key()), POLICY, Observations(), 0.0).keyset
    later = advance(first, POLICY, Observations(), 1000.0 * DAY)
    assert states(later.keyset) == "RRRH"
    assert later.next_due is None
    assert {blocker.who for blocker in later.blockers} == {"observation", "rule"}


DNSKEY_EVERYWHERE = HOUR + 5 * MINUTE + HOUR  # TTL, propagation, publish safety
ZRRSIG_EVERYWHERE = DAY + 5 * MINUTE + HOUR  # longest TTL, propagation, retire safety


@pytest.mark.parametrize(
    ("after", "expected"),
    [
        (0, "RRRH"),
        (DNSKEY_EVERYWHERE - 1, "RRRH"),
        (DNSKEY_EVERYWHERE, "OROH"),
        (ZRRSIG_EVERYWHERE - 1, "OROH"),
        (ZRRSIG_EVERYWHERE, "OOOR"),
    ],
)
def test_each_record_is_everywhere_when_its_own_wait_is_over(after: int, expected: str) -> None:
    seen = published(500.0)
    first = advance(keyset(key()), POLICY, seen, 500.0).keyset
    assert states(advance(first, POLICY, seen, 500.0 + after).keyset) == expected


def test_the_next_due_time_is_the_earliest_not_yet() -> None:
    step = advance(keyset(key()), POLICY, published(500.0), 500.0)
    assert step.next_due == 500.0 + DNSKEY_EVERYWHERE
    step = advance(step.keyset, POLICY, published(500.0), step.next_due)
    assert step.next_due == 500.0 + ZRRSIG_EVERYWHERE


def everywhere() -> Advance:
    seen = published(0.0)
    first = advance(keyset(key()), POLICY, seen, 0.0).keyset
    return advance(first, POLICY, seen, float(ZRRSIG_EVERYWHERE))


def test_the_ds_is_announced_and_then_waited_for_at_the_parent() -> None:
    step = everywhere()
    assert states(step.keyset) == "OOOR"
    assert [one.tag for one in step.keyset.announced()] == [step.keyset.keys[0].tag]
    assert {SubmitDs, ObserveParent, SignApex} <= kinds(step)
    later = advance(step.keyset, POLICY, published(0.0), 1000.0 * DAY)
    assert states(later.keyset) == "OOOR", "without seeing it, never"


@pytest.mark.parametrize(
    ("scenario", "keys", "now", "later"),
    [
        ("the first key", ((Goal.OMNIPRESENT, State.HIDDEN),), (0,), (0,)),
        ("one that is there", ((Goal.OMNIPRESENT, State.OMNIPRESENT),), (0,), ()),
        (
            "a successor that is being published",
            ((Goal.HIDDEN, State.OMNIPRESENT), (Goal.OMNIPRESENT, State.HIDDEN)),
            (0,),
            (1,),
        ),
        (
            "one whose turn has come",
            ((Goal.HIDDEN, State.OMNIPRESENT), (Goal.OMNIPRESENT, State.RUMOURED)),
            (0, 1),
            (),
        ),
        (
            "one that is going",
            ((Goal.HIDDEN, State.UNRETENTIVE), (Goal.OMNIPRESENT, State.OMNIPRESENT)),
            (1,),
            (),
        ),
        ("going insecure", ((Goal.HIDDEN, State.UNRETENTIVE),), (), ()),
    ],
)
def test_a_ds_is_for_the_parent_when_its_turn_has_come(
    scenario: str,
    keys: tuple[tuple[Goal, State], ...],
    now: tuple[int, ...],
    later: tuple[int, ...],
) -> None:
    made = tuple(
        attrs.evolve(key(number=number), goal=goal).with_record(DS, Record(state))
        for number, (goal, state) in enumerate(keys)
    )
    found = keyset(*made)
    assert found.for_parent() == tuple(made[number] for number in now), scenario
    assert found.to_come() == tuple(made[number] for number in later), scenario


def test_the_wait_for_the_ds_uses_the_ttl_that_the_parent_shows() -> None:
    step = everywhere()
    at = float(ZRRSIG_EVERYWHERE + 10)
    seen = with_ds(published(0.0), at, 2 * DAY)
    due = at + 2 * DAY + HOUR + HOUR
    assert states(advance(step.keyset, POLICY, seen, due - 1).keyset) == "OOOR"
    done = advance(step.keyset, POLICY, seen, due)
    assert states(done.keyset) == "OOOO"
    assert done.blockers == ()
    assert done.next_due is None


def test_an_island_has_no_cds_and_waits_for_no_parent() -> None:
    seen = attrs.evolve(published(0.0), island=True)
    first = advance(keyset(key()), POLICY, seen, 0.0).keyset
    step = advance(first, POLICY, seen, 1000.0 * DAY)
    assert states(step.keyset) == "OOOH"
    assert step.keyset.announced() == ()
    assert len(step.keyset.for_parent()) == 1, "its DS is still there to be configured by hand"
    assert ObserveParent not in kinds(step)


def test_a_lower_ttl_does_not_shorten_a_wait_that_caches_need() -> None:
    seen = published(0.0)
    first = advance(keyset(key()), POLICY, seen, 0.0).keyset
    lowered = attrs.evolve(POLICY, dnskey_ttl=60)
    assert states(advance(first, lowered, seen, DNSKEY_EVERYWHERE - 1).keyset) == "RRRH"


def test_a_higher_ttl_in_the_zone_lengthens_it() -> None:
    seen = attrs.evolve(published(0.0), zone_ttl=3 * DAY)
    first = advance(keyset(key()), POLICY, seen, 0.0).keyset
    assert states(advance(first, POLICY, seen, float(ZRRSIG_EVERYWHERE)).keyset) == "OROH"
    assert states(advance(first, POLICY, seen, float(ZRRSIG_EVERYWHERE + 2 * DAY)).keyset) == "OOOR"


def test_a_key_whose_ds_is_at_the_parent_is_adopted() -> None:
    """Keys imported from another signer: the parent had the DS before we came."""
    seen = with_ds(Observations(), 0.0, DAY)
    assert states(advance(keyset(key()), POLICY, seen, 0.0).keyset) == "RRRR"


def test_a_second_key_signs_only_when_its_dnskey_is_everywhere() -> None:
    established = everywhere().keyset
    both = established.with_key(key(number=2), made_here=True)
    at = float(ZRRSIG_EVERYWHERE)
    seen = published(0.0)
    step = advance(both, POLICY, seen, at)
    assert states(step.keyset, 2) == "RHRH"
    seen = published(at, 1, 2)
    step = advance(step.keyset, POLICY, seen, at + DNSKEY_EVERYWHERE)
    assert states(step.keyset, 2) == "OROR"


def test_advancing_twice_changes_nothing_more() -> None:
    step = everywhere()
    again = advance(step.keyset, POLICY, published(0.0), float(ZRRSIG_EVERYWHERE))
    assert again.keyset == step.keyset
    assert SignApex not in kinds(again)


def test_a_tag_is_new_against_the_whole_history() -> None:
    """.ru, 2024: two keys with one tag."""
    keys = keyset(key())
    used = attrs.evolve(keys, keys=())
    with pytest.raises(ValueError, match="has used the key tag"):
        used.with_key(key(), made_here=True)
    assert used.with_key(key(), made_here=False).keys, "an imported key's tag is what it is"


def test_the_same_key_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="already"):
        keyset(key()).with_key(key(), made_here=False)


def test_a_key_with_the_wrong_records_cannot_be_written() -> None:
    with pytest.raises(ValueError, match="carries"):
        Key("0" * 64, Role.ZSK, b"\x01\x00\x03\x0d", 0, ((DS, Record()),))
