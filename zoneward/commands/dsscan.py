"""`zoneward ds scan`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click
import dns.asyncresolver
import dns.exception
import dns.name
import dns.resolver

from signer import anchors
from signer.childasking import Network
from signer.rootanchors import ROOT
from signer.trust import Anchor
from zoneward import dsfile, dsscan
from zoneward.api import Cut, CutsAsk
from zoneward.commands.admin_client import client
from zoneward.commands.options import corefile_options, json_option, print_json
from zoneward.dsscan import Scanned
from zoneward.refusal import REFUSED, Refusal


@click.command()
@click.argument("parent")
@click.argument("children", nargs=-1, metavar="[CHILD]…")
@click.option(
    "-o",
    "--output",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Keep the DS taken over in this file, which the zone's source is to $INCLUDE.",
)
@click.option("--dry-run", is_flag=True, help="Leave the file as it is.")
@click.option(
    "--accept",
    multiple=True,
    metavar="CHILD",
    help="This child has no DS, and you know that the CDS at its servers are its own.",
)
@click.option(
    "--anchor",
    "anchor_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="DS or DNSKEY records, beside the root's, to validate signalling records from.",
)
@click.option("--resolver", metavar="ADDRESS", help="Instead of the system's.")
@click.option("--resolver-port", type=click.IntRange(1, 65535), default=53, hidden=True)
@click.option(
    "--port",
    type=click.IntRange(1, 65535),
    default=53,
    show_default=True,
    help="Of the children's servers.",
)
@click.option("-4", "--no-ipv6", is_flag=True, help="This machine has no IPv6: don't ask by it.")
@corefile_options
@json_option
@click.pass_context
def scan(
    ctx: click.Context,
    parent: str,
    children: tuple[str, ...],
    output: Path | None,
    dry_run: bool,
    accept: tuple[str, ...],
    anchor_file: Path | None,
    resolver: str | None,
    resolver_port: int,
    port: int,
    no_ipv6: bool,
    corefile: Path,
    dns_port: int,
    as_json: bool,
) -> None:
    """As the parent: take over the DS that children ask for by CDS and CDNSKEY, by the rules of
    RFC 7344, 8078 and 9615. Every address of every server of a child has to say the same. Exit
    code 1 where something is asked for, or said, that is not to be gone by."""
    names = [_name(child) for child in children]
    trusted = frozenset(map(_name, accept))
    cuts = client(corefile, dns_port).post(
        "/ds/cuts", list[Cut], CutsAsk(parent, tuple(map(str, names)))
    )
    _all_delegated(parent, {*names, *trusted}, cuts)
    network = Network(
        _resolver(resolver, resolver_port),
        _anchors(anchor_file),
        port=port,
        ipv6=not no_ipv6,
    )
    known = {} if output is None else dsfile.read(output)
    found = asyncio.run(dsscan.run(cuts, known, network, trusted))
    accepted = found.accepted
    if not names:
        # What is no delegation any more has no DS.
        delegated = {_name(cut.child) for cut in cuts}
        accepted = {name: one for name, one in accepted.items() if name in delegated}
    if output is not None and not dry_run and accepted != known:
        dsfile.write(output, accepted)
    if as_json:
        print_json(found.rows)
    else:
        for row in found.rows:
            _show(row)
    ctx.exit(REFUSED if found.refused else 0)


def _show(row: Scanned) -> None:
    click.echo(f"{row.child}  {row.outcome}: {row.reason}")
    for record in row.after:
        click.echo(f"    DS {record}{'' if record in row.before else '  (new)'}")
    for record in row.before:
        if record not in row.after:
            click.echo(f"    DS {record}  (to be removed)")
    for record in row.stale:
        click.echo(f"    DS {record} is in the zone's own source: take it out there")


def _all_delegated(parent: str, names: set[dns.name.Name], cuts: list[Cut]) -> None:
    missing = sorted(names - {_name(cut.child) for cut in cuts})
    if missing:
        raise Refusal(f"{parent} has no delegation of {missing[0]}")


def _resolver(address: str | None, port: int) -> dns.asyncresolver.Resolver:
    try:
        found = dns.asyncresolver.Resolver(configure=address is None)
        if address is not None:
            found.nameservers = [address]
            found.port = port
    except (dns.exception.DNSException, ValueError) as error:
        raise Refusal(f"the resolver can't be used: {error}; say --resolver ADDRESS") from error
    return found


def _anchors(path: Path | None) -> tuple[Anchor, ...]:
    try:
        return (ROOT,) if path is None else (*anchors.read(path), ROOT)
    except anchors.AnchorError as error:
        raise Refusal(str(error)) from error


def _name(text: str) -> dns.name.Name:
    try:
        return dns.name.from_text(text).canonicalize()
    except dns.exception.DNSException as error:
        raise click.UsageError(f"{text!r} is no zone name: {error}") from None
