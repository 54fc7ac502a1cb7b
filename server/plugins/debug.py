"""*debug*: the server logs all that it has to say."""

from corefile.arguments import no_body, number_of_arguments
from corefile.directive import Directive
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 0, "debug")
    no_body(directive)
    return Parts(debug=True)
