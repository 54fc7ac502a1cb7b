"""*view* in a Corefile and in the real engine: which block a query is for, and what is refused."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import dns.edns
import dns.message
import dns.query
import dns.rcode
import pytest
from hypothesis import given
from hypothesis import strategies as st

import corefile
import engine
from server.compile import Compiled, check, compile_corefile
from server.compiledtests import Number, Step
from server.conditions import All, Condition, Either, Not, table
from server.registry import Registry

ADDRESS = "127.61.20.1"
FRIEND, FOE = "127.61.20.2", "127.61.21.9"


def parsed(text: str) -> corefile.Corefile:
    return corefile.parse(text, path="C", environ={}, read=Path.read_text)


@attrs.frozen
class Views:
    """Our server with blocks on one address and port, and questions to it."""

    port: int

    def ask(
        self, name: str, rtype: str, source: str, tcp: bool = False, **more: Any
    ) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, **more)
        how = dns.query.tcp if tcp else dns.query.udp
        return how(query, ADDRESS, port=self.port, source=source, timeout=4)


@contextmanager
def serving(text: str) -> Iterator[Views]:
    """Blocks, each of whose heads ends in `PORT {`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((ADDRESS, 0))
        port = probe.getsockname()[1]
    text = "{\nthreads 1\n}\n" + text.replace("PORT {", f"{port} {{\nbind {ADDRESS}")
    server = engine.Server()
    server.bind(compile_corefile(parsed(text), Registry.of({})).config.encode())
    server.start()
    try:
        yield Views(port)
    finally:
        server.close()


# --- one expression -------------------------------------------------------------------

HOLDS = [
    "type() == 'A'",
    "'A' == type()",
    "type() != 'AAAA' && class() == 'IN'",
    "type() in ['AAAA', 'A']",
    "type() not in ['AAAA', 'MX']",
    "not (type() == 'AAAA')",
    "!(type() == 'AAAA' or type() == 'MX') and true",
    "type() == 'MX' && type() == 'MX' || type() == 'A'",
    "name() == 'www.example.org.'",
    "name() in ['example.org.', 'www.example.org.']",
    'name() endsWith ".example.org."',
    "name() startsWith 'www.' && name() contains 'ample'",
    "name() not endsWith '.com.'",
    r"name() matches '^w+\\.[a-z]*\\.org\\.$'",
    r"name() matches `\.org\.$`",
    "incidr(client_ip(), '127.61.20.0/24')",
    "client_ip() == '127.61.20.2' && server_ip() == '127.61.20.1'",
    "client_ip() in ['::1', '[::1]', '127.61.20.2']",
    "proto() == 'udp' && opcode() == 0",
    "port() != '53' && id() == 4711",
    "server_port() not in ['53', '0'] && port() != '0'",
    "do() && do() == true && do() != false",
    "bufsize() == 1400",
    "bufsize() > 1399 && bufsize() >= 1400 && bufsize() < 1401 && bufsize() <= 1400",
    "1399 < bufsize() && 1400 >= bufsize()",
    "size() < 512 && !(size() < 0)",
    "true",
]
FAILS = [
    "type() == 'AAAA'",
    "!(type() in ['A'])",
    "type() in []",
    "name() == 'www.example.org'",
    "name() == 'wWw.example.org.'",
    "name() matches '^example'",
    "incidr(client_ip(), '127.61.21.0/24') || incidr(server_ip(), '::/0')",
    "client_ip() == '::1'",
    "proto() == 'tcp'",
    "!do()",
    "size() < 0",
    "false",
    "not true || type() == 'MX'",
]


@pytest.mark.parametrize(
    ("expression", "holds"),
    [*((one, True) for one in HOLDS), *((one, False) for one in FAILS)],
)
def test_an_expression_of_a_query(expression: str, holds: bool) -> None:
    quoted = expression.replace('"', '\\"')
    for written in (expression, f'"{quoted}"'):
        if '"' in expression and written is expression:
            continue  # the Corefile's own quotes
        with serving(f".:PORT {{\nview one {{\nexpr {written}\n}}\nwhoami\n}}") as views:
            reply = views.ask(
                "wWw.example.org.", "A", FRIEND, want_dnssec=True, payload=1400, id=4711
            )
            assert reply.rcode() == (dns.rcode.NOERROR if holds else dns.rcode.REFUSED)


def test_over_tcp() -> None:
    lines = "view tcp {\nexpr proto() == 'tcp'\nexpr bufsize() == 65535\n}\nwhoami"
    with serving(f".:PORT {{\n{lines}\n}}") as views:
        assert views.ask("a.", "A", FRIEND, tcp=True).rcode() == dns.rcode.NOERROR
        assert views.ask("a.", "A", FRIEND).rcode() == dns.rcode.REFUSED


