"""DNSKEY records of other signers of the zone, kept beside ours (RFC 8901, model 2).

Each signer publishes the zone keys of all, and signs its own DNSKEY RRset with its own KSK.
Which they are is `signer.multisigner`'s. Others sign with theirs only once all servers show
them, as we do (`signer.times`); when they stop is theirs to know, so
a foreign record goes when a person takes it out. Foreign keys of an algorithm that we don't
sign with are refused: validators may want signatures of every algorithm (RFC 8901 section 4).
"""

import attrs

from keystore.dnskey import key_tag
from signer.actions import OBSERVATION, RULE, TIME, Action, Blocker, ObserveServers, SignApex
from signer.conditions import frozen_by
from signer.goals import desired
from signer.keyset import ForeignKey, Goal, KeySet, Record, RecordKind, State
from signer.observations import Observations
from signer.policy import Policy
from signer.times import ttl


def advance(
    keyset: KeySet, policy: Policy, seen: Observations, now: float
) -> tuple[KeySet, tuple[Blocker, ...], tuple[Action, ...]]:
    """Move the foreign DNSKEY at `now` (lived seconds); hidden ones are dropped."""
    blockers: list[Blocker] = []
    actions: list[Action] = []
    kept: list[ForeignKey] = []
    for key in keyset.foreign:
        while True:
            to = desired(key.goal, key.record.state)
            if to is key.record.state:
                break
            no = _refusal(keyset, key, to, policy, seen, now)
            if no is not None:
                blockers.append(no)
                if no.who == OBSERVATION:
                    actions += [SignApex(), ObserveServers()]
                break
            highest = ttl(keyset, RecordKind.DNSKEY, policy, seen)
            key = attrs.evolve(key, record=Record(to, now, highest))
        if key.record.state is not State.HIDDEN or key.goal.value == "omnipresent":
            kept.append(key)
    return attrs.evolve(keyset, foreign=tuple(kept)), tuple(blockers), tuple(actions)


def _refusal(
    keyset: KeySet,
    key: ForeignKey,
    to: State,
    policy: Policy,
    seen: Observations,
    now: float,
) -> Blocker | None:
    def no(who: str, evidence: str, until: float | None = None) -> Blocker:
        what = f"foreign DNSKEY {key_tag(key.dnskey)}: {evidence}"
        return Blocker("", RecordKind.DNSKEY, to, who, what, until, "foreign")

    if to in (State.RUMOURED, State.UNRETENTIVE) and frozen_by(keyset):
        return no(RULE, "the key that signs the DNSKEY RRset is lost")
    if to is State.UNRETENTIVE:
        return None
    if to is State.RUMOURED:
        # Where a key of ours shows its algorithm already, theirs asks for nothing more.
        signing = any(
            ours.algorithm == key.algorithm
            and ours.goal is Goal.OMNIPRESENT
            and ours.visible(RecordKind.DNSKEY)
            and ours.visible(RecordKind.ZRRSIG)
            for ours in keyset.keys
        )
        return None if signing else no(RULE, "we don't sign with its algorithm")
    where = seen.foreign if to is State.OMNIPRESENT else seen.foreign_gone
    since = where.get(key.dnskey)
    if since is None or since < key.record.since:
        return no(OBSERVATION, "our servers don't all show the version that says so")
    highest = max(key.record.ttl, ttl(keyset, RecordKind.DNSKEY, policy, seen))
    due = since + highest + policy.propagation + policy.publish_safety
    return None if now >= due else no(TIME, "caches may hold the version before", due)
