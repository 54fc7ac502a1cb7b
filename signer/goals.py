"""What the policy wants: which keys should exist, and where each one's records are to get to.

    a role of the layout ─ has an active key? ─ no ─▶ an old one returns | standby | generate
                                   │ yes
                                   └─ retires (lifetime, a person's word, lost)? ─▶ successor

A key that the policy has no place for is to be hidden, once every place is taken. The rules
decide when it may go; nothing here waits for caches.
"""

import attrs

from signer.actions import PERSON, POLICY, TIME, Action, Blocker, Generate, Purge
from signer.conditions import frozen_by
from signer.keyset import Goal, Key, KeySet, RecordKind, Role, State, roles
from signer.observations import Observations
from signer.policy import ALGORITHM_NAMES, Policy, duration_text


@attrs.frozen
class Goals:
    """The key set with its goals set, what is to be made or deleted, and what waits."""

    keyset: KeySet
    actions: tuple[Action, ...]
    blockers: tuple[Blocker, ...]


def insecure(keyset: KeySet, policy: Policy) -> bool:
    """Whether the zone is to become, and to stay, unsigned."""
    return keyset.insecure or not policy.secure


def wanted_algorithm(keyset: KeySet, policy: Policy) -> int:
    return policy.algorithm if keyset.algorithm is None else keyset.algorithm


def goal_of(key: Key, kind: RecordKind, policy: Policy) -> Goal:
    """Of one record: a standby key's DNSKEY is published, its DS where the policy says so."""
    if key.goal is Goal.HIDDEN or not key.standby or kind is RecordKind.DNSKEY:
        return key.goal
    if kind is RecordKind.DS and policy.standby_ds:
        return Goal.OMNIPRESENT
    return Goal.HIDDEN


def desired(goal: Goal, state: State) -> State:
    """The next state on the way to a goal; the same state where it is reached."""
    if goal is Goal.OMNIPRESENT:
        coming = state in (State.HIDDEN, State.UNRETENTIVE)
        return State.RUMOURED if coming else State.OMNIPRESENT
    going = state in (State.RUMOURED, State.OMNIPRESENT)
    return State.UNRETENTIVE if going else State.HIDDEN


def lifetime(key: Key, policy: Policy) -> int | None:
    """In seconds; None is unlimited."""
    return policy.lifetime(key.role.value.lower())


def set_goals(keyset: KeySet, policy: Policy, seen: Observations, now: float) -> Goals:
    """Link, promote and retire as the policy wants it at `now` (lived seconds)."""
    if insecure(keyset, policy):
        keys = tuple(attrs.evolve(key, goal=Goal.HIDDEN) for key in keyset.keys)
        foreign = tuple(attrs.evolve(key, goal=Goal.HIDDEN) for key in keyset.foreign)
        keyset = attrs.evolve(keyset, keys=keys, foreign=foreign)
        return Goals(keyset, (), ())
    actions: list[Action] = []
    blockers: list[Blocker] = []
    algorithm = wanted_algorithm(keyset, policy)
    for role in roles(policy.keys):
        keyset = _fill(keyset, role, algorithm, policy, now, actions, blockers)
        keyset = _stand_by(keyset, role, algorithm, policy, actions)
    rescues = _rescue(keyset, actions)
    if all(active(keyset, role, algorithm) is not None for role in roles(policy.keys)):
        keyset = _dismiss(keyset, algorithm, policy, rescues)
    return Goals(keyset, tuple(actions), tuple(blockers))


def _rescue(keyset: KeySet, actions: list[Action]) -> frozenset[str]:
    """Keys that can sign the DNSKEY RRset in place of a lost one, whatever the policy has
    places for: only a key of the lost one's algorithm can, since the DS of another would
    lead nowhere yet. Where there is none, it is to be made."""
    found: set[str] = set()
    for lost in frozen_by(keyset):
        able = [
            key
            for key in keyset.keys
            if key.algorithm == lost.algorithm
            and key.record(RecordKind.DS) is not None
            and not key.lost
            and not key.standby
            and key.goal is Goal.OMNIPRESENT
            and (
                lost.successor == key.fingerprint
                or key.state(RecordKind.DNSKEY) is not State.HIDDEN
            )
        ]
        found |= {key.fingerprint for key in able}
        wanted = Generate(lost.role, lost.algorithm, lost.fingerprint)
        if not able and wanted not in actions:
            actions.append(wanted)
    return frozenset(found)


def active(keyset: KeySet, role: Role, algorithm: int) -> Key | None:
    """The newest key of a place that is to stay."""
    found = [
        key
        for key in keyset.keys
        if key.role is role
        and key.algorithm == algorithm
        and key.goal is Goal.OMNIPRESENT
        and not key.standby
    ]
    return found[-1] if found else None


def _standby(keyset: KeySet, role: Role, algorithm: int) -> Key | None:
    return next(
        (
            key
            for key in keyset.keys
            if key.standby
            and key.role is role
            and key.algorithm == algorithm
            and key.goal is Goal.OMNIPRESENT
            and not key.lost
        ),
        None,
    )


