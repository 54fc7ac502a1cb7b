"""Who counts as a signer of the DNSKEY RRset that is about to be shown; and a DS of nobody's keys
beside ours."""

import attrs
import dns.name
import pytest

from signer import conditions
from signer.conditions import Situation
from signer.keyset import Key, KeySet, Record, RecordKind, Role, State
from signer.observations import Observations
from signer.policy import KeyLayout, Policy

ORIGIN = dns.name.from_text("example.org.")
SPLIT = Policy(keys=KeyLayout.KSK_ZSK)
ZSK = Key.hidden("zsk", Role.ZSK, b"\x01\x00\x03\x0dz", 0, 0.0)
KSK = Key.hidden("ksk", Role.KSK, b"\x01\x01\x03\x0dk", 0, 0.0)


@pytest.mark.parametrize(
    ("ksk", "why"),
    [
        (None, "it is not made yet"),
        (attrs.evolve(KSK, standby=True), "a standby key signs nothing"),
        (attrs.evolve(KSK, dnskey=b"\x01\x01\x03\x08k"), "it is of an algorithm to come"),
        (attrs.evolve(KSK, lost=True), "its private half is lost"),
    ],
)
def test_a_zone_key_is_not_shown_before_a_key_can_sign_it(ksk: Key | None, why: str) -> None:
    assert _refused(KeySet(ORIGIN, (ZSK,) if ksk is None else (ksk, ZSK))), why


def test_it_is_shown_together_with_the_key_that_signs_it() -> None:
    assert not _refused(KeySet(ORIGIN, (KSK, ZSK)))


def _refused(keyset: KeySet) -> bool:
    at = Situation(keyset, ZSK, SPLIT, Observations(), insecure=False)
    return conditions.refuses(at, RecordKind.DNSKEY, State.RUMOURED) is not None


@pytest.mark.parametrize(
    ("case", "kind", "to", "strange", "other", "refused"),
    [
        ("the last one of ours", RecordKind.DS, State.UNRETENTIVE, True, State.HIDDEN, True),
        ("the others are going", RecordKind.DS, State.UNRETENTIVE, True, State.UNRETENTIVE, True),
        ("one of ours stays", RecordKind.DS, State.UNRETENTIVE, True, State.OMNIPRESENT, False),
        ("one of ours comes", RecordKind.DS, State.UNRETENTIVE, True, State.RUMOURED, False),
        ("there is no other", RecordKind.DS, State.UNRETENTIVE, False, State.HIDDEN, False),
        ("it comes", RecordKind.DS, State.RUMOURED, True, State.HIDDEN, False),
        ("it is forgotten", RecordKind.DS, State.HIDDEN, True, State.HIDDEN, False),
        ("no DS", RecordKind.DNSKEY, State.UNRETENTIVE, True, State.HIDDEN, False),
    ],
)
def test_our_last_ds_stays_beside_one_of_nobodys_keys(
    case: str, kind: RecordKind, to: State, strange: bool, other: State, refused: bool
) -> None:
    beside = attrs.evolve(KSK, fingerprint="other").with_record(RecordKind.DS, Record(other))
    ours = KSK.with_record(RecordKind.DS, Record(State.OMNIPRESENT))
    seen = Observations(strange_ds=strange)
    at = Situation(KeySet(ORIGIN, (ours, beside)), ours, SPLIT, seen, insecure=True)
    assert (conditions.strange_refuses(at, kind, to) is not None) == refused, case
