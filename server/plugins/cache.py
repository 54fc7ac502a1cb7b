"""*cache*: replies that are kept for their TTL and given out again."""

import math
import re

import attrs

from corefile.arguments import (
    choice,
    count,
    duration,
    integer,
    known_options,
    only_once,
    plain,
    zones,
)
from corefile.directive import Directive
from corefile.lexer import Token
from corefile.place import CorefileError
from server.compiled import Cache, Prefetch, Side
from server.parts import Context, Parts

_USAGE = "cache [TTL] [ZONE…]"
_OPTIONS = ("success", "denial", "prefetch", "serve_stale", "servfail", "disable", "keepttl")
_LONGEST_TTL = 2**31 - 1
_LEAST_CAPACITY = 1024
_MOST_CAPACITY = 2**26
_LONGEST_SERVFAIL = 300.0
_DEFAULT_STALE = 3600.0
_PERCENTAGE = re.compile(r"(\d{1,3})%", re.ASCII)
_SUCCESS = Side(capacity=9984, most_ttl=3600, least_ttl=5)
_DENIAL = Side(capacity=9984, most_ttl=1800, least_ttl=5)


def setup(directive: Directive, context: Context) -> Parts:
    known_options(directive, _OPTIONS)
    only_once(directive, [option for option in _OPTIONS if option != "disable"])
    return Parts(stage=stage(directive, context.block.zones))


def stage(directive: Directive, block_zones: tuple[str, ...]) -> Cache:
    """Raises CorefileError. `block_zones` are what is cached when no zone is named."""
    names = list(directive.args)
    success, denial = _SUCCESS, _DENIAL
    if names and names[0].text.lstrip("+-").isdecimal():
        ttl = integer(names.pop(0), least=1, most=_LONGEST_TTL)
        success, denial = (
            Side(capacity=side.capacity, most_ttl=ttl, least_ttl=side.least_ttl)
            for side in (success, denial)
        )
    cached = zones(names) or block_zones
    stale = _Stale.of(directive.option("serve_stale"))
    return Cache(
        zones=cached,
        success=_side(directive, "success", success, cached),
        denial=_side(directive, "denial", denial, cached),
        servfail_seconds=_servfail(directive.option("servfail")),
        prefetch=_prefetch(directive.option("prefetch")),
        serve_stale_seconds=stale.seconds,
        serve_stale_verify=stale.verify,
        keep_ttl=_keep_ttl(directive.option("keepttl")),
    )


def _side(directive: Directive, name: str, side: Side, cached: tuple[str, ...]) -> Side:
    line = directive.option(name)
    capacity, most, least = side.capacity, side.most_ttl, side.least_ttl
    if line is not None:
        plain(line, 1, 3, f"{name} CAPACITY [TTL] [MINTTL]")
        capacity = count(line.args[0], least=1, most=_MOST_CAPACITY)
        if len(line.args) > 1:
            most = count(line.args[1], least=1, most=_LONGEST_TTL)
        if len(line.args) > 2:
            least = count(line.args[2], most=_LONGEST_TTL)
    return Side(
        capacity=max(capacity, _LEAST_CAPACITY),
        most_ttl=most,
        least_ttl=min(least, most),
        disabled=_disabled(directive, name, cached),
    )


def _disabled(directive: Directive, name: str, cached: tuple[str, ...]) -> tuple[str, ...]:
    found: list[str] = []
    for line in directive.options("disable"):
        plain(line, 1, None, "disable success|denial [ZONE…]")
        if choice(line.args[0], ("success", "denial")) == name:
            found += zones(line.args[1:]) or cached
    return tuple(dict.fromkeys(found))


def _servfail(line: Directive | None) -> int:
    """Seconds, a part of one counting as whole."""
    if line is None:
        return 5
    plain(line, 1, 1, "servfail DURATION")
    return math.ceil(duration(line.args[0], most=_LONGEST_SERVFAIL))


def _prefetch(line: Directive | None) -> Prefetch:
    if line is None:
        return Prefetch()
    plain(line, 1, 3, "prefetch AMOUNT [DURATION] [PERCENTAGE%]")
    amount = count(line.args[0], most=2**31 - 1)
    span, percentage = 60.0, 10
    if len(line.args) > 1:
        span = duration(line.args[1], least=0.001, most=86400.0)
    if len(line.args) > 2:
        percentage = _percentage(line.args[2])
    return Prefetch(amount=amount, duration_ms=round(span * 1000), percentage=percentage)


def _percentage(token: Token) -> int:
    found = _PERCENTAGE.fullmatch(token.text)
    if found is None or not 10 <= int(found[1]) <= 90:
        raise CorefileError(
            token.place, f"'{token.text}' found where a share from 10% to 90% should be"
        )
    return int(found[1])


@attrs.frozen
class _Stale:
    seconds: int = 0
    verify: bool = False

    @classmethod
    def of(cls, line: Directive | None) -> "_Stale":
        if line is None:
            return cls()
        plain(line, 0, 2, "serve_stale [DURATION] [immediate|verify]")
        seconds, mode = _DEFAULT_STALE, "immediate"
        if line.args:
            seconds = duration(line.args[0], most=float(_LONGEST_TTL))
        if len(line.args) > 1:
            mode = choice(line.args[1], ("immediate", "verify"))
        return cls(math.ceil(seconds), mode == "verify")


def _keep_ttl(line: Directive | None) -> bool:
    if line is None:
        return False
    plain(line, 0, 0, "keepttl")
    return True
