"""`zoneward serve`. Imports nothing of the manager's: this is the server's process."""

from __future__ import annotations

from pathlib import Path

import click

from zoneward import serve as process
from zoneward.commands.options import (
    absolute,
    child_options,
    corefile_options,
    user_and_group,
)
from zoneward.process import become as become_user


@click.command()
@corefile_options
@child_options
@click.pass_context
def serve(
    ctx: click.Context,
    corefile: Path,
    dns_port: int,
    become: str | None,
    supervised_by: int | None,
) -> None:
    """The server alone: answers queries from its copy of what the manager signs."""
    user = user_and_group(become)
    if user is not None:
        become_user(*user, low_ports=True)
    arguments = ["-conf", str(absolute(corefile)), "-dns.port", str(dns_port)]
    if supervised_by is not None:
        arguments += ["--parent", str(supervised_by)]
    ctx.exit(process.main(arguments))
