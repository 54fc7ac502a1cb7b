"""*forward*: queries that upstreams answer."""

import ipaddress
from pathlib import Path
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

_USAGE = "forward FROM TO…"
_MOST_UPSTREAMS = 15
_ABSENT = ("tls", "tls_servername", "max_idle_conns", "max_age", "doh_method")
_OPTIONS = (
    *("except", "force_tcp", "prefer_udp", "expire", "max_fails", "max_connect_attempts"),
    *("policy", "health_check", "max_concurrent", "next", "failover"),
    "failfast_all_unhealthy_upstreams",
)
_POLICIES = ("random", "round_robin", "sequential")
_LONGEST = 86400.0
RCODES = {
    "NOERROR": 0,
    "FORMERR": 1,
    "SERVFAIL": 2,
    "NXDOMAIN": 3,
    "NOTIMP": 4,
    "REFUSED": 5,
    "YXDOMAIN": 6,
    "YXRRSET": 7,
    "NXRRSET": 8,
    "NOTAUTH": 9,
    "NOTZONE": 10,
}


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
    only_once(directive, [option for option in _OPTIONS if option not in ("next", "failover")])
    return Parts(stage=stage(directive, context.directory))


def stage(directive: Directive, directory: Path) -> Forward:
    """`directory` is the Corefile's. Raises CorefileError."""
    health = directive.option("health_check")
    interval, recursion, domain = _health(health) if health is not None else (0.5, True, ".")
    return Forward(
        origin=_from(directive.args[0]),
        excepted=zones(_arguments(directive, "except", "except NAME…")),
        upstreams=upstreams(directive.args[1:], directory),
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


def upstreams(tokens: tuple[Token, ...], directory: Path) -> tuple[Upstream, ...]:
    """Addresses, and those that files in the manner of resolv.conf name."""
    found = [one for token in tokens for one in _upstreams(token, directory)]
    if len(found) > _MOST_UPSTREAMS:
        raise CorefileError(
            tokens[_MOST_UPSTREAMS if len(tokens) > _MOST_UPSTREAMS else -1].place,
            f"{len(found)} upstreams; forward takes {_MOST_UPSTREAMS} at most",
        )
    return tuple(found)


def _upstreams(token: Token, directory: Path) -> list[Upstream]:
    scheme, found, rest = token.text.partition("://")
    if found and scheme.lower() != "dns":
        raise CorefileError(
            token.place,
            f"'{scheme}://' is not asked by this version; it asks dns:// (UDP and TCP)",
        )
    text = rest if found else token.text
    address = _address(text, token)
    if address is not None:
        return [address]
    if found:
        raise CorefileError(token.place, f"'{text}' found where ADDRESS or ADDRESS:PORT should be")
    return _nameservers(token, directory)


def _address(text: str, token: Token) -> Upstream | None:
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest[:1] not in ("", ":"):
            return None
        port = rest[1:] or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if "%" in host:
        raise CorefileError(
            token.place, f"'{text}': an address with a scope, or a TLS name, is not taken"
        )
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        return None
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise CorefileError(
            token.place, f"'{port}' in '{text}' is no port; a number from 1 to 65535 is"
        )
    return Upstream(address=address, port=int(port))


def _nameservers(token: Token, directory: Path) -> list[Upstream]:
    """The nameserver lines of a file (resolv.conf(5))."""
    path = directory / token.text
    try:
        text = path.read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise CorefileError(
            token.place,
            f"'{token.text}' is no address, and there is no such file; right: ADDRESS[:PORT] or "
            "a file like /etc/resolv.conf",
        ) from None
    except OSError as error:
        raise CorefileError(
            token.place, f"'{token.text}' can't be read: {error.strerror}"
        ) from None
    words = [line.split() for line in text.splitlines()]
    found = []
    for line in words:
        if len(line) >= 2 and line[0] == "nameserver":
            address = _address(f"[{line[1]}]" if ":" in line[1] else line[1], token)
            if address is None:
                raise CorefileError(
                    token.place, f"'{token.text}' names the server '{line[1]}', no address"
                )
            found.append(address)
    if not found:
        raise CorefileError(
            token.place, f"'{token.text}' has no nameserver line; name an address in its stead"
        )
    return found


def _arguments(directive: Directive, name: str, usage: str) -> list[Token]:
    line = directive.option(name)
    if line is None:
        return []
    plain(line, 1, None, usage)
    return list(line.args)


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
