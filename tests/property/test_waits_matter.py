"""The check is checked: each wait is taken out, and something breaks in a world with time, or it
is shown that nothing counts on it."""

import itertools
import random
from collections.abc import Callable

import attrs
import pytest
import zoneworld
from busy import busy, wrong
from foreignstories import FOREIGN
from steps import ORIGIN, POLICY, Exploration, key_in
from zoneworld import DAY, World

from signer import conditions, denials, foreign, rules, times
from signer.actions import Blocker
from signer.cachemodel import Data, KeyRRset, answer
from signer.conditions import CONDITIONS, Situation
from signer.keyset import ForeignKey, KeySet, RecordKind, Role, State
from signer.observations import Observations
from signer.policy import Policy
from signer.rules import Row

DNSKEY, ZRRSIG, KRRSIG, DS = RecordKind
_WORLDS = 120
Mutation = Callable[[pytest.MonkeyPatch], None]


def with_other_ttls(seed: int) -> World:
    """New keys, and TTLs of a day or of a minute, by turns."""
    world = zoneworld.some_world(random.Random(seed), ("roll",))
    world.setting = attrs.evolve(world.setting, pause=5 * DAY)

    def turn(ttl: int) -> None:
        world.policy = attrs.evolve(world.policy, dnskey_ttl=ttl, max_zone_ttl=ttl)
        world.other_ttl(ttl)

    for turns in range(80):
        ttl = 60 if turns % 2 else DAY
        world.at(0.5 * DAY * turns, lambda ttl=ttl: turn(ttl))
    return world


def losing(seed: int) -> World:
    """Keys are lost while the denial is switched."""
    world = zoneworld.some_world(random.Random(seed), ("lose", "denial"))
    world.setting = attrs.evolve(world.setting, pause=5 * DAY)
    return world


def no_wait(kind: RecordKind, to: State) -> Mutation:
    def apply(patch: pytest.MonkeyPatch) -> None:
        old = times.wait

        def wait(found: RecordKind, target: State, highest: int, policy: Policy) -> int:
            return 0 if (found, target) == (kind, to) else old(found, target, highest, policy)

        patch.setattr(times, "wait", wait)

    return apply


def without_observation(patch: pytest.MonkeyPatch) -> None:
    """.nl, 2012: clocks that start at what was ordered."""
    patch.setattr(times, "observed", lambda key, kind, to, seen: key.record(kind).since)


