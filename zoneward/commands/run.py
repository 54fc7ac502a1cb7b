"""`zoneward run`."""

from __future__ import annotations

from pathlib import Path

import click

from zoneward import supervisor
from zoneward.commands.options import absolute, corefile_options


@click.command()
@corefile_options
@click.pass_context
def run(ctx: click.Context, corefile: Path, dns_port: int) -> None:
    """Manager and server together: the default job."""
    ctx.exit(supervisor.main(absolute(corefile), dns_port, debug=bool(ctx.obj)))
