"""*whoami*: tells the client its own address and port."""

from corefile.arguments import plain
from corefile.directive import Directive
from server.compiled import Whoami
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 0, "whoami")
    return Parts(stage=Whoami())
