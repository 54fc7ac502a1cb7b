"""The check is checked: each part of the rules, of the conditions and of the waits is taken
out, and something breaks, or somebody waits for ever.

What can be taken out of `signer.rules` and `signer.conditions` is found by their syntax
(`mutants`), and shown in one story of `orders` (the rules alone) or `steps` (the machine),
which is gone through in every order. Waits are shown in worlds with time.
"""

import random
from collections.abc import Callable
from types import ModuleType

import attrs
import orders
import pytest
import zoneworld
from found import CONDITIONS_FOUND, RULES_FOUND, UNFOUND, WORLDS_FOUND
from mutants import Mutant, mutants
from orders import STORIES as ORDERS
from orders import Exploration as Orders
from steps import STORIES as STEPS
from steps import Exploration as Steps

from signer import advance, conditions, foreign, goals, rules, times
from signer.keyset import RecordKind, State
from signer.rules import Row

_OF_RULES = mutants(rules, frozenset({"R1", "R2", "R3"}), frozenset({"rows"}))
_OF_CONDITIONS = mutants(
    conditions,
    frozenset({"CONDITIONS"}),
    # Of the parent, of whom these worlds have one that obeys; test_conditions has the last one's.
    frozenset({"refuses", "island_refuses", "strange_refuses"}),
)
_BY_NAME = {one.name: one for one in (*_OF_RULES, *_OF_CONDITIONS)}
_FOUND = {
    name: story
    for table in (RULES_FOUND, CONDITIONS_FOUND)
    for story, names in table.items()
    for name in names
}


def broken(story: str) -> str:
    """What is wrong in a story; a rule that is not there any more may also end in an error."""
    if story.startswith("rules: "):
        found = Orders(ORDERS[story.removeprefix("rules: ")]).run(20_000)
        return found.bogus or ("" if found.stuck is None else f"stuck at {found.stuck}")
    try:
        return Steps(STEPS[story]).run(20_000).wrong
    except AttributeError as error:
        return str(error)


def _take_out(patch: pytest.MonkeyPatch, mutant: Mutant) -> None:
    module: ModuleType = mutant.load()
    if mutant.module == "signer.rules":
        for user in (orders, advance):
            patch.setattr(user, "rules", module)
    else:
        patch.setattr(advance, "conditions", module)
        for user in (rules, goals, foreign):
            patch.setattr(user, "frozen_by", module.frozen_by)


@pytest.mark.parametrize("name", sorted(_FOUND))
def test_without_it_something_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _take_out(monkeypatch, _BY_NAME[name])
    assert broken(_FOUND[name]), f"{name}: nothing broke"


@pytest.mark.parametrize("story", sorted(set(_FOUND.values())))
def test_with_all_of_it_nothing_does(story: str) -> None:
    assert not broken(story)


def test_every_part_is_accounted_for() -> None:
    assert sorted(_BY_NAME) == sorted((*_FOUND, *WORLDS_FOUND, *UNFOUND))


def test_a_swap_counts_on_no_record_that_was_never_everywhere(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The paper's pairs as they are written: a key that came and went covers no cache."""
    matches = Row.matches

    def lenient(row: Row, mask: str) -> bool:
        return matches(attrs.evolve(row, states=row.states.upper()), mask)

    monkeypatch.setattr(Row, "matches", lenient)
    assert broken("rules: zone keys, one upon another")


def test_a_swap_counts_on_no_key_that_came_after_the_old_one_went(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(rules, "_took_over", lambda old, new, matters: True)
    assert broken("rules: zone keys, one upon another")


# --- waits ----------------------------------------------------------------------------------

_WORLDS = 120
_BROKEN = (
    zoneworld.BogusMoment,
    zoneworld.Unsound,
    zoneworld.Unsecured,
    zoneworld.Stalled,
    ValueError,
)
Mutation = Callable[[pytest.MonkeyPatch], None]


def lives(first: int = 0) -> Exception | None:
    """What goes wrong first, if anything does."""
    for seed in (first, *range(_WORLDS)):
        world = zoneworld.some_world(random.Random(seed))
        world.setting = attrs.evolve(world.setting, pause=5 * zoneworld.DAY)
        try:
            world.run(200 * zoneworld.DAY)
            world.settle()
        except _BROKEN as error:
            return error
    return None


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


def without_last_ds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(times, "_last_ds", lambda keyset, key: False)


WAITS: dict[str, Mutation] = {
    **{
        f"no wait: {kind.value} {to.letter}": no_wait(kind, to)
        for kind in RecordKind
        for to in (State.OMNIPRESENT, State.HIDDEN)
    },
    "without observation": without_observation,
    "without what the last DS leaves": without_last_ds,
}
# Of these no world has shown harm: what waits for the same caches.
ALSO_WAITED_FOR = {
    "no wait: ZRRSIG H": "its successor's way to omnipresent",
    "no wait: KRRSIG H": "the DNSKEY beside it",
}


@pytest.mark.parametrize("name", sorted(set(WAITS) - set(ALSO_WAITED_FOR)))
def test_without_a_wait_something_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    WAITS[name](monkeypatch)
    assert lives() is not None, f"{name}: nothing broke"


@pytest.mark.parametrize("name", sorted(WORLDS_FOUND))
def test_without_it_some_world_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    _take_out(monkeypatch, _BY_NAME[name])
    assert lives(WORLDS_FOUND[name]) is not None, f"{name}: nothing broke"
