"""Readers for arguments: each takes a token and gives a value, or says what would be right."""

import ipaddress
import re
from collections.abc import Collection, Sequence
from difflib import get_close_matches

import attrs

from corefile.directive import Directive
from corefile.keys import zone_names
from corefile.lexer import Token
from corefile.names import zone_name
from corefile.place import CorefileError

_DURATION_UNITS = {
    "ns": 1e-9,
    "us": 1e-6,
    "µs": 1e-6,
    "ms": 1e-3,
    "s": 1,
    "m": 60,
    "h": 3600,
    "d": 86400,
    "w": 604800,
    "y": 31536000,
}
_DURATION_PART = re.compile(r"(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w|y)", re.ASCII)
_SIZE = re.compile(r"(\d+)([kmgt]?)(i?b)?", re.ASCII | re.IGNORECASE)
_SIZE_UNITS = {"": 1, "k": 2**10, "m": 2**20, "g": 2**30, "t": 2**40}
_LONGEST_NUMBER = 18


def number_of_arguments(directive: Directive, least: int, most: int | None, usage: str) -> None:
    """Refuse a directive with too few or too many arguments. `usage` shows the right form."""
    found = len(directive.args)
    if found < least or (most is not None and found > most):
        if most is not None and found > most:
            place = directive.args[most].place
            what = f"'{directive.args[most].text}' is one argument too many"
        else:
            place = directive.place
            what = "an argument is missing"
        raise CorefileError(place, f"{directive.name}: {what}; right: {usage}")


def no_body(directive: Directive) -> None:
    """Refuse braces after a directive that takes none."""
    if directive.body is not None:
        raise CorefileError(directive.place, f"{directive.name} takes no block in braces")


def plain(directive: Directive, least: int, most: int | None, usage: str) -> None:
    """Refuse braces, and too few or too many arguments. `usage` shows the right form."""
    no_body(directive)
    number_of_arguments(directive, least, most, usage)


def known_options(directive: Directive, known: Collection[str]) -> tuple[Directive, ...]:
    """The lines of a directive's body. Refuses any whose name is not known."""
    for line in directive.body or ():
        if line.name not in known:
            raise CorefileError(
                line.place,
                f"unknown option '{line.name}' of {directive.name}" + nearest(line.name, known),
            )
    return directive.body or ()


def only_once(directive: Directive, names: Collection[str]) -> None:
    """Refuse a second line of the same name in a directive's body."""
    seen: set[str] = set()
    for line in directive.body or ():
        if line.name in names:
            if line.name in seen:
                raise CorefileError(
                    line.place, f"'{line.name}' of {directive.name} is given a second time"
                )
            seen.add(line.name)


def nearest(word: str, known: Collection[str]) -> str:
    """ "; did you mean …?" with the nearest known words, or what is known."""
    near = get_close_matches(word, sorted(known), n=3, cutoff=0.6)
    if near:
        return "; did you mean " + " or ".join(f"'{name}'" for name in near) + "?"
    if not known:
        return "; it takes none"
    return "; known: " + ", ".join(sorted(known))


def count(token: Token, *, least: int = 0, most: int | None = None) -> int:
    """A whole number that isn't negative."""
    return integer(token, least=least, most=most)


def integer(token: Token, *, least: int | None = None, most: int | None = None) -> int:
    """A whole number within bounds, both included."""
    text = token.text
    wanted = "a whole number" + _bounds(least, most)
    if len(text) > _LONGEST_NUMBER or not re.fullmatch(r"-?\d+", text, re.ASCII):
        raise CorefileError(token.place, f"'{text}' found where {wanted} should be")
    value = int(text)
    if (least is not None and value < least) or (most is not None and value > most):
        raise CorefileError(token.place, f"{text} is out of range; {wanted} is right")
    return value


def _bounds(least: int | None, most: int | None) -> str:
    if least is not None and most is not None:
        return f" from {least} to {most}"
    if least is not None:
        return f" of at least {least}"
    return f" of at most {most}" if most is not None else ""


def duration(token: Token, *, least: float = 0.0, most: float | None = None) -> float:
    """A span of time in seconds, from text like 1m30s, 0.5s, 250ms, 90d; 0 needs no unit.
    A day has 86400 s, a year 365 days."""
    text = token.text
    value = _duration(text)
    if value is None:
        hint = f" ('{text}s'?)" if text.isascii() and text.isdecimal() else ""
        raise CorefileError(
            token.place,
            f"'{text}' found where a duration such as 30s, 1h30m or 90d should be{hint}",
        )
    if value < least or (most is not None and value > most):
        limit = f"at least {least:g}s" if value < least else f"at most {most:g}s"
        raise CorefileError(token.place, f"{text} is out of range; it has to be {limit}")
    return value


