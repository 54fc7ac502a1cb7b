"""*template*: answers that are made of what is asked."""

from contextlib import suppress

import engine
from corefile.arguments import (
    choice,
    count,
    known_options,
    no_body,
    number_of_arguments,
    only_once,
    plain,
    zones,
)
from corefile.directive import Block, Directive
from corefile.lexer import Token
from corefile.place import CorefileError
from server.gotemplate import TemplateError, template
from server.parts import Context, Parts, untouched_where_signed
from server.readers import CLASSES, RCODES, pattern, rdata_type
from server.templates import Template, Templates, Text

_SECTIONS = ("answer", "authority", "additional")
_OPTIONS = ("match", *_SECTIONS, "rcode", "ederror", "fallthrough", "upstream")
_ONCE = ("rcode", "ederror", "fallthrough", "upstream")
_ANY_CLASS = (1, 255)


def setup(directive: Directive, context: Context) -> Parts:
    found = _template(directive, context.block)
    warnings = untouched_where_signed(directive, context.block)
    any_class = found.rclass not in _ANY_CLASS
    lines = list(context.block.all("template"))
    if directive is not lines[0]:
        return Parts(warnings=warnings, any_class=any_class)  # part of the first one's stage
    templates = [found]
    for line in lines[1:]:
        with suppress(CorefileError):  # told when its own turn comes
            templates.append(_template(line, context.block))
    return Parts(plugin=Templates(templates), warnings=warnings, any_class=any_class)


def _template(directive: Directive, block: Block) -> Template:
    number_of_arguments(directive, 2, None, "template CLASS TYPE [ZONE…] { … }")
    known_options(directive, _OPTIONS)
    only_once(directive, _ONCE)
    for line in directive.options("upstream"):  # means nothing to CoreDNS either
        no_body(line)
    origins = zones(directive.args[2:]) or block.zones
    patterns = tuple(pattern(token) for token in _words(directive, "match", "REGEX…"))
    patterns = patterns or (engine.Pattern(".*"),)
    groups = {
        key
        for found in patterns
        for number, name in enumerate(found.groups)
        for key in (str(number), name)
        if key is not None
    }
    sections = tuple(
        tuple(_text(token, groups) for token in _words(directive, name, "RR…"))
        for name in _SECTIONS
    )
    rcode = _rcode(directive)
    if not (sections[0] or sections[1] or rcode):
        raise CorefileError(
            directive.place, "template: a line of answer, authority or rcode is missing"
        )
    return Template(
        rclass=CLASSES[choice(directive.args[0], tuple(CLASSES))],
        rtype=rdata_type(directive.args[1]),
        zones=origins,
        patterns=patterns,
        through=_through(directive, origins),
        rcode=rcode,
        sections=sections,
        extended=_extended(directive),
    )


def _words(directive: Directive, name: str, usage: str) -> list[Token]:
    found: list[Token] = []
    for line in directive.options(name):
        plain(line, 1, None, f"{name} {usage}")
        found += line.args
    return found


def _text(token: Token, groups: set[str]) -> Text:
    try:
        return template(token.text, groups)
    except TemplateError as error:
        raise CorefileError(token.place, str(error)) from None


def _rcode(directive: Directive) -> int:
    line = directive.option("rcode")
    if line is None:
        return 0
    plain(line, 1, 1, "rcode RCODE")
    return RCODES[choice(line.args[0], tuple(RCODES))]


def _extended(directive: Directive) -> tuple[int, str] | None:
    line = directive.option("ederror")
    if line is None:
        return None
    plain(line, 1, 2, "ederror CODE [REASON]")
    return count(line.args[0], most=65535), line.args[1].text if len(line.args) > 1 else ""


def _through(directive: Directive, origins: tuple[str, ...]) -> tuple[str, ...]:
    line = directive.option("fallthrough")
    if line is None:
        return ()
    no_body(line)
    return zones(line.args) or origins
