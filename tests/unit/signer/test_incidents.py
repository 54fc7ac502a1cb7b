"""What has broken real zones: the naive way is refused by a validator, ours never is.

Each test has both: what was done there, as versions that follow one another, which the model
of caches finds bogus; and the same wish given to our machine, whose every step it lets pass.
"""

from collections.abc import Callable

import attrs
import dns.name
import pytest

from signer import operations, planner
from signer.cachemodel import Caches, Data, Delegation, KeyId, KeyRRset, Verdict
from signer.keyset import KeySet, RecordKind, Role, State
from signer.observations import Observations
from signer.planner import Plan, plan
from signer.policy import DAY, HOUR, DsMode, KeyLayout, Nsec3, Policy

ORIGIN = dns.name.from_text("example.org.")
SPLIT = Policy(keys=KeyLayout.KSK_ZSK)
KSK, ZSK, NEW_KSK, NEW_ZSK = ("ksk", 13), ("zsk", 13), ("new ksk", 13), ("new zsk", 13)
DNSKEY, ZRRSIG, KRRSIG, DS = RecordKind
SIGNED = frozenset({Data(frozenset({ZSK})), Data(frozenset({ZSK}), "NSEC")})
TTLS = (HOUR, DAY)


def keys(*names: KeyId, by: tuple[KeyId, ...] = (KSK,)) -> KeyRRset:
    return KeyRRset(frozenset(names), frozenset(by))


def signed(*names: KeyId, proof: str = "NSEC", whole: bool = True) -> frozenset[Data]:
    signers = frozenset(names)
    return frozenset({Data(signers), Data(signers, proof, whole)})


def before() -> Caches:
    """A zone that has been signed for long."""
    caches = Caches()
    caches.parent("parent", Delegation(frozenset({KSK})), DAY, 0.0)
    caches.zone("server", keys(KSK, ZSK), SIGNED, TTLS, 0.0)
    assert caches.bogus(10.0 * DAY) is None
    return caches


def established(policy: Policy = SPLIT) -> KeySet:
    made = plan(KeySet(ORIGIN), policy, Observations(), 0.0, 5.0 * DAY)
    assert made.ended
    return made.steps[-1].keyset


def run(wish: Callable[[KeySet], KeySet], policy: Policy = SPLIT) -> Plan:
    """Our machine, from a zone that was signed under the default policy of two keys."""
    found = plan(wish(established()), policy, Observations(), 5.0 * DAY, 60.0 * DAY)
    assert found.stopped is None
    return found


def roll(*roles: Role) -> Callable[[KeySet], KeySet]:
    return lambda keyset: operations.roll(keyset, SPLIT, frozenset(roles))


def test_nz_2023_the_old_key_signs_until_its_ds_is_forgotten() -> None:
    caches = before()
    caches.parent("parent", Delegation(frozenset({NEW_KSK})), DAY, 10.0 * DAY)
    caches.zone("server", keys(NEW_KSK, ZSK, by=(NEW_KSK,)), SIGNED, TTLS, 10.0 * DAY + 2 * HOUR)
    mix = caches.bogus(10.0 * DAY + 2 * HOUR)
    assert mix is not None
    assert "no DS of algorithm 13" in mix.why
    for step in run(roll(Role.KSK)).steps:
        old = step.keyset.keys[0]
        if old.state(DS) is not State.HIDDEN:
            assert old.visible(KRRSIG)
            assert old.visible(DNSKEY)


def test_zone_keys_swapped_at_once() -> None:
    caches = before()
    caches.zone("server", keys(KSK, NEW_ZSK), signed(NEW_ZSK), TTLS, 10.0 * DAY)
    mix = caches.bogus(10.0 * DAY)
    assert mix is not None
    assert mix.data is not None
    found = run(roll(Role.ZSK))
    assert found.steps[-1].keyset.keys[1].all_hidden()


def test_e164_arpa_2011_each_ds_leads_to_a_key_that_signs_the_key_set() -> None:
    caches = before()
    caches.zone("server", keys(KSK, ZSK, by=()), SIGNED, TTLS, 10.0 * DAY)
    assert caches.bogus(10.0 * DAY) is not None
    for step in run(roll(Role.KSK, Role.ZSK)).steps:
        signing = {key.fingerprint for key in step.keyset.keys if key.visible(KRRSIG)}
        assert any(
            key.fingerprint in signing for key in step.keyset.keys if key.state(DS) is not None
        )


