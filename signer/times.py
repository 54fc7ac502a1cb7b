"""When a change may happen (RFC 7583 section 3). Every clock starts at what was observed,
not at what was ordered, and counts the highest TTL that caches may still hold."""

import attrs

from signer.keyset import Goal, Key, KeySet, Record, RecordKind, State
from signer.observations import Observations
from signer.policy import Policy


@attrs.frozen
class NotYet:
    """A change that time or a missing observation forbids. `until` None: not observed."""

    evidence: str
    until: float | None


def ttl_now(kind: RecordKind, policy: Policy, seen: Observations) -> int:
    """The highest TTL in seconds of what is, or lately was, published."""
    if kind is RecordKind.DS:
        # What the parent shows wins over what the policy supposes.
        return seen.ds_ttl or policy.parent_ds_ttl
    if kind is RecordKind.ZRRSIG:
        return max(policy.max_zone_ttl, seen.zone_ttl)
    return max(policy.dnskey_ttl, seen.dnskey_ttl)


def ttl(keyset: KeySet, kind: RecordKind, policy: Policy, seen: Observations) -> int:
    """The highest TTL in seconds of what a cache may hold in place of the newest version. It
    belongs to the whole RRset: a new key's record waits for RRsets without it to expire."""
    now = ttl_now(kind, policy, seen)
    if kind is RecordKind.DS:
        return now
    return max([now, *(record.ttl for record in _of_kind(keyset, kind))])


def _of_kind(keyset: KeySet, kind: RecordKind) -> list[Record]:
    kinds = (
        (RecordKind.ZRRSIG,)
        if kind is RecordKind.ZRRSIG
        else (RecordKind.DNSKEY, RecordKind.KRRSIG)
    )
    return [
        record
        for key in keyset.keys
        for found, record in key.records
        if found in kinds and record.state is not State.HIDDEN
    ]


def wait(kind: RecordKind, to: State, highest: int, policy: Policy) -> int:
    """Seconds from the observation until a record is in all caches, or in none."""
    if kind is RecordKind.DS:
        return highest + policy.parent_propagation + policy.retire_safety
    if kind is RecordKind.ZRRSIG:
        return highest + policy.propagation + policy.retire_safety
    safety = policy.publish_safety if to is State.OMNIPRESENT else 0
    return highest + policy.propagation + safety


def observed(key: Key, kind: RecordKind, to: State, seen: Observations) -> float | None:
    """Since when the evidence for a change is there. Of our own records what was seen before
    their last change counts for nothing: it was of an earlier appearance."""
    record = key.record(kind)
    if record is None:
        return None
    where = seen.shown if to is State.OMNIPRESENT else seen.gone
    since = where.get((key.fingerprint, kind))
    if since is None:
        return None
    return since if since >= record.since else None


def not_yet(
    keyset: KeySet,
    key: Key,
    kind: RecordKind,
    to: State,
    policy: Policy,
    seen: Observations,
    now: float,
) -> NotYet | None:
    """Whether a record may not get to `to` at `now` for want of time or of an observation."""
    if to in (State.RUMOURED, State.UNRETENTIVE):
        return None
    record = key.record(kind)
    since = observed(key, kind, to, seen)
    if record is None or since is None:
        return NotYet(_missing(kind, to), None)
    highest = max(record.ttl, ttl(keyset, kind, policy, seen))
    if to is State.OMNIPRESENT and shares(keyset, key, kind):
        elsewhere = seen.shared.get(key.fingerprint)
        if elsewhere is None or elsewhere[0] < record.since:
            return NotYet("the other signers' servers don't all show it", None)
        since, highest = max(since, elsewhere[0]), max(highest, elsewhere[1])
    if kind is RecordKind.DS and seen.ds_ttl:
        highest = seen.ds_ttl
    due = since + wait(kind, to, highest, policy)
    if to is State.HIDDEN and kind is RecordKind.DS and _last_ds(keyset, key):
        # Who validated the keys with a DS believes them for their TTL (RFC 4035 section 4.3),
        # whichever of the DS was forgotten last.
        believed = ttl(keyset, RecordKind.DNSKEY, policy, seen)
        due = max([due, *_forgotten(keyset)]) + believed
    if now < due:
        return NotYet(_passing(kind, to), due)
    if kind is RecordKind.DS and (seen.parent_looked is None or seen.parent_looked < due):
        # Others write to the parent: what was there before the wait has to be there after.
        return NotYet("the parent's servers were not looked at since the wait ended", None)
    return None


def shares(keyset: KeySet, key: Key, kind: RecordKind) -> bool:
    """Whether a DNSKEY is everywhere only once the other signers' versions have it too: any
    of them may be in a cache when signatures of ours are to be verified (RFC 8901 section
    6.2)."""
    return (
        kind is RecordKind.DNSKEY
        and key.record(RecordKind.ZRRSIG) is not None
        and any(other.goal is Goal.OMNIPRESENT for other in keyset.foreign)
    )


def _forgotten(keyset: KeySet) -> list[float]:
    """When the DS that have been at the parent were in no cache any more."""
    records = [record for key in keyset.keys if (record := key.record(RecordKind.DS)) is not None]
    return [one.since for one in records if one.state is State.HIDDEN and one.ttl]


def _last_ds(keyset: KeySet, key: Key) -> bool:
    return all(
        other.fingerprint == key.fingerprint or other.state(RecordKind.DS) in (None, State.HIDDEN)
        for other in keyset.keys
    )


def _missing(kind: RecordKind, to: State) -> str:
    if kind is RecordKind.DS:
        if to is State.OMNIPRESENT:
            return "the parent's servers don't all show its DS"
        return "its DS is still at a server of the parent"
    if to is State.OMNIPRESENT:
        return "our servers don't all show the version with it"
    return "our servers don't all show a version without it"


def _passing(kind: RecordKind, to: State) -> str:
    if kind is RecordKind.DS:
        if to is State.OMNIPRESENT:
            return "every server of the parent shows its DS; caches may hold the answer before"
        return "no server of the parent shows its DS; caches may hold it still"
    if to is State.OMNIPRESENT:
        return "all our servers show it; caches may hold what was there before"
    return "none of our servers shows it; caches may hold it still"
