"""NSEC to NSEC3 and back: the kind of denial as a record with states of its own.

A version has one complete chain, signed like all its other RRsets, and each negative answer
carries its whole proof, so caches may mix both kinds. One switch runs at a time, and none
while the zone is becoming unsigned: what is cached of the old kind is waited for.
"""

import attrs

from signer.actions import (
    OBSERVATION,
    RULE,
    TIME,
    Action,
    Blocker,
    ObserveServers,
    SwitchDenial,
)
from signer.keyset import Denial, KeySet, Record, RecordKind, State
from signer.observations import Observations
from signer.policy import Nsec3, Policy
from signer.times import ttl

_NAMES = {True: "NSEC", False: "NSEC3"}


def advance(
    keyset: KeySet, policy: Policy, seen: Observations, now: float
) -> tuple[KeySet, tuple[Blocker, ...], tuple[Action, ...]]:
    """Move the denials of a signed zone at `now` (lived seconds)."""
    if not any(key.visible(RecordKind.ZRRSIG) for key in keyset.keys):
        return attrs.evolve(keyset, denials=()), (), ()
    highest = max(ttl(keyset, RecordKind.ZRRSIG, policy, seen), _highest(keyset))
    wait = highest + policy.propagation + policy.retire_safety
    blockers: list[Blocker] = []
    kept: list[Denial] = []
    current = keyset.denial()
    shown = None if current is None else _shown(current, seen)
    for denial in keyset.denials:
        # What was there before is gone when the current kind is shown by all servers.
        due = None if shown is None else shown + wait
        moving = denial.record.state in (State.RUMOURED, State.UNRETENTIVE)
        if not moving:
            kept.append(attrs.evolve(denial, record=attrs.evolve(denial.record, ttl=highest)))
        elif due is None or now < due:
            kept.append(denial)
            blockers.append(_waits(denial, due))
        elif denial.record.state is State.RUMOURED:
            kept.append(attrs.evolve(denial, record=Record(State.OMNIPRESENT, now, highest)))
    found = attrs.evolve(keyset, denials=tuple(kept))
    actions: list[Action] = []
    current = found.denial()
    if current is None:
        new = Denial(policy.nsec3, Record(State.RUMOURED, now, highest))
        found = attrs.evolve(found, denials=(*found.denials, new))
    elif current.nsec3 != policy.nsec3:
        if len(found.denials) > 1 or current.record.state is State.RUMOURED:
            says = "the switch before it has not ended"
            name = _NAMES[policy.nsec3 is None]
            blockers.append(Blocker("", None, State.RUMOURED, RULE, f"{name}: {says}", None))
        elif any(key.lost and key.visible(RecordKind.ZRRSIG) for key in found.keys):
            name, says = _NAMES[policy.nsec3 is None], "a key that signs the zone is lost"
            blockers.append(Blocker("", None, State.RUMOURED, RULE, f"{name}: {says}", None))
        else:
            old = attrs.evolve(current, record=Record(State.UNRETENTIVE, now, highest))
            new = Denial(policy.nsec3, Record(State.RUMOURED, now, highest))
            found = attrs.evolve(found, denials=(old, new))
    current = found.denial()
    if current is not None and _shown(current, seen) is None and _moving(current):
        actions += [SwitchDenial(current.nsec3), ObserveServers()]
    return found, tuple(blockers), tuple(actions)


def _moving(denial: Denial) -> bool:
    return denial.record.state is State.RUMOURED


def _shown(denial: Denial, seen: Observations) -> float | None:
    since = seen.denial.get(denial.nsec3)
    return since if since is not None and since >= denial.record.since else None


def _highest(keyset: KeySet) -> int:
    return max((denial.record.ttl for denial in keyset.denials), default=0)


def _waits(denial: Denial, due: float | None) -> Blocker:
    name = _NAMES[denial.nsec3 is None]
    to = State.OMNIPRESENT if _moving(denial) else State.HIDDEN
    if due is None:
        evidence = f"{name}: our servers don't all show the version with the new denial"
        return Blocker("", None, to, OBSERVATION, evidence, None, "denial")
    return Blocker("", None, to, TIME, f"{name}: caches may hold the old denial", due, "denial")


def text(nsec3: Nsec3 | None) -> str:
    """For people: ``NSEC`` or ``NSEC3``."""
    return _NAMES[nsec3 is None]
