"""*loadbalance*: A, AAAA and MX records in an order of chance."""

from corefile.arguments import known_options, number_of_arguments, plain
from corefile.directive import Directive
from corefile.place import CorefileError
from server.compiled import Shuffle
from server.parts import Context, Parts
from server.readers import network


def setup(directive: Directive, context: Context) -> Parts:
    args = directive.args
    if args and args[0].text == "weighted":
        raise CorefileError(
            args[0].place,
            "'weighted' is a policy that this version does not have; it has round_robin",
        )
    number_of_arguments(directive, 0, 1, "loadbalance [round_robin]")
    if args and args[0].text != "round_robin":
        raise CorefileError(args[0].place, f"'{args[0].text}' found where 'round_robin' should be")
    prefer: dict[str, None] = {}
    for line in known_options(directive, ("prefer",)):
        plain(line, 1, None, "prefer NETWORK…")
        prefer |= dict.fromkeys(network(token) for token in line.args)
    return Parts(stage=Shuffle(prefer=tuple(prefer)))
