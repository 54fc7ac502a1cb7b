"""`zoneward ds`."""

from __future__ import annotations

from pathlib import Path

import click

from zoneward.api import Delegation, Lines, Word
from zoneward.commands.admin_client import client
from zoneward.commands.options import corefile_options, json_option, print_json


@click.group()
def ds() -> None:
    """What the parent is to know of a zone's keys."""


@ds.command()
@click.argument("zone", required=False)
@click.option("--dnskey", is_flag=True, help="DNSKEY records, for parents that want those.")
@corefile_options
@json_option
def show(zone: str | None, dnskey: bool, corefile: Path, dns_port: int, as_json: bool) -> None:
    """DS records in zone-file form: all that standard output gets, for `> anchor.ds`."""
    found = client(corefile, dns_port).get("/ds", list[Delegation], zone=zone)
    if as_json:
        print_json(found)
        return
    for delegation in found:
        for rdata in delegation.dnskey if dnskey else delegation.ds:
            click.echo(f"{delegation.zone} IN {'DNSKEY' if dnskey else 'DS'} {rdata}")


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
