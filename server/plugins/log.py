"""*log*: a line for each query, in the form that is asked for."""

import re
from typing import Literal, cast

from corefile.arguments import choice, known_options, nearest, plain, zones
from corefile.directive import Directive
from corefile.lexer import Token
from corefile.place import CorefileError
from server.compiled import Log
from server.parts import Context, Parts

COMMON = (
    '{remote}:{port} - {>id} "{type} {class} {name} {proto} {size} {>do} {>bufsize}" '
    "{rcode} {>rflags} {rsize} {duration}"
)
COMBINED = COMMON + ' "{>opcode}"'

# Each with what it stands for; the engine knows the same ones.
REPLACEMENTS = {
    "{type}": "the type asked for",
    "{name}": "the name asked for",
    "{class}": "the class asked for",
    "{proto}": "udp or tcp",
    "{remote}": "the client's address, IPv6 in brackets",
    "{port}": "the client's port",
    "{local}": "our address",
    "{size}": "octets of the query",
    "{rcode}": "the reply's rcode",
    "{rsize}": "octets of the reply before it was truncated",
    "{duration}": "how long it took, in seconds",
    "{>id}": "the query's ID",
    "{>opcode}": "the query's opcode",
    "{>do}": "whether the DO bit is set: true or false",
    "{>bufsize}": "the size that EDNS says, 512 without",
    "{>rflags}": "the reply's flags, comma-separated",
}
_SHORTHANDS = {"{common}": COMMON, "{combined}": COMBINED}
_REPLACEMENT = re.compile(r"\{[^{}]*\}")
_CLASSES = ("all", "success", "denial", "error")


def setup(directive: Directive, context: Context) -> Parts:
    names, form = list(directive.args), COMMON
    if names and "{" in names[-1].text:
        form = log_format(names.pop())
    classes: list[str] = []
    for line in known_options(directive, ("class",)):
        plain(line, 1, None, f"class {'|'.join(_CLASSES)}…")
        classes += (choice(token, _CLASSES) for token in line.args)
    return Parts(
        stage=Log(
            names=zones(names) or (".",),
            classes=tuple(
                cast(Literal["all", "success", "denial", "error"], word)
                for word in dict.fromkeys(classes or ["all"])
            ),
            format=form,
        )
    )


def log_format(token: Token) -> str:
    """A format with the shorthands written out. Raises CorefileError for a replacement that
    is not known."""
    form = token.text
    for shorthand, meaning in _SHORTHANDS.items():
        form = form.replace(shorthand, meaning)
    for found in _REPLACEMENT.findall(form):
        if found not in REPLACEMENTS:
            raise CorefileError(
                token.place,
                f"unknown replacement '{found}' in a log format"
                + nearest(found, (*REPLACEMENTS, *_SHORTHANDS)),
            )
    if any(brace in _REPLACEMENT.sub("", form) for brace in "{}"):
        raise CorefileError(token.place, "a brace without its counterpart in a log format")
    return form
