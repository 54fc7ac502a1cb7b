"""Go's text/template, as far as records are made with it.

Understood are the fields of `Data`, `index`, `parseInt`, strings, numbers, parentheses, comments,
and the markers that trim white space. Not variables,
pipes, conditions and loops: a `TemplateError` says so.
"""

import re
from collections.abc import Callable, Collection, Mapping

import attrs

Value = str | int
Expression = Callable[["Data"], Value]

_ACTION = re.compile(r"\{\{(-(?=\s))?(.*?)((?<=\s)-)?\}\}", re.DOTALL)
_WORD = re.compile(
    r"""\s*(?:(?P<field>(?:\.\w+)+)|(?P<text>"(?:[^"\\]|\\.)*"|`[^`]*`)|(?P<number>\d+)"""
    r"""|(?P<mark>[()])|(?P<name>\w+))""",
    re.ASCII,
)
_PLAIN = {
    ".Zone": "zone",
    ".Name": "name",
    ".Question.Name": "name",
    ".Class": "rclass",
    ".Type": "rtype",
    ".Remote": "remote",
}


class TemplateError(ValueError):
    """A template with something in it that is not understood."""


@attrs.frozen
class Data:
    """What is known of a query. Names are absolute and in lower case; `match` is what the groups
    of the expression matched, the whole first, and `group` those by name and number."""

    zone: str
    name: str
    rclass: str
    rtype: str
    remote: str
    match: tuple[str, ...]
    group: Mapping[str, str]


def template(text: str, groups: Collection[str]) -> Callable[[Data], str]:
    """What a text makes of data. `groups` are the keys that `group` can have. The function raises
    KeyError, IndexError or ValueError for data that does not have what is asked of it."""
    pieces: list[str | Expression] = []
    at, trims = 0, False
    for action in _ACTION.finditer(text):
        before = text[at : action.start()]
        before = before.lstrip() if trims else before
        pieces.append(before.rstrip() if action[1] else before)
        inside = action[2].strip()
        if not (inside.startswith("/*") and inside.endswith("*/")):
            pieces.append(_Reader(inside, groups).whole())
        at, trims = action.end(), bool(action[3])
    rest = text[at:]
    if "{{" in rest:
        raise TemplateError("a '{{' without its '}}'")
    pieces.append(rest.lstrip() if trims else rest)
    return lambda data: "".join(
        piece if isinstance(piece, str) else str(piece(data)) for piece in pieces
    )


class _Reader:
    """One action's expression."""

    def __init__(self, text: str, groups: Collection[str]) -> None:
        self._text, self._groups = text, groups
        self._words: list[re.Match[str]] = []
        at = 0
        while at < len(text.rstrip()):
            word = _WORD.match(text, at)
            if word is None:
                raise TemplateError(f"'{{{{ {text} }}}}': '{text[at:].strip()}' is not understood")
            self._words.append(word)
            at = word.end()

    def whole(self) -> Expression:
        found = self._expression()
        if self._words:
            raise self._wrong(f"'{self._words[0][0].strip()}' is too much")
        return found

    def _expression(self) -> Expression:
        name = self._words[0]["name"] if self._words else None
        if name is None:
            return self._operand()
        self._words.pop(0)
        if name == "index":
            return self._index()
        if name == "parseInt":
            return self._parse_int()
        raise self._wrong(f"'{name}' is no function that is known; index and parseInt are")

    def _index(self) -> Expression:
        of = self._word("field")
        if of == ".Match":
            number = int(self._word("number"))
            self._known(str(number))
            return lambda data: data.match[number]
        if of == ".Group":
            key = _unquoted(self._word("text"))
            self._known(key)
            return lambda data: data.group[key]
        raise self._wrong("index is of .Match and .Group")

    def _parse_int(self) -> Expression:
        text = self._operand()
        base, bits = int(self._word("number")), int(self._word("number"))
        if not (2 <= base <= 36 and 1 <= bits <= 64):
            raise self._wrong("parseInt has a base from 2 to 36, and 1 to 64 bits")

        def parsed(data: Data) -> int:
            digits = str(text(data))
            if not (digits.isascii() and digits.isalnum()) or int(digits, base) >> bits:
                raise ValueError(f"'{digits}' is no number of {bits} bits to base {base}")
            return int(digits, base)

        return parsed

    def _operand(self) -> Expression:
        if not self._words:
            raise self._wrong("a value is missing")
        word = self._words.pop(0)
        if (field := word["field"]) is not None:
            return self._field(field)
        if word["text"] is not None:
            text = _unquoted(word["text"])
            return lambda data: text
        if word["number"] is not None:
            number = int(word["number"])
            return lambda data: number
        if word["mark"] == "(":
            inner = self._expression()
            if self._word("mark") != ")":
                raise self._wrong("a ')' is missing")
            return inner
        raise self._wrong(f"'{word[0].strip()}' found where a value should be")

    def _field(self, field: str) -> Expression:
        if field.startswith(".Group.") and field.count(".") == 2:
            key = field.removeprefix(".Group.")
            self._known(key)
            return lambda data: data.group[key]
        known = _PLAIN.get(field)
        if known is None:
            raise self._wrong(f"'{field}' is not known; {', '.join(_PLAIN)} and .Group.NAME are")
        return lambda data: str(getattr(data, known))

    def _known(self, key: str) -> None:
        if key not in self._groups:
            raise self._wrong(f"no expression has a group '{key}'")

    def _word(self, kind: str) -> str:
        found = self._words.pop(0)[kind] if self._words else None
        if found is None:
            raise self._wrong(f"a {kind} is missing")
        return found

    def _wrong(self, why: str) -> TemplateError:
        return TemplateError(f"'{{{{ {self._text} }}}}': {why}")


def _unquoted(text: str) -> str:
    return text[1:-1] if text[0] == "`" else re.sub(r"\\(.)", r"\1", text[1:-1])
