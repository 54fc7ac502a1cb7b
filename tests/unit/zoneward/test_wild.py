"""Corefiles as CoreDNS's users write them run as they are, or are refused where the directive
stands that is not here."""

import asyncio
import tempfile
from collections.abc import Sequence
from pathlib import Path

import attrs
import dns.asyncquery
import dns.exception
import dns.message
import dns.rcode
import dns.rrset
import pytest
import responder
from bothhalves import managed, served
from onloopback import OnLoopback

import corefile
from server.service import ServiceError
from zoneward import checking

PATIENCE = 30.0
UPSTREAM = "127.62.0.2"
# What the upstream has for A, and only for a name that *rewrite* puts there.
INSIDE = "foo.default.svc.cluster.local."

ZONE = """@ 300 SOA ns hostmaster 1 3600 900 86400 300
@ 300 NS ns
ns 300 A 192.0.2.53
www 300 A 192.0.2.80
"""

SEVERAL_BLOCKS = """
example.org:5300 {
    file db.example.org
    errors
    log
}

example.net:53 {
    file db.example.net
    errors
    log
}

.:53 {
    health
    errors
    log
    rewrite name foo.example.com foo.default.svc.cluster.local
    forward . 192.0.2.53
}
"""
CHAOS = ". {\n  chaos CoreDNS-001\n}\n"
ONE_ZONE = "example.org {\n    file db.example.org\n    prometheus\n    errors\n    log\n}\n"
LOOP = ". {\n    loop\n    forward . 127.0.0.1\n}\n"
BEFORE_1_5 = """.:53 {
    errors
    health
    prometheus :9153
    proxy . /etc/resolv.conf
    cache 30
    reload
}
"""
KUBERNETES = """.:53 {
    errors
    health {
       lameduck 5s
    }
    ready
    kubernetes cluster.local in-addr.arpa ip6.arpa {
       pods insecure
       fallthrough in-addr.arpa ip6.arpa
       ttl 30
    }
    autopath @kubernetes
    prometheus :9153
    forward . 192.0.2.53 {
       max_concurrent 1000
    }
    cache 30
    loop
    reload
    loadbalance
}
"""


@attrs.frozen
class Question:
    """`block` is the one that is asked, by its place; `answer` what is expected of it: an rcode,
    then the answer's records."""

    block: int
    text: str
    answer: Sequence[str]


NAMESERVER = Question(0, "ns.example.org. IN A", ["NOERROR", "ns.example.org. 300 IN A 192.0.2.53"])


@pytest.mark.parametrize(
    ("number", "text", "warnings", "questions"),
    [
        (
            250,
            SEVERAL_BLOCKS,
            [],
            [
                NAMESERVER,
                Question(0, "www.example.net. IN A", ["REFUSED"]),
                Question(
                    1,
                    "www.example.net. IN A",
                    ["NOERROR", "www.example.net. 300 IN A 192.0.2.80"],
                ),
                Question(1, "example.net. IN MX", ["NOERROR"]),
                Question(1, "other.example.net. IN A", ["NXDOMAIN"]),
                Question(
                    2,
                    "foo.example.com. IN A",
                    ["NOERROR", "foo.example.com. 60 IN A 192.0.2.7"],
                ),
                Question(2, "bar.example.com. IN A", ["NOERROR"]),
            ],
        ),
        (
            251,
            CHAOS,
            [],
            [
                Question(
                    0,
                    "version.bind. CH TXT",
                    ["NOERROR", 'version.bind. 0 CH TXT "CoreDNS-001"'],
                ),
                Question(0, "example.org. IN A", ["REFUSED"]),
            ],
        ),
        (252, ONE_ZONE, [], [NAMESERVER, Question(0, "example.com. IN A", ["REFUSED"])]),
        (
            253,
            BEFORE_1_5,
            ["Corefile:5:5: warning: 'proxy' went out of CoreDNS with version 1.5; it is taken as"],
            [Question(0, f"{INSIDE} IN A", ["NOERROR", f"{INSIDE} 30 IN A 192.0.2.7"])],
        ),
    ],
)
def test_one_runs(
    number: int, text: str, warnings: list[str], questions: list[Question], tmp_path: Path
) -> None:
    path = written(text, tmp_path)
    told = [str(warning) for warning in checking.check(path, 53, {}).warnings]
    assert len(told) == len(warnings)
    for found, expected in zip(told, warnings, strict=True):
        assert found.startswith(f"{tmp_path}/{expected}")
    assert asyncio.run(answers(path, number, questions)) == [one.answer for one in questions]


def test_one_that_asks_itself_is_found_out(tmp_path: Path) -> None:
    path = written(LOOP, tmp_path)
    checking.check(path, 53, {})
    with pytest.raises(ServiceError) as raised:
        asyncio.run(answers(path, 254, []))
    assert str(raised.value).startswith(f"{path}:5:5: a loop: what 127.62.254.1:")


def test_each_directive_that_is_not_here_is_named_with_its_place(tmp_path: Path) -> None:
    path = written(KUBERNETES, tmp_path)
    with pytest.raises(checking.CorefileRefused) as raised:
        checking.check(path, 53, {})
    assert [line.split(" that ")[0] for line in raised.value.lines] == [
        f"{path}:7:5: 'kubernetes' is a directive of CoreDNS",
        f"{path}:12:5: 'autopath' is a directive of CoreDNS",
    ]


def written(text: str, directory: Path) -> Path:
    for zone in ("example.org", "example.net"):
        (directory / f"db.{zone}").write_text(ZONE)
    path = directory / "Corefile"
    path.write_text(text)
    return path


def inside(query: dns.message.Message) -> dns.message.Message:
    reply = dns.message.make_response(query, recursion_available=True)
    if query.question[0].to_text().lower() == f"{INSIDE} in a":
        reply.answer = [dns.rrset.from_text(INSIDE, 60, "IN", "A", "192.0.2.7")]
    return reply


async def answers(path: Path, number: int, questions: list[Question]) -> list[Sequence[str]]:
    """Of the Corefile, on loopback. Raises ServiceError."""
    # The path of a Unix socket has to be short.
    with tempfile.TemporaryDirectory() as state:
        async with responder.server(inside, UPSTREAM) as port:
            here = OnLoopback(number, path.parent, f"{UPSTREAM}:{port}")
            body = here.text(corefile.load(str(path), environ={}))
            path.write_text(f"{{\n    state {state}\n}}\n{body}")
            async with managed(path), served(path):
                blocks = corefile.load(str(path)).blocks
                return [
                    await answer(one, here.own, blocks[one.block].keys[0].port) for one in questions
                ]


async def answer(question: Question, address: str, port: int) -> Sequence[str]:
    """Asked until it is what is expected, or for too long: zones have to arrive first."""
    name, rclass, rtype = question.text.split(" ")
    loop = asyncio.get_running_loop()
    end = loop.time() + PATIENCE
    while True:
        query = dns.message.make_query(name, rtype, rclass)
        try:
            reply = await dns.asyncquery.udp(query, address, timeout=2, port=port)
            lines = [line for rrset in reply.answer for line in rrset.to_text().splitlines()]
            said = [dns.rcode.to_text(reply.rcode()), *lines]
        except dns.exception.Timeout:
            said = ["no answer"]
        if said == question.answer or loop.time() > end:
            return said
        await asyncio.sleep(0.05)
