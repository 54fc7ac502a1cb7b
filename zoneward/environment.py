"""What of the supervisor's environment each child gets: little, and no other's secrets."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence

from corefile import Corefile, Directive
from corefile.owners import GLOBALS, OWNER

_KEPT = ("PATH", "LANG", "LC_ALL", "LC_CTYPE", "TZ")


def for_child(
    child: str, corefile: Corefile, environ: Mapping[str, str], asked: Collection[str]
) -> dict[str, str]:
    """The environment of "manager" or "server": locale and time zone, the variables that the
    Corefile's text asked for (`asked`; both read the same text), those that its own `env:`
    references name, and systemd's credentials where it has a `credential:` reference."""
    references = set(_references(child, corefile))
    names = {*_KEPT, *asked, *(name for kind, name in references if kind == "env")}
    # A variable that another child's secret is in stays out, even if the text asks for it.
    others = {name for kind, name in _references(_other(child), corefile) if kind == "env"}
    names -= others - {name for kind, name in references if kind == "env"}
    if any(kind == "credential" for kind, _ in references):
        names.add("CREDENTIALS_DIRECTORY")
    return {name: environ[name] for name in sorted(names) if name in environ}


def _other(child: str) -> str:
    return "server" if child == "manager" else "manager"


def _references(child: str, corefile: Corefile) -> Iterator[tuple[str, str]]:
    lines = [(GLOBALS.get(line.name, "server"), line) for line in corefile.options]
    lines += [
        # Plugins run in the server.
        (OWNER.get(line.name, "server"), line)
        for block in corefile.blocks
        for line in block.directives
    ]
    for owner, line in lines:
        if owner in (child, "both"):
            yield from _tokens([line])


def _tokens(lines: Sequence[Directive]) -> Iterator[tuple[str, str]]:
    for line in lines:
        for token in line.args:
            kind, colon, name = token.text.partition(":")
            if colon and kind in ("env", "credential"):
                yield kind, name
        yield from _tokens(line.body or ())
