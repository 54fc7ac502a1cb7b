"""Pairs of keys that together cover all caches, and pairs that only look as if they did."""

import attrs
import pytest

from signer import rules
from signer.keyset import RecordKind, State
from signer.rules import R2, R3, Row, forbids

OLD = Row("old", 13, "OUOO", None, "new", (0.0, 9.0, 0.0, 0.0))
NEW = Row("new", 13, "OROR", "old", None, (0.0, 9.0, 0.0, 0.0))


def test_signatures_swapped_between_two_known_keys_are_enough() -> None:
    assert R3.holds((OLD, NEW), 13)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ({"states": "OuOO"}, {}, "the old signatures were never everywhere: a third key's were"),
        ({}, {"since": (0.0, 10.0, 0.0, 0.0)}, "a third key took over before the new one came"),
        ({"successor": None}, {}, "they are strangers"),
        ({"states": "UUOO"}, {}, "the old key is forgotten by some"),
    ],
)
def test_other_pairs_are_not(old: dict[str, object], new: dict[str, object], why: str) -> None:
    assert not R3.holds((attrs.evolve(OLD, **old), attrs.evolve(NEW, **new)), 13), why


def test_nobody_succeeds_a_key_on_which_another_still_depends() -> None:
    first = Row("first", 13, "UHUO", None, "old")
    chained = attrs.evolve(OLD, predecessor="first")
    assert rules.depends(chained, (first, chained, NEW)) == first
    assert not rules.successor(chained, NEW, (first, chained, NEW))


def test_a_chain_of_keys_in_the_same_states_is_one_successor() -> None:
    last = attrs.evolve(NEW, fingerprint="last", predecessor="new")
    between = attrs.evolve(NEW, successor="last")
    assert rules.successor(OLD, last, (OLD, between, last))


def test_the_only_ds_may_not_go_unless_the_zone_is_to_be_insecure() -> None:
    alone = Row("alone", 13, "OOOO")
    no = forbids((alone,), "alone", RecordKind.DS, State.UNRETENTIVE, insecure=False)
    assert no is rules.R1
    assert forbids((alone,), "alone", RecordKind.DS, State.UNRETENTIVE, insecure=True) is None


def test_another_algorithm_is_shown_only_when_it_signs_everything() -> None:
    zone = (Row("old", 13, "OOOO"), Row("new", 8, "HRHH"))
    assert forbids(zone, "new", RecordKind.DNSKEY, State.RUMOURED, insecure=False) is R3
    ready = (zone[0], Row("new", 8, "HOHH"))
    assert forbids(ready, "new", RecordKind.DNSKEY, State.RUMOURED, insecure=False) is None


def test_two_ds_everywhere_let_the_dnskey_be_swapped() -> None:
    old = Row("old", 13, "UOUO", None, "new", (5.0, 0.0, 5.0, 0.0))
    new = Row("new", 13, "RHRO", "old", None, (5.0, 0.0, 5.0, 0.0))
    assert R2.holds((old, new), 13)
