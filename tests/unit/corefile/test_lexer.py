"""The lexer's rules, one table each."""

import pytest

from corefile import CorefileError
from corefile.lexer import tokenize

ENVIRON = {"X": "value", "SPACED": "a b", "NESTED": "{$X}", "HASH": "a#b"}


def words(text: str) -> list[str]:
    return [lexeme.token.text for lexeme in tokenize(text, "Corefile", ENVIRON)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \t\r\n ", []),
        ("a b\tc\r\nd", ["a", "b", "c", "d"]),
        ("\ufeffa", ["a"]),
        # comments, in mid-token too
        ("# all of it", []),
        ("a # b\nc", ["a", "c"]),
        ("a#b c\nd", ["a", "d"]),
        ('"a#b"', ["a#b"]),
        # quotes count only where a token starts with one
        ('"a b"', ["a b"]),
        ('a"b c"', ['a"b', 'c"']),
        ('""', [""]),
        ('"a"b', ["a", "b"]),
        # the only escape
        (r'"a \"b\" c"', ['a "b" c']),
        (r'"C:\dir\x"', [r"C:\dir\x"]),
        (r'"a\\b"', [r"a\\b"]),
        ('"two\nlines"', ["two\nlines"]),
        # braces are words only by themselves
        ("a{ }", ["a{", "}"]),
        # variables
        ("{$X}", ["value"]),
        ("{%X%}", ["value"]),
        ("a{$X}b{%X%}c", ["avaluebvaluec"]),
        ('"{$X} {%X%}"', ["value value"]),
        ("[{$UNSET}]", ["[]"]),
        ("{$SPACED}", ["a b"]),
        ("{$NESTED}", ["{$X}"]),
        ("{$HASH}", ["a#b"]),
        ("{$X", ["{$X"]),
        ("{$}", ["{$}"]),
        ("{remote}:{port}", ["{remote}:{port}"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


def test_places_count_lines_and_columns_from_one() -> None:
    text = 'a  bä\n\t"x\ny" z\n'
    places = [
        (lexeme.token.text, lexeme.token.place.line, lexeme.token.place.column)
        for lexeme in tokenize(text, "f", {})
    ]
    assert places == [("a", 1, 1), ("bä", 1, 4), ("x\ny", 2, 2), ("z", 3, 4)]


def test_a_byte_order_mark_takes_no_column() -> None:
    assert tokenize("\ufeffa", "f", {})[0].token.place.column == 1


def test_only_first_words_start_a_line() -> None:
    found = [(one.token.text, one.starts_line) for one in tokenize('a b\n"c\nd" e\nf', "f", {})]
    assert found == [("a", True), ("b", False), ("c\nd", True), ("e", False), ("f", True)]


def test_an_open_quote_is_an_error_at_its_start() -> None:
    with pytest.raises(CorefileError) as caught:
        tokenize('a\n  "never', "Corefile", {})
    assert str(caught.value) == 'Corefile:2:3: this quote is never closed: a `"` is missing'
