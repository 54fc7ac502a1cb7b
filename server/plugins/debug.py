"""*debug*: the server logs all that it has to say."""

from corefile.arguments import plain
from corefile.directive import Directive
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 0, "debug")
    return Parts(debug=True)
