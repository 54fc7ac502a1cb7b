"""The key state machine: one call moves every record that may move, until nothing moves.

For each key and each record: what is desired (`goals`), whether the policy's order allows it
(`conditions`), whether the rules do (`rules`), whether it is time (`times`). No clock, no I/O.
"""

import attrs

from signer import conditions, denials, foreign, goals, rules, times
from signer.actions import (
    OBSERVATION,
    PERSON,
    POLICY,
    RULE,
    TIME,
    Action,
    Advance,
    Blocker,
    ObserveParent,
    ObserveServers,
    SignAll,
    SignApex,
    SubmitDs,
    WithdrawDs,
)
from signer.conditions import Situation
from signer.keyset import VISIBLE, Goal, Key, KeySet, Record, RecordKind, State
from signer.observations import Observations
from signer.policy import Policy

__all__ = ["advance"]

_ENDING = frozenset({State.RUMOURED, State.UNRETENTIVE})


def advance(keyset: KeySet, policy: Policy, seen: Observations, now: float) -> Advance:
    """`now` is in lived seconds. Applied to its own result at the same time, it moves
    nothing more."""
    if keyset.held is not None:
        evidence = f"held: {keyset.held}"
        held = [
            Blocker(key.fingerprint, None, None, PERSON, evidence, None, "hold")
            for key in keyset.keys
        ]
        return Advance(keyset, _looks(keyset, seen), tuple(held), None)
    keyset = _raise_ttls(keyset, policy, seen, now)
    wanted = goals.set_goals(keyset, policy, seen, now)
    keyset = _absorb(wanted.keyset, policy, seen, now)
    before = keyset
    while True:
        moved, blockers = _move_all(keyset, policy, seen, now)
        moved, denial_blockers, denial_actions = denials.advance(moved, policy, seen, now)
        moved, foreign_blockers, foreign_actions = foreign.advance(moved, policy, seen, now)
        if moved == keyset:
            break
        keyset = moved
    keyset = _book(keyset, now)
    purges, waiting = goals.purges(keyset, policy, now)
    said = (*wanted.blockers, *blockers, *denial_blockers, *foreign_blockers, *waiting)
    due = [blocker.until for blocker in said if blocker.until is not None]
    actions = (
        *wanted.actions,
        *purges,
        *_signs(before, keyset, seen),
        *denial_actions,
        *foreign_actions,
        *_looks(keyset, seen),
        *_parent(keyset, seen),
    )
    return Advance(
        keyset,
        tuple(dict.fromkeys(actions)),
        said,
        min(due, default=None),
        seen.dnskey_expires if conditions.frozen_by(keyset) else None,
    )


def _raise_ttls(keyset: KeySet, policy: Policy, seen: Observations, now: float) -> KeySet:
    """Keep the highest TTL under which a record was ever published: a policy that lowers it
    must not shorten a wait that caches still need. Once all servers have shown the lower one
    for as long as the higher lasts, the higher is forgotten."""
    highest = times.ttl(keyset, RecordKind.DNSKEY, policy, seen)
    lowered = seen.dnskey_ttl_since
    forget = lowered is not None and now >= lowered + highest + policy.propagation
    keys = []
    for key in keyset.keys:
        for kind, record in key.records:
            if record.state is State.HIDDEN:
                continue
            ttl = times.ttl_now(kind, policy, seen)
            keep = kind is RecordKind.ZRRSIG or (kind is not RecordKind.DS and not forget)
            if keep:
                ttl = max(ttl, record.ttl)
            if ttl != record.ttl:
                key = key.with_record(kind, attrs.evolve(record, ttl=ttl))
        keys.append(key)
    return attrs.evolve(keyset, keys=tuple(keys))


def _absorb(keyset: KeySet, policy: Policy, seen: Observations, now: float) -> KeySet:
    """A DS that is at the parent is there, whoever brought it: a parent that brings an old
    one back, or keys imported from another signer. Where we publish nothing yet, that signer
    did: then no order of first appearances has to be kept, and none could be."""
    appeared = [
        key
        for key in keyset.keys
        if key.fingerprint in seen.ds_anywhere and key.state(RecordKind.DS) is State.HIDDEN
    ]
    if not appeared:
        return keyset
    if all(key.all_hidden() for key in keyset.keys):
        for key in keyset.keys:
            for kind, record in key.records:
                to = goals.desired(goals.goal_of(key, kind, policy), record.state)
                if kind is not RecordKind.DS and to is State.RUMOURED:
                    ttl = times.ttl(keyset, kind, policy, seen)
                    key = key.with_record(kind, Record(to, now, ttl))
            keyset = keyset.replaced(key)
    for key in appeared:
        staying = goals.goal_of(key, RecordKind.DS, policy) is Goal.OMNIPRESENT
        to = State.RUMOURED if staying else State.UNRETENTIVE
        record = Record().moved(to, now, times.ttl(keyset, RecordKind.DS, policy, seen))
        key = keyset.key(key.fingerprint) or key
        key = attrs.evolve(key.with_record(RecordKind.DS, record), removed_since=None)
        keyset = keyset.replaced(key)
    return keyset


def _move_all(
    keyset: KeySet, policy: Policy, seen: Observations, now: float
) -> tuple[KeySet, tuple[Blocker, ...]]:
    while True:
        blockers: list[Blocker] = []
        for key in keyset.keys:
            moved = _move_one(keyset, key, policy, seen, now, blockers)
            if moved is not None:
                keyset = keyset.replaced(moved)
                break
        else:
            return keyset, tuple(blockers)


