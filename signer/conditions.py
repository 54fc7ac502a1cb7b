"""What a change needs besides the rules: the policy's order of things, into rumoured and into
unretentive. Each condition has a name, and its source where it has one."""

from collections.abc import Callable

import attrs

from signer.keyset import VISIBLE, Goal, Key, KeySet, RecordKind, State
from signer.observations import Observations
from signer.policy import DsMode, Policy

_H, _R, _O, _U = State
_ANCHORED = frozenset({_R, _O, _U})


@attrs.frozen
class Situation:
    """All that a condition may look at. `insecure`: the zone is meant to be."""

    keyset: KeySet
    key: Key
    policy: Policy
    seen: Observations
    insecure: bool

    def others(self) -> list[Key]:
        """The other keys of the algorithm."""
        return [
            key
            for key in self.keyset.keys
            if key.algorithm == self.key.algorithm and key.fingerprint != self.key.fingerprint
        ]


@attrs.frozen
class Condition:
    """`problem` gives None where the condition holds, else what is missing. `who` says no."""

    name: str
    kind: RecordKind
    to: State
    problem: Callable[[Situation], str | None]
    who: str = "rule"


def double_ds(keyset: KeySet, key: Key, policy: Policy) -> bool:
    """Whether the key's DS goes ahead of its DNSKEY: by policy, or because its predecessor is
    lost and can't sign a DNSKEY RRset that has changed."""
    old = None if key.predecessor is None else keyset.key(key.predecessor)
    if old is None or old.state(RecordKind.DS) not in (_R, _O):
        return False
    if key.record(RecordKind.DS) is None or old.algorithm != key.algorithm:
        return False
    return old.lost or (policy.ds is DsMode.DOUBLE_DS and key.state(RecordKind.DNSKEY) is _H)


# --- into rumoured --------------------------------------------------------------------------


def _keys_signed_once_published(at: Situation) -> str | None:
    return "its DNSKEY is not published" if at.key.state(RecordKind.DNSKEY) is _H else None


def _signs_once_known(at: Situation) -> str | None:
    """Signatures that caches can't check yet are harmless only where no other key of the
    algorithm signs."""
    if at.key.state(RecordKind.DNSKEY) is _O:
        return None
    if all(other.state(RecordKind.ZRRSIG) in (None, _H) for other in at.others()):
        return None
    return "its DNSKEY is not in all caches yet"


def _algorithm_signs_first(at: Situation) -> str | None:
    """RFC 6781 section 4.1.4: a strict validator wants signatures of every algorithm in the
    DNSKEY RRset (RFC 4035 section 2.2), so they are everywhere before the DNSKEY appears."""
    algorithm = at.key.algorithm
    if all(
        key.algorithm == algorithm or key.state(RecordKind.DNSKEY) is _H for key in at.keyset.keys
    ):
        return None
    if any(
        key.algorithm == algorithm and key.state(RecordKind.ZRRSIG) is _O for key in at.keyset.keys
    ):
        return None
    return "signatures of its algorithm are not in all caches yet"


def _own_ds_first(at: Situation) -> str | None:
    if double_ds(at.keyset, at.key, at.policy) and at.key.state(RecordKind.DS) is not _O:
        return "double DS: its DS is not in all caches yet"
    return None


def _dnskey_first(at: Situation) -> str | None:
    if double_ds(at.keyset, at.key, at.policy) or at.key.state(RecordKind.DNSKEY) is _O:
        return None
    return "its DNSKEY is not in all caches yet"


def _all_algorithms_sign(at: Situation) -> str | None:
    """Whoever is led here must find signatures of every algorithm that is in the DNSKEY RRset
    (first DS: published + max(TTL(DNSKEY) + publish safety, max zone TTL))."""
    shown = {key.algorithm for key in at.keyset.keys if key.state(RecordKind.DNSKEY) is not _H}
    signing = {key.algorithm for key in at.keyset.keys if key.state(RecordKind.ZRRSIG) is _O}
    swapping = {
        key.algorithm
        for key in at.keyset.keys
        if key.state(RecordKind.ZRRSIG) in (_R, _U) and key.state(RecordKind.DNSKEY) is _O
    }
    if shown <= signing | (swapping if _is_anchored(at.keyset) else set()):
        return None
    return "signatures of its algorithm are not in all caches yet"


def _is_anchored(keyset: KeySet) -> bool:
    return any(key.state(RecordKind.DS) is _O for key in keyset.keys)


# --- into unretentive -----------------------------------------------------------------------


