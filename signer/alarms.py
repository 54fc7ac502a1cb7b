"""What a person should look at now: pure, from what is known of a zone."""

from collections.abc import Iterable

import attrs
import dns.name

from signer.actions import MIX, Advance
from signer.courier import Delivery
from signer.ds import named_by
from signer.firststart import without_others
from signer.hold import Hold
from signer.keyset import KeySet, RecordKind, State
from signer.parent import ParentAnswer, Seen, Unknown
from signer.policy import HOUR, Policy, duration_text
from signer.signing import resign_due
from signer.variant import Variant

# A pass, or a step that only waits to be seen, that is this late is worth telling a person.
_LATE = HOUR


@attrs.frozen
class Alarm:
    """`kind` is stable, for metrics."""

    kind: str
    text: str


KINDS = (
    "held",
    "refused",
    "fault",
    "signatures",
    "ds-mismatch",
    "parent-silent",
    "registrar",
    "parent-bogus",
    "foreign-keys",
    "stuck",
    "bogus-step",
    "key-missing",
    "lost-key",
)


def find(
    *,
    origin: dns.name.Name,
    keyset: KeySet,
    step: Advance,
    held: Hold | None,
    unreadable: Iterable[str],
    variants: tuple[Variant, ...],
    policy: Policy,
    parent: ParentAnswer,
    now: int,
    lived: float,
    delivery: Delivery | None = None,
    patience: int = HOUR,
    foreign: str | None = None,
) -> tuple[Alarm, ...]:
    """`now` is in Unix seconds, `lived` in lived ones; a registrar may fail for `patience`
    seconds before that is worth telling a person. `foreign`: why other signers' keys are not
    taken as they are named."""
    found = [Alarm("refused", line) for one in variants for line in one.refused]
    found += [Alarm("fault", line) for one in variants for line in one.alarms]
    found += _signatures(variants, policy, now)
    if held is not None:
        found.append(Alarm("held", held.reason))
    missing = set(unreadable)
    found += [
        Alarm("key-missing", f"the private half of {key.role.value} {key.tag} can't be read")
        for key in keyset.keys
        if key.fingerprint in missing and not key.lost and not key.all_hidden()
    ]
    found += [
        Alarm(
            "lost-key",
            f"{key.role.value} {key.tag} is lost: nothing that it signs can be signed anew"
            + (
                f"; its successor has to take over within {duration_text(int(left))}"
                if step.deadline is not None and (left := step.deadline - lived) > 0
                else ""
            ),
        )
        for key, _ in keyset.lost_signers()
    ]
    found += _parent(origin, keyset, step, parent)
    if foreign is not None:
        found.append(Alarm("foreign-keys", foreign))
    found += _stuck(keyset, step, policy, lived)
    if (
        delivery is not None
        and delivery.bad
        and (delivery.state != "failing" or now - delivery.since >= patience)
    ):
        found.append(Alarm("registrar", f"the DS does not get to the parent: {delivery.text}"))
    found += [
        Alarm("bogus-step", text) for text in {b.evidence for b in step.blockers if b.rule == MIX}
    ]
    return tuple(found)


def _signatures(variants: tuple[Variant, ...], policy: Policy, now: int) -> list[Alarm]:
    return [
        Alarm(
            "signatures",
            f"signatures of {one.name} are due for {duration_text(now - due)} and end in "
            f"{duration_text(one.earliest_expiration - now)}"
            if one.earliest_expiration > now
            else f"signatures of {one.name} have ended",
        )
        for one in variants
        if one.earliest_expiration is not None
        and (due := resign_due(one.earliest_expiration, policy)) < now - min(_LATE, policy.refresh)
    ]


def _parent(
    origin: dns.name.Name, keyset: KeySet, step: Advance, parent: ParentAnswer
) -> list[Alarm]:
    waiting = any(
        key.state(RecordKind.DS) in (State.RUMOURED, State.UNRETENTIVE) for key in keyset.keys
    )
    if isinstance(parent, Unknown) and parent.bogus:
        return [Alarm("parent-bogus", str(parent))]
    if isinstance(parent, Unknown) and waiting:
        return [Alarm("parent-silent", str(parent))]
    if not isinstance(parent, Seen) or not parent.any:
        return []
    others = frozenset(key.dnskey for key in keyset.foreign)
    ours = without_others(origin, parent, others)
    assert isinstance(ours, Seen)
    strange = sorted(
        int.from_bytes(ds[:2], "big")
        for ds in ours.any
        if not any(named_by(origin, key.dnskey, [ds]) for key in keyset.keys)
    )
    found = []
    if strange:
        tags = ", ".join(map(str, strange))
        found.append(Alarm("ds-mismatch", f"the parent has DS {tags}, of no key of this zone"))
    # While other signers' DS are all that there is, ours is on its way.
    joining = not ours.any and not any(
        key.state(RecordKind.DS) in (State.OMNIPRESENT, State.UNRETENTIVE) for key in keyset.keys
    )
    led = any(named_by(origin, key.dnskey, parent.any) for key in keyset.published())
    if keyset.keys and not led and not joining:
        found.append(Alarm("ds-mismatch", "no DS at the parent leads to a key that is published"))
    return found


def _stuck(keyset: KeySet, step: Advance, policy: Policy, lived: float) -> list[Alarm]:
    """A step that time alone does not end, and that has waited longer than its waits are."""
    found = []
    for blocker in step.blockers:
        key = keyset.key(blocker.fingerprint)
        if key is None or blocker.record is None or blocker.who != "observation":
            continue
        record = key.record(blocker.record)
        if record is None:
            continue
        patience = (
            policy.parent_propagation + policy.parent_ds_ttl
            if blocker.record is RecordKind.DS
            else policy.propagation + policy.publish_safety
        )
        waited = lived - record.since
        if waited > max(_LATE, 2 * patience):
            what = f"{blocker.record.value} of {key.role.value} {key.tag}"
            waits = duration_text(int(waited))
            found.append(Alarm("stuck", f"{what} waits for {waits}: {blocker.evidence}"))
    return found
