"""Text to tokens, as CoreDNS's Caddyfile lexer does it.

White space separates tokens. Quotes count only where a token starts with one; `\\"` is the
only escape inside them, any other backslash stays. An unquoted `#` starts a comment, in
mid-token too. A byte order mark is passed over.
"""

from collections.abc import Mapping

import attrs

from corefile.place import CorefileError, Place

_BOM = "\ufeff"


@attrs.frozen
class Token:
    """One word of a Corefile. `text` is what it stands for: no quotes, variables replaced."""

    text: str
    place: Place
    quoted: bool = False

    def __str__(self) -> str:
        return self.text


@attrs.frozen
class Lexeme:
    """A token with what the parser needs to know of its surroundings."""

    token: Token
    starts_line: bool

    @property
    def opens(self) -> bool:
        return self.token.text == "{" and not self.token.quoted

    @property
    def closes(self) -> bool:
        return self.token.text == "}" and not self.token.quoted


def tokenize(text: str, file: str, environ: Mapping[str, str]) -> tuple[Lexeme, ...]:
    """All tokens of `text`. Raises CorefileError for a quote that is never closed."""
    return tuple(_Lexer(text, file, environ).lexemes())


class _Lexer:
    def __init__(self, text: str, file: str, environ: Mapping[str, str]) -> None:
        self._text = text.removeprefix(_BOM)
        self._file = file
        self._environ = environ
        self._at = 0
        self._line = 1
        self._line_start = 0

    def lexemes(self) -> list[Lexeme]:
        found: list[Lexeme] = []
        starts_line = True
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "\n":
                self._newline()
                starts_line = True
            elif char.isspace():
                self._at += 1
            elif char == "#":
                self._skip_comment()
            else:
                found.append(Lexeme(self._quoted() if char == '"' else self._word(), starts_line))
                starts_line = False
        return found

    def _place(self) -> Place:
        return Place(self._file, self._line, self._at - self._line_start + 1)

    def _newline(self) -> None:
        self._at += 1
        self._line += 1
        self._line_start = self._at

    def _skip_comment(self) -> None:
        end = self._text.find("\n", self._at)
        self._at = len(self._text) if end < 0 else end

    def _word(self) -> Token:
        place, start = self._place(), self._at
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "#" or char.isspace():
                break
            self._at += 1
        return Token(replace_variables(self._text[start : self._at], self._environ), place)

    def _quoted(self) -> Token:
        place = self._place()
        self._at += 1
        value: list[str] = []
        escaped = False
        while self._at < len(self._text):
            char = self._text[self._at]
            if char == "\n":
                self._newline()
            else:
                self._at += 1
            if escaped:
                value.append(char if char == '"' else "\\" + char)
                escaped = False
            elif char == "\\":
                escaped = True
            elif char == '"':
                return Token(replace_variables("".join(value), self._environ), place, quoted=True)
            else:
                value.append(char)
        raise CorefileError(place, 'this quote is never closed: a `"` is missing')


def replace_variables(text: str, environ: Mapping[str, str]) -> str:
    """`{$X}` and `{%X%}` replaced by their values; one that is not set gives nothing.
    What a variable holds is not looked at again."""
    pieces: list[str] = []
    at = 0
    while at < len(text):
        found = _next_reference(text, at)
        if found is None:
            break
        start, end, name = found
        pieces += (text[at:start], environ.get(name, ""))
        at = end
    pieces.append(text[at:])
    return "".join(pieces)


def _next_reference(text: str, at: int) -> tuple[int, int, str] | None:
    while True:
        start = text.find("{", at)
        if start < 0:
            return None
        for opening, closing in (("{$", "}"), ("{%", "%}")):
            if text.startswith(opening, start):
                end = text.find(closing, start + 2)
                if end > start + 2:
                    return start, end + len(closing), text[start + 2 : end]
        at = start + 1
