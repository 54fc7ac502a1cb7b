"""`zoneward backup` and `zoneward restore`."""

from __future__ import annotations

from pathlib import Path

import click

from zoneward import backup as archive
from zoneward.commands.admin_client import options
from zoneward.commands.options import corefile_options
from zoneward.state import StateDirectory


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@corefile_options
def backup(file: Path, corefile: Path, dns_port: int) -> None:
    """Write the manager's state into FILE (a tar, mode 0600), also while it runs."""
    for line in archive.write(StateDirectory(options(corefile, dns_port).state), file):
        click.echo(line)


@click.command()
@click.argument("file", type=click.Path(path_type=Path))
@click.option("--force", is_flag=True, help="Replace the state that is there.")
@corefile_options
def restore(file: Path, force: bool, corefile: Path, dns_port: int) -> None:
    """Put back what `backup` wrote. What changed since is looked at, at the next start, before
    anything is published."""
    state = StateDirectory(options(corefile, dns_port).state)
    for line in archive.restore(state, file, force=force):
        click.echo(line)
