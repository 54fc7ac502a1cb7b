"""*header*: bits of the reply's header, set or cleared."""

from corefile.arguments import choice, known_options, number_of_arguments, plain
from corefile.directive import Directive
from corefile.lexer import Token
from corefile.place import CorefileError
from server.compiled import Header
from server.parts import Context, Parts, untouched_where_signed

# RFC 1035 section 4.1.1.
_FLAGS = {"aa": 0x0400, "rd": 0x0100, "ra": 0x0080}
_ACTIONS = ("set", "clear")
_USAGE = "[response] set|clear FLAG…"


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 0, 0, "header { … }")
    if not directive.body:
        raise CorefileError(directive.place, f"header: a line is missing; right: {_USAGE}")
    now = {"set": 0, "clear": 0}
    for line in known_options(directive, ("query", "response", *_ACTIONS)):
        action, flags = _line(line)
        bits = sum(_FLAGS[flag] for flag in {choice(token, tuple(_FLAGS)) for token in flags})
        # The last word on a bit counts.
        for name in _ACTIONS:
            now[name] = now[name] | bits if name == action else now[name] & ~bits
    return Parts(
        stage=Header(set=now["set"], clear=now["clear"]),
        warnings=untouched_where_signed(directive, context.block),
    )


def _line(line: Directive) -> tuple[str, tuple[Token, ...]]:
    if line.name == "query":
        raise CorefileError(
            line.place, "'query': the header of a query is not changed by this version"
        )
    if line.name in _ACTIONS:
        plain(line, 1, None, f"{line.name} FLAG…")
        return line.name, line.args
    plain(line, 2, None, _USAGE)
    return choice(line.args[0], _ACTIONS), line.args[1:]