def seconds(token: Token, *, least: float, most: float) -> float:
    """A span of time in seconds, as in `duration`; a number without a unit is some too. For what
    CoreDNS reads so."""
    bare = token.text.isascii() and token.text.isdecimal()
    spelt = attrs.evolve(token, text=token.text + "s") if bare else token
    return duration(spelt, least=least, most=most)


def whole_seconds(token: Token, *, most: int) -> int:
    """A span of time in seconds, as in `duration`, of which none is left over."""
    found = duration(token, most=most)
    if found != int(found):
        raise CorefileError(token.place, f"{token.text} is no whole number of seconds")
    return int(found)


def _duration(text: str) -> float | None:
    if text == "0":
        return 0.0
    total, at = 0.0, 0
    while at < len(text):
        part = _DURATION_PART.match(text, at)
        if part is None or len(part[1]) > _LONGEST_NUMBER:
            return None
        total += float(part[1]) * _DURATION_UNITS[part[2]]
        at = part.end()
    return total if text else None


def size(token: Token, *, least: int = 0, most: int | None = None) -> int:
    """A number of octets, from text like 512, 64k, 10M, 1GiB; units are powers of 1024."""
    found = _SIZE.fullmatch(token.text)
    if found is None or len(found[1]) > _LONGEST_NUMBER:
        raise CorefileError(
            token.place, f"'{token.text}' found where a size such as 512, 64k or 10MiB should be"
        )
    value = int(found[1]) * _SIZE_UNITS[found[2].lower()]
    if value < least or (most is not None and value > most):
        raise CorefileError(
            token.place, f"{token.text} is out of range; octets{_bounds(least, most)} are right"
        )
    return value


def choice(token: Token, known: Sequence[str]) -> str:
    """One of some words; case does not count."""
    text = token.text.lower()
    for word in known:
        if word.lower() == text:
            return word
    raise CorefileError(
        token.place, f"'{token.text}' found where one of {', '.join(known)} should be"
    )


@attrs.frozen
class Endpoint:
    """An IP address with a port; `address` is empty for all addresses."""

    address: str
    port: int

    def __str__(self) -> str:
        return (
            f"[{self.address}]:{self.port}"
            if ":" in self.address
            else (f"{self.address}:{self.port}")
        )


def ip_address(token: Token) -> str:
    """An IPv4 or IPv6 address, as canonical text."""
    try:
        return str(ipaddress.ip_address(token.text))
    except ValueError:
        raise CorefileError(
            token.place, f"'{token.text}' found where an IP address should be"
        ) from None


def address(token: Token, *, port: int | None = None) -> Endpoint:
    """ADDRESS[:PORT], [IPV6]:PORT or :PORT; "localhost" is 127.0.0.1. Without a default
    `port` it has to be given."""
    text = token.text
    host, number = _host_and_port(text)
    if number is None and port is None:
        raise CorefileError(token.place, f"'{text}' names no port; right: {text}:PORT")
    if number is not None:
        if not (number.isascii() and number.isdecimal() and len(number) <= 5):
            raise CorefileError(token.place, f"'{number}' in '{text}' is no port number")
        if int(number) > 65535:
            raise CorefileError(token.place, f"port {number} in '{text}' is above 65535")
    if host == "localhost":
        host = "127.0.0.1"
    if host:
        try:
            host = str(ipaddress.ip_address(host))
        except ValueError:
            raise CorefileError(
                token.place, f"'{text}' found where ADDRESS:PORT should be, as in 127.0.0.1:9153"
            ) from None
    return Endpoint(host, int(number) if number is not None else port or 0)


def _host_and_port(text: str) -> tuple[str, str | None]:
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest[1:] if rest.startswith(":") else None
    if text.count(":") > 1:
        return text, None
    host, colon, number = text.partition(":")
    return host, number if colon else None


def zone(token: Token) -> str:
    """A zone's name, absolute and in lower case."""
    try:
        return zone_name(token.text)
    except ValueError as error:
        raise CorefileError(token.place, str(error)) from None


def zones(tokens: Sequence[Token]) -> tuple[str, ...]:
    """Zones' names, each once; an address range stands for its reverse zones, as in a block's
    keys."""
    found: dict[str, None] = {}
    for token in tokens:
        try:
            found.update(dict.fromkeys(zone_names(token.text)))
        except ValueError as error:
            raise CorefileError(token.place, str(error)) from None
    return tuple(found)


@attrs.frozen
class SecretReference:
    """Where a secret is to be found. kind: "file", "env" or "credential" (systemd's)."""

    kind: str
    name: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.name}"


SECRET_KINDS = ("file", "env", "credential")


def secret_reference(token: Token) -> SecretReference:
    """file:PATH, env:NAME or credential:NAME. What was found is not repeated in the error:
    it may be the secret itself."""
    kind, colon, name = token.text.partition(":")
    if not colon or kind not in SECRET_KINDS or not name:
        raise CorefileError(
            token.place,
            "a secret is given by reference: file:PATH, env:NAME or credential:NAME",
        )
    return SecretReference(kind, name)
