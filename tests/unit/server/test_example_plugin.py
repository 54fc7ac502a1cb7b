"""The example's own logic: what it refuses, what it passes on, what its line may say."""

import asyncio
import importlib.util
from pathlib import Path
from types import ModuleType

import dns.edns
import dns.message
import dns.rcode
import pytest

import corefile
from corefile import CorefileError
from server.api import Query, Reply
from server.compile import check, compile_corefile
from server.registry import Registry

EXAMPLE = Path(__file__).resolve().parents[3] / "examples" / "plugin"


@pytest.fixture(scope="module")
def example() -> ModuleType:
    source = EXAMPLE / "zoneward_blocklist" / "__init__.py"
    spec = importlib.util.spec_from_file_location("zoneward_blocklist", source)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def parse(lines: str) -> corefile.Corefile:
    return corefile.parse(f". {{\n{lines}\n}}", path="C", environ={}, read=Path.read_text)


class Asked:
    """As much of a parked query as a plugin can see."""

    plugin, rtype, qclass, dnssec_ok = 0, 1, 1, False
    client, client_port, transport = "192.0.2.1", 53, "udp"

    def __init__(self, name: str, edns: int) -> None:
        self._message = dns.message.make_query(name, "A", use_edns=edns)
        self.name = self._message.question[0].name.to_wire()

    def wire(self) -> bytes:
        return self._message.to_wire()


@pytest.mark.parametrize(
    ("name", "blocked"),
    [
        ("bad.test", True),
        ("a.BAD.test", True),
        ("good.bad.test", False),
        ("x.good.bad.test", False),
    ],
)
def test_who_is_refused(example: ModuleType, name: str, blocked: bool) -> None:
    registry = Registry.of({"blocklist": example.Blocklist})
    lines = "blocklist bad.test {\n except good.bad.test\n}"
    (instance,) = compile_corefile(parse(lines), registry).instances
    assert instance.plugin.zones == ("bad.test.",)
    rest = Reply(b"\0" * 12)

    async def passed_on(query: Query) -> Reply:
        return rest

    query = Query(Asked(name, 0))  # type: ignore[arg-type]
    given = asyncio.run(instance.plugin.handle(query, passed_on))
    if not blocked:
        assert given is rest
        return
    assert isinstance(given, dns.message.Message)
    assert given.rcode() == dns.rcode.REFUSED
    (error,) = given.options
    assert isinstance(error, dns.edns.EDEOption)
    assert error.code == dns.edns.EDECode.BLOCKED


def test_no_edns_for_clients_without(example: ModuleType) -> None:
    assert example.refusal(dns.message.make_query("a.test", "A", use_edns=-1)).edns == -1


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ("blocklist", "C:2:1: blocklist: an argument is missing; right: blocklist NAME…"),
        ("blocklist a..b", "C:2:11: 'a..b' has an empty label"),
        ("blocklist a {\n excpet b\n}", "C:3:2: unknown option 'excpet' of blocklist; did you"),
    ],
)
def test_what_its_line_may_say(example: ModuleType, lines: str, expected: str) -> None:
    registry = Registry.of({"blocklist": example.Blocklist})
    (error,) = check(parse(lines), registry)
    assert isinstance(error, CorefileError)
    assert str(error).startswith(expected)
