"""*root*: the directory that relative paths of a block count from."""

from corefile.arguments import plain
from corefile.directive import Directive
from corefile.paths import base
from corefile.place import CorefileWarning
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    """Who reads a path asks `corefile.paths`."""
    plain(directive, 1, 1, "root PATH")
    token = directive.args[0]
    path = base(context.block, context.directory)
    if path.is_dir():
        return Parts()
    return Parts(warnings=(CorefileWarning(token.place, f"there is no directory {path}"),))
