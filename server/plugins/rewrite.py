"""*rewrite*: other questions than those that came, and replies as if they had come."""

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress

import engine
from corefile.arguments import choice, count, nearest, no_body, number_of_arguments, zone
from corefile.directive import Directive
from corefile.lexer import Token
from corefile.place import CorefileError
from server.compiled import Rewrite
from server.compiledrewrites import (
    Answer,
    Auto,
    Class,
    Exact,
    Field,
    Name,
    Names,
    Owner,
    Prefix,
    Rcode,
    Regex,
    RewriteRule,
    Substring,
    Suffix,
    SuffixBack,
    Ttl,
    Type,
    Value,
)
from server.parts import Context, Parts, untouched_where_signed
from server.readers import CLASSES, RCODES, pattern, rdata_type

_MODES = ("stop", "continue")
_KINDS = ("exact", "prefix", "suffix", "substring", "regex")
_KIND = "[exact|prefix|suffix|substring|regex]"
_ABSENT = ("cname", "edns0")
_TTL = re.compile(r"(\d{1,10})|(\d{0,10})-(\d{0,10})", re.ASCII)
# RFC 2181 section 8.
_MOST_TTL = 2**31 - 1


def setup(directive: Directive, context: Context) -> Parts:
    rule = _rule(directive)
    warnings = untouched_where_signed(directive, context.block)
    any_class = isinstance(rule.field, Class)
    lines = list(context.block.all("rewrite"))
    if directive is not lines[0]:
        return Parts(warnings=warnings, any_class=any_class)  # part of the first one's stage
    rules = [rule]
    for line in lines[1:]:
        with suppress(CorefileError):  # told when its own turn comes
            rules.append(_rule(line))
    return Parts(stage=Rewrite(rules=tuple(rules)), warnings=warnings, any_class=any_class)


def _rule(directive: Directive) -> RewriteRule:
    words = list(_words(directive))
    mode = words.pop(0).text.lower() if words and words[0].text.lower() in _MODES else "stop"
    if not words:
        raise CorefileError(
            directive.place,
            "rewrite: a field is missing; right: rewrite [continue|stop] FIELD …, with FIELD one "
            f"of {', '.join(_FIELDS)}",
        )
    line = Directive(words[0].text.lower(), words[0].place, tuple(words[1:]))
    if line.name == "answer":
        raise CorefileError(line.place, "'answer' has to stand behind what 'name' rewrites")
    if line.name in _ABSENT:
        raise CorefileError(
            line.place,
            f"'{line.name}' is a field of CoreDNS's rewrite that this version of Zoneward does not "
            "have",
        )
    read = _FIELDS.get(line.name)
    if read is None:
        raise CorefileError(
            line.place, f"unknown field '{line.name}' of rewrite" + nearest(line.name, _FIELDS)
        )
    return RewriteRule(field=read(line), goes_on=mode == "continue")


def _words(directive: Directive) -> Iterator[Token]:
    """Those in braces too: a rule may stand there as a whole, over several lines."""
    yield from directive.args
    if len(directive.args) > 1:
        no_body(directive)
    for line in directive.body or ():
        no_body(line)
        yield Token(line.name, line.place)
        yield from line.args


def _type(line: Directive) -> Field:
    number_of_arguments(line, 2, 2, "type FROM TO")
    return Type(origin=rdata_type(line.args[0]), to=rdata_type(line.args[1]))


def _class(line: Directive) -> Field:
    number_of_arguments(line, 2, 2, "class FROM TO")
    origin, to = (CLASSES[choice(token, tuple(CLASSES))] for token in line.args)
    return Class(origin=origin, to=to)


def _ttl(line: Directive) -> Field:
    usage = f"ttl {_KIND} NAME SECONDS|LEAST-MOST"
    number_of_arguments(line, 2, 3, usage)
    last = line.args[-1]
    found = _TTL.fullmatch(last.text)
    if found is None or last.text == "-":
        raise CorefileError(last.place, f"'{last.text}' is no TTL; right: {usage}")
    exact, least, most = found.groups()
    bounds = [int(exact or least or 0), int(exact or most or _MOST_TTL)]
    if bounds[0] > bounds[1] or bounds[1] > _MOST_TTL:
        raise CorefileError(
            last.place, f"{last.text} is out of range; 0 to {_MOST_TTL} are right, in this order"
        )
    return Ttl(names=_names(line.args[:-1]), least=bounds[0], most=bounds[1])


