"""*bufsize*: how large a reply over UDP may be."""

from corefile.arguments import count, no_body, number_of_arguments
from corefile.directive import Directive
from server.parts import Context, Parts

_DEFAULT, _LEAST, _MOST = 1232, 512, 4096


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 1, "bufsize [SIZE]")
    no_body(directive)
    args = directive.args
    return Parts(udp_size=count(args[0], least=_LEAST, most=_MOST) if args else _DEFAULT)
