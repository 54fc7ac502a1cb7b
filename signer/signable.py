"""Whether a zone can be signed with its keys as they are, and who has to be led to them: pure."""

from collections.abc import Collection, Iterable

import engine
from signer import goals
from signer.conditions import frozen_by
from signer.ds import matches
from signer.hold import Hold
from signer.keyset import Goal, Key, KeySet, RecordKind, State
from signer.policy import Policy
from signer.signing import is_signed


def cannot_sign(keyset: KeySet, policy: Policy, private: Collection[str], now: int) -> Hold | None:
    """Why nothing can be signed now; `private` are the fingerprints of the keys at hand."""
    gone = [(key, duty) for key, duty in keyset.lost_signers() if key.fingerprint not in private]
    if any(duty & engine.SIGNS_ZONE for _, duty in gone):
        return Hold(
            f"key {_tags(gone)} is lost: what it has signed of the zone can't be signed anew",
            "go insecure before its signatures end, and come back: zoneward keys roll "
            f"{keyset.origin} --insecure, then --secure",
            now,
            signing=False,
        )
    frozen = {key.fingerprint for key in frozen_by(keyset)}
    if any(key.fingerprint in frozen for key, _ in gone):
        return Hold(
            f"key {_tags(gone)} is lost: the DNSKEY RRset can't be signed anew until its "
            "successor has taken over",
            f"bring the successor's DS to the parent: zoneward ds show {keyset.origin}",
            now,
            signing=False,
        )
    if not is_signed(keyset) and not goals.insecure(keyset, policy):
        return Hold("there is no key to sign with", "start the zone first", now, False)
    return None


def _tags(keys: Iterable[tuple[Key, int]]) -> str:
    return ", ".join(str(key.tag) for key, _ in keys)


def unanchored(keyset: KeySet, policy: Policy) -> bool:
    """Whether nobody can be led to a key of ours, and that is meant."""
    return goals.insecure(keyset, policy) and all(
        key.state(RecordKind.DS) in (None, State.HIDDEN) for key in keyset.keys
    )


def leading_here(keyset: KeySet, cached: Iterable[list[bytes]]) -> list[list[bytes]]:
    """Of the DS RRsets that caches may hold, those that have to lead to our versions: who has
    only those of other signers is not sent to us yet."""
    others = [key.dnskey for key in keyset.foreign if key.goal is Goal.OMNIPRESENT]
    return [
        found
        for found in cached
        if not all(any(matches(keyset.origin, one, ds) for one in others) for ds in found)
    ]
