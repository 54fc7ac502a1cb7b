"""*template*: what is answered, what it makes of Go's templates, what is refused where."""

import asyncio
from collections.abc import Sequence
from pathlib import Path

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

import corefile
from server.api import Query, Reply
from server.compile import Compiled, CompileError, compile_corefile
from server.compiled import Python
from server.gotemplate import Data, TemplateError, template
from server.registry import Registry

REST = Reply(b"\0" * 12)

IPV4 = r"""template IN A example {
    match (^|[.])ip-(?P<a>[0-9]*)-(?P<b>[0-9]*)-(?P<c>[0-9]*)-(?P<d>[0-9]*)[.]example[.]$
    answer "{{ .Name }} 60 IN A {{ .Group.a }}.{{ .Group.b }}.{{ .Group.c }}.{{ .Group.d }}"
    fallthrough
}
template IN PTR in-addr.arpa {
    match ^(?P<d>[0-9]*)[.](?P<c>[0-9]*)[.](?P<b>[0-9]*)[.](?P<a>[0-9]*)[.]in-addr[.]arpa[.]$
    answer "{{ .Name }} 60 IN PTR ip-{{ .Group.a }}-{{ .Group.b }}-{{ .Group.c }}-{{.Group.d}}.e."
}"""
HEXADECIMAL = r"""template IN A example {
    match "^ip0a(?P<b>[a-f0-9]{2})(?P<c>[a-f0-9]{2})[.]example[.]$"
    answer "{{ .Name }} 60 IN A 10.0.{{ parseInt .Group.b 16 8 }}.{{ parseInt .Group.c 16 8 }}"
}"""
INVALID = """template ANY ANY invalid {
    rcode NXDOMAIN
    authority "invalid. 60 {{ .Class }} SOA ns.invalid. hostmaster.invalid. (1 60 60 60 60)"
    ederror 21 "Blocked according to RFC2606"
}"""
SEARCHED = r"""template IN ANY example.com {
    match "example\.com\.(dc1\.example\.com\.)$"
    rcode NXDOMAIN
    authority "{{ index .Match 1 }} IN SOA ns.{{ index .Match 1 }} h.{{ .Zone }} (1 60 60 60 60)"
    fallthrough dc1.example.com
}"""
SEVERAL = """template IN MX example.com a.example.com {
    match ^x[.] ^y[.]
    answer "{{ .Name }} 60 IN MX 10 {{ .Zone }}" "{{ .Name }} 60 IN MX 20 {{ .Name }}"
    additional "{{ .Zone }} 60 IN TXT {{ .Remote }} {{ .Type }}"
}"""


def compiled(body: str, zone: str = ".") -> Compiled:
    text = f"{zone} {{\n{body}\n}}"
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    return compile_corefile(parsed, Registry.of({}))


class Asked:
    """As much of a parked query as a plugin can see."""

    plugin, dnssec_ok, client, client_port, transport = 0, False, "192.0.2.9", 53, "udp"

    def __init__(self, name: str, rtype: str, rclass: str) -> None:
        self._message = dns.message.make_query(name, rtype, rclass, use_edns=0)
        (question,) = self._message.question
        self.rtype, self.qclass = int(question.rdtype), int(question.rdclass)
        self.name = question.name.to_wire()

    def wire(self) -> bytes:
        return self._message.to_wire()


def given(body: str, name: str, rtype: str, rclass: str = "IN") -> object:
    (instance,) = compiled(body).instances

    async def rest(query: Query) -> Reply:
        return REST

    query = Query(Asked(name, rtype, rclass))  # type: ignore[arg-type]
    return asyncio.run(instance.plugin.handle(query, rest))


