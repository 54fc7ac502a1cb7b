"""What the admin socket does with keys in motion: plans, rollovers, the brake, a person's word
about the DS, the audit trail."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

from signer import planner, report, timeline_svg
from signer.keyset import KeySet, Role
from signer.operations import OperationError
from signer.policy import DAY
from signer.requests import (
    GoInsecure,
    GoSecure,
    HoldKeys,
    Lose,
    Request,
    ResumeKeys,
    Roll,
    RollAlgorithm,
)
from signer.service import ZoneSigner
from zoneward.api import Entry, Lines, PlanAsk, PlannedStep, PlanView, RollAsk
from zoneward.group import NameGroup
from zoneward.refusal import Refusal

# How far a plan looks by default, and at most, in seconds.
_YEAR = 365 * DAY
_LONGEST = 10 * _YEAR


async def plan(signer: ZoneSigner, asked: PlanAsk) -> PlanView:
    """The state machine run ahead: as the keys are, or as a rollover would leave them."""
    keyset = _preview(signer, None if asked.roll is None else request_of(asked.roll))
    seen, lived, offset = await signer.plan_from()
    until = lived + _YEAR if asked.until is None else asked.until - offset
    if not lived < until <= lived + _LONGEST:
        raise Refusal(f"a plan goes from now to at most {_LONGEST // _YEAR} years ahead")
    policy = signer.config.policy
    found = await asyncio.to_thread(planner.plan, keyset, policy, seen, lived, until)

    befores = [found.before, *(step.keyset for step in found.steps)]

    def wall(at: float) -> float:
        return at + offset

    return PlanView(
        zone=str(signer.origin),
        begin=report.iso(wall(found.begin)),
        until=report.iso(wall(found.until)),
        ended=found.ended,
        stopped=None if found.stopped is None else str(found.stopped),
        deadline=None if found.deadline is None else report.iso(wall(found.deadline)),
        steps=tuple(
            PlannedStep(
                at=report.iso(wall(step.at)),
                moves=(
                    *(
                        f"{move.record.value} of {_name(step.keyset, move.key)}: "
                        f"{move.was.value} -> {move.to.value}"
                        for move in step.moves
                    ),
                    *report.denial_moves(before, step.keyset),
                ),
                doing=step.doing,
                why=step.why,
            )
            for before, step in zip(befores, found.steps, strict=False)
        ),
        svg=timeline_svg.draw(found, wall) if asked.svg else None,
    )


def _name(keyset: KeySet, fingerprint: str) -> str:
    key = keyset.key(fingerprint)
    if key is None:
        return "a key that is gone"
    return planner.what(keyset, fingerprint)


def _preview(signer: ZoneSigner, wanted: Request | None) -> KeySet:
    try:
        return signer.preview(wanted)
    except OperationError as error:
        raise Refusal(str(error)) from error


def request_of(asked: RollAsk) -> Request:
    """Raises Refusal for what can't be asked together."""
    others = [
        name
        for name, given in (
            ("--algorithm", asked.algorithm is not None),
            ("--lost", asked.lost is not None),
            ("--insecure", asked.insecure),
            ("--secure", asked.secure),
        )
        if given
    ]
    if len(others) > 1 or (others and asked.roles):
        raise Refusal(f"{' and '.join(others) or 'these'}: ask for one rollover at a time")
    if asked.algorithm is not None:
        return RollAlgorithm(asked.algorithm)
    if asked.lost is not None:
        return Lose(asked.lost)
    if asked.insecure:
        return GoInsecure()
    if asked.secure:
        return GoSecure()
    try:
        wanted = frozenset(Role(role.upper()) for role in asked.roles)
    except ValueError:
        raise Refusal("a role is csk, ksk or zsk") from None
    return Roll(wanted or None, asked.now)


async def roll(group: NameGroup, signer: ZoneSigner, asked: RollAsk) -> Lines:
    """Begin a rollover; what follows is the state machine's."""
    await _request(group, signer, request_of(asked))
    status = signer.status()
    waits = [f"  waits for {wait.what}: {wait.evidence}" for wait in status.waits]
    todo = [f"  {line}" for line in status.todo]
    return Lines((f"zone {group.origin}: begun", *todo, *waits))


async def hold(group: NameGroup, signer: ZoneSigner, reason: str) -> str:
    await _request(group, signer, HoldKeys(reason))
    return f"zone {group.origin}: its keys are held ({reason}); signing goes on"


async def resume(group: NameGroup, signer: ZoneSigner) -> str | None:
    """None where there was no brake."""
    if signer.keyset.held is None:
        return None
    await _request(group, signer, ResumeKeys())
    return f"zone {group.origin}: its keys go on"


async def _request(group: NameGroup, signer: ZoneSigner, wanted: Request) -> None:
    if not group.started:
        raise Refusal(f"zone {group.origin} can't start yet; see `zoneward status`")
    try:
        await signer.request(wanted)
    except OperationError as error:
        raise Refusal(str(error)) from error
    group.rekey()


async def confirm_ds(group: NameGroup, signer: ZoneSigner, *, seen: bool) -> Lines:
    """A person's word about the parent."""
    try:
        keys = await signer.confirm_ds(seen=seen)
    except OperationError as error:
        raise Refusal(str(error)) from error
    group.rekey()
    tags = ", ".join(str(key.tag) for key in keys)
    word = "is at the parent" if seen else "has gone from the parent"
    return Lines((f"zone {group.origin}: noted that the DS of key {tags} {word}",))


async def log(signer: ZoneSigner, limit: int) -> tuple[Entry, ...]:
    """The audit trail, oldest first."""
    return tuple(
        Entry(
            at=datetime.fromtimestamp(one.at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
            actor=one.actor,
            action=one.action,
            detail=one.detail,
        )
        for one in await signer.audit(limit)
    )
