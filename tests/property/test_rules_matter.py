"""The check is checked: each part of the rules, of the conditions and of the waits is taken
out, and something breaks, or somebody waits for ever.

What can be taken out of `signer.rules` and `signer.conditions` is found by their syntax
(`mutants`), and shown in one story of `orders` (the rules alone) or `steps` (the machine),
which is gone through in every order. `test_waits_matter` does so for waits, in worlds with time.
"""

from types import ModuleType

import attrs
import orders
import pytest
from found import CONDITIONS_FOUND, IMPLIED, RULES_FOUND
from loststories import LOST
from mutants import Mutant, mutants
from orders import STORIES as ORDERS
from orders import Exploration as Orders
from steps import Exploration as Steps
from stories import STORIES as STEPS

from signer import advance, conditions, foreign, goals, rules
from signer.actions import Blocker
from signer.conditions import Situation
from signer.keyset import Key, KeySet, RecordKind, State
from signer.observations import Observations
from signer.policy import Policy
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
        return Steps(STEPS[story]).run(600).wrong
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
    assert sorted(_BY_NAME) == sorted((*_FOUND, *IMPLIED))


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


# --- what is implied ------------------------------------------------------------------------

_Asked = tuple[Situation, RecordKind, State, bool]


@pytest.fixture(scope="module")
def asked() -> list[_Asked]:
    """All that conditions are asked in the stories of lost keys, not far from their beginnings,
    and whether the whole machine agrees."""
    found: dict[object, _Asked] = {}
    refusal = advance._refusal

    def listening(
        keyset: KeySet,
        key: Key,
        kind: RecordKind,
        to: State,
        policy: Policy,
        seen: Observations,
        now: float,
    ) -> Blocker | None:
        no = refusal(keyset, key, kind, to, policy, seen, now)
        at = Situation(keyset, key, policy, seen, goals.insecure(keyset, policy))
        found[keyset, key.fingerprint, kind, to, policy] = (at, kind, to, no is None)
        return no

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(advance, "_refusal", listening)
        for story in LOST.values():
            Steps(story).run(60)
    return list(found.values())


def _decides(mutant: Mutant, asked: list[_Asked]) -> bool:
    """Whether the machine would do something else anywhere without it."""
    module = mutant.load()
    for at, kind, to, allowed in asked:
        was, becomes = (one.refuses(at, kind, to) is None for one in (conditions, module))
        if was is not becomes and (allowed or becomes):
            return True
    return False


@pytest.mark.parametrize("name", sorted(IMPLIED))
def test_the_rest_of_the_machine_implies_it(name: str, asked: list[_Asked]) -> None:
    assert not _decides(_BY_NAME[name], asked)


def test_that_would_be_seen(asked: list[_Asked]) -> None:
    assert _decides(_BY_NAME["CONDITIONS: without a lost key ZRRSIG _R"], asked)
