"""*root*: the directory that relative paths of a block count from."""

from corefile.arguments import no_body, number_of_arguments
from corefile.directive import Directive
from corefile.paths import base
from corefile.place import CorefileWarning
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    """Who reads a path asks `corefile.paths`."""
    number_of_arguments(directive, 1, 1, "root PATH")
    no_body(directive)
    token = directive.args[0]
    path = base(context.block, context.directory)
    if path.is_dir():
        return Parts()
    return Parts(warnings=(CorefileWarning(token.place, f"there is no directory {path}"),))
