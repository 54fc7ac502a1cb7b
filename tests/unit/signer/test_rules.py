"""Pairs of keys that together cover all caches, and pairs that only look as if they did."""

import attrs
import pytest

from signer import rules
from signer.keyset import RecordKind, State
from signer.rules import R2, R3, Row, forbids

OLD = Row("old", 13, "OUOO", (0.0, 9.0, 0.0, 0.0))
NEW = Row("new", 13, "OROR", (0.0, 9.0, 0.0, 20.0))


def test_signatures_swapped_between_two_known_keys_are_enough() -> None:
    assert R3.holds((OLD, NEW), 13)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ({"states": "OuOO"}, {}, "the old signatures were never everywhere: a third key's were"),
        ({}, {"since": (0.0, 10.0, 0.0, 0.0)}, "a third key took over before the new one came"),
        ({"states": "UUOO"}, {}, "the old key is forgotten by some"),
    ],
)
def test_other_pairs_are_not(old: dict[str, object], new: dict[str, object], why: str) -> None:
    assert not R3.holds((attrs.evolve(OLD, **old), attrs.evolve(NEW, **new)), 13), why


def test_the_only_ds_may_not_go_unless_the_zone_is_to_be_insecure() -> None:
    alone = Row("alone", 13, "OOOO")
    no = forbids((alone,), "alone", RecordKind.DS, State.UNRETENTIVE, insecure=False)
    assert no is rules.R1
    assert forbids((alone,), "alone", RecordKind.DS, State.UNRETENTIVE, insecure=True) is None


def test_a_ds_that_is_only_on_its_way_replaces_none() -> None:
    zone = (Row("old", 13, "O-OO"), Row("new", 13, "O-OR"), Row("zone key", 13, "OO--"))
    no = forbids(zone, "old", RecordKind.DS, State.UNRETENTIVE, insecure=False)
    assert no is rules.R1


def test_another_algorithm_is_shown_only_when_it_signs_everything() -> None:
    zone = (Row("old", 13, "OOOO"), Row("new", 8, "HRHH"))
    assert forbids(zone, "new", RecordKind.DNSKEY, State.RUMOURED, insecure=False) is R3
    ready = (zone[0], Row("new", 8, "HOHH"))
    assert forbids(ready, "new", RecordKind.DNSKEY, State.RUMOURED, insecure=False) is None


SWAPPED_OLD = Row("old", 13, "U-UO", (5.0, 0.0, 6.0, 0.0))
SWAPPED_NEW = Row("new", 13, "R-RO", (5.0, 0.0, 5.0, 0.0))


def test_two_ds_everywhere_let_the_dnskey_be_swapped() -> None:
    assert R2.holds((SWAPPED_OLD, SWAPPED_NEW), 13)


def test_a_key_set_is_one_rrset_its_signature_has_to_come_before_the_old_key_goes() -> None:
    late = attrs.evolve(SWAPPED_NEW, since=(4.0, 0.0, 6.0, 0.0))
    assert not R2.holds((SWAPPED_OLD, late), 13)
