"""*health*: says over HTTP that the process is alive."""

from corefile.arguments import (
    Endpoint,
    address,
    duration,
    known_options,
    number_of_arguments,
    only_once,
    plain,
)
from corefile.directive import Directive
from server.parts import Context, HealthService, Parts

DEFAULT = Endpoint("", 8080)
_LONGEST_LAMEDUCK = 3600.0


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 1, "health [ADDRESS:PORT]")
    endpoint = address(directive.args[0]) if directive.args else DEFAULT
    lameduck = 0.0
    only_once(directive, ("lameduck",))
    for line in known_options(directive, ("lameduck",)):
        plain(line, 1, 1, "lameduck DURATION")
        lameduck = duration(line.args[0], most=_LONGEST_LAMEDUCK)
    return Parts(service=HealthService(endpoint, lameduck))
