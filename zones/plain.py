"""Zones that are served as their source has them: not signed here, or signed elsewhere."""

from __future__ import annotations

import attrs
import dns.name

import engine
from zones.serial import following, newer, renumbered
from zones.source import SourceError


@attrs.frozen
class NextVersion:
    """`diff` is None where there was no version before."""

    zone: engine.Zone
    diff: engine.Diff | None


def next_version(
    current: engine.Zone | None, read: engine.Zone, place: str, *, above: int | None = None
) -> NextVersion | None:
    """The version to serve after `current` now that the source gives `read`; None when
    nothing changed. Content decides: where it moved and the serial did not, the serial is
    made to; `above` is a serial that it has to pass, with a content of which nothing is
    known. A presigned zone can't be renumbered (its SOA is signed): SourceError."""
    if above is not None and not newer(read.serial, above):
        if read.signature_count:
            raise SourceError(
                place,
                f"servers hold serial {above} of it, and serial {read.serial} is not newer",
                "sign it elsewhere under a newer serial; it can't be renumbered here",
            )
        return NextVersion(renumbered(read, following(above)), None)
    if current is None or above is not None:
        return NextVersion(read, None)
    if newer(read.serial, current.serial):
        return NextVersion(read, current.difference(read))
    if read.signature_count:
        if read.digest() == current.digest():
            return None
        raise SourceError(
            place,
            f"the content changed, the serial {read.serial} is not newer than {current.serial}",
            "sign it elsewhere under a newer serial; it can't be renumbered here",
        )
    if not engine.source_changes(current, read):
        return None
    zone = renumbered(read, following(current.serial))
    return NextVersion(zone, current.difference(zone))


def content_loss(
    current: engine.Zone | None, read: engine.Zone, *, percent: int = 10
) -> str | None:
    """Why a version needs a person's word before it is served: it is not signed any more, it
    lost its apex NS, or more than `percent` of its names, FEW or more of them."""
    if current is None:
        return None
    if current.signature_count and not read.signature_count:
        return (
            "it is not signed any more and what is served is: while caches hold a DS record of "
            "it, validators refuse every answer, so withdraw the DS first and wait its TTL out"
        )
    apex = read.origin
    if read.rrset(apex, _NS) is None and current.rrset(apex, _NS) is not None:
        return "it has no NS records at the apex any more"
    if not current.name_count:
        return None
    lost = [
        owner
        for owner in current.difference(read).owners
        if current.rrsets_at(owner) and not read.rrsets_at(owner)
    ]
    if len(lost) >= FEW and len(lost) * 100 > percent * current.name_count:
        example, _ = dns.name.from_wire(lost[0], 0)
        return f"it loses {len(lost)} of {current.name_count} names, {example} for one"
    return None


# What a zone may lose without a person's word, whatever part of it that is.
FEW = 10
_NS = 2
