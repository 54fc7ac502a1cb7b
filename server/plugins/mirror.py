"""*mirror*: copies of chosen queries for a dnstap receiver, another server, or a file."""

import os
import re
import secrets
from collections.abc import Mapping
from pathlib import Path

from corefile.arguments import (
    address,
    choice,
    count,
    known_options,
    number_of_arguments,
    only_once,
    plain,
    secret_reference,
    size,
    zones,
)
from corefile.directive import Directive
from corefile.lexer import Token
from corefile.paths import base
from corefile.place import CorefileError
from corefile.secrets import SecretError
from corefile.secrets import resolve as resolve_secret
from server.compiledtaps import (
    ALL,
    Dnstap,
    Hash,
    Json,
    Pcap,
    Prefix,
    Server,
    Sink,
    Tap,
    Target,
)
from server.dnstaps import CLIENT_TYPES, endpoint, identity, version
from server.parts import Context, Parts
from server.plugins.log import log_format
from server.readers import RCODES, network, rdata_type

_USAGE = "mirror dnstap|server|json|pcap TO [NAME…]"
_KINDS = ("dnstap", "server", "json", "pcap")
_FILTERS = ("type", "net", "rcode")
_COMMON = (*_FILTERS, "sample", "anonymise", "queue")
_OPTIONS: Mapping[str, tuple[str, ...]] = {
    "dnstap": (*_COMMON, "answers", "identity", "version", "extra"),
    "server": _COMMON,
    "json": (*_COMMON, "answers", "rotate", "extra"),
    "pcap": (*_COMMON, "answers", "rotate"),
}
_MOST_QUEUE = 2**24
_LEAST_FILE, _MOST_FILE = 4096, 2**50
_MOST_KEPT = 1000
_LEAST_KEY = 16
_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,4})?)%|1/(\d{1,7})", re.ASCII)
_TELLS = ("{remote}", "{port}")
# For those who name no key: the same over a reload, another one at the next start.
_OWN_KEY = secrets.token_bytes(32)


def setup(directive: Directive, context: Context) -> Parts:
    number_of_arguments(directive, 2, None, _USAGE)
    kind = choice(directive.args[0], _KINDS)
    options = _OPTIONS[kind]
    known_options(directive, options)
    only_once(directive, [name for name in options if name not in _FILTERS])
    extra, anonymous = _extra(directive), _anonymous(directive, context.directory)
    if extra and anonymous is not None and any(word in extra for word in _TELLS):
        line = directive.option("extra")
        raise CorefileError(
            directive.place if line is None else line.place,
            "mirror: {remote} and {port} tell of clients that are to be anonymous",
        )
    queue = directive.option("queue")
    if queue is not None:
        plain(queue, 1, 1, "queue COPIES")
    sink = Sink(
        plugin="mirror",
        target=_target(kind, directive, context),
        capacity=10_000 if queue is None else count(queue.args[0], least=1, most=_MOST_QUEUE),
        anonymous=anonymous,
    )
    return Parts(
        stage=Tap(
            sink=sink,
            names=zones(directive.args[2:]),
            types=tuple(rdata_type(token) for token in _words(directive, "type", "TYPE…")),
            networks=tuple(network(token) for token in _words(directive, "net", "NETWORK…")),
            rcodes=tuple(_rcode(token) for token in _words(directive, "rcode", "RCODE…")),
            sample=_sample(directive.option("sample")),
            extra=extra,
        )
    )


def _target(kind: str, directive: Directive, context: Context) -> Target:
    token = directive.args[1]
    answers = directive.option("answers")
    if answers is not None:
        plain(answers, 0, 0, "answers")
    if kind == "dnstap":
        for name in ("identity", "version"):
            if (line := directive.option(name)) is not None:
                plain(line, 1, 1, f"{name} TEXT")
        query, response = CLIENT_TYPES.values()
        return Dnstap(
            endpoint=endpoint(token, context),
            full=True,
            identity=identity(directive.option("identity")),
            version=version(directive.option("version")),
            types=(query,) if answers is None else (query, response),
        )
    if kind == "server":
        place = address(token, port=53)
        if not place.address or place.port == 0:
            raise CorefileError(token.place, f"'{token.text}' is no server: right: ADDRESS[:PORT]")
        return Server(address=place.address, port=place.port)
    most, keep = _rotation(directive.option("rotate"))
    shape = Json if kind == "json" else Pcap
    path = str(base(context.block, context.directory) / token.text)
    return shape(path=path, answers=answers is not None, most_octets=most, keep=keep)


def _rotation(line: Directive | None) -> tuple[int, int]:
    if line is None:
        return 0, 0
    plain(line, 1, 2, "rotate SIZE [KEEP]")
    most = size(line.args[0], least=_LEAST_FILE, most=_MOST_FILE)
    return most, count(line.args[1], most=_MOST_KEPT) if len(line.args) > 1 else 5


def _words(directive: Directive, name: str, usage: str) -> list[Token]:
    found: list[Token] = []
    for line in directive.options(name):
        plain(line, 1, None, f"{name} {usage}")
        found += line.args
    return found


def _rcode(token: Token) -> int:
    return RCODES[choice(token, tuple(RCODES))]


def _sample(line: Directive | None) -> int:
    """Out of a million, at least one."""
    if line is None:
        return ALL
    plain(line, 1, 1, "sample SHARE%|1/N")
    found = _SHARE.fullmatch(line.args[0].text)
    share = 0.0
    if found is not None:
        share = float(found[1]) / 100 if found[1] else 1 / max(int(found[2]), 1)
    if not 1 / ALL <= share <= 1:
        raise CorefileError(
            line.args[0].place,
            f"'{line.args[0].text}' found where a share such as 10%, 0.5% or 1/1000 should be",
        )
    return round(share * ALL)


def _extra(directive: Directive) -> str:
    line = directive.option("extra")
    if line is None:
        return ""
    plain(line, 1, 1, "extra FORMAT")
    return log_format(line.args[0])


def _anonymous(directive: Directive, directory: Path) -> Prefix | Hash | None:
    line = directive.option("anonymise")
    if line is None:
        return None
    number_of_arguments(line, 1, 3, "anonymise prefix [IPV4BITS [IPV6BITS]] | hash [KEY]")
    how, *rest = line.args
    if choice(how, ("prefix", "hash")) == "prefix":
        plain(line, 1, 3, "anonymise prefix [IPV4BITS [IPV6BITS]]")
        return Prefix(
            ipv4=count(rest[0], most=32) if rest else 24,
            ipv6=count(rest[1], most=128) if len(rest) > 1 else 48,
        )
    plain(line, 1, 2, "anonymise hash [KEY]")
    return Hash(key=(_key(rest[0], directory) if rest else _OWN_KEY).hex())


def _key(token: Token, directory: Path) -> bytes:
    reference = secret_reference(token)
    try:
        key = resolve_secret(reference, directory=directory, environ=os.environ)
    except SecretError as error:
        raise CorefileError(token.place, str(error)) from None
    if len(key) < _LEAST_KEY:
        raise CorefileError(
            token.place, f"{reference} has {len(key)} octets; a key has {_LEAST_KEY} at least"
        )
    return key
