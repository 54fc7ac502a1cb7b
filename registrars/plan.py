"""From what is wanted and what a registrar has to what is to change, and what may not."""

from collections.abc import Callable, Collection

import attrs
import dns.name

from registrars.protocol import (
    Capabilities,
    Deletes,
    Entry,
    Plan,
    Progress,
    Receipt,
    Wants,
)


@attrs.frozen
class Forbidden:
    """Why a plan is not carried out, in words for a person."""

    reason: str


def difference(
    zone: dns.name.Name,
    have: tuple[Entry, ...],
    wanted: tuple[Entry, ...],
    ours: Collection[Entry],
) -> Plan:
    """What takes a registrar from `have` to `wanted`. `ours` are all entries that our keys may
    have there: what is of nobody's keys here is left alone, whoever put it there."""
    return Plan(
        zone,
        add=tuple(one for one in wanted if not any(same(one, other) for other in have)),
        remove=tuple(
            one
            for one in have
            if any(same(one, other) for other in ours)
            and not any(same(one, other) for other in wanted)
        ),
        keep=tuple(
            one
            for one in have
            if not any(same(one, other) for other in ours)
            or any(same(one, other) for other in wanted)
        ),
    )


def same(one: Entry, other: Entry) -> bool:
    """Whether two entries are of one key in one form. A digest that one of them lacks is no
    difference where both have the key itself."""
    return one.ds == other.ds or (one.dnskey is not None and one.dnskey == other.dnskey)


def suited(entries: tuple[Entry, ...], capabilities: Capabilities) -> tuple[Entry, ...]:
    """Those of the entries that the registrar takes: each key once where it wants DNSKEY, with
    each digest that it takes where it wants DS."""
    if capabilities.wants is Wants.DS:
        return tuple(one for one in entries if one.digest_type in capabilities.digests)
    return tuple(
        one
        for number, one in enumerate(entries)
        if not any(one.dnskey == before.dnskey for before in entries[:number])
    )


def forbidden(
    plan: Plan, working: Collection[Entry], capabilities: Capabilities, *, insecure: bool
) -> Forbidden | None:
    """Why a plan must not be carried out; None when it may. `working` are entries that lead to
    a key that signs the DNSKEY RRset now."""
    if not plan.remove or (insecure and not plan.after):
        return _twins(plan, capabilities)
    left = [one for one in plan.keep if any(same(one, other) for other in working)]
    if not left:
        # Not even together with one that is new: who adds after removing, or fails between.
        gone = ", ".join(str(one.tag) for one in plan.remove)
        return Forbidden(
            f"it would take the DS of key {gone} away, and none that works would be there but "
            "what is added"
        )
    if len(plan.remove) > len(left) + len(plan.add):
        return Forbidden(
            f"it would take {len(plan.remove)} DS away and leave {len(left) + len(plan.add)}: "
            "more than a rollover does"
        )
    return _twins(plan, capabilities)


def _twins(plan: Plan, capabilities: Capabilities) -> Forbidden | None:
    """Who deletes by tag deletes all keys of that tag (.ru, 2024)."""
    if capabilities.deletes is not Deletes.TAG:
        return None
    twins = {one.tag for one in plan.remove} & {one.tag for one in plan.after}
    if not twins:
        return None
    tags = ", ".join(map(str, sorted(twins)))
    return Forbidden(
        f"the registrar deletes by key tag, and {tags} is also that of a DS that stays"
    )


def left_to_add(plan: Plan, have: Collection[Entry]) -> tuple[Entry, ...]:
    """What a plan adds that a registrar lacks by now."""
    return tuple(one for one in plan.add if not any(same(one, other) for other in have))


def left_to_remove(plan: Plan, have: Collection[Entry]) -> tuple[Entry, ...]:
    """What a plan removes that is still there, as listed now: with today's ids."""
    return tuple(one for one in have if any(same(one, other) for other in plan.remove))


def replacement(plan: Plan, have: Collection[Entry]) -> tuple[Entry, ...] | None:
    """All that is to be there, for who can only replace all; None where nothing is left to do.
    What the plan keeps is kept even where a list that lags lacks it, and so is what came after
    the plan was made."""
    if not left_to_add(plan, have) and not left_to_remove(plan, have):
        return None
    stay = tuple(one for one in have if not any(same(one, other) for other in plan.remove))
    lost = tuple(one for one in plan.keep if not any(same(one, other) for other in stay))
    return (*stay, *lost, *left_to_add(plan, (*stay, *lost)))


def one_by_one(
    plan: Plan,
    have: Collection[Entry],
    add: Callable[[Entry], object],
    remove: Callable[[Entry], object],
) -> Receipt:
    """Carry a plan out with a registrar that takes entries singly: adding before removing."""
    for one in left_to_add(plan, have):
        add(one)
    for one in left_to_remove(plan, have):
        remove(one)
    return done(plan)


def done(plan: Plan) -> Receipt:
    """The receipt of a plan of which nothing is left."""
    return Receipt(Progress.ACCEPTED, f"{plan.zone} is there as planned")


def never_pending(zone: dns.name.Name) -> Receipt:
    """What a registrar says of an operation that answers at once."""
    return Receipt(Progress.ACCEPTED, f"{zone} has nothing under way")
