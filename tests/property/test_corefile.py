"""Properties of the Corefile: no text breaks it, printing keeps its meaning, places are true."""

import attrs
import hypothesis.strategies as st
from hypothesis import HealthCheck, given, settings

import corefile
from corefile import Corefile, CorefileError, Directive
from corefile.lexer import Token, tokenize
from corefile.place import Place
from corefile.printer import spelling, to_text

# A busy machine is not a failure.
RELAXED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
PLACE = Place("f", 1, 1)


def parse(text: str) -> Corefile:
    def read(path: str) -> str:
        raise FileNotFoundError(2, "No such file or directory", path)

    return corefile.parse(text, path="f", environ={}, read=read, find=lambda _: [])


# Text in which something happens more often than in any text.
busy = st.text(st.sampled_from('ab.{}()"\\# \n\t,$%*:/0123456789\ufeffä')) | st.lists(
    st.sampled_from(["a.test", "{", "}", "\n", " ", '"', "import", "(s)", "s", "log", ",", "#"])
).map(" ".join)


@RELAXED
@given(st.text() | busy)
def test_no_text_breaks_the_lexer_or_the_parser(text: str) -> None:
    place = refused_at(text)
    if place is not None:
        assert 1 <= place.line <= text.count("\n") + 1
        assert place.column >= 1


def refused_at(text: str) -> Place | None:
    try:
        parse(text)
    except CorefileError as error:
        return error.place
    return None


@RELAXED
@given(st.text() | busy)
def test_every_token_stands_where_it_says(text: str) -> None:
    try:
        lexemes = tokenize(text, "f", {})
    except CorefileError:
        return
    lines = text.removeprefix("\ufeff").split("\n")
    for lexeme in lexemes:
        token = lexeme.token
        rest = lines[token.place.line - 1][token.place.column - 1 :]
        if token.quoted:
            assert rest.startswith('"')
        elif "{$" not in rest and "{%" not in rest:
            assert rest.startswith(token.text)


def writable(token: Token) -> bool:
    try:
        spelling(token)
    except ValueError:
        return False
    return True


tokens = (
    st.builds(
        lambda text, quoted: Token(text, PLACE, quoted),
        st.text(st.characters(codec="utf-8", exclude_characters="\ufeff")) | busy,
        st.booleans(),
    )
    .map(lambda token: attrs.evolve(token, quoted=spelled_in_quotes(token)))
    .filter(writable)
)


def spelled_in_quotes(token: Token) -> bool:
    return writable(token) and spelling(token).startswith('"')


names = st.from_regex(r"[a-z][a-z0-9]{0,9}", fullmatch=True).filter(lambda name: name != "import")
directives = st.recursive(
    st.builds(Directive, names, st.just(PLACE), st.lists(tokens, max_size=4).map(tuple)),
    lambda inner: st.builds(
        Directive,
        names,
        st.just(PLACE),
        st.lists(tokens, max_size=2).map(tuple),
        st.lists(inner, max_size=3).map(tuple),
    ),
    max_leaves=8,
)


def placeless(lines: tuple[Directive, ...]) -> tuple[Directive, ...]:
    return tuple(
        Directive(
            line.name,
            PLACE,
            tuple(attrs.evolve(token, place=PLACE) for token in line.args),
            None if line.body is None else placeless(line.body),
        )
        for line in lines
    )


@RELAXED
@given(
    st.lists(directives, min_size=1, max_size=4).map(tuple),
    st.lists(directives, max_size=4).map(tuple),
)
def test_printing_and_parsing_is_the_identity(
    options: tuple[Directive, ...], lines: tuple[Directive, ...]
) -> None:
    block = attrs.evolve(parse("a.test b.test:5300 {\n}").blocks[0], directives=lines)
    text = to_text(Corefile("f", options, (block,)))
    again = parse(text)
    assert placeless(again.options) == placeless(options)
    assert [key for one in again.blocks for key in one.keys] == list(block.keys)
    assert placeless(again.blocks[0].directives) == placeless(lines)
    assert to_text(again) == text
