"""The part of expr-lang that is understood, as text and as a tree. CoreDNS's expressions are
written in it; what they mean is told in `server.querytests`."""

import re
from bisect import bisect_right
from collections.abc import Mapping, Sequence
from itertools import accumulate

import attrs

from corefile.lexer import Token
from corefile.place import CorefileError, Place

_LEXEME = re.compile(
    r"""(?P<space>\s+)
    |(?P<text>'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|`[^`]*`)
    |(?P<number>\d+(?![\w.]))
    |(?P<word>[A-Za-z_]\w*)
    |(?P<sign>\|\||&&|[=!<>]=|[<>!()\[\],])""",
    re.VERBOSE | re.ASCII | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(.)", re.DOTALL)
_ESCAPED: Mapping[str, str] = {"n": "\n", "r": "\r", "t": "\t"} | {sign: sign for sign in "\\'\""}
_SAME: Mapping[str, str] = {"and": "&&", "or": "||", "not": "!"}
_COMPARING = (
    "==",
    "!=",
    "<",
    "<=",
    ">",
    ">=",
    "in",
    "matches",
    "contains",
    "startsWith",
    "endsWith",
)
_BINDING: Mapping[str, int] = {"||": 1, "&&": 2} | dict.fromkeys(_COMPARING, 3)
# `not` before these belongs to them: `x not in y`.
_NEGATABLE = ("in", "matches", "contains", "startsWith", "endsWith")
# Deeper than anybody writes, and far from the interpreter's own limit.
_DEEPEST = 50
_LONGEST_NUMBER = 9


@attrs.frozen
class Text:
    value: str
    place: Place


@attrs.frozen
class Number:
    value: int
    place: Place


@attrs.frozen
class Truth:
    value: bool
    place: Place


@attrs.frozen
class Array:
    items: "tuple[Node, ...]"
    place: Place


@attrs.frozen
class Call:
    function: str
    args: "tuple[Node, ...]"
    place: Place


@attrs.frozen
class Negation:
    operand: "Node"
    place: Place


@attrs.frozen
class Operation:
    """`place` is the operator's. An `&&` or `||` has as many operands as there are, all others
    two."""

    operator: str
    operands: "tuple[Node, ...]"
    place: Place


Node = Text | Number | Truth | Array | Call | Negation | Operation


def parse(tokens: Sequence[Token], after: Place) -> Node:
    """The tree of an expression that is written in one or several words. `after` is where it is
    missing if there are none. Raises CorefileError."""
    return _Parser(_Source(tuple(tokens), after)).whole()


class _Source:
    """The words of an expression as one text, which remembers where they stood."""

    def __init__(self, tokens: tuple[Token, ...], after: Place) -> None:
        self.text = " ".join(token.text for token in tokens)
        self._tokens, self._after = tokens, after
        self._starts = list(accumulate((len(token.text) + 1 for token in tokens), initial=0))

    def place(self, at: int) -> Place:
        word = bisect_right(self._starts, at) - 1
        if word == len(self._tokens):
            return self._after
        token, within = self._tokens[word], at - self._starts[word]
        column = token.place.column + within + token.quoted
        return attrs.evolve(token.place, column=column)


@attrs.frozen
class _Lexeme:
    kind: str
    text: str
    place: Place


def _lexemes(source: _Source) -> list[_Lexeme]:
    found, at, text = [], 0, source.text
    while at < len(text):
        lexeme = _LEXEME.match(text, at)
        if lexeme is None or lexeme.lastgroup is None:
            raise CorefileError(source.place(at), _unreadable(text[at:]))
        if lexeme.lastgroup != "space":
            word = lexeme.group()
            found.append(_Lexeme(lexeme.lastgroup, _SAME.get(word, word), source.place(at)))
        at = lexeme.end()
    return [*found, _Lexeme("end", "", source.place(len(text)))]


def _unreadable(rest: str) -> str:
    if rest[0] in "'\"`":
        return f"this quote is never closed: a {rest[0]} is missing"
    if rest[0].isdigit():
        return "only whole numbers are understood"
    return f"'{rest[0]}' is nothing that is understood of CoreDNS's expressions here"


class _Parser:
    def __init__(self, source: _Source) -> None:
        self._lexemes = _lexemes(source)
        self._at = 0
        self._depth = 0

    @property
    def _next(self) -> _Lexeme:
        return self._lexemes[self._at]

    def _take(self) -> _Lexeme:
        lexeme = self._next
        self._at += 1
        return lexeme

    def _is(self, sign: str) -> bool:
        return self._next.kind in ("sign", "word") and self._next.text == sign

    def _expect(self, sign: str) -> None:
        if not self._is(sign):
            raise self._wrong(f"'{sign}'")
        self._at += 1

    def _wrong(self, wanted: str) -> CorefileError:
        found = f"'{self._next.text}'" if self._next.text else "the end"
        return CorefileError(self._next.place, f"{found} found where {wanted} should be")

    def whole(self) -> Node:
        tree = self._expression(1)
        if self._next.kind != "end":
            raise self._wrong("an operator, or the expression's end,")
        return tree

    def _expression(self, binding: int) -> Node:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise CorefileError(self._next.place, f"nested more than {_DEEPEST} deep")
        left = self._operand()
        while True:
            following = self._lexemes[self._at + 1] if self._is("!") else self._next
            negated = following is not self._next
            operator = following.text if following.kind in ("sign", "word") else ""
            own = _BINDING.get(operator, 0)
            if own < binding or (negated and operator not in _NEGATABLE):
                break
            self._at += 2 if negated else 1
            left = _joined(operator, left, self._expression(own + 1), following.place)
            if negated:
                left = Negation(left, following.place)
        self._depth -= 1
        return left

    def _operand(self) -> Node:
        lexeme = self._next
        place = lexeme.place
        if lexeme.kind == "text":
            return Text(_unquoted(self._take()), place)
        if lexeme.kind == "number":
            if len(lexeme.text) > _LONGEST_NUMBER:
                raise CorefileError(place, f"{lexeme.text} is more than a query has of anything")
            return Number(int(self._take().text), place)
        if self._is("!"):
            self._take()
            # It binds its operand more closely than any operator.
            return Negation(self._expression(max(_BINDING.values()) + 1), place)
        if self._is("("):
            self._take()
            inner = self._expression(1)
            self._expect(")")
            return inner
        if self._is("["):
            self._take()
            return Array(self._list("]"), place)
        if lexeme.kind == "word" and lexeme.text not in _BINDING:
            return self._word()
        raise self._wrong("a function, a text, a number or '('")

    def _word(self) -> Node:
        word = self._take()
        if word.text in ("true", "false"):
            return Truth(word.text == "true", word.place)
        if not self._is("("):
            raise CorefileError(
                word.place,
                f"'{word.text}' is no function without '()', and texts stand in single quotes",
            )
        self._take()
        return Call(word.text, self._list(")"), word.place)

    def _list(self, closing: str) -> tuple[Node, ...]:
        items: list[Node] = []
        while not self._is(closing):
            if items:
                self._expect(",")
            items.append(self._expression(1))
        self._take()
        return tuple(items)


def _joined(operator: str, left: Node, right: Node, place: Place) -> Node:
    """A row of the same `&&` or `||` is one node, so that a long one is not a deep one."""
    if operator in ("&&", "||") and isinstance(left, Operation) and left.operator == operator:
        return attrs.evolve(left, operands=(*left.operands, right))
    return Operation(operator, (left, right), place)


def _unquoted(lexeme: _Lexeme) -> str:
    text = lexeme.text[1:-1]
    if lexeme.text[0] == "`":
        return text

    def character(escape: re.Match[str]) -> str:
        try:
            return _ESCAPED[escape[1]]
        except KeyError:
            hint = "; a backslash is written twice" if escape[1].isprintable() else ""
            raise CorefileError(
                lexeme.place, f"'\\{escape[1]}' is no escape that is understood{hint}"
            ) from None

    return _ESCAPE.sub(character, text)
