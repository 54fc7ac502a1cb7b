"""The manager's state as the admin socket and the metrics show it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from zones.source import Standing
from zoneward import __version__
from zoneward.api import Delegation, Followed, Overview, Status, ZoneBrief, ZoneRow
from zoneward.group import NameGroup
from zoneward.manager import Manager
from zoneward.zonetask import ZoneTask


def status(manager: Manager, zone: dns.name.Name | None = None) -> Status:
    """All zones, or the variants of one."""
    rows = tuple(
        row
        for origin, group in sorted(manager.groups.items())
        if zone is None or origin == zone
        for row in _rows(manager, group)
    )
    return Status(
        version=__version__,
        pid=os.getpid(),
        corefile=str(manager.plan.path),
        config=manager.plan.digest,
        settled=all(row.problem is not None or row.serial is not None for row in rows),
        zones=rows,
    )


def overview(manager: Manager) -> Overview:
    """All zones in few words."""
    zones = tuple(
        _brief(manager, group, block)
        for _, group in sorted(manager.groups.items())
        for block, _ in group.plan.variants
    )
    settled = all(one.problem is not None or one.serial is not None for one in zones)
    return Overview(manager.plan.digest, settled, zones if settled else ())


def _brief(manager: Manager, group: NameGroup, block: str) -> ZoneBrief:
    task, signed = group.tasks.get(block), group.signer is not None
    if task is None:
        return ZoneBrief(
            str(group.origin), block, None, signed, _not_started(manager, group, block)
        )
    zone = task.keeper.current
    serial = None if zone is None else zone.serial
    return ZoneBrief(str(group.origin), block, serial, signed, task.problem)


def _not_started(manager: Manager, group: NameGroup, block: str) -> str:
    return manager.broken.get((block, group.origin), "it could not be started")


def delegation(group: NameGroup) -> Delegation:
    """What the parent of a signed zone is to have; nothing for an unsigned one."""
    signer = group.signer
    return Delegation(
        str(group.origin),
        ds=() if signer is None else tuple(_texts(dns.rdatatype.DS, signer.ds_records())),
        dnskey=() if signer is None else tuple(_texts(dns.rdatatype.DNSKEY, signer.dnskeys())),
        early=() if signer is None else tuple(key.tag for key in signer.ds_to_come()),
    )


def time_text(seconds: int | None) -> str | None:
    """ISO 8601 in UTC."""
    if seconds is None:
        return None
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def _rows(manager: Manager, group: NameGroup) -> Iterator[ZoneRow]:
    for block, spec in group.plan.variants:
        task = group.tasks.get(block)
        if task is None:
            problem = _not_started(manager, group, block)
            yield _broken(str(group.origin), block, spec.where, problem)
        else:
            yield _row(group, task)


def _row(group: NameGroup, task: ZoneTask) -> ZoneRow:
    zone = task.keeper.current
    return ZoneRow(
        zone=str(group.origin),
        block=task.block,
        source=task.place,
        serial=None if zone is None else zone.serial,
        records=None if zone is None else zone.record_count,
        names=None if zone is None else zone.name_count,
        signatures=None if zone is None else zone.signature_count,
        earliest_expiration=time_text(task.keeper.earliest_expiration()),
        loaded=time_text(task.loaded_at),
        signed_rrsets=task.signed_rrsets,
        problem=task.problem,
        signing=None if group.signer is None else group.signer.status(),
        followed=_followed(task.standing()),
    )


def _followed(standing: Standing | None) -> Followed | None:
    if standing is None:
        return None
    return Followed(
        revision=standing.revision,
        behind=None if standing.behind is None else round(standing.behind, 3),
        problem=standing.problem,
        entries=standing.entries,
        left_out=standing.left_out,
        examples=standing.examples,
        notes=standing.notes,
    )


def _broken(zone: str, block: str, source: str, problem: str) -> ZoneRow:
    return ZoneRow(
        zone=zone,
        block=block,
        source=source,
        serial=None,
        records=None,
        names=None,
        signatures=None,
        earliest_expiration=None,
        loaded=None,
        signed_rrsets=0,
        problem=problem,
        signing=None,
    )


def _texts(rtype: dns.rdatatype.RdataType, rdatas: Sequence[bytes]) -> list[str]:
    return [
        dns.rdata.from_wire(dns.rdataclass.IN, rtype, rdata, 0, len(rdata)).to_text(chunksize=0)
        for rdata in rdatas
    ]
