"""The global options: what belongs to no server block."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import attrs

from corefile.arguments import (
    Endpoint,
    SecretReference,
    address,
    choice,
    count,
    nearest,
    no_body,
    number_of_arguments,
    plain,
    secret_reference,
)
from corefile.directive import Corefile, Directive
from corefile.owners import GLOBALS
from corefile.place import CorefileError

T = TypeVar("T")

LOG_LEVELS = ("debug", "info", "warning", "error")


@attrs.frozen
class ManagerAddress:
    """Where a server on another machine finds its manager, and the link key that both hold
    (hex text, as in link.key)."""

    endpoint: Endpoint
    tsig: SecretReference


@attrs.frozen
class Options:
    """All global options with their defaults. Paths are absolute or relative to the working
    directory like the Corefile's own; `threads` 0 means one a core."""

    state: Path
    admin: Path
    threads: int = 0
    keystore: Directive | None = None
    publish: Directive | None = None
    manager: ManagerAddress | None = None
    metrics: Endpoint | None = None
    user: str | None = None
    server_user: str | None = None
    log_level: str = "info"

    @classmethod
    def of(cls, corefile: Corefile) -> "Options":
        """Read the block of global options. Raises CorefileError."""
        given: dict[str, Directive] = {}
        for directive in corefile.options:
            if directive.name not in GLOBALS:
                raise CorefileError(
                    directive.place,
                    f"unknown global option '{directive.name}'" + nearest(directive.name, GLOBALS),
                )
            if directive.name in given:
                raise CorefileError(
                    directive.place,
                    f"'{directive.name}' is given a second time; the first is at "
                    f"{given[directive.name].place}",
                )
            given[directive.name] = directive
        directory = Path(corefile.path).parent

        def read(name: str, reader: Callable[[Directive], T], default: T) -> T:
            return reader(given[name]) if name in given else default

        state = directory / read("state", _word("state DIRECTORY"), "state")
        admin = read("admin", _word("admin SOCKET"), "")
        return cls(
            state=state,
            admin=directory / admin if admin else state / "run" / "admin.sock",
            threads=read("threads", _threads, 0),
            keystore=given.get("keystore"),
            publish=given.get("publish"),
            manager=read("manager", _manager, None),
            metrics=read("metrics", _metrics, None),
            user=read("user", _word("user NAME"), None),
            server_user=read("server-user", _word("server-user NAME"), None),
            log_level=read("log", _log_level, "info"),
        )


def _word(usage: str) -> Callable[[Directive], str]:
    def read(directive: Directive) -> str:
        plain(directive, 1, 1, usage)
        if not directive.args[0].text:
            raise CorefileError(directive.args[0].place, f"it can't be empty; right: {usage}")
        return directive.args[0].text

    return read


def _threads(directive: Directive) -> int:
    plain(directive, 1, 1, "threads NUMBER")
    return count(directive.args[0], least=1, most=1024)


def _manager(directive: Directive) -> ManagerAddress:
    no_body(directive)
    usage = "manager ADDRESS:PORT tsig file:PATH"
    number_of_arguments(directive, 3, 3, usage)
    choice(directive.args[1], ("tsig",))
    return ManagerAddress(address(directive.args[0]), secret_reference(directive.args[2]))


def _metrics(directive: Directive) -> Endpoint:
    plain(directive, 1, 1, "metrics ADDRESS:PORT")
    return address(directive.args[0])


def _log_level(directive: Directive) -> str:
    plain(directive, 1, 1, f"log {'|'.join(LOG_LEVELS)}")
    return choice(directive.args[0], LOG_LEVELS)
