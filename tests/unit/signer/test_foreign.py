"""DNSKEY of another signer beside ours, and what they ask of our keys."""

import attrs
import dns.name
import pytest

from signer import conditions, foreign
from signer.conditions import Situation
from signer.keyset import (
    CARRIES,
    ForeignKey,
    Goal,
    Key,
    KeySet,
    Record,
    RecordKind,
    Role,
    State,
)
from signer.observations import Observations
from signer.policy import Policy

ORIGIN = dns.name.from_text("example.org.")
DNSKEY, ZRRSIG, KRRSIG, DS = RecordKind
H, R, O, U = State  # noqa: E741
THEIRS = b"\x01\x00\x03\x0f another signer's"


def key(name: str, algorithm: int, state: State = O, **values: object) -> Key:
    records = tuple((kind, Record(state)) for kind in CARRIES[Role.CSK])
    dnskey = b"\x01\x01\x03" + bytes([algorithm]) + name.encode()
    return attrs.evolve(Key(name, Role.CSK, dnskey, 0, records), **values)


def zone(*keys: Key, theirs: State = H) -> KeySet:
    return KeySet(ORIGIN, keys, foreign=(ForeignKey(THEIRS, Record(theirs)),))


def published(keyset: KeySet) -> State:
    after, _, _ = foreign.advance(keyset, Policy(), Observations(), 1.0)
    return after.foreign[0].record.state


@pytest.mark.parametrize("ours", [O, R])
def test_it_is_published_beside_a_key_of_its_algorithm_that_stays(ours: State) -> None:
    """Where ours shows the algorithm, if only from now on, theirs asks for nothing more."""
    assert published(zone(key("ours", 15, ours))) is R


@pytest.mark.parametrize(
    ("ours", "why"),
    [
        (key("ours", 13), "we don't sign with its algorithm"),
        (key("ours", 15, goal=Goal.HIDDEN), "our key of its algorithm is going"),
        (key("ours", 15, lost=True), "nobody can sign another DNSKEY RRset"),
    ],
)
def test_it_waits_otherwise(ours: Key, why: str) -> None:
    assert published(zone(ours)) is H, why


@pytest.mark.parametrize("theirs", [R, O, U])
def test_our_last_key_of_its_algorithm_stays_while_a_cache_may_have_it(
    theirs: State,
) -> None:
    leaving = key("old", 15, goal=Goal.HIDDEN).with_record(DS, Record(H))
    leaving = leaving.with_record(KRRSIG, Record(H))
    keyset = zone(leaving, key("new", 8), theirs=theirs)
    at = Situation(keyset, leaving, Policy(), Observations(), insecure=False)
    for kind, name in ((DNSKEY, "foreign DNSKEY"), (ZRRSIG, "signatures after DNSKEY")):
        refused = conditions.refuses(at, kind, U)
        assert refused is not None
        assert refused[0].name == name
    mate = zone(leaving, key("mate", 15), theirs=theirs)
    at = attrs.evolve(at, keyset=mate)
    assert conditions.refuses(at, DNSKEY, U) is None
