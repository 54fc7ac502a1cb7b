"""*forward*: queries that upstreams answer."""

from typing import Literal, cast

from corefile.arguments import (
    choice,
    count,
    duration,
    known_options,
    number_of_arguments,
    only_once,
    plain,
    zone,
    zones,
)
from corefile.directive import Directive
from corefile.lexer import Token
from corefile.place import CorefileError
from server.compiled import Forward, Upstream
from server.parts import Context, Parts
from server.readers import RCODES
from server.upstreams import read_upstreams

_USAGE = "forward FROM TO…"
_MOST_UPSTREAMS = 15
_ABSENT = ("tls", "tls_servername", "max_idle_conns", "max_age", "doh_method")
_OPTIONS = (
    *("except", "force_tcp", "prefer_udp", "expire", "max_fails", "max_connect_attempts"),
    *("policy", "health_check", "max_concurrent", "next", "failover"),
    "failfast_all_unhealthy_upstreams",
)
_REPEATED = ("except", "next", "failover")
_POLICIES = ("random", "round_robin", "sequential")
_LONGEST = 86400.0


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 2, None, _USAGE)
    for line in directive.body or ():
        if line.name in _ABSENT:
            raise CorefileError(
                line.place,
                f"'{line.name}' is an option of CoreDNS's forward that this version of Zoneward "
                "does not have",
            )
    known_options(directive, _OPTIONS)
    only_once(directive, [option for option in _OPTIONS if option not in _REPEATED])
    found = read_upstreams(directive.args[1:], context.directory)
    if len(found.addresses) > _MOST_UPSTREAMS:
        raise CorefileError(
            directive.args[min(_MOST_UPSTREAMS + 1, len(directive.args) - 1)].place,
            f"{len(found.addresses)} upstreams; forward takes {_MOST_UPSTREAMS} at most",
        )
    return Parts(stage=_stage(directive, found.addresses), warnings=found.warnings)


def _stage(directive: Directive, upstreams: tuple[Upstream, ...]) -> Forward:
    health = directive.option("health_check")
    interval, recursion, domain = _health(health) if health is not None else (0.5, True, ".")
    return Forward(
        origin=_from(directive.args[0]),
        excepted=_excepted(directive),
        upstreams=upstreams,
        policy=cast(
            Literal["random", "round_robin", "sequential"],
            _word(directive, "policy", _POLICIES, "random"),
        ),
        force_tcp=_flag(directive, "force_tcp"),
        prefer_udp=_flag(directive, "prefer_udp"),
        expire_ms=_milliseconds(_duration(directive, "expire", 10.0)),
        max_fails=_number(directive, "max_fails", 2),
        max_connect_attempts=_number(directive, "max_connect_attempts", 0),
        failfast=_flag(directive, "failfast_all_unhealthy_upstreams"),
        health_interval_ms=_milliseconds(interval),
        health_recursion=recursion,
        health_domain=domain,
        max_concurrent=_number(directive, "max_concurrent", 0),
        next=_rcodes(directive, "next"),
        failover=_rcodes(directive, "failover"),
    )


def _from(token: Token) -> str:
    found = zones((token,))
    if len(found) > 1:
        raise CorefileError(
            token.place,
            f"'{token.text}' is {len(found)} reverse zones; forward takes one: end the range at a "
            "whole octet (IPv4) or nibble (IPv6)",
        )
    return found[0]


def _excepted(directive: Directive) -> tuple[str, ...]:
    found: list[Token] = []
    for line in directive.options("except"):
        plain(line, 1, None, "except NAME…")
        found += line.args
    return zones(found)


def _flag(directive: Directive, name: str) -> bool:
    line = directive.option(name)
    if line is None:
        return False
    plain(line, 0, 0, name)
    return True


def _one(directive: Directive, name: str, argument: str) -> Token | None:
    line = directive.option(name)
    if line is None:
        return None
    plain(line, 1, 1, f"{name} {argument}")
    return line.args[0]


def _number(directive: Directive, name: str, default: int) -> int:
    token = _one(directive, name, "NUMBER")
    return count(token, most=2**31 - 1) if token is not None else default


def _duration(directive: Directive, name: str, default: float) -> float:
    token = _one(directive, name, "DURATION")
    return duration(token, least=0.001, most=_LONGEST) if token is not None else default


def _word(directive: Directive, name: str, known: tuple[str, ...], default: str) -> str:
    token = _one(directive, name, "|".join(known))
    return choice(token, known) if token is not None else default


def _rcodes(directive: Directive, name: str) -> tuple[int, ...]:
    known = tuple(code for code in RCODES if name == "next" or code != "NOERROR")
    found = []
    for line in directive.options(name):
        plain(line, 1, None, f"{name} RCODE…")
        found += [RCODES[choice(token, known)] for token in line.args]
    return tuple(dict.fromkeys(found))


def _health(line: Directive) -> tuple[float, bool, str]:
    """DURATION [no_rec] [domain NAME]."""
    usage = "health_check DURATION [no_rec] [domain NAME]"
    plain(line, 1, 4, usage)
    interval = duration(line.args[0], least=0.001, most=_LONGEST)
    recursion, domain = True, "."
    rest = list(line.args[1:])
    while rest:
        token = rest.pop(0)
        if choice(token, ("no_rec", "domain")) == "no_rec":
            recursion = False
            continue
        if not rest:
            raise CorefileError(token.place, f"health_check: domain names none; right: {usage}")
        domain = zone(rest.pop(0))
    return interval, recursion, domain


def _milliseconds(seconds: float) -> int:
    return max(1, round(seconds * 1000))
