"""What a change needs besides the rules: the policy's order of things, into rumoured and into
unretentive. Each condition has a name, and its source where it has one."""

from collections.abc import Callable

import attrs

from signer.keyset import VISIBLE, Goal, Key, KeySet, RecordKind, State
from signer.observations import Observations
from signer.policy import DsMode, Policy

_H, _R, _O, _U = State


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
    """Whether the key's DS may go ahead of its DNSKEY, and goes ahead of one that is hidden: by
    policy, or because the key that it replaces is lost and can't sign a DNSKEY RRset that has
    changed."""
    if any(lost.algorithm == key.algorithm for lost in frozen_by(keyset)):
        return True
    old = None if key.predecessor is None else keyset.key(key.predecessor)
    if old is None or old.state(RecordKind.DS) not in (_R, _O):
        return False
    return policy.ds is DsMode.DOUBLE_DS


def _can_take_over(key: Key) -> bool:
    """Whether the DNSKEY RRset can be signed with a key that every cache is led to."""
    return key.visible(RecordKind.KRRSIG) and key.state(RecordKind.DS) is _O and not key.lost


def frozen_by(keyset: KeySet) -> tuple[Key, ...]:
    """Lost keys whose signatures the DNSKEY RRset lives on: it can't change before the DS of
    a key of their algorithm that can sign is everywhere. One that only stood by is among them
    while no other of its algorithm can sign, which nobody then waits for in vain."""
    able = {key.algorithm for key in keyset.keys if _can_take_over(key)}
    return tuple(
        key
        for key in keyset.keys
        if key.lost and key.algorithm not in able and key.state(RecordKind.DS) not in (None, _H)
    )


def _can_be_signed(at: Situation) -> str | None:
    """RFC 6781 section 4.2.1.2: nobody can sign another DNSKEY RRset while the key that does
    is lost, but a key whose DS every cache has."""
    able = not at.key.lost and not at.key.standby and at.key.state(RecordKind.DS) is _O
    if all(able and lost.algorithm == at.key.algorithm for lost in frozen_by(at.keyset)):
        return None
    return "the key that signs the DNSKEY RRset is lost"


# --- into rumoured --------------------------------------------------------------------------


def _keys_signed_once_published(at: Situation) -> str | None:
    return None if at.key.visible(RecordKind.DNSKEY) else "its DNSKEY is not published"


def _signs_once_known(at: Situation) -> str | None:
    """Pre-publication (RFC 6781 section 4.1.1.1): signatures that caches can't check yet are of
    use only where no other key of the algorithm signs."""
    if at.key.state(RecordKind.DNSKEY) is _O:
        return None
    if not any(other.visible(RecordKind.ZRRSIG) for other in at.others()):
        return None
    return "its DNSKEY is not in all caches yet"


def _version_is_complete(at: Situation) -> str | None:
    """A DNSKEY RRset is signed, and shows an algorithm only with signatures of it, also while
    keys are still being made."""
    key, others = at.key, at.others()
    if key.record(RecordKind.ZRRSIG) is None and not any(
        other.visible(RecordKind.ZRRSIG) for other in others
    ):
        return "no key of its algorithm signs the zone yet"
    if any(
        other.record(RecordKind.KRRSIG) is not None
        and other.goal is Goal.OMNIPRESENT
        and not other.standby
        and not other.lost
        for other in (key, *others)
    ):
        return None
    return "there is no key to sign the DNSKEY RRset yet"


def _can_sign(at: Situation) -> str | None:
    return "its private half is lost" if at.key.lost else None


def _own_ds_first(at: Situation) -> str | None:
    if double_ds(at.keyset, at.key, at.policy) and at.key.state(RecordKind.DS) is not _O:
        return "double DS: its DS is not in all caches yet"
    return None


def _dnskey_first(at: Situation) -> str | None:
    if double_ds(at.keyset, at.key, at.policy) or at.key.state(RecordKind.DNSKEY) is _O:
        return None
    return "its DNSKEY is not in all caches yet"


def _ds_gone_first(at: Situation) -> str | None:
    """Servers of the parent that still show a DS which it was asked to take away say nothing of
    whether it comes back. Where no other DS would be left it may: at worst the zone is
    insecure until it is there again."""
    if at.key.state(RecordKind.DS) is not _U:
        return None
    if any(key.visible(RecordKind.DS) for key in at.keyset.keys):
        return "the parent was asked to take its DS away; that has to be gone first"
    return None


# --- into unretentive -----------------------------------------------------------------------


def _another_ds(at: Situation) -> str | None:
    """A DS goes beside that of a key that can sign the DNSKEY RRset. The rules can't tell which
    of several lost keys has; and a DS that was ordered and is taken back may come all the
    same, so that one that is to stay, or is as good, has to be there."""
    if at.insecure:
        return None
    if any(
        _can_take_over(key) and (key.algorithm == at.key.algorithm or key.goal is Goal.OMNIPRESENT)
        for key in at.keyset.keys
    ):
        return None
    return "no DS of a key that can sign the DNSKEY RRset is in all caches"


