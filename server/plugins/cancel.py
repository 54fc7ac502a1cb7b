"""*cancel*: how long the plugins of a block may take for a query."""

from corefile.arguments import duration, plain
from corefile.directive import Block, Directive
from server.parts import Context, Parts

_DEFAULT = 5.001


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 1, "cancel [TIMEOUT]")
    limit(context.block)
    return Parts()


def limit(block: Block) -> float | None:
    """Seconds; None without *cancel*. Raises CorefileError."""
    line = block.directive("cancel")
    if line is None:
        return None
    return duration(line.args[0], least=0.001) if line.args else _DEFAULT
