"""Registrars that carry out an old order once more, and keys that are lost on their way out."""

import attrs
import dns.name

from signer import times
from signer.actions import SubmitDs, WithdrawDs
from signer.advance import advance
from signer.conditions import double_ds
from signer.keyset import CARRIES, Goal, Key, KeySet, Record, RecordKind, Role, State
from signer.observations import Observations
from signer.policy import DAY, KeyLayout, Policy

ORIGIN = dns.name.from_text("example.org.")
DNSKEY, ZRRSIG, KRRSIG, DS = RecordKind


def csk(name: str, **values: object) -> Key:
    records = tuple((kind, Record(State.OMNIPRESENT)) for kind in CARRIES[Role.CSK])
    return attrs.evolve(
        Key(name, Role.CSK, b"\x01\x01\x03\x0d" + name.encode(), 0, records), **values
    )


OLD = csk("old", goal=Goal.HIDDEN, successor="new").with_record(DS, Record(State.UNRETENTIVE))
NEW = csk("new", predecessor="old")


def orders(*at_parent: str) -> list[object]:
    seen = Observations(ds_anywhere=frozenset(at_parent))
    step = advance(KeySet(ORIGIN, (OLD, NEW)), Policy(), seen, 1.0)
    return [one for one in step.actions if isinstance(one, SubmitDs | WithdrawDs)]


def test_the_old_ds_is_taken_away_where_the_new_one_is() -> None:
    assert orders("old", "new") == [WithdrawDs(("old",), ("new",))]


def test_a_parent_that_is_back_at_the_old_ds_is_given_the_new_one_first() -> None:
    """A registrar that removes before it adds would leave no DS at all."""
    assert orders("old") == [SubmitDs(("new", "old"))]


def test_a_key_on_its_way_out_can_take_the_place_of_one_that_is_lost() -> None:
    """Its DS goes ahead, as of a key that was never published."""
    lost = csk("lost", lost=True, goal=Goal.HIDDEN, successor="rescue")
    rescue = (
        csk("rescue", predecessor="lost")
        .with_record(DNSKEY, Record(State.UNRETENTIVE))
        .with_record(DS, Record(State.HIDDEN))
    )
    keyset = KeySet(ORIGIN, (lost, rescue))
    assert double_ds(keyset, rescue, Policy())
    step = advance(keyset, Policy(), Observations(), 1.0)
    moved = step.keyset.key("rescue")
    assert moved is not None
    assert moved.state(DS) is State.RUMOURED
    assert moved.state(DNSKEY) is State.UNRETENTIVE


def test_who_was_believed_by_the_ds_that_went_last_is_waited_for() -> None:
    """Two DS go days apart, and the one that was taken away first is waited for longest."""
    records = {DS: Record(State.UNRETENTIVE, 5.0, 300), DNSKEY: Record(State.OMNIPRESENT)}
    old = Key.hidden("old", Role.KSK, b"\x01\x01\x03\x0dold", 0, 0.0)
    new = Key.hidden("new", Role.KSK, b"\x01\x01\x03\x0dnew", 0, 0.0)
    for kind, record in records.items():
        old, new = old.with_record(kind, record), new.with_record(kind, record)
    later = 9 * DAY
    new = new.with_record(DS, Record(State.HIDDEN, float(later), 300))
    policy = Policy(keys=KeyLayout.KSK_ZSK, dnskey_ttl=DAY, max_zone_ttl=DAY)
    seen = Observations(gone={("old", DS): 10.0}, ds_ttl=300, parent_looked=20.0 * DAY)

    def waits(now: float) -> float | None:
        keyset = KeySet(ORIGIN, (old, new))
        late = times.not_yet(keyset, old, DS, State.HIDDEN, policy, seen, now)
        return None if late is None else late.until

    assert waits(later + DAY - 1.0) == later + DAY
    assert waits(later + DAY + 0.0) is None
