"""*prometheus*: counts the block's queries and gives the counters over HTTP."""

from corefile.arguments import Endpoint, address, plain
from corefile.directive import Directive
from server.compiled import Metrics
from server.parts import Context, Parts, PrometheusService

DEFAULT = Endpoint("127.0.0.1", 9153)


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 1, "prometheus [ADDRESS:PORT]")
    endpoint = address(directive.args[0]) if directive.args else DEFAULT
    return Parts(stage=Metrics(), service=PrometheusService(endpoint))