def _ds_first(at: Situation) -> str | None:
    """.nz, 2023: a key signs the DNSKEY RRset as long as its DS may be cached. Under double DS
    its successor's DS is in every cache beside it."""
    if at.key.state(RecordKind.DS) in (None, _H):
        return None
    new = None if at.key.successor is None else at.keyset.key(at.key.successor)
    doubled = new is not None and new.state(RecordKind.DS) is _O
    if doubled and at.policy.ds is DsMode.DOUBLE_DS:
        return None
    return "its DS may still be cached"


def _zone_stays_signed(at: Situation) -> str | None:
    """Without a DS the rules ask for nothing; a version that shows an algorithm has signatures
    of it all the same (RFC 4035 section 2.2)."""
    if any(other.visible(RecordKind.ZRRSIG) for other in at.others()):
        return None
    if any(key.visible(RecordKind.DNSKEY) for key in (at.key, *at.others())):
        return "no other key of its algorithm signs the zone"
    return None


def _zone_key_stays(at: Situation) -> str | None:
    """A version that shows an algorithm shows a key whose signatures it has (RFC 4035 section
    2.2); the last zone key of an algorithm goes with its other DNSKEY records."""
    shown = [other for other in at.others() if other.visible(RecordKind.DNSKEY)]
    if not shown or any(other.visible(RecordKind.ZRRSIG) for other in shown):
        return None
    return "it is the only key that verifies signatures of its algorithm"


def _foreign_goes_first(at: Situation) -> str | None:
    """As long as a cache may have another signer's DNSKEY of an algorithm, it wants our
    signatures of that algorithm too (RFC 8901 section 4)."""
    if at.insecure:
        return None
    if not any(
        foreign.algorithm == at.key.algorithm and foreign.record.state is not _H
        for foreign in at.keyset.foreign
    ):
        return None
    if any(other.visible(RecordKind.DNSKEY) for other in at.others()):
        return None
    return "a foreign DNSKEY of its algorithm is in the zone; take that out first"


def _key_set_stays_signed(at: Situation) -> str | None:
    """The DNSKEY RRset is signed by a key in it, as long as it is there. The last such key
    of an algorithm goes when the zone's data is signed by another algorithm's keys too."""
    if at.insecure:
        return None
    if any(
        key.fingerprint != at.key.fingerprint and key.visible(RecordKind.KRRSIG)
        for key in at.keyset.keys
    ):
        return None
    return "no other key signs the DNSKEY RRset"


CONDITIONS = (
    Condition("KRRSIG after DNSKEY", RecordKind.KRRSIG, _R, _keys_signed_once_published),
    Condition("signing after DNSKEY", RecordKind.ZRRSIG, _R, _signs_once_known),
    Condition("complete version", RecordKind.DNSKEY, _R, _version_is_complete),
    Condition("a lost key", RecordKind.KRRSIG, _R, _can_sign),
    Condition("a lost key", RecordKind.ZRRSIG, _R, _can_sign),
    Condition("a lost key", RecordKind.DNSKEY, _R, _can_be_signed),
    Condition("a lost key", RecordKind.DNSKEY, _U, _can_be_signed),
    Condition("double DS", RecordKind.DNSKEY, _R, _own_ds_first, "policy"),
    Condition("DS after DNSKEY", RecordKind.DS, _R, _dnskey_first),
    Condition("DS gone first", RecordKind.DS, _R, _ds_gone_first),
    Condition("another DS", RecordKind.DS, _U, _another_ds),
    Condition("DNSKEY after DS", RecordKind.DNSKEY, _U, _ds_first),
    Condition("KRRSIG after DS", RecordKind.KRRSIG, _U, _ds_first),
    Condition("signatures after DNSKEY", RecordKind.ZRRSIG, _U, _zone_stays_signed),
    Condition("zone key stays", RecordKind.DNSKEY, _U, _zone_key_stays),
    Condition("foreign DNSKEY", RecordKind.DNSKEY, _U, _foreign_goes_first),
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


def strange_refuses(at: Situation, kind: RecordKind, to: State) -> str | None:
    """Going insecure, the DS RRset has to become empty: with a DS of nobody's keys here left in
    it, a zone without our DS is bogus, and one without signatures for good."""
    if kind is not RecordKind.DS or to is not _U or not at.seen.strange_ds:
        return None
    if any(
        key.fingerprint != at.key.fingerprint and key.state(RecordKind.DS) in (_R, _O)
        for key in at.keyset.keys
    ):
        return None
    return "the parent has a DS of no key of this zone beside it; have that one withdrawn first"
