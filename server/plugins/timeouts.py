"""*timeouts*: how long peers on TCP may take."""

from corefile.arguments import known_options, number_of_arguments, only_once, plain, seconds
from corefile.directive import Block, Directive
from corefile.lexer import Token
from corefile.place import CorefileError
from server.compiled import Timeouts
from server.parts import Context, Parts

# Seconds; CoreDNS's defaults and bounds.
_DEFAULTS = {"read": 3.0, "write": 5.0, "idle": 10.0}
_LEAST, _MOST = 1.0, 86400.0


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 0, "timeouts { … }")
    if not directive.body:
        raise CorefileError(
            directive.place, "timeouts: a line is missing; right: read|write|idle DURATION"
        )
    only_once(directive, _DEFAULTS)
    for line in known_options(directive, _DEFAULTS):
        plain(line, 1, 1, f"{line.name} DURATION")
        _span(line.args[0])
    return Parts()


def of(block: Block) -> Timeouts | None:
    """None without *timeouts*. Raises CorefileError."""
    directive = block.directive("timeouts")
    if directive is None:
        return None
    found = {name: round(default * 1000) for name, default in _DEFAULTS.items()}
    for line in directive.body or ():
        if line.name in found and line.args:
            found[line.name] = round(_span(line.args[0]) * 1000)
    return Timeouts(read_ms=found["read"], write_ms=found["write"], idle_ms=found["idle"])


def _span(token: Token) -> float:
    return seconds(token, least=_LEAST, most=_MOST)
