"""*proxy*, as Corefiles before CoreDNS 1.5 have it: taken as *forward*, with a warning."""

import attrs

from corefile.arguments import (
    choice,
    count,
    duration,
    known_options,
    number_of_arguments,
    only_once,
    plain,
)
from corefile.directive import Directive
from corefile.place import CorefileError, CorefileWarning
from server.parts import Context, Parts
from server.plugins import forward

# Those that mean something to *forward*.
_OPTIONS = ("policy", "max_fails", "except", "protocol", "fail_timeout", "max_conns", "spray")
_POLICIES = {
    "random": "random",
    "round_robin": "round_robin",
    "first": "sequential",
    "sequential": "sequential",
    "least_conn": "random",
}


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 2, None, "proxy FROM TO…")
    only_once(directive, [option for option in _OPTIONS if option != "except"])
    lines = [_line(line) for line in known_options(directive, _OPTIONS)]
    meant = attrs.evolve(
        directive, name="forward", body=tuple(line for line in lines if line is not None)
    )
    parts = forward.setup(meant, context)
    warning = CorefileWarning(
        directive.place,
        "'proxy' went out of CoreDNS with version 1.5; it is taken as 'forward': write that",
    )
    return attrs.evolve(parts, warnings=(warning, *parts.warnings))


def _line(line: Directive) -> Directive | None:
    match line.name:
        case "policy":
            plain(line, 1, 1, "policy " + "|".join(_POLICIES))
            word = _POLICIES[choice(line.args[0], tuple(_POLICIES))]
            return attrs.evolve(line, args=(attrs.evolve(line.args[0], text=word),))
        case "protocol":
            return _protocol(line)
        # How failures were remembered and told: here the health checks do it.
        case "fail_timeout":
            plain(line, 1, 1, "fail_timeout DURATION")
            duration(line.args[0])
            return None
        case "max_conns":
            plain(line, 1, 1, "max_conns NUMBER")
            count(line.args[0])
            return None
        case "spray":
            plain(line, 0, 0, "spray")
            return None
        case _:
            return line


def _protocol(line: Directive) -> Directive | None:
    plain(line, 1, 2, "protocol dns [force_tcp]")
    if line.args[0].text != "dns":
        raise CorefileError(
            line.args[0].place, f"the protocol '{line.args[0].text}' is not spoken; dns is"
        )
    if len(line.args) == 1:
        return None
    choice(line.args[1], ("force_tcp",))
    return attrs.evolve(line, name="force_tcp", args=())
