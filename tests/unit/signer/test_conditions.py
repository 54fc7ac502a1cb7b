"""Who counts as a signer of the DNSKEY RRset that is about to be shown."""

import attrs
import dns.name
import pytest

from signer import conditions
from signer.conditions import Situation
from signer.keyset import Key, KeySet, RecordKind, Role, State
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
