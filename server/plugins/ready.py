"""*ready*: says over HTTP whether every zone that is configured has arrived."""

from corefile.arguments import Endpoint, address, no_body, number_of_arguments
from corefile.directive import Directive
from server.parts import Context, Parts, ReadyService

DEFAULT = Endpoint("", 8181)


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 1, "ready [ADDRESS:PORT]")
    no_body(directive)
    endpoint = address(directive.args[0]) if directive.args else DEFAULT
    return Parts(service=ReadyService(endpoint))
