"""*minimal*: answers without authority and additional records."""

from corefile.arguments import no_body, number_of_arguments
from corefile.directive import Directive
from server.compiled import Minimal
from server.parts import Context, Parts


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 0, "minimal")
    no_body(directive)
    return Parts(stage=Minimal())
