"""What a person may ask of a zone's keys: values, and the key sets that they lead to.

A request is written down with its audit line in one transaction; what follows from it is the
state machine's.
"""

from collections.abc import Sequence

import attrs
import dns.name

from signer import goals, operations
from signer.ds import named_by
from signer.keyset import Goal, Key, KeySet, RecordKind, Role, State, roles
from signer.operations import OperationError
from signer.parent import ParentAnswer, Seen, Unknown
from signer.policy import ALGORITHM_NAMES, Policy


@attrs.frozen
class Roll:
    """New keys in some roles, or in all (None). Without `now` a key whose own rollover still
    runs is left alone."""

    wanted: frozenset[Role] | None = None
    now: bool = False


@attrs.frozen
class RollAlgorithm:
    """To this algorithm (its DNSSEC number), until the policy says another."""

    algorithm: int


@attrs.frozen
class Lose:
    """A key's private half is gone or known to others: `key` is its fingerprint or its tag."""

    key: str


@attrs.frozen
class GoInsecure:
    """Withdraw the DS, then take the signatures away."""


@attrs.frozen
class GoSecure:
    """Come back from there."""


@attrs.frozen
class HoldKeys:
    """Nothing moves from now on; signing goes on."""

    reason: str


@attrs.frozen
class ResumeKeys:
    """Take the brake off."""


Request = Roll | RollAlgorithm | Lose | GoInsecure | GoSecure | HoldKeys | ResumeKeys


def apply(keyset: KeySet, policy: Policy, request: Request) -> KeySet:
    """The key set after a request. Raises OperationError."""
    match request:
        case Roll(wanted, now):
            return _roll(keyset, policy, wanted, now)
        case RollAlgorithm(algorithm):
            if algorithm == goals.wanted_algorithm(keyset, policy):
                raise OperationError(
                    f"{keyset.origin} is on {ALGORITHM_NAMES.get(algorithm, algorithm)} already"
                )
            return operations.roll_algorithm(keyset, policy, algorithm)
        case Lose(key):
            return operations.lose(keyset, find(keyset, key).fingerprint)
        case GoInsecure():
            if keyset.insecure:
                raise OperationError(f"{keyset.origin} is on its way to being insecure already")
            if any(key.goal is Goal.OMNIPRESENT for key in keyset.foreign):
                raise OperationError(
                    f"{keyset.origin} has other signers, whose DS would lead to no signature of "
                    "ours: take their keys out of multi-signer first"
                )
            return operations.go_insecure(keyset)
        case GoSecure():
            if not keyset.insecure:
                raise OperationError(f"{keyset.origin} is not on its way to being insecure")
            return operations.go_secure(keyset)
        case HoldKeys(reason):
            return operations.hold(keyset, reason)
        case ResumeKeys():
            return operations.resume(keyset)


def _roll(keyset: KeySet, policy: Policy, wanted: frozenset[Role] | None, now: bool) -> KeySet:
    algorithm = goals.wanted_algorithm(keyset, policy)
    busy = [
        key
        for role in roles(policy.keys)
        if wanted is None or role in wanted
        if (key := goals.active(keyset, role, algorithm)) is not None and not _arrived(key)
    ]
    if busy and not now:
        names = ", ".join(f"{key.role.value} {key.tag}" for key in busy)
        raise OperationError(
            f"{keyset.origin}: the rollover to {names} has not ended (see zoneward status "
            f"{keyset.origin}); wait for it, or ask with --now"
        )
    return operations.roll(keyset, policy, wanted)


def _arrived(key: Key) -> bool:
    return all(
        record.state is State.OMNIPRESENT
        or (kind is RecordKind.DS and record.state is State.HIDDEN)
        for kind, record in key.records
    )


def find(keyset: KeySet, text: str) -> Key:
    """A key by its fingerprint, the beginning of it, or its tag. Raises OperationError where
    that names none, or more than one."""
    found = [
        key
        for key in keyset.keys
        if (len(text) >= 8 and key.fingerprint.startswith(text.lower())) or str(key.tag) == text
    ]
    if len(found) == 1:
        return found[0]
    names = ", ".join(f"{key.tag} ({key.fingerprint[:12]})" for key in keyset.keys) or "none"
    what = "no key" if not found else "more than one key"
    raise OperationError(f"{keyset.origin} has {what} {text!r}; its keys are {names}")


def words(request: Request) -> tuple[str, str]:
    """Action and detail for the audit log."""
    match request:
        case Roll(wanted, now):
            which = "all roles" if wanted is None else " ".join(sorted(r.value for r in wanted))
            return "roll", which + (", now" if now else "")
        case RollAlgorithm(algorithm):
            return "roll", f"algorithm {ALGORITHM_NAMES.get(algorithm, algorithm)}"
        case Lose(key):
            return "lost", f"key {key}"
        case GoInsecure():
            return "insecure", "asked for by name"
        case GoSecure():
            return "secure", "asked for by name"
        case HoldKeys(reason):
            return "hold", reason
        case ResumeKeys():
            return "resume", ""


def refuse_contradiction(
    origin: dns.name.Name, keys: Sequence[Key], parent: ParentAnswer, *, seen: bool
) -> None:
    """A person's word stands where the parent can't be asked; what all of its servers show is
    better evidence, and where it does not validate nobody can know. Raises OperationError."""
    if isinstance(parent, Unknown) and parent.bogus:
        raise OperationError(
            f"{parent}; what validators take for the DS of {origin} nobody knows until it "
            "validates: see to the clock, the anchors and the parent's servers"
        )
    if not isinstance(parent, Seen):
        return
    for key in keys:
        if seen and not named_by(origin, key.dnskey, parent.common):
            raise OperationError(
                f"the parent's servers ({', '.join(parent.servers)}) don't all show the DS of key "
                f"{key.tag}; see zoneward ds show {origin}"
            )
        if not seen and named_by(origin, key.dnskey, parent.any):
            raise OperationError(
                f"the DS of key {key.tag} is still at a server of the parent "
                f"({', '.join(parent.servers)})"
            )
