"""`zoneward check`."""

from __future__ import annotations

from pathlib import Path

import click

from zoneward import checking
from zoneward.commands.options import corefile_options, json_option, print_json
from zoneward.refusal import REFUSED


@click.command()
@corefile_options
@json_option
@click.pass_context
def check(ctx: click.Context, corefile: Path, dns_port: int, as_json: bool) -> None:
    """Validate a Corefile, as manager and server would read it. Exit code 1, and
    file:line:column with what is wrong, when it can't be used."""
    errors: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    blocks = 0
    try:
        checked = checking.check(corefile, dns_port)
        blocks = len(checked.corefile.blocks)
        warnings = tuple(str(warning) for warning in checked.warnings)
    except checking.CorefileRefused as error:
        errors = error.lines
    if as_json:
        print_json({"ok": not errors, "errors": errors, "warnings": warnings})
    else:
        for line in (*errors, *warnings):
            click.echo(line, err=True)
        if not errors:
            plural = "" if blocks == 1 else "s"
            click.echo(f"{corefile}: good, {blocks} server block{plural}")
    ctx.exit(REFUSED if errors else 0)
