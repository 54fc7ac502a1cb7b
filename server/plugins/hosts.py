"""*hosts*: addresses from a file in the manner of /etc/hosts."""

import functools
from pathlib import Path

import engine
from corefile.arguments import count, duration, no_body, only_once, plain, zones
from corefile.directive import Directive
from corefile.paths import base
from corefile.place import CorefileError, CorefileWarning
from server.compiled import Rules
from server.compiledrules import Rule, encode
from server.hostsfile import Entry, Meaning, entries, entry, rules
from server.parts import Context, Parts, Refill, untouched_where_signed

_DEFAULT = "/etc/hosts"
_OPTIONS = ("ttl", "no_reverse", "reload", "fallthrough")
_RELOAD = 5.0


def setup(directive: Directive, context: Context) -> Parts:
    only_once(directive, _OPTIONS)
    block = context.block
    origins = zones(directive.args[1:]) or block.zones
    meaning = Meaning(origins, _ttl(directive), _reverse(directive), _through(directive, origins))
    inline = tuple(_inline(line) for line in directive.body or () if line.name not in _OPTIONS)
    path = _path(directive, context)
    read = functools.partial(_read, path, inline, meaning)
    warnings = list(untouched_where_signed(directive, block))
    seen = Refill.state(path)
    try:
        found = read()
    except OSError as error:
        place = directive.args[0].place if directive.args else directive.place
        warnings.append(
            CorefileWarning(
                place, f"{path} can't be read, and has no hosts so far: {error.strerror}"
            )
        )
        found = rules(inline, meaning)
    every = _reload(directive)

    def put(server: engine.Server) -> str:
        server.refill(context.chain, "hosts", encode(read()))
        return " again"

    refill = Refill(f"hosts of {context.chain}", path, every, put, seen)
    return Parts(
        stage=Rules(plugin="hosts", rules=found),
        refills=(refill,) if every else (),
        warnings=tuple(warnings),
    )


def _path(directive: Directive, context: Context) -> Path:
    if not directive.args:
        return Path(_DEFAULT)
    return base(context.block, context.directory) / directive.args[0].text


def _read(path: Path, inline: tuple[Entry, ...], meaning: Meaning) -> tuple[Rule, ...]:
    """Raises OSError."""
    text = path.read_text(encoding="utf-8", errors="replace")
    return rules((*entries(text), *inline), meaning)


def _inline(line: Directive) -> Entry:
    no_body(line)
    try:
        return entry([line.name, *(token.text for token in line.args)])
    except ValueError as error:
        raise CorefileError(
            line.place,
            f"hosts: {error}; right: ADDRESS NAME…, or one of {', '.join(_OPTIONS)}",
        ) from None


def _ttl(directive: Directive) -> int:
    line = directive.option("ttl")
    if line is None:
        return 3600
    plain(line, 1, 1, "ttl SECONDS")
    return count(line.args[0], least=1, most=65535)


def _reverse(directive: Directive) -> bool:
    line = directive.option("no_reverse")
    if line is not None:
        plain(line, 0, 0, "no_reverse")
    return line is None


def _reload(directive: Directive) -> float:
    line = directive.option("reload")
    if line is None:
        return _RELOAD
    plain(line, 1, 1, "reload DURATION (0 never looks again)")
    return duration(line.args[0])


def _through(directive: Directive, origins: tuple[str, ...]) -> tuple[str, ...]:
    line = directive.option("fallthrough")
    if line is None:
        return ()
    no_body(line)
    return zones(line.args) or origins