@pytest.mark.parametrize(
    ("body", "question", "rcode", "sections"),
    [
        (
            IPV4,
            ("X.IP-10-0-0-7.example.", "A"),
            "NOERROR",
            (["X.IP-10-0-0-7.example. 60 IN A 10.0.0.7"], [], []),
        ),
        (
            IPV4,
            ("7.0.0.10.in-addr.arpa.", "PTR"),
            "NOERROR",
            (["7.0.0.10.in-addr.arpa. 60 IN PTR ip-10-0-0-7.e."], [], []),
        ),
        (IPV4, ("0.0.10.in-addr.arpa.", "PTR"), "SERVFAIL", ([], [], [])),
        (
            HEXADECIMAL,
            ("ip0a0aff.example.", "A"),
            "NOERROR",
            (["ip0a0aff.example. 60 IN A 10.0.10.255"], [], []),
        ),
        (
            INVALID,
            ("a.invalid.", "TXT"),
            "NXDOMAIN",
            ([], ["invalid. 60 IN SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60"], []),
        ),
        (
            INVALID,
            ("invalid.", "A", "CH"),
            "NXDOMAIN",
            ([], ["invalid. 60 CH SOA ns.invalid. hostmaster.invalid. 1 60 60 60 60"], []),
        ),
        (
            SEARCHED,
            ("a.example.com.dc1.example.com.", "A"),
            "NXDOMAIN",
            (
                [],
                ["dc1.example.com. 3600 IN SOA ns.dc1.example.com. h.example.com. 1 60 60 60 60"],
                [],
            ),
        ),
        (SEARCHED, ("www.example.com.", "A"), "SERVFAIL", ([], [], [])),
        (
            SEVERAL,
            ("y.a.example.com.", "MX"),
            "NOERROR",
            (
                [
                    "y.a.example.com. 60 IN MX 10 a.example.com.",
                    "y.a.example.com. 60 IN MX 20 y.a.example.com.",
                ],
                [],
                ['a.example.com. 60 IN TXT "192.0.2.9" "MX"'],
            ),
        ),
        ("template IN A {\n rcode SERVFAIL\n answer x\n}", ("a.", "A"), "SERVFAIL", ([], [], [])),
    ],
)
def test_answers(
    body: str, question: Sequence[str], rcode: str, sections: tuple[list[str], ...]
) -> None:
    reply = given(body, *question)
    assert isinstance(reply, dns.message.Message)
    assert dns.rcode.to_text(reply.rcode()) == rcode
    assert bool(reply.flags & dns.flags.AA) == (rcode != "SERVFAIL")
    found = dns.message.from_wire(reply.to_wire())
    assert (
        tuple(
            [line for rrset in section for line in rrset.to_text().splitlines()]
            for section in (found.answer, found.authority, found.additional)
        )
        == sections
    )


@pytest.mark.parametrize(
    ("body", "question"),
    [
        (IPV4, ("www.example.", "A")),
        (IPV4, ("ip-10-0-0-7.example.", "AAAA")),
        (IPV4, ("ip-10-0-0-7.test.", "A")),
        (SEARCHED, ("www.dc1.example.com.", "A")),
        (INVALID, ("a.invalid.", "AXFR")),
    ],
)
def test_what_goes_on(body: str, question: tuple[str, str]) -> None:
    assert given(body, *question) is REST


def test_an_extended_error() -> None:
    reply = given(INVALID, "a.invalid.", "A")
    assert isinstance(reply, dns.message.Message)
    assert [option.to_text() for option in reply.options] == [
        "EDE 21 (Not Supported): Blocked according to RFC2606"
    ]


def test_all_lines_are_one_stage_that_sees_only_what_it_is_for() -> None:
    (chain,) = compiled(f"whoami\n{IPV4}").config.chains
    stage = chain.stages[0]
    assert isinstance(stage, Python)
    assert (stage.types, stage.zones) == ((1, 12, 255), ("example.", "in-addr.arpa."))
    assert (stage.name, stage.unsigned_only) == ("template", True)
    assert len(chain.stages) == 2
    (chain,) = compiled("template CH ANY {\n rcode REFUSED\n}", "a.test").config.chains
    (stage,) = chain.stages
    assert isinstance(stage, Python)
    assert (stage.types, stage.zones, chain.any_class) == ((), ("a.test.",), True)