def test_gov_2013_an_algorithm_is_shown_when_everything_is_signed_with_it() -> None:
    other = ("new", 8)
    caches = before()
    caches.zone("server", keys(KSK, ZSK, other, by=(KSK, other)), SIGNED, TTLS, 10.0 * DAY)
    mix = caches.bogus(10.0 * DAY)
    assert mix is not None
    assert "algorithm 8" in mix.why
    found = run(lambda keyset: operations.roll_algorithm(keyset, SPLIT, 8))
    moved = [(step.at, move) for step in found.steps for move in step.moves]
    new = {key.fingerprint for key in found.steps[-1].keyset.keys if key.algorithm == 8}

    def at(kind: RecordKind, to: State, ours: bool) -> float:
        return min(
            when
            for when, move in moved
            if move.record is kind and move.to is to and (move.key in new) == ours
        )

    assert at(ZRRSIG, State.OMNIPRESENT, True) <= at(DNSKEY, State.RUMOURED, True)
    assert at(DNSKEY, State.HIDDEN, False) <= at(ZRRSIG, State.UNRETENTIVE, False)
    assert all(key.algorithm == 8 or key.all_hidden() for key in found.steps[-1].keyset.keys)


def test_slack_2021_nothing_is_unsigned_while_a_ds_is_cached() -> None:
    caches = before()
    caches.parent("parent", Delegation(frozenset()), DAY, 10.0 * DAY)
    unsigned = frozenset({Data(frozenset())})
    caches.zone("server", keys(by=()), unsigned, TTLS, 10.0 * DAY + HOUR)
    assert caches.bogus(10.0 * DAY + HOUR) is not None
    found = run(operations.go_insecure)
    for step in found.steps:
        if step.keyset.keys[0].state(DS) is not State.HIDDEN:
            assert all(key.visible(DNSKEY) for key in step.keyset.keys)
    assert all(key.all_hidden() for key in found.steps[-1].keyset.keys)


def test_a_resolver_that_validated_with_a_ds_that_is_gone_still_wants_signatures() -> None:
    caches = before()
    caches.parent("parent", Delegation(frozenset()), 60, 10.0 * DAY)
    caches.forget(11.0 * DAY)
    caches.zone("server", keys(by=()), frozenset({Data(frozenset())}), TTLS, 11.0 * DAY)
    mix = caches.bogus(11.0 * DAY + 60)
    assert mix is not None, "the DS has ended; keys that it proved have not"
    assert caches.bogus(11.0 * DAY + HOUR) is None


def test_fj_2022_the_key_that_signs_is_in_the_published_key_set() -> None:
    caches = before()
    caches.zone("server", keys(KSK, ZSK), signed(NEW_ZSK), TTLS, 10.0 * DAY)
    assert caches.bogus(10.0 * DAY) is not None
    for step in run(roll(Role.ZSK)).steps:
        shown = [key for key in step.keyset.keys if key.visible(DNSKEY)]
        assert any(key.visible(ZRRSIG) for key in shown)


def test_nsec_to_nsec3_before_the_chain_is_complete() -> None:
    caches = before()
    caches.zone("server", keys(KSK, ZSK), signed(ZSK, proof="NSEC3", whole=False), TTLS, 10.0 * DAY)
    mix = caches.bogus(10.0 * DAY)
    assert mix is not None
    assert "gaps" in mix.why
    found = run(lambda keyset: keyset, attrs.evolve(SPLIT, nsec3=Nsec3()))
    assert [denial.nsec3 for denial in found.steps[-1].keyset.denials] == [Nsec3()]
    assert any(len(step.keyset.denials) == 2 for step in found.steps), "the old one is waited for"


def test_a_lost_key_is_replaced_ds_first() -> None:
    """The key set can't change before every cache has the new DS: nobody could sign it."""
    found = run(lambda keyset: operations.lose(keyset, keyset.keys[0].fingerprint))
    for step in found.steps:
        new = step.keyset.keys[-1]
        if new.visible(DNSKEY) and new.role is Role.KSK:
            assert new.state(DS) is State.OMNIPRESENT
    assert found.steps[-1].keyset.keys[0].all_hidden()


def test_double_ds_brings_the_ds_before_the_key() -> None:
    policy = attrs.evolve(SPLIT, ds=DsMode.DOUBLE_DS)
    found = run(roll(Role.KSK), policy)
    first = next(step for step in found.steps if any(m.record is DS for m in step.moves))
    assert not first.keyset.keys[-1].visible(DNSKEY)
    assert found.steps[-1].keyset.keys[0].all_hidden()


@pytest.mark.parametrize("layout", list(KeyLayout))
def test_the_layout_changes_without_a_gap(layout: KeyLayout) -> None:
    found = run(lambda keyset: keyset, Policy(keys=layout))
    stays = {key.role for key in found.steps[-1].keyset.keys if not key.all_hidden()}
    assert stays == ({Role.CSK} if layout is KeyLayout.CSK else {Role.KSK, Role.ZSK})


def test_the_planner_says_which_mix_is_bogus() -> None:
    """A key set in which somebody has hidden the DNSKEY under a live DS."""
    good = established()
    broken = good.keys[0]
    for kind in (DNSKEY, KRRSIG):
        record = broken.record(kind)
        assert record is not None
        broken = broken.with_record(kind, attrs.evolve(record, state=State.UNRETENTIVE))
    mix = planner.check(good, good.replaced(broken), SPLIT, 10.0 * DAY)
    assert mix is not None
    assert mix.verdict is Verdict.BOGUS
    assert planner.check(good, good, SPLIT, 10.0 * DAY) is None