# --- several blocks -------------------------------------------------------------------

SPLIT = """
example.org:PORT {
    view inside {
        expr incidr(client_ip(), '127.61.20.0/24')
        expr type() != 'MX'
    }
    hosts {
        10.0.0.1 www.example.org
    }
}
example.org:PORT {
    view addresses {
        expr type() in ['A', 'AAAA']
    }
    hosts {
        192.0.2.1 www.example.org
    }
}
org:PORT {
    view mail {
        expr type() == 'MX'
    }
    acl {
        filter
    }
}
.:PORT {
    acl {
        block type MX
    }
    whoami
}
"""


@pytest.fixture(scope="module")
def split() -> Iterator[Views]:
    with serving(SPLIT) as views:
        yield views


@pytest.mark.parametrize(
    ("name", "rtype", "source", "tells", "expected"),
    [
        ("www.example.org.", "A", FRIEND, "the first view that holds", "10.0.0.1"),
        ("www.example.org.", "A", FOE, "the next one", "192.0.2.1"),
        ("www.example.org.", "MX", FRIEND, "all expressions have to", 17),
        ("www.example.org.", "MX", FOE, "a parent's view", 17),
        ("www.example.org.", "TXT", FOE, "the root's block", "NOERROR"),
        ("www.example.com.", "MX", FOE, "none of them", 15),
    ],
)
def test_the_first_view_that_holds_of_the_longest_zone(
    split: Views, name: str, rtype: str, source: str, tells: str, expected: str | int
) -> None:
    reply = split.ask(name, rtype, source, use_edns=0)
    if isinstance(expected, int):
        codes = [int(one.code) for one in reply.options if isinstance(one, dns.edns.EDEOption)]
        assert codes == [expected], tells
    elif reply.answer:
        assert reply.answer[0][0].to_text() == expected, tells
    else:
        assert dns.rcode.to_text(reply.rcode()) == expected, tells


def test_a_query_for_ds_goes_past_views_that_do_not_hold() -> None:
    text = (
        ".:PORT {\nview ds {\nexpr type() == 'DS'\n}\nwhoami\n}\n"
        "a.test:PORT {\nview none {\nexpr type() != 'DS'\n}\nacl {\nblock\n}\n}"
    )
    with serving(text) as views:
        assert views.ask("a.test.", "DS", FRIEND).rcode() == dns.rcode.NOERROR
        assert views.ask("a.test.", "A", FRIEND).rcode() == dns.rcode.REFUSED


# --- the table ------------------------------------------------------------------------

ATOMS = tuple(Number(of="type", ranges=((value, value),)) for value in (1, 2, 3))


def conditions() -> st.SearchStrategy[Condition]:
    atoms: st.SearchStrategy[Condition] = st.sampled_from(ATOMS)
    return st.recursive(
        atoms,
        lambda inner: st.one_of(
            st.lists(inner, max_size=3).map(lambda parts: All(tuple(parts))),
            st.lists(inner, max_size=3).map(lambda parts: Either(tuple(parts))),
            inner.map(Not),
        ),
    )


def means(condition: Condition, value: int) -> bool:
    match condition:
        case All(parts):
            return all(means(part, value) for part in parts)
        case Either(parts):
            return any(means(part, value) for part in parts)
        case Not(inner):
            return not means(inner, value)
    assert isinstance(condition, Number)
    return any(least <= value <= most for least, most in condition.ranges)


def walked(steps: tuple[Step, ...], value: int) -> bool:
    at = 0
    while at < len(steps):
        step = steps[at]
        following = step.yes if means(step.test, value) else step.no
        assert following > at
        at = following
    assert at <= len(steps) + 1
    return at == len(steps)


@given(conditions(), st.integers(1, 4))
def test_a_table_means_what_its_condition_means(condition: Condition, value: int) -> None:
    assert walked(table(condition), value) is means(condition, value)


# --- what is refused ------------------------------------------------------------------


def compiled(expression: str) -> Compiled:
    return compile_corefile(parsed(f". {{\nview v {{\nexpr {expression}\n}}\n}}"), Registry.of({}))


