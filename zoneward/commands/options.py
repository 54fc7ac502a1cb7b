"""What several commands take, and how they speak."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

F = TypeVar("F", bound=Callable[..., Any])


def corefile_options(function: F) -> F:
    """-c and -conf (as CoreDNS spells it), -dns.port."""
    function = click.option(
        "-dns.port",
        "dns_port",
        type=click.IntRange(1, 65535),
        default=53,
        show_default=True,
        help="The port of keys that name none.",
    )(function)
    return click.option(
        "-c",
        "-conf",
        "--corefile",
        "corefile",
        type=click.Path(path_type=Path),
        default=Path("Corefile"),
        show_default=True,
        help="The Corefile.",
    )(function)


def child_options(function: F) -> F:
    """What the supervisor tells its children."""
    function = click.option("--become", hidden=True, metavar="UID:GID")(function)
    return click.option("--supervised-by", type=int, hidden=True)(function)


def json_option(function: F) -> F:
    """--json, for commands that read."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(function)


def user_and_group(become: str | None) -> tuple[int, int] | None:
    """The value of --become."""
    if become is None:
        return None
    uid, colon, gid = become.partition(":")
    if not (colon and uid.isdecimal() and gid.isdecimal()):
        raise click.UsageError("--become takes UID:GID")
    return int(uid), int(gid)


def print_json(value: object) -> None:
    """One JSON document, indented."""
    click.echo(msgspec.json.format(msgspec.json.encode(value), indent=2).decode())


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns, aligned; the last one as wide as it likes."""
    widths = [max(len(row[i]) for row in (head, *rows)) for i in range(len(head))]
    for row in (head, *rows):
        cells = [cell.ljust(width) for cell, width in zip(row, widths, strict=True)]
        click.echo("  ".join(cells).rstrip())


def absolute(path: Path) -> Path:
    """The path from the root, links kept: a Corefile's directory is the one that is named."""
    return Path(os.path.abspath(path))  # noqa: PTH100
