"""Key sets and signers in words and rows: for the log, the audit log and `zoneward status`."""

from datetime import UTC, datetime

import dns.name

from keystore.dnskey import fingerprint, key_tag
from signer.actions import Advance, Blocker, SubmitDs, WithdrawDs
from signer.alarms import Alarm
from signer.courier import Courier
from signer.evidence import Evidence
from signer.goals import insecure
from signer.hold import Hold
from signer.keyset import VISIBLE, Goal, Key, KeySet, RecordKind, State
from signer.keytables import nsec3_text
from signer.observer import NotShown, ServersAnswer, Shown
from signer.parent import NoParent, ParentAnswer, Seen
from signer.policy import ALGORITHM_NAMES, Policy, duration_text
from signer.signing import is_signed, resign_due
from signer.status import (
    HoldStatus,
    KeyStatus,
    RecordStatus,
    RegistrarStatus,
    VariantStatus,
    Waiting,
    ZoneStatus,
)
from signer.variant import Variant


def iso(seconds: float) -> str:
    """Unix seconds as ISO 8601 UTC."""
    return datetime.fromtimestamp(int(seconds), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def moves(before: KeySet, after: KeySet) -> tuple[str, ...]:
    """One line for each record whose state differs, and for each kind of denial."""
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
    old_foreign = {key.dnskey: key.record.state for key in before.foreign}
    for one in after.foreign:
        state = old_foreign.pop(one.dnskey, State.HIDDEN)
        if state is not one.record.state:
            lines.append(_foreign_line(one.dnskey, state, one.record.state))
    lines += [_foreign_line(dnskey, was, State.HIDDEN) for dnskey, was in old_foreign.items()]
    return (*lines, *denial_moves(before, after))


def denial_moves(before: KeySet, after: KeySet) -> list[str]:
    """One line for each kind of denial whose state differs."""
    old = {denial.nsec3: denial.record.state for denial in before.denials}
    new = {denial.nsec3: denial.record.state for denial in after.denials}
    lines = []
    for nsec3 in dict.fromkeys((*old, *new)):
        # One that is in no cache any more is not kept.
        was, now = old.get(nsec3, State.HIDDEN), new.get(nsec3, State.HIDDEN)
        if was is not now:
            name = "NSEC" if nsec3 is None else f"NSEC3 {nsec3_text(nsec3)}"
            lines.append(f"{name}: {was.value} -> {now.value}")
    return lines


def _foreign_line(dnskey: bytes, was: State, now: State) -> str:
    return f"DNSKEY of another signer's key {key_tag(dnskey)}: {was.value} -> {now.value}"


def key_rows(keyset: KeySet, evidence: Evidence, now: int) -> tuple[KeyStatus, ...]:
    signing = {key.fingerprint for key, _ in keyset.signers()}
    ours = tuple(
        KeyStatus(
            fingerprint=key.fingerprint,
            tag=key.tag,
            role=key.role.value,
            algorithm=ALGORITHM_NAMES[key.algorithm],
            created=iso(key.created),
            published=key.visible(RecordKind.DNSKEY),
            signing=key.fingerprint in signing,
            goal=key.goal.value,
            standby=key.standby,
            lost=key.lost,
            records=tuple(
                RecordStatus(kind.value, record.state.value, iso(now - evidence.ago(record.since)))
                for kind, record in key.records
            ),
        )
        for key in keyset.keys
    )
    foreign = tuple(
        KeyStatus(
            fingerprint=fingerprint(one.dnskey),
            tag=key_tag(one.dnskey),
            role="foreign",
            algorithm=ALGORITHM_NAMES.get(one.algorithm, str(one.algorithm)),
            created="-",
            published=one.record.state in VISIBLE,
            signing=False,
            goal=one.goal.value,
            standby=False,
            lost=False,
            records=(
                RecordStatus(
                    RecordKind.DNSKEY.value,
                    one.record.state.value,
                    iso(now - evidence.ago(one.record.since)),
                ),
            ),
        )
        for one in keyset.foreign
    )
    return (*ours, *foreign)


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
    parent: ParentAnswer,
    servers: ServersAnswer,
    alarms: tuple[Alarm, ...],
    orders: tuple[str, ...],
    courier: Courier | None,
    now: int,
) -> ZoneStatus:
    expirations = [
        one.earliest_expiration for one in variants if one.earliest_expiration is not None
    ]
    due = [resign_due(expiration, policy) for expiration in expirations]
    return ZoneStatus(
        zone=origin.to_text(),
        state=_state(keyset, held, started, variants, policy),
        keys=key_rows(keyset, evidence, now),
        waits=() if held is not None else _waits(keyset, step, evidence, parent, servers, now),
        hold=None
        if held is None
        else HoldStatus(held.reason, held.remedy, iso(held.since), held.token),
        brake=keyset.held,
        todo=() if held is not None else orders,
        registrar=None if courier is None else _registrar(courier),
        parent=_parent(parent),
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
        alarms=tuple(alarm.text for alarm in alarms if alarm.kind != "held"),
        alarm_kinds=tuple(alarm.kind for alarm in alarms),
    )


def _registrar(courier: Courier) -> RegistrarStatus:
    found = courier.delivery
    return RegistrarStatus(
        name=courier.registrar.name,
        state=found.state,
        text=found.text,
        since=iso(found.since) if found.since else None,
        next_try=None if found.next_try is None else iso(found.next_try),
    )


