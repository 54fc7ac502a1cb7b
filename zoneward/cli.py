"""The command `zoneward`. Each subcommand is a module of its own, imported only when it is
called: the server process must not have the manager's modules in it."""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

import click

from zoneward import __version__
from zoneward.refusal import OK, REFUSED, USAGE, Refusal, one_line

_COMMANDS = {
    "run": "zoneward.commands.run:run",
    "manage": "zoneward.commands.manage:manage",
    "serve": "zoneward.commands.serve:serve",
    "check": "zoneward.commands.check:check",
    "sign": "zoneward.commands.sign:sign",
    "verify": "zoneward.commands.verify:verify",
    "zones": "zoneward.commands.zones:zones",
    "keys": "zoneward.commands.keys:keys",
    "ds": "zoneward.commands.ds:ds",
    "status": "zoneward.commands.status:status",
    "backup": "zoneward.commands.backup:backup",
    "restore": "zoneward.commands.backup:restore",
}


class _Group(click.Group):
    """Finds its commands by name in `_COMMANDS`."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(_COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        target = _COMMANDS.get(cmd_name)
        if target is None:
            return None
        module, _, name = target.partition(":")
        command = getattr(importlib.import_module(module), name)
        assert isinstance(command, click.Command)
        return command


@click.group(
    cls=_Group,
    invoke_without_command=True,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog="Exit codes: 0 done, or the answer is yes; 1 refused, or the answer is no; "
    "2 wrong usage.",
)
@click.option("-conf", "corefile", type=click.Path(path_type=Path), help="As in CoreDNS: run this.")
@click.option("-dns.port", "dns_port", type=click.IntRange(1, 65535), default=53, hidden=True)
@click.option("--debug", is_flag=True, help="Show tracebacks and debug lines.")
@click.version_option(__version__)
@click.pass_context
def zoneward(ctx: click.Context, corefile: Path | None, dns_port: int, debug: bool) -> None:
    """Zones in, signed answers out: loads zones, signs them, keeps their keys, serves them."""
    ctx.obj = debug
    if ctx.invoked_subcommand is not None:
        return
    if corefile is None:
        click.echo(ctx.get_help())
        return
    command = ctx.command
    assert isinstance(command, click.Group)
    run = command.get_command(ctx, "run")
    assert run is not None
    ctx.invoke(run, corefile=corefile, dns_port=dns_port)


def main() -> None:
    """The entry point: no traceback reaches a person, but with --debug."""
    debug = "--debug" in sys.argv[1:]
    try:
        # Gives the code of `ctx.exit`, or what the command returned: nothing.
        sys.exit(zoneward.main(standalone_mode=False) or OK)
    except click.ClickException as error:
        error.show()
        sys.exit(USAGE)
    except (click.Abort, KeyboardInterrupt):
        sys.exit(REFUSED)
    except BrokenPipeError:
        # Whoever read our output has gone (`| head`); flushing at exit would fail once more.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(REFUSED)
    except Refusal as error:
        _say(str(error).splitlines())
        sys.exit(error.code)
    except Exception as error:  # the last resort
        if debug:
            raise
        _say([one_line(error)])
        sys.exit(REFUSED)


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(f"zoneward: {line}", err=True)
