"""*errors*: why queries failed, on the log; the same error many times as one line."""

import logging
import re

from corefile.arguments import choice, duration, known_options, number_of_arguments, plain
from corefile.directive import Directive
from corefile.place import CorefileError
from server.compiled import Errors
from server.parts import Consolidation, Context, Parts

_LEVELS = {
    "error": logging.ERROR,
    "warning": logging.WARNING,
    "info": logging.INFO,
    "debug": logging.DEBUG,
}


def prefix(chain: str) -> str:
    """What the lines of a chain's *errors* begin with."""
    return f"plugin/errors [{chain}]: "


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 0, "errors")
    consolidations = tuple(
        _consolidate(line) for line in known_options(directive, ("consolidate",))
    )
    return Parts(stage=Errors(prefix=prefix(context.chain)), consolidations=consolidations)


def _consolidate(line: Directive) -> Consolidation:
    plain(line, 2, 3, "consolidate DURATION REGEXP [LEVEL]")
    period = duration(line.args[0], least=0.001)
    try:
        pattern = re.compile(line.args[1].text)
    except re.error as error:
        raise CorefileError(
            line.args[1].place, f"'{line.args[1].text}' is no regular expression: {error}"
        ) from None
    level = choice(line.args[2], tuple(_LEVELS)) if len(line.args) == 3 else "error"
    return Consolidation(pattern, period, _LEVELS[level])
