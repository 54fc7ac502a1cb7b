"""What `zoneward ds scan` does: asks the children of a zone, and comes to the DS RRsets that it is
to have."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

import attrs
import dns.name
import msgspec

from signer.childasking import Network, scan
from signer.childscan import Child, Nothing, Refuse, Take, Verdict
from zoneward.api import Cut
from zoneward.dsfile import Accepted, ds_text
from zoneward.refusal import one_line

# Children asked side by side.
_AT_ONCE = 32


class Scanned(msgspec.Struct, frozen=True, kw_only=True):
    """One child. `outcome`: "change", "same", "nothing" or "refused". `before` and `after` are
    DS in presentation form, `stale` those of them that are in the zone's own source and would
    stay."""

    child: str
    outcome: str
    reason: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    stale: tuple[str, ...] = ()


@attrs.frozen
class Scan:
    """All that was asked, and what the file is to hold."""

    rows: tuple[Scanned, ...]
    accepted: dict[dns.name.Name, Accepted]

    @property
    def refused(self) -> bool:
        return any(row.outcome == "refused" for row in self.rows)


async def run(
    cuts: Sequence[Cut],
    known: Mapping[dns.name.Name, Accepted],
    network: Network,
    trusted: frozenset[dns.name.Name],
) -> Scan:
    """`known` is what the file holds; `trusted` are children of whom a person says that what
    they publish is their own."""
    limit = asyncio.Semaphore(_AT_ONCE)

    async def one(cut: Cut) -> tuple[Child, Cut, Verdict]:
        name = _name(cut.child)
        before = known.get(name)
        child = Child(
            name,
            frozenset(map(_name, cut.servers)),
            frozenset(cut.ds),
            None if before is None else before.made,
        )
        addresses = {_name(server): found for server, found in cut.addresses.items()}
        async with limit:
            try:
                verdict = await scan(child, addresses, network, unsigned=name in trusted)
            except Exception as error:  # noqa: BLE001 - one child must not end the others' scan
                verdict = Refuse(one_line(error))
        return child, cut, verdict

    found = await asyncio.gather(*map(one, cuts))
    accepted = dict(known)
    rows = []
    for child, cut, verdict in found:
        own = known.get(child.name)
        rows.append(_row(child, verdict, frozenset() if own is None else own.ds))
        if isinstance(verdict, Take):
            accepted[child.name] = Accepted(verdict.ds, verdict.made, cut.ttl)
    return Scan(tuple(rows), accepted)


def _row(child: Child, verdict: Verdict, own: frozenset[bytes]) -> Scanned:
    after, outcome, reason = child.ds, "refused", ""
    stale: frozenset[bytes] = frozenset()
    match verdict:
        case Take(ds, _, why):
            after, outcome, reason = ds, "same" if ds == child.ds else "change", why
            stale = child.ds - own - ds
        case Nothing(why):
            outcome, reason = "nothing", why
        case Refuse(why):
            reason = why
    return Scanned(
        child=str(child.name),
        outcome=outcome,
        reason=reason,
        before=_texts(child.ds),
        after=_texts(after),
        stale=_texts(stale),
    )


def _texts(records: frozenset[bytes]) -> tuple[str, ...]:
    return tuple(map(ds_text, sorted(records)))


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text).canonicalize()
