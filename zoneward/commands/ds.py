"""`zoneward ds`."""

from __future__ import annotations

from pathlib import Path

import click
import msgspec

from zoneward.api import Delegation, DsCheck, DsForms, DsPlan, Lines, Word, ZoneAsk
from zoneward.commands.admin_client import client
from zoneward.commands.dsscan import scan
from zoneward.commands.options import corefile_options, json_option, print_json
from zoneward.refusal import REFUSED


@click.group()
def ds() -> None:
    """What the parent is to know of a zone's keys; and, as the parent, those of the children."""


ds.add_command(scan)


@ds.command()
@click.argument("zone", required=False)
@click.option("--dnskey", is_flag=True, help="DNSKEY records, for parents that want those.")
@click.option(
    "--format",
    "form",
    type=click.Choice(["ds", "bind", "cds", "fields"]),
    default="ds",
    help="With the DNSKEY beside it; as CDS and CDNSKEY; or field by field, as forms ask for it.",
)
@corefile_options
@json_option
def show(
    zone: str | None, dnskey: bool, form: str, corefile: Path, dns_port: int, as_json: bool
) -> None:
    """DS records in zone-file form: all that standard output gets, for `> anchor.ds`."""
    if form != "ds":
        if zone is None:
            raise click.UsageError(f"--format {form} takes a zone")
        _show_form(client(corefile, dns_port).get("/ds/forms", DsForms, zone=zone), form, as_json)
        return
    found = client(corefile, dns_port).get("/ds", list[Delegation], zone=zone)
    if as_json:
        print_json(found)
        return
    for delegation in found:
        for rdata in delegation.dnskey if dnskey else delegation.ds:
            click.echo(f"{delegation.zone} IN {'DNSKEY' if dnskey else 'DS'} {rdata}")
        if delegation.early:
            tags = ", ".join(map(str, delegation.early))
            click.echo(
                f"{delegation.zone}: the DS of key {tags} is not to be at the parent yet: what it "
                f"leads to is not in all caches; see `zoneward status {delegation.zone}`",
                err=True,
            )


def _show_form(found: DsForms, form: str, as_json: bool) -> None:
    if as_json:
        print_json(found.entries)
    elif form == "fields":
        for entry in found.entries:
            for name, value in msgspec.to_builtins(entry).items():
                click.echo(f"{name.replace('_', ' ')}: {value}")
            click.echo()
    else:
        click.echo(found.bind if form == "bind" else found.cds, nl=False)


@ds.command()
@click.argument("zone")
@corefile_options
@json_option
def plan(zone: str, corefile: Path, dns_port: int, as_json: bool) -> None:
    """What is wanted, what the registrar lists and the parent shows, and what would change."""
    found = client(corefile, dns_port).get("/ds/plan", DsPlan, zone=zone)
    if as_json:
        print_json(found)
    else:
        _show_plan(found)


def _show_plan(found: DsPlan) -> None:
    def part(what: str, records: tuple[str, ...] | None, unknown: str) -> None:
        click.echo(f"{what}:" + ("" if records else f" {unknown if records is None else 'none'}"))
        for record in records or ():
            click.echo(f"    DS {record}")

    part("wanted", found.wanted, "")
    if found.registrar is not None:
        part(f"at the registrar ({found.registrar})", found.listed, found.problem or "not told")
    part("at the parent's servers", found.parent, found.parent_problem or "not told")
    for verb, records in (("add", found.add), ("remove", found.remove)):
        for record in records:
            click.echo(f"would {verb} DS {record}")
    if found.registrar is not None and found.problem is None and not (found.add or found.remove):
        click.echo("nothing would change")
    if found.forbidden is not None:
        click.echo(f"not done: {found.forbidden}")


@ds.command()
@click.argument("zone")
@click.option("--dry-run", is_flag=True, help="Only say what would change.")
@corefile_options
def push(zone: str, dry_run: bool, corefile: Path, dns_port: int) -> None:
    """Bring the registrar in line now. No wait is skipped: what is wanted is what `ds plan`
    shows."""
    manager = client(corefile, dns_port)
    if dry_run:
        _show_plan(manager.get("/ds/plan", DsPlan, zone=zone))
        return
    for line in manager.post("/ds/push", Lines, ZoneAsk(zone)).lines:
        click.echo(line)


@ds.command()
@click.argument("zone", required=False)
@corefile_options
@json_option
@click.pass_context
def check(
    ctx: click.Context, zone: str | None, corefile: Path, dns_port: int, as_json: bool
) -> None:
    """Whether the parent's servers show what is wanted. Exit code 1 where they don't."""
    found = client(corefile, dns_port).get("/ds/check", list[DsCheck], zone=zone)
    if as_json:
        print_json(found)
    else:
        for one in found:
            click.echo(f"{one.zone}  {'; '.join(one.problems) or 'as wanted'}")
    ctx.exit(REFUSED if any(one.problems for one in found) else 0)


@ds.command()
@click.argument("zone")
@click.option("--seen", "word", flag_value="seen", help="The DS that is waited for is there.")
@click.option("--withdrawn", "word", flag_value="withdrawn", help="The old DS has gone.")
@corefile_options
def confirm(zone: str, word: str | None, corefile: Path, dns_port: int) -> None:
    """Your word about the parent, where its servers can't be asked. Caches are waited for."""
    if word is None:
        raise click.UsageError("say --seen or --withdrawn")
    asked = Word(zone, seen=word == "seen")
    for line in client(corefile, dns_port).post("/ds/confirm", Lines, asked).lines:
        click.echo(line)
