"""`zoneward zones`."""

from __future__ import annotations

from pathlib import Path

import click

from zoneward.api import Lines, Status, ZoneRow
from zoneward.commands.admin_client import client
from zoneward.commands.options import corefile_options, json_option, print_json, print_table


@click.group()
def zones() -> None:
    """The zones of the running manager."""


@zones.command("list")
@corefile_options
@json_option
def list_(corefile: Path, dns_port: int, as_json: bool) -> None:
    """All zones with their serials."""
    status = client(corefile, dns_port).get("/status", Status)
    if as_json:
        print_json(status.zones)
        return
    print_table(
        ("ZONE", "SERIAL", "RECORDS", "SIGNED", "STATE"),
        [
            (row.zone, _text(row.serial), _text(row.records), signed(row), state(row))
            for row in status.zones
        ],
    )


@zones.command()
@click.argument("zone")
@corefile_options
@json_option
def show(zone: str, corefile: Path, dns_port: int, as_json: bool) -> None:
    """One zone: source, version, signatures, problems."""
    status = client(corefile, dns_port).get("/status", Status, zone=zone)
    if as_json:
        print_json(status.zones)
        return
    for number, row in enumerate(status.zones):
        if number:
            click.echo()
        for name, value in (
            ("zone", row.zone),
            ("block", row.block),
            ("source", row.source),
            ("serial", _text(row.serial)),
            ("loaded", _text(row.loaded)),
            ("records", _text(row.records)),
            ("names", _text(row.names)),
            ("signatures", _text(row.signatures)),
            ("earliest expiration", _text(row.earliest_expiration)),
            ("signed", signed(row)),
            ("state", state(row)),
        ):
            click.echo(f"{name + ':':<21}{value}")


@zones.command()
@click.argument("zone", required=False)
@corefile_options
def reload(zone: str | None, corefile: Path, dns_port: int) -> None:
    """Read a zone's source now; all zones' without ZONE."""
    for line in client(corefile, dns_port).post("/zones/reload", Lines, zone=zone).lines:
        click.echo(line)


@zones.command()
@click.argument("zone")
@corefile_options
def accept(zone: str, corefile: Path, dns_port: int) -> None:
    """Let the version through that is held for losing much of the zone."""
    for line in client(corefile, dns_port).post("/zones/accept", Lines, zone=zone).lines:
        click.echo(line)


@zones.command()
@click.argument("zone")
@click.argument("name", required=False)
@click.argument("rtype", metavar="[TYPE]", required=False)
@corefile_options
def resign(zone: str, name: str | None, rtype: str | None, corefile: Path, dns_port: int) -> None:
    """Make signatures anew, now: all of a zone, those at NAME, or of its RRset of TYPE. NAME
    counts from the zone unless it ends in a dot; @ is the zone itself."""
    manager = client(corefile, dns_port)
    asked = manager.post("/zones/resign", Lines, zone=zone, name=name, type=rtype)
    for line in asked.lines:
        click.echo(line)


def signed(row: ZoneRow) -> str:
    """Whether and in what state a zone is signed."""
    return "no" if row.signing is None else row.signing.state


def state(row: ZoneRow) -> str:
    """What is wrong with a zone, or "good"."""
    return row.problem or "good"


def _text(value: object) -> str:
    return "-" if value is None else str(value)
