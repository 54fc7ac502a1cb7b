"""The plugins that change replies, in a Corefile: what they compile to, what is refused where."""

from pathlib import Path

import pytest

import corefile
from server.compile import Compiled, CompileError, compile_corefile
from server.compiled import Header, Minimal, Nsid, Shuffle
from server.registry import Registry


def compiled(body: str) -> Compiled:
    text = "a.test {\n" + body + "\n}"
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    return compile_corefile(parsed, Registry.of({}))


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("minimal {\n}", "2:1: minimal takes no block in braces"),
        ("nsid " + "x" * 256, "2:1: nsid: 256 octets; at most 255 are allowed"),
        ("bufsize 511", "2:9: 511 is out of range; a whole number from 512 to 4096"),
        ("bufsize 512 1", "2:13: bufsize: '1' is one argument too many"),
        ("header", "2:1: header: a line is missing; right: [response] set|clear FLAG…"),
        ("header {\nset\n}", "3:1: set: an argument is missing; right: set FLAG…"),
        ("header {\nset ad\n}", "3:5: 'ad' found where one of aa, rd, ra should be"),
        ("header {\nresponse put aa\n}", "3:10: 'put' found where one of set, clear"),
        ("header {\nquery set rd\n}", "3:1: 'query': the header of a query is not changed"),
        ("header {\nunset aa\n}", "3:1: unknown option 'unset' of header"),
        ("loadbalance weighted x", "2:13: 'weighted' is a policy that this version does not"),
        ("loadbalance best", "2:13: 'best' found where 'round_robin' should be"),
        ("loadbalance {\nprefer x\n}", "3:8: 'x' found where a network"),
        ("loadbalance {\nreload 1s\n}", "3:1: unknown option 'reload' of loadbalance"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        compiled(body)
    (found,) = raised.value.errors
    assert str(found).startswith(f"Corefile:{error}")


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("header {\nset aa ra\nclear aa\n}", Header(set=0x0080, clear=0x0400)),
        ("header {\nresponse clear RD\n}", Header(set=0, clear=0x0100)),
        ("minimal", Minimal()),
        ("nsid a b", Nsid(data=b"a b".hex())),
        ("loadbalance", Shuffle()),
        ("loadbalance round_robin {\nprefer 10.0.0.1/8\n}", Shuffle(prefer=("10.0.0.0/8",))),
    ],
)
def test_stages(body: str, expected: object) -> None:
    (chain,) = compiled(body).config.chains
    assert chain.stages == (expected,)


@pytest.mark.parametrize(("line", "size"), [("bufsize", 1232), ("bufsize 4096", 4096)])
def test_bufsize_is_of_the_chain(line: str, size: int) -> None:
    (chain,) = compiled(line).config.chains
    assert (chain.udp_size, chain.stages) == (size, ())


def test_header_says_that_signed_zones_are_untouched() -> None:
    found = compiled("sign db\nheader {\n set ra\n}")
    (warning,) = found.warnings
    assert str(warning).startswith("Corefile:3:1: warning: 'header' changes no answer of a zone")
