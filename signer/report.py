"""Key sets and signers in words and rows: for the log, the audit log and `zoneward status`."""

from datetime import UTC, datetime

import dns.name

from signer.actions import Advance
from signer.evidence import Evidence
from signer.hold import Hold
from signer.keyset import KeySet, RecordKind
from signer.parent import Seen, Unknown
from signer.policy import ALGORITHM_NAMES, Policy, duration_text
from signer.signing import resign_due
from signer.status import (
    HoldStatus,
    KeyStatus,
    RecordStatus,
    VariantStatus,
    Waiting,
    ZoneStatus,
)
from signer.variant import Variant

# A pass that is this late, in seconds, is worth telling a person.
_LATE = 3600


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moves(before: KeySet, after: KeySet) -> tuple[str, ...]:
    """One line for each record whose state differs."""
    lines = []
    for key in after.keys:
        old = before.key(key.fingerprint)
        for kind, record in key.records:
            was = None if old is None else old.state(kind)
            if was is not record.state:
                was_text = "new" if was is None else was.value
                lines.append(
                    f"{kind.value} of {key.role.value} {key.tag}: {was_text} -> "
                    f"{record.state.value}"
                )
    return tuple(lines)


def key_rows(keyset: KeySet, evidence: Evidence, now: int) -> tuple[KeyStatus, ...]:
    signing = {key.fingerprint for key, _ in keyset.signers()}
    return tuple(
        KeyStatus(
            fingerprint=key.fingerprint,
            tag=key.tag,
            role=key.role.value,
            algorithm=ALGORITHM_NAMES[key.algorithm],
            created=iso(key.created),
            published=key.visible(RecordKind.DNSKEY),
            signing=key.fingerprint in signing,
            records=tuple(
                RecordStatus(kind.value, record.state.value, iso(now - evidence.ago(record.since)))
                for kind, record in key.records
            ),
        )
        for key in keyset.keys
    )


def zone_status(
    *,
    origin: dns.name.Name,
    keyset: KeySet,
    step: Advance,
    held: Hold | None,
    started: bool,
    evidence: Evidence,
    variants: tuple[Variant, ...],
    policy: Policy,
    parent: Unknown | Seen | None,
    now: int,
) -> ZoneStatus:
    expirations = [
        one.earliest_expiration for one in variants if one.earliest_expiration is not None
    ]
    refused = [line for one in variants for line in one.refused]
    alarms = [line for one in variants for line in one.alarms]
    alarms.extend(
        f"signatures of {name} are due since {iso(resign_due(expiration, policy))} and end at "
        f"{iso(expiration)}"
        for name, expiration in ((one.name, one.earliest_expiration) for one in variants)
        if expiration is not None and resign_due(expiration, policy) < now - _LATE
    )
    state = "signed"
    if held is not None:
        state = "held"
    elif not started:
        state = "starting"
    elif refused:
        state = "refused"
    due = [resign_due(expiration, policy) for expiration in expirations]
    return ZoneStatus(
        zone=origin.to_text(),
        state=state,
        keys=key_rows(keyset, evidence, now),
        waits=() if held is not None else _waits(keyset, step, evidence, parent, now),
        hold=None
        if held is None
        else HoldStatus(held.reason, held.remedy, iso(held.since), held.token),
        next_resign=iso(min(due)) if due else None,
        least_validity=min(expirations) - now if expirations else None,
        variants=tuple(
            VariantStatus(
                variant=one.name,
                serial=one.base.serial if one.base is not None else 0,
                earliest_expiration=None
                if one.earliest_expiration is None
                else iso(one.earliest_expiration),
                signatures_made=one.signatures_made,
                gate_refusals=one.gate_refusals,
                observed_serial=one.observed_serial,
            )
            for one in variants
        ),
        alarms=(*refused, *alarms),
    )


def _waits(
    keyset: KeySet, step: Advance, evidence: Evidence, parent: Unknown | Seen | None, now: int
) -> tuple[Waiting, ...]:
    found = []
    for blocker in step.blockers:
        key = keyset.key(blocker.fingerprint)
        if key is None or blocker.who == "policy" or blocker.record is None or blocker.to is None:
            continue
        text = f"{blocker.evidence} ({blocker.who})"
        if blocker.record is RecordKind.DS and blocker.who == "observation":
            text += _parent_text(parent)
        until = None
        if blocker.until is not None:
            left = evidence.until(blocker.until)
            until = iso(now + left)
            text += f"; {duration_text(left)} left"
        found.append(
            Waiting(
                f"{blocker.record.value} of {key.role.value} {key.tag} to be {blocker.to.value}",
                text,
                until,
            )
        )
    return tuple(found)


def _parent_text(parent: Unknown | Seen | None) -> str:
    if isinstance(parent, Unknown):
        return f"; the parent can't be asked: {parent.reason}"
    if isinstance(parent, Seen):
        return f"; asked: {', '.join(parent.servers)}"
    return ""
