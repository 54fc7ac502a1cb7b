"""*bufsize*: how large a reply over UDP may be."""

from corefile.arguments import count, plain
from corefile.directive import Directive
from server.parts import Context, Parts

_DEFAULT, _LEAST, _MOST = 1232, 512, 4096


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 1, "bufsize [SIZE]")
    args = directive.args
    return Parts(udp_size=count(args[0], least=_LEAST, most=_MOST) if args else _DEFAULT)
