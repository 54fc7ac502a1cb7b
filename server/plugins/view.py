"""*view*: which queries a server block is for, beside their names."""

from corefile.arguments import known_options, number_of_arguments
from corefile.directive import Directive
from server.conditions import All, table
from server.expressions import parse
from server.parts import Context, Parts
from server.querytests import read


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 1, 1, "view NAME {")
    readings = [read(parse(line.args, line.place)) for line in known_options(directive, ("expr",))]
    return Parts(
        when=table(All(tuple(reading.condition for reading in readings))),
        warnings=tuple(warning for reading in readings for warning in reading.warnings),
    )
