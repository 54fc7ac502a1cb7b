"""`zoneward verify`."""

from __future__ import annotations

import time
from pathlib import Path

import click
import dns.exception
import dns.name

import engine
from zoneward import offline
from zoneward.commands.options import json_option, print_json
from zoneward.commands.times import Moment
from zoneward.progress import Progress
from zoneward.refusal import REFUSED
from zoneward.rows import time_text

# Failures are counted by kind over this many; more are told as a number.
_MOST = 100_000


@click.command()
@click.argument("zonefile", type=click.Path(path_type=Path))
@click.option("--origin", help="The zone's name; where left out, what the file says.")
@click.option("--at", type=Moment(), help="As if it were this time; default: now.")
@click.option(
    "--ds",
    "anchor",
    type=click.Path(path_type=Path),
    help="DS records that the parent has, in zone-file form.",
)
@click.option(
    "--show",
    type=click.IntRange(1, 10_000),
    default=20,
    show_default=True,
    help="Print this many failures.",
)
@json_option
@click.pass_context
def verify(
    ctx: click.Context,
    zonefile: Path,
    origin: str | None,
    at: int | None,
    anchor: Path | None,
    show: int,
    as_json: bool,
) -> None:
    """Check a signed zone file as the strictest validator would: exit code 1, and what is
    wrong where, if it would be refused."""
    name = offline.find_origin(zonefile) if origin is None else _name(origin)
    moment = int(time.time()) if at is None else at
    with Progress(f"reading {zonefile}"):
        zone = offline.scan(zonefile, name)
    ds = () if anchor is None else (offline.read_ds(anchor, name),)
    started = time.monotonic()
    with Progress("verifying"):
        report = engine.verify(zone, at=moment, ds=ds, max_failures=_MOST)
    seconds = time.monotonic() - started
    lines = [offline.failure_line(failure) for failure in report.failures[:show]]
    kinds = offline.counts(report.failures)
    if as_json:
        print_json(
            {
                "ok": not report.failure_count,
                "zone": str(name),
                "serial": zone.serial,
                "at": time_text(moment),
                "signatures": report.verified,
                "earliest_expiration": time_text(report.earliest_expiration),
                "failure_count": report.failure_count,
                "kinds": kinds,
                "failures": lines,
            }
        )
    elif report.failure_count:
        for line in lines:
            click.echo(line, err=True)
        summary = ", ".join(f"{count} {code}" for code, count in kinds.items())
        click.echo(
            f"{name} serial {zone.serial}: refused at {time_text(moment)}: "
            f"{report.failure_count} failures ({summary})",
            err=True,
        )
    else:
        click.echo(
            f"{name} serial {zone.serial}: good at {time_text(moment)}: "
            f"{report.verified} signatures in {seconds:.2f} s, the first to expire at "
            f"{time_text(report.earliest_expiration)}"
        )
    ctx.exit(REFUSED if report.failure_count else 0)


def _name(text: str) -> dns.name.Name:
    try:
        return dns.name.from_text(text).canonicalize()
    except dns.exception.DNSException as error:
        raise click.UsageError(f"--origin: {text!r} is no zone name: {error}") from None