@pytest.mark.parametrize(
    ("expression", "error"),
    [
        ("", "3:1: the end found where a function, a text, a number or '(' should be"),
        ("type() ==", "3:15: the end found where"),
        ("type() 'A'", "3:13: ''A'' found where an operator, or the expression's end, should be"),
        ("(type() == 'A'", "3:20: the end found where ')' should be"),
        ("type() in ['A' 'B']", "3:21: ''B'' found where ',' should be"),
        ("type() == 'A", "3:16: this quote is never closed: a ' is missing"),
        ("type() == A", "3:16: 'A' is no function without '()', and texts stand in single quotes"),
        ('type() == "A"', "3:17: 'A' is no function without '()'"),
        ('"type() == A"', "3:17: 'A' is no function without '()'"),
        ("type() == 'A' ? 1 : 2", "3:20: '?' is nothing that is understood"),
        ("size() == 1.5", "3:16: only whole numbers are understood"),
        ("size() == 12345678901", "3:16: 12345678901 is more than a query has of anything"),
        ("type", "3:6: 'type' is no function without '()'"),
        ("type()", "3:6: type() has to be compared with something"),
        ("'A'", "3:6: something that holds or doesn't should stand here"),
        ("!type() == 'A'", "3:6: a function such as name() should stand on a side of '=='"),
        ("types() == 'A'", "3:6: unknown function 'types'; did you mean 'type'?"),
        ("metadata('x') == 'A'", "3:6: metadata() is not understood: no plugin here gives any"),
        ("type(1) == 'A'", "3:6: type() takes no arguments, not 1"),
        ("type() == 1", "3:16: a text should stand here, in single quotes"),
        ("type() == 'a'", "3:16: type() is in capitals; 'A' is right"),
        ("type() == 'FOO'", "3:16: 'FOO' found where a record type such as A or TXT should be"),
        ("class() == 'XX'", "3:17: 'XX' found where one of IN, CS, CH, HS, NONE, ANY should be"),
        ("proto() == 'tls'", "3:17: 'tls' found where one of tcp, udp should be"),
        ("port() == 53", "3:16: a text should stand here, in single quotes"),
        ("port() == 'x'", "3:16: 'x' is no port; a number up to 65535 is, in quotes"),
        ("size() == '1'", "3:16: a number should stand here"),
        ("type() < 'B'", "3:6: type() is no number: it has no order"),
        ("type() contains 'A'", "3:13: only name() is looked into; type() takes ==, != and in"),
        ("name() in 'a.'", "3:16: a list in brackets should stand here"),
        ("name() matches '(a'", "3:21: '(a' is no regular expression: unclosed group"),
        (r"name() == 'a\.'", r"3:16: '\.' is no escape that is understood; a backslash is written"),
        ("name() == type()", "3:16: a text should stand here, in single quotes"),
        ("do() > 1", "3:6: do() is no number: it has no order"),
        ("do() == 'x'", "3:6: do() holds or doesn't; it is compared with nothing"),
        ("incidr(name(), '::/0')", "3:13: client_ip() or server_ip() should stand here"),
        ("incidr(client_ip())", "3:6: incidr() takes 2 arguments, not 1"),
        ("incidr(client_ip(), '10.0.0.1')", "3:26: '10.0.0.1' found where a network such as"),
        ("client_ip() == '10.0.0.0/8'", "3:21: '10.0.0.0/8' found where an address such as"),
        ("(" * 60 + "true" + ")" * 60, "3:56: nested more than 50 deep"),
    ],
)
def test_what_is_not_understood_is_refused_with_its_place(expression: str, error: str) -> None:
    (found,) = check(parsed(f". {{\nview v {{\nexpr {expression}\n}}\n}}"), Registry.of({}))
    assert str(found).startswith(f"C:{error}")


@pytest.mark.parametrize(
    ("lines", "error"),
    [
        ("view {\n}", "C:2:1: view: an argument is missing; right: view NAME {"),
        ("view a b", "C:2:8: view: 'b' is one argument too many; right: view NAME {"),
        ("view a {\nexp true\n}", "C:3:1: unknown option 'exp' of view; did you mean 'expr'?"),
        ("view a\nview b", "C:3:1: 'view' is given a second time in this block"),
    ],
)
def test_wrong_lines(lines: str, error: str) -> None:
    (found,) = check(parsed(f". {{\n{lines}\n}}"), Registry.of({}))
    assert str(found).startswith(error)


@pytest.mark.parametrize("name", ["example.org", "Example.org."])
def test_what_can_be_no_name_is_warned_of(name: str) -> None:
    (warning,) = compiled(f"type() == 'A' || name() in ['a.', '{name}']").warnings
    assert str(warning) == (
        f"C:3:40: warning: name() is never '{name}': it is in lower case and ends in a dot"
    )


def test_a_long_expression() -> None:
    steps = compiled(" || ".join(["size() == 1"] * 5000)).config.chains[0].when
    assert len(steps) == 5000