def _state(
    keyset: KeySet,
    held: Hold | None,
    started: bool,
    variants: tuple[Variant, ...],
    policy: Policy,
) -> str:
    if held is not None:
        return "held"
    if not started:
        return "starting"
    if any(one.refused for one in variants):
        return "refused"
    if insecure(keyset, policy):
        return "going insecure" if is_signed(keyset) else "insecure"
    return "signed"


def orders(keyset: KeySet, step: Advance) -> tuple[str, ...]:
    """What a person has to bring to the parent now: nothing else is waited for. The parent
    may fetch it by itself where it reads CDS (RFC 7344)."""
    zone = keyset.origin
    found = []
    for action in step.actions:
        if isinstance(action, SubmitDs):
            tags = _tags(keyset, action.keys)
            found.append(
                f"bring the DS of key {tags} to the parent, and take no other away: "
                f"zoneward ds show {zone}"
            )
        elif isinstance(action, WithdrawDs) and action.keep:
            found.append(
                f"take the DS of key {_tags(keyset, action.keys)} away at the parent, and leave "
                f"that of key {_tags(keyset, action.keep)}{_theirs(keyset)}"
            )
        elif isinstance(action, WithdrawDs):
            found.append(
                f"take the DS of key {_tags(keyset, action.keys)} away at the parent: the zone "
                "is going insecure"
            )
    return tuple(found)


def _theirs(keyset: KeySet) -> str:
    tags = ", ".join(str(key_tag(key.dnskey)) for key in keyset.foreign_ksks())
    return f" and those of the other signers' keys {tags}" if tags else ""


def _tags(keyset: KeySet, fingerprints: tuple[str, ...]) -> str:
    keys = [key for key in keyset.keys if key.fingerprint in fingerprints]
    return ", ".join(str(key.tag) for key in keys)


def _waits(
    keyset: KeySet,
    step: Advance,
    evidence: Evidence,
    parent: ParentAnswer,
    servers: ServersAnswer,
    now: int,
) -> tuple[Waiting, ...]:
    found = []
    for blocker in step.blockers:
        key = keyset.key(blocker.fingerprint)
        if blocker.rule in _QUIET or (key is not None and keyset.held is not None):
            continue
        text = f"{blocker.evidence} ({blocker.who})"
        if blocker.who == "observation":
            text += _asked(parent) if blocker.record is RecordKind.DS else _looked(servers)
        until = None
        if blocker.until is not None:
            left = evidence.until(blocker.until)
            until = iso(now + left)
            text += f"; {duration_text(left)} left"
        record = None if key is None or blocker.record is None else key.record(blocker.record)
        found.append(
            Waiting(
                what=_what(key, blocker),
                evidence=text,
                who=blocker.who,
                since=None if record is None else iso(now - evidence.ago(record.since)),
                until=until,
                remedy=_remedy(keyset, blocker),
            )
        )
    if keyset.held is not None:
        found.append(
            Waiting(
                what="the keys",
                evidence=f"held: {keyset.held} (person)",
                who="person",
                since=None,
                until=None,
                remedy=f"zoneward keys resume {keyset.origin}",
            )
        )
    return tuple(found)


# What is no news: a key that lives for ever, an island without a DS.
_QUIET = frozenset({"island", "purge"})


def _what(key: Key | None, blocker: Blocker) -> str:
    to = "" if blocker.to is None else f" to be {blocker.to.value}"
    if blocker.rule == "foreign":
        return f"the other signers' DNSKEY{to}"
    if key is None:
        return f"{'the denial of existence' if blocker.rule == 'denial' else 'the zone'}{to}"
    if blocker.record is None:
        return f"{key.role.value} {key.tag} to be succeeded"
    return f"{blocker.record.value} of {key.role.value} {key.tag}{to}"


def _remedy(keyset: KeySet, blocker: Blocker) -> str:
    """What a person could do; nothing where it passes by itself."""
    zone = keyset.origin
    if blocker.who != "observation":
        return ""
    if blocker.rule == "strange DS":
        return "see `zoneward ds check`, and have the DS that is not ours taken away"
    if blocker.record is not RecordKind.DS:
        if any(one.goal is Goal.OMNIPRESENT for one in keyset.foreign):
            return (
                "see that our servers are reached by NOTIFY and transfer, and that the other "
                "signers publish the DNSKEY that ours show"
            )
        return "see that our servers are reached by NOTIFY and transfer"
    if blocker.to is State.OMNIPRESENT:
        return (
            f"bring what `zoneward ds show {zone}` prints to the parent; where the parent can't "
            f"be asked: zoneward ds confirm {zone} --seen"
        )
    return (
        "take that DS away at the parent; where the parent can't be asked: "
        f"zoneward ds confirm {zone} --withdrawn"
    )


def _asked(parent: ParentAnswer) -> str:
    return "" if isinstance(parent, NoParent) else f"; {_parent(parent)}"


def _parent(parent: ParentAnswer) -> str:
    if isinstance(parent, Seen):
        return f"asked: {', '.join(parent.servers)} ({parent.believed})"
    return "none" if isinstance(parent, NoParent) else str(parent)


def _looked(servers: ServersAnswer) -> str:
    if isinstance(servers, NotShown):
        return f"; when last asked: {servers.reason}"
    if isinstance(servers, Shown):
        return f"; when last asked their serials were {', '.join(map(str, servers.serials))}"
    return ""