DATA = Data("z.", "a.z.", "IN", "A", "192.0.2.1", ("a.z.", "ff"), {"1": "ff", "n": "ff"})


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "plain"),
        ("{{.Name}} {{ .Zone }}{{ .Question.Name }}", "a.z. z.a.z."),
        ("{{ .Class }}/{{ .Type }}/{{ .Remote }}", "IN/A/192.0.2.1"),
        ('{{ index .Match 1 }}{{ index .Group "1" }}{{ .Group.n }}', "ffffff"),
        ("{{ parseInt (index .Match 1) 16 8 }}", "255"),
        ('{{ "a\\"b" }}{{ `c\\d` }}{{ 7 }}', 'a"bc\\d7'),
        ("a {{- /* nothing */ -}} b {{- .Zone }} c", "abz. c"),
        ("a {{-3 }}", None),
    ],
)
def test_what_is_understood(text: str, expected: str | None) -> None:
    if expected is None:
        with pytest.raises(TemplateError):
            template(text, DATA.group)
        return
    assert template(text, {"0", "1", "n"})(DATA) == expected


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("{{ $x }}", "'{{ $x }}': '$x' is not understood"),
        ("{{ .Name | len }}", "'{{ .Name | len }}': '| len' is not understood"),
        ("{{ if .Name }}x{{ end }}", "'{{ if .Name }}': 'if' is no function that is known"),
        ("{{ .Nam }}", "'{{ .Nam }}': '.Nam' is not known; .Zone, .Name"),
        ("{{ .Group.x }}", "'{{ .Group.x }}': no expression has a group 'x'"),
        ("{{ index .Match 2 }}", "'{{ index .Match 2 }}': no expression has a group '2'"),
        ("{{ index .Zone 2 }}", "'{{ index .Zone 2 }}': index is of .Match and .Group"),
        ("{{ parseInt .Zone 99 8 }}", "'{{ parseInt .Zone 99 8 }}': parseInt has a base"),
        ("{{ parseInt .Zone 9 }}", "'{{ parseInt .Zone 9 }}': a number is missing"),
        ("{{ .Zone .Zone }}", "'{{ .Zone .Zone }}': '.Zone' is too much"),
        ("{{ (.Zone }}", "'{{ (.Zone }}': a mark is missing"),
        ("{{ }}", "'{{  }}': a value is missing"),
        ("{{ .Zone", "a '{{' without its '}}'"),
    ],
)
def test_what_is_not(text: str, error: str) -> None:
    with pytest.raises(TemplateError) as raised:
        template(text, {"0", "1", "n"})
    assert str(raised.value).startswith(error)


@pytest.mark.parametrize(
    ("body", "error"),
    [
        (
            "template IN",
            "2:1: template: an argument is missing; right: template CLASS TYPE [ZONE…]",
        ),
        ("template XX A {\nrcode REFUSED\n}", "2:10: 'XX' found where one of IN, CH, HS, ANY"),
        ("template IN B {\nrcode REFUSED\n}", "2:13: 'B' found where a record type"),
        ("template IN A a..b {\nrcode REFUSED\n}", "2:15: 'a..b' has an empty label"),
        ("template IN A", "2:1: template: a line of answer, authority or rcode is missing"),
        ("template IN A {\nansver x\n}", "3:1: unknown option 'ansver' of template; did you"),
        ("template IN A {\nanswer\n}", "3:1: answer: an argument is missing; right: answer RR…"),
        ("template IN A {\nanswer {{.X}}\n}", "3:8: '{{ .X }}': '.X' is not known"),
        ("template IN A {\nmatch (\n}", "3:7: '(' is no regular expression that is understood"),
        ("template IN A {\nrcode NO\n}", "3:7: 'NO' found where one of NOERROR, FORMERR"),
        ("template IN A {\nrcode REFUSED\nederror x\n}", "4:9: 'x' found where a whole number"),
        ("template IN A {\nrcode REFUSED\nrcode REFUSED\n}", "4:1: 'rcode' of template is given"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        compiled(body)
    (found,) = raised.value.errors
    assert str(found).startswith(f"Corefile:{error}")


def test_each_line_says_that_signed_zones_are_untouched() -> None:
    found = compiled(f"sign db\n{IPV4}", "example.org")
    assert [str(warning.place) for warning in found.warnings] == ["Corefile:3:1", "Corefile:8:1"]
    assert "'template' changes no answer of a zone that is signed here" in str(found.warnings[0])
