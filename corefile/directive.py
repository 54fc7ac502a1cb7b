"""What a Corefile holds, as frozen values."""

from collections.abc import Iterator

import attrs

from corefile.keys import Key
from corefile.lexer import Token
from corefile.place import CorefileWarning, Place


@attrs.frozen
class Directive:
    """A line of a block: its name, its arguments, and the lines of its own body if it has one.
    `body` is None without braces and empty with empty ones."""

    name: str
    place: Place
    args: tuple[Token, ...] = ()
    body: "tuple[Directive, ...] | None" = None

    def option(self, name: str) -> "Directive | None":
        """The first line of the body with that name."""
        return next(self.options(name), None)

    def options(self, name: str) -> "Iterator[Directive]":
        return (line for line in self.body or () if line.name == name)


@attrs.frozen
class Block:
    """A server block: what it answers for and how."""

    keys: tuple[Key, ...]
    directives: tuple[Directive, ...]
    place: Place

    def directive(self, name: str) -> Directive | None:
        """The first directive of that name."""
        return next(self.all(name), None)

    def all(self, name: str) -> Iterator[Directive]:
        return (directive for directive in self.directives if directive.name == name)

    @property
    def zones(self) -> tuple[str, ...]:
        """The zones of the keys, each once, in their order."""
        return tuple(dict.fromkeys(key.zone for key in self.keys))

    @property
    def view(self) -> str:
        """The name of the block's view; empty without one."""
        view = self.directive("view")
        return view.args[0].text if view is not None and view.args else ""


@attrs.frozen
class Corefile:
    """A whole configuration, imports resolved."""

    path: str
    options: tuple[Directive, ...]
    blocks: tuple[Block, ...]
    warnings: tuple[CorefileWarning, ...] = ()
