"""*minimal*: answers without authority and additional records."""

from corefile.arguments import plain
from corefile.directive import Directive
from server.compiled import Minimal
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 0, "minimal")
    return Parts(stage=Minimal())
