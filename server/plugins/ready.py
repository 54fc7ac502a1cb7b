"""*ready*: says over HTTP whether every zone that is configured has arrived."""

from corefile.arguments import Endpoint, address, plain
from corefile.directive import Directive
from server.parts import Context, Parts, ReadyService

DEFAULT = Endpoint("", 8181)


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 1, "ready [ADDRESS:PORT]")
    endpoint = address(directive.args[0]) if directive.args else DEFAULT
    return Parts(service=ReadyService(endpoint))