def without_last_ds(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(times, "_last_ds", lambda keyset, key: False)


def of_today(*kinds: RecordKind) -> Mutation:
    """Waits that count the TTL of today's policy, not the highest that caches may hold."""

    def apply(patch: pytest.MonkeyPatch) -> None:
        old = times.wait

        def wait(kind: RecordKind, to: State, highest: int, policy: Policy) -> int:
            today = policy.max_zone_ttl if kind is ZRRSIG else policy.dnskey_ttl
            return old(kind, to, today if kind in kinds else highest, policy)

        patch.setattr(times, "wait", wait)

    return apply


def ds_ttl_of_today(patch: pytest.MonkeyPatch) -> None:
    seen = World._seen

    def forgetful(world: World) -> Observations:
        return attrs.evolve(seen(world), ds_ttl=world.setting.parent_ttl)

    patch.setattr(World, "_seen", forgetful)


def denial_by_lost_keys(patch: pytest.MonkeyPatch) -> None:
    """A switch does not wait for a lost key to be replaced."""
    old = denials.advance

    def able(keyset: KeySet, policy: Policy, seen: Observations, now: float) -> object:
        keys = tuple(attrs.evolve(key, lost=False) for key in keyset.keys)
        found, *rest = old(attrs.evolve(keyset, keys=keys), policy, seen, now)
        return attrs.evolve(keyset, denials=found.denials), *rest

    patch.setattr(denials, "advance", able)


#: What is taken out, in what kind of world it is missed, and with which seed.
WAITS: dict[str, tuple[Mutation, Callable[[int], World], int]] = {
    "DNSKEY everywhere": (no_wait(DNSKEY, State.OMNIPRESENT), busy, 0),
    "DNSKEY gone": (no_wait(DNSKEY, State.HIDDEN), busy, 0),
    "ZRRSIG everywhere": (no_wait(ZRRSIG, State.OMNIPRESENT), busy, 0),
    "KRRSIG everywhere": (no_wait(KRRSIG, State.OMNIPRESENT), busy, 32),
    "DS everywhere": (no_wait(DS, State.OMNIPRESENT), busy, 0),
    "DS gone": (no_wait(DS, State.HIDDEN), busy, 0),
    "what was seen": (without_observation, busy, 0),
    "what the last DS leaves": (without_last_ds, busy, 1),
    "the highest DNSKEY TTL": (of_today(DNSKEY, KRRSIG), with_other_ttls, 0),
    "the zone's highest TTL": (of_today(ZRRSIG), with_other_ttls, 0),
    "the highest DS TTL": (ds_ttl_of_today, with_other_ttls, 1),
    "a new chain, signed by a lost key": (denial_by_lost_keys, losing, 1),
}


@pytest.mark.parametrize("name", WAITS)
def test_without_a_wait_something_breaks(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    mutation, world, seed = WAITS[name]
    assert wrong(world(seed)) is None
    mutation(monkeypatch)
    assert any(wrong(world(one)) for one in (seed, *range(_WORLDS))), f"{name}: nothing broke"


# --- what nothing counts on -----------------------------------------------------------------

_ALGORITHM = 13
_OTHERS = ("HHHH", "RRRH", "OOOO", "OUUO", "UUUU")


def _rules_count_on(kind: RecordKind) -> bool:
    """Whether a rule holds with a record hidden, and not with what caches still have of it."""
    at = rules.POSITIONS[kind]
    for letters in itertools.product("HROU", repeat=8):
        first, second = "".join(letters[:4]), "".join(letters[4:])
        # A rule looks at one kind of signature only.
        if first[at] != "H" or {first[3 - at], second[3 - at]} != {"O"}:
            continue
        hidden = (Row("a", _ALGORITHM, first), Row("b", _ALGORITHM, second))
        kept = (attrs.evolve(hidden[0], states=first[:at] + "U" + first[at + 1 :]), hidden[1])
        for rule in (rules.R2, rules.R3):
            if rule.holds(hidden, _ALGORITHM) and not rule.holds(kept, _ALGORITHM):
                return True
    return False


def _conditions_count_on(kind: RecordKind) -> bool:
    at = rules.POSITIONS[kind]
    for letters in itertools.product("HROU", repeat=4):
        states = "".join(letters)
        if states[at] != "H":
            continue
        kept = states[:at] + "U" + states[at + 1 :]
        for others in _OTHERS:
            both = [_refused(one, others) for one in (states, kept)]
            if both[0] != both[1]:
                return True
    return False


def _refused(states: str, others: str) -> list[bool]:
    found = (key_in("a", Role.CSK, 13, states), key_in("b", Role.CSK, 13, others))
    keyset = KeySet(ORIGIN, found)
    return [
        condition.problem(Situation(keyset, key, POLICY, Observations(), insecure)) is not None
        for condition in CONDITIONS
        for key in found
        for insecure in (False, True)
        # The record itself moves on from where it is.
        if (key.fingerprint, condition.kind) != ("a", RecordKind.ZRRSIG)
    ]


@pytest.mark.parametrize(
    ("kind", "counted"), [(DNSKEY, True), (ZRRSIG, False), (KRRSIG, False), (DS, True)]
)
def test_what_is_left_in_caches_of_a_signature_is_in_nobodys_way(
    kind: RecordKind, counted: bool
) -> None:
    """Whatever may happen once it is in no cache, may happen as long as it is in some."""
    assert (_rules_count_on(kind) or _conditions_count_on(kind)) is counted


def test_proofs_of_both_kinds_may_be_in_a_cache() -> None:
    """The wait of a switch is a margin: a proof is held against its own chain only."""
    keys = [(name, algorithm) for name in "ab" for algorithm in (8, 13)]
    sets = [frozenset(found) for count in range(5) for found in itertools.combinations(keys, count)]
    for shown, signers in itertools.product(sets, repeat=2):
        rrset = KeyRRset(shown, shown)
        verdicts = {answer(rrset, Data(signers, proof)) for proof in ("NSEC", "NSEC3")}
        assert len(verdicts) == 1


def foreign_at_once(patch: pytest.MonkeyPatch) -> None:
    old = foreign._refusal

    def refusal(
        keyset: KeySet,
        key: ForeignKey,
        to: State,
        policy: Policy,
        seen: Observations,
        now: float,
    ) -> Blocker | None:
        waits = to in (State.OMNIPRESENT, State.HIDDEN)
        return None if waits else old(keyset, key, to, policy, seen, now)

    patch.setattr(foreign, "_refusal", refusal)


def ours_at_once(patch: pytest.MonkeyPatch) -> None:
    kept = tuple(one for one in CONDITIONS if one.name != "foreign DNSKEY")
    patch.setattr(conditions, "CONDITIONS", kept)


@pytest.mark.parametrize(("mutation", "harms"), [(foreign_at_once, False), (ours_at_once, True)])
def test_who_waits_for_other_signers_keys_to_go_is_ours(
    mutation: Mutation, harms: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No cache has a version with a foreign DNSKEY once none has one with ours, which stays at
    least as long."""
    mutation(monkeypatch)
    found = [Exploration(story).run(20_000).wrong for story in FOREIGN.values()]
    assert any(found) is harms, found
