"""*erratic*: which queries get what, and what is refused where."""

import asyncio
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import pytest

import corefile
from server.api import Plugin, Query, Reply
from server.compile import CompileError, compile_corefile
from server.registry import Registry


def erratic(body: str) -> Plugin:
    text = f". {{\nerratic {body}\n}}"
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    (instance,) = compile_corefile(parsed, Registry.of({})).instances
    return instance.plugin


class Asked:
    """As much of a parked query as the plugin looks at."""

    def __init__(self, rtype: str) -> None:
        self._message = dns.message.make_query("Www.example.org.", rtype)
        (question,) = self._message.question
        self.name, self.rtype = question.name.to_wire(), int(question.rdtype)

    def wire(self) -> bytes:
        return self._message.to_wire()


async def unasked(query: Query) -> Reply:
    raise AssertionError("the rest of the chain is not asked")


def fates(plugin: Plugin, rtypes: list[str], monkeypatch: pytest.MonkeyPatch) -> list[str]:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def fate(rtype: str) -> str:
        slept.clear()
        query = Query(Asked(rtype))  # type: ignore[arg-type]
        reply = await plugin.handle(query, unasked)
        if reply is None:
            return "dropped"
        assert isinstance(reply, dns.message.Message)
        flags = dns.flags.to_text(reply.flags & (dns.flags.AA | dns.flags.TC))
        records = [rrset.to_text() for rrset in reply.answer]
        words = [*(f"{one:g}s" for one in slept), dns.rcode.to_text(reply.rcode()), flags, *records]
        return " ".join(word for word in words if word)

    async def all_fates() -> list[str]:
        return [await fate(rtype) for rtype in rtypes]

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return asyncio.run(all_fates())


A = "NOERROR AA Www.example.org. 0 IN A 192.0.2.53"
CUT = "NOERROR AA TC Www.example.org. 0 IN A 192.0.2.53"


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", ["dropped", A, "dropped", A]),
        ("{\ndrop 3\n}", ["dropped", A, A, "dropped"]),
        ("{\ndrop 0\n}", [A, A, A, A]),
        ("{\ndrop\ntruncate\n}", ["dropped", A, "dropped", A]),
        ("{\ntruncate 2\n}", [CUT, A, CUT, A]),
        ("{\ndelay\n}", [f"0.1s {A}", A, f"0.1s {A}", A]),
        ("{\ndelay 3 50ms\n}", [f"0.05s {A}", A, A, f"0.05s {A}"]),
        ("{\ndrop 3\ndelay 1\ntruncate 2\n}", ["dropped", f"0.1s {A}", f"0.1s {CUT}", "dropped"]),
    ],
)
def test_fates(body: str, expected: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    assert fates(erratic(body), ["A"] * 4, monkeypatch) == expected


def test_types(monkeypatch: pytest.MonkeyPatch) -> None:
    found = fates(erratic("{\ndrop 0\n}"), ["AAAA", "MX", "AXFR"], monkeypatch)
    assert found == [
        "NOERROR AA Www.example.org. 0 IN AAAA 2001:db8::53",
        "SERVFAIL",
        "SERVFAIL",
    ]


def test_the_engine_waits_longer_than_a_reply_is_delayed() -> None:
    plugin = erratic("{\ndelay 1 1m\n}")
    assert plugin.deadline == 62
    assert plugin.unsigned_only


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ("3", "2:9: erratic: '3' is one argument too many; right: erratic { … }"),
        ("{\ndorp 3\n}", "3:1: unknown option 'dorp' of erratic; did you mean 'drop'?"),
        ("{\ndrop -1\n}", "3:6: -1 is out of range"),
        ("{\ndrop 1\ndrop 1\n}", "4:1: 'drop' of erratic is given a second time"),
        ("{\ntruncate 1 2\n}", "3:12: truncate: '2' is one argument too many"),
        ("{\ndelay 1 2\n}", "3:9: '2' found where a duration such as 30s"),
        ("{\ndelay 1 2h\n}", "3:9: 2h is out of range; it has to be at most 3600s"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(body: str, error: str) -> None:
    with pytest.raises(CompileError) as raised:
        erratic(body)
    (found,) = raised.value.errors
    assert str(found).startswith(f"Corefile:{error}")
