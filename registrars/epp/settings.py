"""The lines of `registrar epp`.

registrar epp HOST[:PORT] {
    login ID file:PATH|env:NAME|credential:NAME
    wants ds|dnskey
    certificate FILE KEY-FILE
    ca FILE
    digests TYPE…
    max-sig-life DURATION
    urgent
    messages leave|acknowledge
    objects URI…
    extensions URI…
    timeout DURATION
}
"""

import re

import attrs

from corefile import CorefileError, Directive, Token
from corefile.arguments import (
    SecretReference,
    choice,
    count,
    duration,
    integer,
    known_options,
    number_of_arguments,
    only_once,
    plain,
    secret_reference,
)
from registrars.epp.tree import DOMAIN, SECDNS
from registrars.protocol import Wants

PORT = 700
_USAGE = "registrar epp HOST[:PORT] { login ID file:PATH … }"
_OPTIONS = {
    "login": (2, 2, "login ID file:PATH|env:NAME|credential:NAME"),
    "wants": (1, 1, "wants ds|dnskey"),
    "certificate": (2, 2, "certificate FILE KEY-FILE"),
    "ca": (1, 1, "ca FILE"),
    "digests": (1, None, "digests TYPE…"),
    "max-sig-life": (1, 1, "max-sig-life DURATION"),
    "urgent": (0, 0, "urgent"),
    "messages": (1, 1, "messages leave|acknowledge"),
    "objects": (1, None, "objects URI…"),
    "extensions": (1, None, "extensions URI…"),
    "timeout": (1, 1, "timeout DURATION"),
}
_HOST = re.compile(
    r"\[(?P<v6>[0-9a-fA-F:.]+)\](:(?P<p6>\d+))?|(?P<name>[^\s:\[\]/]+)(:(?P<p>\d+))?"
)
_LONGEST = 600.0


@attrs.frozen
class Settings:
    """`max_sig_life` and `timeout` in seconds; files as the Corefile names them. `acknowledge`:
    messages of the registry's queue that are for others are taken out of the way."""

    host: str
    port: int
    identity: str
    password: SecretReference
    wants: Wants
    certificate: tuple[str, str] | None = None
    ca: str | None = None
    digests: frozenset[int] = frozenset({2})
    max_sig_life: int | None = None
    urgent: bool = False
    acknowledge: bool = False
    objects: tuple[str, ...] = (DOMAIN,)
    extensions: tuple[str, ...] = (SECDNS,)
    timeout: float | None = None

    @property
    def place(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"epp {host}:{self.port}"


def read(directive: Directive) -> Settings:
    number_of_arguments(directive, 2, 2, _USAGE)
    known_options(directive, _OPTIONS)
    only_once(directive, _OPTIONS)
    for line in directive.body or ():
        plain(line, *_OPTIONS[line.name])
    host, port = _host(directive.args[1])
    login, wants = _needed(directive, "login"), _needed(directive, "wants")
    certificate = _words(directive, "certificate")
    life, timeout = directive.option("max-sig-life"), directive.option("timeout")
    digests, messages = directive.option("digests"), directive.option("messages")
    return Settings(
        host=host,
        port=port,
        identity=login.args[0].text,
        password=secret_reference(login.args[1]),
        wants=Wants(choice(wants.args[0], [Wants.DS.value, Wants.DNSKEY.value])),
        certificate=(certificate[0], certificate[1]) if certificate else None,
        ca=next(iter(_words(directive, "ca")), None),
        digests=frozenset({2})
        if digests is None
        else frozenset(integer(token, least=1, most=255) for token in digests.args),
        max_sig_life=None
        if life is None
        else int(duration(life.args[0], least=1, most=(1 << 31) - 1)),
        urgent=directive.option("urgent") is not None,
        acknowledge=messages is not None
        and choice(messages.args[0], ["leave", "acknowledge"]) == "acknowledge",
        objects=_words(directive, "objects") or (DOMAIN,),
        extensions=tuple(dict.fromkeys((SECDNS, *_words(directive, "extensions")))),
        timeout=None if timeout is None else duration(timeout.args[0], least=1, most=_LONGEST),
    )


def _needed(directive: Directive, name: str) -> Directive:
    found = directive.option(name)
    if found is None:
        raise CorefileError(
            directive.place, f"registrar epp: {name} is missing; right: {_OPTIONS[name][2]}"
        )
    return found


def _words(directive: Directive, name: str) -> tuple[str, ...]:
    found = directive.option(name)
    return () if found is None else tuple(token.text for token in found.args)


def _host(token: Token) -> tuple[str, int]:
    found = _HOST.fullmatch(token.text)
    if found is None:
        raise CorefileError(
            token.place, f"'{token.text}' found where HOST[:PORT] or [IPV6][:PORT] should be"
        )
    number = found["p6"] or found["p"]
    if number is None:
        return found["v6"] or found["name"], PORT
    port = count(attrs.evolve(token, text=number), least=1, most=65535)
    return found["v6"] or found["name"], port
