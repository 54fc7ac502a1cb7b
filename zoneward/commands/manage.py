"""`zoneward manage`."""

from __future__ import annotations

from pathlib import Path

import click

from zoneward import manage as process
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
def manage(
    ctx: click.Context,
    corefile: Path,
    dns_port: int,
    become: str | None,
    supervised_by: int | None,
) -> None:
    """The manager alone: loads, signs, keeps keys, gives zones to servers."""
    user = user_and_group(become)
    if user is not None:
        become_user(*user, low_ports=False)
    ctx.exit(
        process.main(absolute(corefile), dns_port, supervised_by=supervised_by, debug=bool(ctx.obj))
    )