def _move_one(
    keyset: KeySet,
    key: Key,
    policy: Policy,
    seen: Observations,
    now: float,
    blockers: list[Blocker],
) -> Key | None:
    """The key with its first record that may move, moved; None when none may."""
    for kind, record in key.records:
        wanted = goals.desired(goals.goal_of(key, kind, policy), record.state)
        if wanted is record.state:
            continue
        ways = [wanted]
        if record.state is State.RUMOURED and wanted is State.UNRETENTIVE:
            # What may not go yet is known ever more widely meanwhile.
            ways.append(State.OMNIPRESENT)
        if record.state is State.UNRETENTIVE and wanted is State.RUMOURED:
            # What may not return yet is forgotten meanwhile, and comes as a new one does.
            ways.append(State.HIDDEN)
        for to in ways:
            no = _refusal(keyset, key, kind, to, policy, seen, now)
            if no is None:
                highest = max(record.ttl, times.ttl(keyset, kind, policy, seen))
                return key.with_record(kind, record.moved(to, now, highest))
            blockers.append(no)
    return None


def _refusal(
    keyset: KeySet,
    key: Key,
    kind: RecordKind,
    to: State,
    policy: Policy,
    seen: Observations,
    now: float,
) -> Blocker | None:
    """Who says no to a change, in the order policy, rule, time; None when nobody does."""

    def no(who: str, evidence: str, until: float | None = None, rule: str = "") -> Blocker:
        return Blocker(key.fingerprint, kind, to, who, evidence, until, rule)

    insecure = goals.insecure(keyset, policy)
    at = Situation(keyset, key, policy, seen, insecure)
    evidence = conditions.island_refuses(at, kind, to)
    if evidence is not None:
        return no(POLICY, evidence, rule="island")
    evidence = conditions.strange_refuses(at, kind, to)
    if evidence is not None:
        return no(OBSERVATION, evidence, rule="strange DS")
    refused = conditions.refuses(at, kind, to)
    if refused is not None:
        condition, evidence = refused
        return no(condition.who, evidence, rule=condition.name)
    before = rules.rows(keyset, island=seen.island and not insecure)
    rule = rules.forbids(before, key.fingerprint, kind, to, insecure=insecure)
    if rule is not None:
        return no(RULE, rule.says, rule=rule.name)
    late = times.not_yet(keyset, key, kind, to, policy, seen, now)
    if late is not None:
        return no(OBSERVATION if late.until is None else TIME, late.evidence, late.until)
    return None


def _book(keyset: KeySet, now: float) -> KeySet:
    """When keys began to sign and when the last of them was forgotten."""
    keys = []
    for key in keyset.keys:
        if key.active_since is None and _signing(key):
            key = attrs.evolve(key, active_since=now)
        if key.goal is Goal.HIDDEN and key.all_hidden():
            if key.removed_since is None:
                key = attrs.evolve(key, removed_since=now)
        elif key.removed_since is not None:
            key = attrs.evolve(key, removed_since=None)
        keys.append(key)
    return attrs.evolve(keyset, keys=tuple(keys))


def _signing(key: Key) -> bool:
    signatures = [key.state(RecordKind.ZRRSIG), key.state(RecordKind.KRRSIG)]
    return all(state is None or state in VISIBLE for state in signatures)


# --- what follows ---------------------------------------------------------------------------


def _signs(before: KeySet, after: KeySet, seen: Observations) -> tuple[Action, ...]:
    """As long as our servers don't all show what the states say, the version that does is
    still to be made, or to be carried to them."""
    actions: list[Action] = []
    for key in after.keys:
        for kind, record in key.records:
            if kind is RecordKind.DS:
                if key.visible(kind) != _was_visible(before, key, kind):
                    actions.append(SignApex())
            elif record.state in _ENDING and _unseen(key, kind, record, seen):
                actions.append(SignAll() if kind is RecordKind.ZRRSIG else SignApex())
    return tuple(actions)


def _was_visible(keyset: KeySet, key: Key, kind: RecordKind) -> bool:
    old = keyset.key(key.fingerprint)
    return old is not None and old.visible(kind)


def _unseen(key: Key, kind: RecordKind, record: Record, seen: Observations) -> bool:
    to = State.OMNIPRESENT if record.state is State.RUMOURED else State.HIDDEN
    return times.observed(key, kind, to, seen) is None


def _looks(keyset: KeySet, seen: Observations) -> tuple[Action, ...]:
    actions: list[Action] = []
    for key in keyset.keys:
        for kind, record in key.records:
            if record.state not in _ENDING:
                continue
            if kind is RecordKind.DS:
                actions.append(ObserveParent())
            elif _unseen(key, kind, record, seen):
                actions.append(ObserveServers())
    return tuple(actions)


def _parent(keyset: KeySet, seen: Observations) -> tuple[Action, ...]:
    """What the parent is to have, as long as it is not certain: also when its servers show
    it, since an order given before may be on its way."""
    have = [(key, record) for key in keyset.keys if (record := key.record(RecordKind.DS))]
    keep = tuple(key.fingerprint for key, record in have if record.state in VISIBLE)
    leaving = tuple(key.fingerprint for key, record in have if record.state is State.UNRETENTIVE)
    if keep and leaving and not seen.ds_anywhere & set(keep):
        # Brought back by an old order: who takes away before he adds would leave none.
        return (SubmitDs((*keep, *leaving)),)
    actions: list[Action] = []
    if any(record.state is State.RUMOURED for _, record in have):
        actions.append(SubmitDs(keep))
    if leaving:
        actions.append(WithdrawDs(leaving, keep))
    return tuple(actions)
