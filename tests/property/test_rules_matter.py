"""The check is checked: without any one of the conditions, alternatives or waits that are not
margins, the zone-years find a bogus moment or a rollover that does not end."""

import random
from collections.abc import Callable

import attrs
import pytest
import zoneworld

from signer import conditions, rules, times
from signer.keyset import RecordKind, State
from signer.rules import Alternative, Row, Rule

_WORLDS = 120
_BROKEN = (zoneworld.BogusMoment, zoneworld.Unsound, zoneworld.Stalled, ValueError)
Mutation = Callable[[pytest.MonkeyPatch], None]


def lives(operations: tuple[str, ...] | None = None) -> Exception | None:
    """What goes wrong first, if anything does."""
    for seed in range(_WORLDS):
        rng = random.Random(seed)
        world = zoneworld.some_world(rng, operations or zoneworld.OPERATIONS)
        world.setting = attrs.evolve(world.setting, pause=5 * zoneworld.DAY)
        try:
            world.run(200 * zoneworld.DAY)
            world.settle()
        except _BROKEN as error:
            return error
    return None


def without_condition(number: int) -> Mutation:
    def apply(patch: pytest.MonkeyPatch) -> None:
        kept = (*conditions.CONDITIONS[:number], *conditions.CONDITIONS[number + 1 :])
        patch.setattr(conditions, "CONDITIONS", kept)

    return apply


def always(rule: str) -> Mutation:
    def apply(patch: pytest.MonkeyPatch) -> None:
        old: Rule = getattr(rules, rule)
        patch.setattr(
            rules, rule, attrs.evolve(old, alternatives=(Alternative("always", lambda keys: True),))
        )

    return apply


def no_wait(kind: RecordKind, to: State) -> Mutation:
    def apply(patch: pytest.MonkeyPatch) -> None:
        old = times.wait

        def wait(found: RecordKind, target: State, highest: int, policy: object) -> int:
            return 0 if (found, target) == (kind, to) else old(found, target, highest, policy)

        patch.setattr(times, "wait", wait)

    return apply


def without_observation(patch: pytest.MonkeyPatch) -> None:
    """.nl, 2012: clocks that start at what was ordered."""
    patch.setattr(times, "observed", lambda key, kind, to, seen: key.record(kind).since)


def without_partial(patch: pytest.MonkeyPatch) -> None:
    """The paper's pairs as they are written."""
    matches = Row.matches

    def lenient(row: Row, mask: str) -> bool:
        return matches(attrs.evolve(row, states=row.states.upper()), mask)

    patch.setattr(Row, "matches", lenient)


def without_last_ds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(times, "_last_ds", lambda keyset, key: False)


def per_algorithm(patch: pytest.MonkeyPatch) -> None:
    """The paper's 3a: the DS of the algorithm are hidden, whatever others there are."""
    first, *rest = rules.R3.alternatives
    loose = attrs.evolve(first, whole_zone=False)
    patch.setattr(rules, "R3", attrs.evolve(rules.R3, alternatives=(loose, *rest)))


MUTATIONS: dict[str, Mutation] = {
    **{
        f"without {one.name}: {one.kind.value} {one.to.letter}": without_condition(number)
        for number, one in enumerate(conditions.CONDITIONS)
    },
    "without R2": always("R2"),
    "without R3": always("R3"),
    **{
        f"no wait: {kind.value} {to.letter}": no_wait(kind, to)
        for kind in RecordKind
        for to in (State.OMNIPRESENT, State.HIDDEN)
    },
    "without observation": without_observation,
    "without partial": without_partial,
    "without what the last DS leaves": without_last_ds,
    "3a of one algorithm": per_algorithm,
}

# Of these no world has shown harm: what each is for, and what else covers the same caches.
ORDER_ONLY = {
    "without KRRSIG after DNSKEY: KRRSIG R": "a signature travels with its DNSKEY RRset",
    "without signing after DNSKEY: ZRRSIG R": "R3 keeps the old signatures beside it",
    "without a lost key: KRRSIG R": "the model makes no signature with a lost key",
    "without a lost key: ZRRSIG R": "only where a key is lost between two steps of a swap",
    "without double DS: DNSKEY R": "double KSK instead",
    "without DS after DNSKEY: DS R": "R2 wants another key everywhere, with its DS",
    "without another DS: DS U": "R2 lets DS be swapped; a parent might remove before it adds",
    "without DNSKEY after DS: DNSKEY U": "R2 wants another key everywhere, with its DS",
    "without KRRSIG after DS: KRRSIG U": "R2 wants another key everywhere, with its DS",
    "without signatures after DNSKEY: ZRRSIG U": "R3, where a DS leads to the zone",
    "without DNSKEY RRset signed: KRRSIG U": "R2, where a DS leads to the zone",
    "without DNSKEY RRset signed: DNSKEY U": "R2, where a DS leads to the zone",
    "without partial": "only in chains of three; tests/unit/signer/test_rules.py has one",
    "no wait: ZRRSIG H": "its successor's way to omnipresent waits for the same caches",
    "no wait: KRRSIG H": "the DNSKEY beside it waits for the same caches",
}


@pytest.mark.parametrize("name", sorted(set(MUTATIONS) - set(ORDER_ONLY)))
def test_without_it_something_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    MUTATIONS[name](monkeypatch)
    assert lives() is not None, f"{name}: nothing broke"


def test_every_condition_is_accounted_for() -> None:
    assert set(ORDER_ONLY) <= set(MUTATIONS)
    assert len(MUTATIONS) == len(conditions.CONDITIONS) + 2 + 8 + 4
