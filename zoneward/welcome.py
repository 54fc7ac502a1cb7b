"""What `zoneward run` prints once everything answers: what a newcomer needs next."""

from __future__ import annotations

import click

from corefile.arguments import Endpoint, address
from zoneward.api import ZoneBrief
from zoneward.checking import Checked
from zoneward.readiness import FEW, Report

# *prometheus* without an argument, as CoreDNS has it.
_PROMETHEUS = Endpoint("127.0.0.1", 9153)


def show(report: Report, checked: Checked) -> None:
    """To standard output; the log is on standard error."""
    for line in lines(report, checked):
        click.echo(line)


def lines(report: Report, checked: Checked) -> list[str]:
    """The text, a line an element."""
    ds = {delegation.zone: delegation.ds for delegation in report.delegations}
    text = ["", "Zoneward is ready." if not report.missing else "Zoneward runs."]
    dig: str | None = None
    zones = report.overview.zones
    # What is missing comes first where not all is told.
    told = zones if len(zones) <= FEW else tuple(dict.fromkeys((*report.missing, *zones)))[:FEW]
    for row in told:
        door = report.doors.get(row.block)
        text.append(_zone(row, str(door) if door else "nowhere", row in report.missing))
        if row in report.missing:
            continue
        text += [f"    {row.zone} DS {rdata}" for rdata in ds.get(row.zone, ())]
        if door is not None and dig is None and row.signed:
            dig = door.dig(row.zone)
    if len(zones) > len(told):
        text.append(f"  and {len(zones) - len(told)} more: see `zoneward status`")
    if dig is not None:
        text += ["See a signed answer:", f"    {dig}"]
    text += _metrics(checked)
    return text


def _zone(row: ZoneBrief, where: str, missing: bool) -> str:
    if missing:
        return f"  {row.zone}  not answered at {where}: {row.problem or 'not there yet'}"
    signed = "signed" if row.signed else "not signed"
    return f"  {row.zone}  serial {row.serial}, {signed}, at {where}"


def _metrics(checked: Checked) -> list[str]:
    found: dict[str, str] = {}
    for block in checked.corefile.blocks:
        for directive in block.all("prometheus"):
            at = address(directive.args[0]) if directive.args else _PROMETHEUS
            found[f"    http://{at}/metrics"] = "server"
    if checked.plan.options.metrics is not None:
        found[f"    http://{checked.plan.options.metrics}/metrics"] = "manager"
    if not found:
        return []
    return ["Metrics:", *(f"{url} ({who})" for url, who in found.items())]