def _rcode(line: Directive) -> Field:
    number_of_arguments(line, 3, 4, f"rcode {_KIND} NAME FROM TO")
    origin, to = (_rcode_of(token) for token in line.args[-2:])
    return Rcode(names=_names(line.args[:-2]), origin=origin, to=to)


def _rcode_of(token: Token) -> int:
    if token.text.isdecimal():
        return count(token, most=15)
    return RCODES[choice(token, tuple(RCODES))]


def _name(line: Directive) -> Field:
    number_of_arguments(line, 2, None, f"name {_KIND} FROM TO [answer ANSWER]…")
    head = line.args[: 2 if len(line.args) == 2 else 3]
    names, last = _names(head[:-1]), head[-1]
    to = zone(last) if isinstance(names, Exact) else _text(last)
    if isinstance(names, Regex):
        _check_groups(last, pattern(head[-2]))
    answers = tuple(_answers(line.args[3:], names, to))
    return Name(names=names, to=to, answers=answers)


def _answers(tokens: tuple[Token, ...], names: Names, to: str) -> Iterator[Answer]:
    usage = "answer auto, answer name FROM TO or answer value FROM TO"
    rest = list(tokens)
    if rest and rest[0].text != "answer":
        raise CorefileError(
            rest[0].place, f"'{rest[0].text}' found where 'answer' should be; right: {usage}"
        )
    # What an exact name becomes is always undone.
    automatic = isinstance(names, Exact)
    explicit: Token | None = None
    found: list[Answer] = []
    while rest:
        token = rest.pop(0)
        if token.text == "answer":
            if not rest:
                raise CorefileError(token.place, f"answer: how is missing; right: {usage}")
            token = rest.pop(0)
        how = choice(token, ("auto", "name", "value"))
        if how == "auto":
            automatic = True
            continue
        if len(rest) < 2:
            raise CorefileError(token.place, f"{how}: an argument is missing; right: {usage}")
        origin, into = rest.pop(0), rest.pop(0)
        _check_groups(into, pattern(origin))
        if how == "name":
            explicit = token
            found.append(Owner(pattern=origin.text, to=_text(into)))
        else:
            found.append(Value(pattern=origin.text, to=_text(into)))
    if automatic and explicit is not None and not isinstance(names, Exact):
        raise CorefileError(explicit.place, "'answer name' beside 'answer auto': one of them")
    if automatic:
        back = SuffixBack(origin=to, to=names.text) if isinstance(names, Suffix) else Auto()
        found.insert(0, back)
    yield from found


def _names(tokens: tuple[Token, ...]) -> Names:
    kind = choice(tokens[0], _KINDS) if len(tokens) == 2 else "exact"
    token = tokens[-1]
    match kind:
        case "prefix":
            return Prefix(text=_text(token))
        case "suffix":
            return Suffix(text=_text(token))
        case "substring":
            return Substring(text=_text(token))
        case "regex":
            pattern(token)
            return Regex(pattern=token.text)
        case _:
            return Exact(name=zone(token))


def _text(token: Token) -> str:
    """Part of a name; the dot at the end is thought of where it is not there, as CoreDNS does."""
    if not token.text.isascii():
        raise CorefileError(token.place, f"'{token.text}' is no part of a name: it is not ASCII")
    return token.text.lower().removesuffix(".") + "."


def _check_groups(token: Token, found: engine.Pattern) -> None:
    groups = len(found.groups) - 1
    for number in re.findall(r"\{(\d+)\}", token.text):
        if int(number) > groups:
            raise CorefileError(
                token.place, f"{{{number}}}: the expression before it has {groups} groups"
            )


_FIELDS: Mapping[str, Callable[[Directive], Field]] = {
    "name": _name,
    "type": _type,
    "class": _class,
    "ttl": _ttl,
    "rcode": _rcode,
}
