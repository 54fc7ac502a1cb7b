"""`zoneward status`."""

from __future__ import annotations

from pathlib import Path

import click

from zoneward.api import Followed, Status, ZoneRow
from zoneward.commands.admin_client import client
from zoneward.commands.options import corefile_options, json_option, print_json
from zoneward.refusal import REFUSED


@click.command()
@click.argument("zone", required=False)
@corefile_options
@json_option
@click.pass_context
def status(
    ctx: click.Context, zone: str | None, corefile: Path, dns_port: int, as_json: bool
) -> None:
    """How the zones are, and what each waits for, on whose evidence, until when. Exit code 1
    when a zone has a problem or an alarm."""
    found = client(corefile, dns_port).get("/status", Status, zone=zone)
    if as_json:
        print_json(found)
    else:
        click.echo(f"manager {found.version}, process {found.pid}, {found.corefile}")
        for row in found.zones:
            _show(row)
    bad = any(
        row.problem
        or (row.signing and row.signing.alarms)
        or (row.followed and row.followed.problem)
        for row in found.zones
    )
    ctx.exit(REFUSED if bad else 0)


def _show(row: ZoneRow) -> None:
    state = "not signed" if row.signing is None else row.signing.state
    click.echo(f"{row.zone}  serial {row.serial if row.serial is not None else '-'}, {state}")
    if row.problem is not None:
        click.echo(f"    problem: {row.problem}")
    if row.followed is not None:
        _show_followed(row.followed)
    signing = row.signing
    if signing is None:
        return
    if signing.hold is not None:
        click.echo(f"    held since {signing.hold.since}: {signing.hold.reason}")
        click.echo(f"    remedy: {signing.hold.remedy}")
    for key in signing.keys:
        use = ", ".join(
            word for word, is_so in (("published", key.published), ("signs", key.signing)) if is_so
        )
        click.echo(f"    key {key.tag} {key.role} {key.algorithm}: {use or 'not in use'}")
    click.echo(f"    parent: {signing.parent}")
    for line in signing.todo:
        click.echo(f"    to do: {line}")
    if signing.registrar is not None and signing.registrar.state != "idle":
        found = signing.registrar
        again = "" if found.next_try is None else f", again at {found.next_try}"
        click.echo(f"    registrar {found.name}: {found.text or found.state}{again}")
    for wait in signing.waits:
        since = f", since {wait.since}" if wait.since is not None else ""
        until = f", until {wait.until}" if wait.until is not None else ""
        click.echo(f"    waits for {wait.what} ({wait.evidence}{since}{until})")
        if wait.remedy:
            click.echo(f"        {wait.remedy}")
    if signing.next_resign is not None:
        click.echo(f"    signs again at {signing.next_resign}")
    for alarm in signing.alarms:
        click.echo(f"    alarm: {alarm}")


def _show_followed(found: Followed) -> None:
    revision = "none yet" if found.revision is None else str(found.revision)
    age = "" if found.behind is None else f", {found.behind:.1f} s behind at most"
    click.echo(f"    etcd: revision {revision}{age}; {found.entries} entries")
    if found.problem is not None:
        click.echo(f"    etcd can't be followed: {found.problem}")
    for note in found.notes:
        click.echo(f"    note: {note}")
    if found.left_out:
        click.echo(f"    left out: {found.left_out} entries")
        for example in found.examples:
            click.echo(f"        {example}")
