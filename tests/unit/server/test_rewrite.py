"""*rewrite* in a Corefile: what it compiles to, what is refused where."""

from pathlib import Path

import pytest

import corefile
from server.compile import Compiled, CompileError, compile_corefile
from server.compiled import Rewrite, Whoami
from server.compiledrewrites import (
    Auto,
    Class,
    Exact,
    Field,
    Name,
    Owner,
    Prefix,
    Rcode,
    Regex,
    Substring,
    Suffix,
    SuffixBack,
    Ttl,
    Type,
    Value,
)
from server.registry import Registry


def compiled(body: str) -> Compiled:
    text = ". {\n" + body + "\n}"
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    return compile_corefile(parsed, Registry.of({}))


def fields(body: str) -> list[tuple[Field, bool]]:
    (chain,) = compiled(body).config.chains
    stage = chain.stages[0]
    assert isinstance(stage, Rewrite)
    return [(rule.field, rule.goes_on) for rule in stage.rules]


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("name A.test b.TEST.", Name(names=Exact(name="a.test."), to="b.test.", answers=(Auto(),))),
        ("name exact a. b answer auto", Name(names=Exact(name="a."), to="b.", answers=(Auto(),))),
        ("name prefix foo bar", Name(names=Prefix(text="foo."), to="bar.")),
        (
            "name suffix .a.test. .b.test answer auto",
            Name(
                names=Suffix(text=".a.test."),
                to=".b.test.",
                answers=(SuffixBack(origin=".b.test.", to=".a.test."),),
            ),
        ),
        (
            "name substring a.b c answer auto",
            Name(names=Substring(text="a.b."), to="c.", answers=(Auto(),)),
        ),
        (
            r"name regex (.*)-(X)\.a {1}.s.{2}.C answer name (.*)\.s {1}.a value s t.",
            Name(
                names=Regex(pattern=r"(.*)-(X)\.a"),
                to="{1}.s.{2}.c.",
                answers=(Owner(pattern=r"(.*)\.s", to="{1}.a."), Value(pattern="s", to="t.")),
            ),
        ),
        ("type any HINFO", Type(origin=255, to=13)),
        ("class CH in", Class(origin=3, to=1)),
        ("ttl a.test 15", Ttl(names=Exact(name="a.test."), least=15, most=15)),
        ("ttl prefix a 5-30", Ttl(names=Prefix(text="a."), least=5, most=30)),
        ("ttl suffix a -30", Ttl(names=Suffix(text="a."), least=0, most=30)),
        ("ttl regex .* 30-", Ttl(names=Regex(pattern=".*"), least=30, most=2**31 - 1)),
        ("rcode a. SERVFAIL noerror", Rcode(names=Exact(name="a."), origin=2, to=0)),
        ("rcode regex x 3 5", Rcode(names=Regex(pattern="x"), origin=3, to=5)),
    ],
)
def test_rules(words: str, expected: Field) -> None:
    assert fields(f"rewrite {words}") == [(expected, False)]
    assert fields(f"rewrite continue {words}") == [(expected, True)]
    assert fields(f"rewrite stop {{\n{words}\n}}") == [(expected, False)]


def test_all_lines_are_one_stage_in_their_order() -> None:
    body = "whoami\nrewrite continue name a b\nrewrite {\n name regex (a) {1}\n answer name b a\n}"
    (chain,) = compiled(body).config.chains
    rewrite, whoami = chain.stages
    assert isinstance(rewrite, Rewrite)
    assert [rule.goes_on for rule in rewrite.rules] == [True, False]
    assert whoami == Whoami()
    assert not chain.any_class
    (chain,) = compiled("rewrite name a b\nrewrite class CH IN").config.chains
    assert chain.any_class


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("rewrite", "2:1: rewrite: a field is missing; right: rewrite [continue|stop] FIELD …"),
        ("rewrite continue", "2:1: rewrite: a field is missing"),
        ("rewrite nam a b", "2:9: unknown field 'nam' of rewrite; did you mean 'name'?"),
        ("rewrite go name a b", "2:9: unknown field 'go' of rewrite"),
        ("rewrite answer name a b", "2:9: 'answer' has to stand behind what 'name' rewrites"),
        ("rewrite edns0 nsid set", "2:9: 'edns0' is a field of CoreDNS's rewrite that this"),
        ("rewrite continue cname a b", "2:18: 'cname' is a field of CoreDNS's rewrite that this"),
        ("rewrite name a", "2:9: name: an argument is missing; right: name [exact|prefix|"),
        ("rewrite name a..b c", "2:14: 'a..b' has an empty label"),
        ("rewrite name a b..c", "2:16: 'b..c' has an empty label"),
        ("rewrite name infix a b", "2:14: 'infix' found where one of exact, prefix, suffix"),
        ("rewrite name suffix ä b", "2:21: 'ä' is no part of a name: it is not ASCII"),
        ("rewrite name exact a b auto", "2:24: 'auto' found where 'answer' should be"),
        ("rewrite name exact a b answer", "2:24: answer: how is missing"),
        ("rewrite name exact a b answer any", "2:31: 'any' found where one of auto, name, value"),
        ("rewrite name exact a b answer name c", "2:31: name: an argument is missing"),
        (
            "rewrite name prefix a b answer auto name c d",
            "2:37: 'answer name' beside 'answer auto': one of them",
        ),
        ("rewrite name regex ( b", "2:20: '(' is no regular expression that is understood: "),
        ("rewrite name regex (a)b {2}", "2:25: {2}: the expression before it has 1 groups"),
        ("rewrite name prefix a b answer value c {1}", "2:40: {1}: the expression before it has 0"),
        ("rewrite name a b {\nx\n}", "2:1: rewrite takes no block in braces"),
        ("rewrite type A", "2:9: type: an argument is missing; right: type FROM TO"),
        ("rewrite type A B", "2:16: 'B' found where a record type"),
        ("rewrite class IN XX", "2:18: 'XX' found where one of IN, CH, HS, ANY"),
        ("rewrite ttl a x", "2:15: 'x' is no TTL; right: ttl [exact|prefix|suffix|substring|"),
        ("rewrite ttl a -", "2:15: '-' is no TTL"),
        ("rewrite ttl a 30-5", "2:15: 30-5 is out of range; 0 to 2147483647 are right"),
        ("rewrite rcode a NXDOMAIN", "2:9: rcode: an argument is missing"),
        ("rewrite rcode a NXDOMAIN 16", "2:26: 16 is out of range; a whole number from 0 to 15"),
        ("rewrite rcode a NXDOMAIN X", "2:26: 'X' found where one of NOERROR, FORMERR"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        compiled(body)
    (found,) = raised.value.errors
    assert str(found).startswith(f"Corefile:{error}")


def test_each_line_says_that_signed_zones_are_untouched() -> None:
    found = compiled("sign db\nrewrite name a b\nrewrite ttl b 5")
    assert [str(warning.place) for warning in found.warnings] == ["Corefile:3:1", "Corefile:4:1"]
    assert "'rewrite' changes no answer of a zone that is signed here" in str(found.warnings[0])
