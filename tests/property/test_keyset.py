"""Whatever is seen and whenever it is asked, keys never move faster than caches forget."""

import attrs
import dns.name
from hypothesis import given
from hypothesis import strategies as st

from signer.advance import advance
from signer.keyset import Key, KeySet, RecordKind, Role, State
from signer.observations import Observations
from signer.policy import Policy

ORIGIN = dns.name.from_text("example.org.")
FINGERPRINT = "a" * 64
POLICY = Policy()
EVENT = st.tuples(
    st.integers(1, 200_000),  # how much later
    st.booleans(),  # our servers show it
    st.booleans(),  # the parent shows the DS
)


def new() -> KeySet:
    key = Key.hidden(FINGERPRINT, Role.CSK, b"\x01\x01\x03\x0d" + bytes(64), 0, 0.0)
    return KeySet(ORIGIN).with_key(key, made_here=True)


@given(st.lists(EVENT, max_size=12))
def test_omnipresence_comes_after_a_ttl_of_being_seen(events: list[tuple[int, bool, bool]]) -> None:
    keyset, now = new(), 0.0
    published: float | None = None
    ds: float | None = None
    order = list(State)
    for later, shown, at_parent in events:
        now += later
        published = (published or now) if shown or published else None
        ds = (ds or now) if at_parent else None
        ours = (RecordKind.DNSKEY, RecordKind.ZRRSIG, RecordKind.KRRSIG)
        shown = {} if published is None else {(FINGERPRINT, kind): published for kind in ours}
        if ds is not None:
            shown[FINGERPRINT, RecordKind.DS] = ds
        seen = Observations(
            shown=shown,
            ds_anywhere=frozenset() if ds is None else frozenset({FINGERPRINT}),
        )
        before = keyset.keys[0]
        step = advance(keyset, POLICY, seen, now)
        keyset = step.keyset
        after = keyset.keys[0]
        for kind in RecordKind:
            was, is_ = before.state(kind), after.state(kind)
            assert was is not None
            assert is_ is not None
            assert order.index(was) <= order.index(is_), "nothing goes back by itself"
        if after.state(RecordKind.DNSKEY) is State.OMNIPRESENT:
            assert published is not None
            assert now >= published + POLICY.dnskey_ttl
        if after.state(RecordKind.ZRRSIG) is State.OMNIPRESENT:
            assert published is not None
            assert now >= published + POLICY.max_zone_ttl
        if after.state(RecordKind.DS) is State.OMNIPRESENT and (
            before.state(RecordKind.DS) is not State.OMNIPRESENT
        ):
            assert ds is not None
            assert now >= ds + POLICY.parent_ds_ttl
        assert step.next_due is None or step.next_due > now
        assert attrs.evolve(keyset) == advance(keyset, POLICY, seen, now).keyset