def _another_ds(at: Situation) -> str | None:
    """The rules alone would let the old DS go while the new one is only rumoured."""
    if at.insecure:
        return None
    if any(other.state(RecordKind.DS) is _O for other in at.others()):
        return None
    incoming = (
        key
        for key in at.keyset.keys
        if key.algorithm != at.key.algorithm and key.goal is Goal.OMNIPRESENT
    )
    if any(key.state(RecordKind.DS) is _O for key in incoming):
        return None
    return "no other DS is in all caches"


def _ds_first(at: Situation) -> str | None:
    """.nz, 2023: a key signs the DNSKEY RRset as long as its DS may be cached. Under double DS
    its successor's DS is in every cache beside it."""
    if at.key.state(RecordKind.DS) in (None, _H):
        return None
    new = None if at.key.successor is None else at.keyset.key(at.key.successor)
    doubled = at.policy.ds is DsMode.DOUBLE_DS or at.key.lost
    if doubled and new is not None and new.state(RecordKind.DS) is _O:
        return None
    return "its DS may still be cached"


def _zone_stays_signed(at: Situation) -> str | None:
    """RFC 6781 section 4.1.4: the last signatures of an algorithm go after its DNSKEY records
    are out of all caches; others are replaced by a key's that signs."""
    if any(other.visible(RecordKind.ZRRSIG) for other in at.others()):
        return None
    mates = [at.key, *at.others()]
    if all(key.state(RecordKind.DNSKEY) is _H for key in mates):
        return None
    return "DNSKEY records of its algorithm may still be cached"


def _zone_key_stays(at: Situation) -> str | None:
    """A version that shows an algorithm shows a key whose signatures it has (RFC 4035 section
    2.2); the last zone key of an algorithm goes with its other DNSKEY records."""
    if at.key.state(RecordKind.ZRRSIG) in (None, _H):
        return None
    shown = [other for other in at.others() if other.visible(RecordKind.DNSKEY)]
    if not shown or any(other.visible(RecordKind.ZRRSIG) for other in shown):
        return None
    return "it is the only key that verifies signatures of its algorithm"


def _key_set_stays_signed(at: Situation) -> str | None:
    """The DNSKEY RRset is signed by a key in it, as long as it is there. The last such key
    of an algorithm goes when the zone's data is signed by another algorithm's keys too."""
    if at.insecure or at.key.state(RecordKind.KRRSIG) in (None, _H):
        return None
    if any(
        key.fingerprint != at.key.fingerprint
        and key.visible(RecordKind.KRRSIG)
        and key.visible(RecordKind.DNSKEY)
        for key in at.keyset.keys
    ):
        return None
    return "no other key signs the DNSKEY RRset"


CONDITIONS = (
    Condition("KRRSIG after DNSKEY", RecordKind.KRRSIG, _R, _keys_signed_once_published),
    Condition("signing after DNSKEY", RecordKind.ZRRSIG, _R, _signs_once_known),
    Condition("algorithm signs first", RecordKind.DNSKEY, _R, _algorithm_signs_first),
    Condition("double DS", RecordKind.DNSKEY, _R, _own_ds_first, "policy"),
    Condition("DS after DNSKEY", RecordKind.DS, _R, _dnskey_first),
    Condition("DS after signatures", RecordKind.DS, _R, _all_algorithms_sign),
    Condition("another DS", RecordKind.DS, _U, _another_ds),
    Condition("DNSKEY after DS", RecordKind.DNSKEY, _U, _ds_first),
    Condition("KRRSIG after DS", RecordKind.KRRSIG, _U, _ds_first),
    Condition("signatures after DNSKEY", RecordKind.ZRRSIG, _U, _zone_stays_signed),
    Condition("zone key stays", RecordKind.DNSKEY, _U, _zone_key_stays),
    Condition("DNSKEY RRset signed", RecordKind.KRRSIG, _U, _key_set_stays_signed),
    Condition("DNSKEY RRset signed", RecordKind.DNSKEY, _U, _key_set_stays_signed),
)


def refuses(at: Situation, kind: RecordKind, to: State) -> tuple[Condition, str] | None:
    """The first condition that a change does not meet, and what is missing."""
    for condition in CONDITIONS:
        if condition.kind is kind and condition.to is to:
            problem = condition.problem(at)
            if problem is not None:
                return condition, problem
    return None


def island_refuses(at: Situation, kind: RecordKind, to: State) -> str | None:
    if kind is RecordKind.DS and to in VISIBLE and at.seen.island:
        return "parent none: the zone is an island"
    return None