def _fill(
    keyset: KeySet,
    role: Role,
    algorithm: int,
    policy: Policy,
    now: float,
    actions: list[Action],
    blockers: list[Blocker],
) -> KeySet:
    """See to it that a place has a key, and that it is succeeded in time."""
    current = active(keyset, role, algorithm)
    if current is None:
        return _occupy(keyset, role, algorithm, actions)
    if any(lost.successor == current.fingerprint for lost in frozen_by(keyset)):
        evidence = "it replaces a lost key first"
        blockers.append(Blocker(current.fingerprint, None, None, POLICY, evidence, None, "lost"))
        return keyset
    if not current.lost and not current.retire:
        blocker = _still_lives(current, policy, now)
        if blocker is not None:
            if blocker.evidence:
                blockers.append(blocker)
            return keyset
    spare = _standby(keyset, role, algorithm)
    if spare is not None:
        return keyset.linked(current.fingerprint, spare.fingerprint)
    actions.append(Generate(role, algorithm, current.fingerprint))
    why = f"a successor is to be made ({ALGORITHM_NAMES.get(algorithm, algorithm)})"
    blockers.append(Blocker(current.fingerprint, None, None, PERSON, why, None, "keystore"))
    return keyset


def _occupy(keyset: KeySet, role: Role, algorithm: int, actions: list[Action]) -> KeySet:
    """For a place that has no key: one that was going returns, as when a policy is changed
    back, else a standby key is used, else one is made."""
    leaving = [
        key
        for key in keyset.keys
        if key.role is role
        and key.algorithm == algorithm
        and key.goal is Goal.HIDDEN
        and not key.lost
        and key.successor is None
        and not key.all_hidden()
    ]
    if leaving:
        return keyset.replaced(attrs.evolve(leaving[-1], goal=Goal.OMNIPRESENT))
    spare = _standby(keyset, role, algorithm)
    if spare is not None:
        return keyset.replaced(attrs.evolve(spare, standby=False))
    actions.append(Generate(role, algorithm))
    return keyset


def _still_lives(key: Key, policy: Policy, now: float) -> Blocker | None:
    """Why a key is not succeeded yet; None when it is time. An empty evidence: for ever."""
    span = lifetime(key, policy)
    if span is None or key.active_since is None:
        return Blocker(key.fingerprint, None, None, POLICY, "", None)
    due = key.active_since + span - policy.publish_lead
    if now < due:
        evidence = (
            f"lifetime {duration_text(span)}: its successor is published "
            f"{duration_text(policy.publish_lead)} before the end"
        )
        return Blocker(key.fingerprint, None, None, TIME, evidence, due, "lifetime")
    if not _settled(key):
        evidence = "its lifetime is over, but its own rollover has not ended"
        return Blocker(key.fingerprint, None, None, POLICY, evidence, None, "lifetime")
    return None


def _settled(key: Key) -> bool:
    """Whether a key has arrived; its DS may be hidden where the parent takes none."""
    return all(
        record.state is State.OMNIPRESENT
        or (kind is RecordKind.DS and record.state is State.HIDDEN)
        for kind, record in key.records
    )


def _stand_by(
    keyset: KeySet, role: Role, algorithm: int, policy: Policy, actions: list[Action]
) -> KeySet:
    if role.value.lower() not in policy.standby:
        return keyset
    if _standby(keyset, role, algorithm) is None and active(keyset, role, algorithm) is not None:
        actions.append(Generate(role, algorithm, None, standby=True))
    return keyset


def _dismiss(keyset: KeySet, algorithm: int, policy: Policy, rescues: frozenset[str]) -> KeySet:
    """What the policy has no place for: other algorithms and layouts, predecessors, standby
    keys that are not wanted any more."""
    wanted = roles(policy.keys)

    def has_place(key: Key) -> bool:
        if key.fingerprint in rescues:
            return True
        if key.lost and active(keyset, key.role, key.algorithm) is not key:
            return False
        if key.role not in wanted or key.algorithm != algorithm:
            return False
        return not key.standby or key.role.value.lower() in policy.standby

    keys = tuple(
        key if has_place(key) or key.goal is Goal.HIDDEN else attrs.evolve(key, goal=Goal.HIDDEN)
        for key in keyset.keys
    )
    return attrs.evolve(keyset, keys=keys)


def purges(
    keyset: KeySet, policy: Policy, now: float
) -> tuple[tuple[Action, ...], tuple[Blocker, ...]]:
    """Keys to delete at `now` (lived seconds), and those that wait for it."""
    actions: list[Action] = []
    blockers = []
    for key in keyset.keys:
        if key.goal is not Goal.HIDDEN or key.removed_since is None or not key.all_hidden():
            continue
        due = key.removed_since + policy.purge
        if now >= due:
            actions.append(Purge(key.fingerprint))
        else:
            evidence = f"out of use; deleted {duration_text(policy.purge)} after"
            blockers.append(Blocker(key.fingerprint, None, None, TIME, evidence, due, "purge"))
    return tuple(actions), tuple(blockers)
