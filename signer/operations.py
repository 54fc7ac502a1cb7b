"""What a person may ask for, as changes of the key set. None of them moves a record: that is
`signer.advance`'s, and every wait stays."""

import attrs

from signer import goals
from signer.goals import wanted_algorithm
from signer.keyset import ForeignKey, Goal, Key, KeySet, Role, roles
from signer.policy import ALGORITHM_NAMES, Policy


class OperationError(Exception):
    """What was asked for can't be done: what, and what to do instead."""


def roll(keyset: KeySet, policy: Policy, wanted: frozenset[Role] | None = None) -> KeySet:
    """Ask for successors of the active keys, of some roles or of all; their lifetimes are
    skipped. Raises OperationError when there is no such key."""
    algorithm = wanted_algorithm(keyset, policy)
    found = [
        key
        for role in roles(policy.keys)
        if wanted is None or role in wanted
        if (key := goals.active(keyset, role, algorithm)) is not None
    ]
    if not found:
        names = " or ".join(sorted(role.value for role in wanted or ())) or "active"
        raise OperationError(
            f"{keyset.origin} has no {names} key to roll; its layout is {policy.keys.value}"
        )
    for key in found:
        keyset = keyset.replaced(attrs.evolve(key, retire=True))
    return keyset


def roll_algorithm(keyset: KeySet, policy: Policy, algorithm: int) -> KeySet:
    """Ask for keys of another algorithm than the policy's, until `follow_policy`. Raises
    OperationError for one that can't be signed with."""
    if algorithm not in ALGORITHM_NAMES:
        raise OperationError(f"algorithm {algorithm} is not one that can be signed with")
    chosen = None if algorithm == policy.algorithm else algorithm
    return attrs.evolve(keyset, algorithm=chosen)


def follow_policy(keyset: KeySet) -> KeySet:
    """Forget an algorithm that a person asked for."""
    return attrs.evolve(keyset, algorithm=None)


def lose(keyset: KeySet, fingerprint: str) -> KeySet:
    """The private half of a key is gone, or must not be used any more: replace it by double
    DS (RFC 6781 section 4.2), since it can't sign another DNSKEY RRset. Raises
    OperationError."""
    key = _key(keyset, fingerprint)
    return keyset.replaced(attrs.evolve(key, lost=True))


def go_insecure(keyset: KeySet) -> KeySet:
    """Take the DS away, then the signatures."""
    return attrs.evolve(keyset, insecure=True)


def go_secure(keyset: KeySet) -> KeySet:
    """Come back, or don't go. What is not hidden yet is used again where it can be."""
    return attrs.evolve(keyset, insecure=False)


def hold(keyset: KeySet, reason: str) -> KeySet:
    """Nothing moves until `resume`; re-signing goes on."""
    return attrs.evolve(keyset, held=reason)


def resume(keyset: KeySet) -> KeySet:
    return attrs.evolve(keyset, held=None)


def keep_foreign(
    keyset: KeySet, dnskeys: frozenset[bytes], announced: frozenset[bytes] = frozenset()
) -> KeySet:
    """These are the DNSKEY rdata of other signers from now on (RFC 8901, model 2), and the
    parent is to have a DS of those `announced`; keys that are in it no more go."""
    kept = tuple(
        attrs.evolve(
            key,
            goal=Goal.OMNIPRESENT if key.dnskey in dnskeys else Goal.HIDDEN,
            announced=key.dnskey in announced,
        )
        for key in keyset.foreign
    )
    have = {key.dnskey for key in keyset.foreign}
    ours = {key.dnskey for key in keyset.keys}
    new = tuple(
        ForeignKey(dnskey, announced=dnskey in announced)
        for dnskey in sorted(dnskeys - have - ours)
    )
    return attrs.evolve(keyset, foreign=(*kept, *new))


def _key(keyset: KeySet, fingerprint: str) -> Key:
    key = keyset.key(fingerprint)
    if key is None:
        raise OperationError(f"{keyset.origin} has no key {fingerprint}")
    return key
