"""Python stages as the engine runs them: parked, answered once, by Python or by the clock."""

import json
import select
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdata
import pytest
from keymaker import plan, sign_new
from ours import configuration

import engine

ADDRESS = "127.61.8.2"
ZONE = b"@ 60 SOA ns hostmaster 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n"


def python(plugin: int, **changes: Any) -> dict[str, Any]:
    stage = {"kind": "python", "plugin": plugin, "name": f"plugin-{plugin}"}
    return stage | {"deadline_ms": 5000, "on_failure": "servfail"} | changes


@contextmanager
def started(*stages: dict[str, Any]) -> Iterator[tuple[engine.Server, int]]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((ADDRESS, 0))
        port = probe.getsockname()[1]
    all_stages = [{"kind": "metrics"}, *stages, {"kind": "answer", "plugin": "file"}]
    server = engine.Server()
    server.bind(configuration(ADDRESS, port, ["example.org."], all_stages))
    server.start()
    try:
        zone = engine.scan_text(ZONE, b"\x07example\x03org\0")
        server.publish("test", zone, int(time.time()) + 1000)
        yield server, port
    finally:
        server.close()


def taken(server: engine.Server, count: int = 1) -> list[engine.ParkedQuery]:
    found: list[engine.ParkedQuery] = []
    while len(found) < count:
        readable, _, _ = select.select([server.plugin_fd()], [], [], 5)
        assert readable, "nothing was parked"
        found += server.take()
    return found


class Client:
    """Asks over UDP; what comes back is read later."""

    def __init__(self, port: int) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect((ADDRESS, port))
        self.socket.settimeout(5)

    def ask(self, name: str = "NS.example.org.", rtype: str = "A") -> dns.message.Message:
        query = dns.message.make_query(name, rtype)
        self.socket.send(query.to_wire())
        return query

    def reply(self) -> dns.message.Message:
        return dns.message.from_wire(self.socket.recv(65_535))

    def hears_nothing(self) -> bool:
        self.socket.settimeout(0.2)
        try:
            self.socket.recv(65_535)
        except TimeoutError:
            return True
        return False

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: object) -> None:
        self.socket.close()


def plugin_counts(server: engine.Server, plugin: int) -> dict[str, int]:
    counts = json.loads(server.stats())["plugins"]
    return next(one for one in counts if one["plugin"] == plugin)


def test_a_parked_query_says_who_asks_what() -> None:
    with started(python(7)) as (server, port), Client(port) as client:
        query = client.ask()
        [parked] = taken(server)
        assert (parked.plugin, parked.rtype, parked.qclass) == (7, 1, 1)
        assert parked.name == b"\x02NS\x07example\x03org\0"
        assert (parked.transport, parked.dnssec_ok) == ("udp", False)
        assert parked.client == client.socket.getsockname()[0]
        assert parked.client_port == client.socket.getsockname()[1]
        assert parked.wire() == query.to_wire()
        wire = parked.proceed()
        assert wire is not None
        parked.reply(wire)
        reply = client.reply()
        assert reply.answer[0][0].to_text() == "192.0.2.1"
        assert plugin_counts(server, 7) == {"plugin": 7, "parked": 1, "waiting": 0, "expired": 0}


def test_only_the_first_answer_counts() -> None:
    with started(python(1)) as (server, port), Client(port) as client:
        query = client.ask()
        [parked] = taken(server)
        refused = dns.message.make_response(query)
        refused.set_rcode(dns.rcode.REFUSED)
        parked.reply(refused.to_wire())
        parked.reply(refused.to_wire())
        parked.fail()
        del parked
        assert client.reply().rcode() == dns.rcode.REFUSED
        assert client.hears_nothing()


def test_a_handle_let_go_of_is_a_failure() -> None:
    with started(python(1)) as (server, port), Client(port) as client:
        client.ask()
        parked = taken(server)
        parked.clear()
        assert client.reply().rcode() == dns.rcode.SERVFAIL


def test_what_is_no_reply_becomes_servfail() -> None:
    with started(python(1)) as (server, port), Client(port) as client:
        query = client.ask()
        for wrong in (b"", b"x", query.to_wire()):
            [parked] = taken(server)
            parked.reply(wrong)
            assert client.reply().rcode() == dns.rcode.SERVFAIL
            client.ask()


def test_a_dropped_query_is_met_with_silence() -> None:
    with started(python(1)) as (server, port), Client(port) as client:
        client.ask()
        [parked] = taken(server)
        parked.drop()
        del parked
        assert client.hears_nothing()


DROPS = {"kind": "rules", "plugin": "acl", "rules": [{"action": {"do": "drop"}}]}


def test_what_a_later_stage_drops_is_met_with_silence() -> None:
    with started(python(1), DROPS) as (server, port), Client(port) as client:
        client.ask()
        [parked] = taken(server)
        heard: list[bytes | None] = []
        assert parked.proceed() is None
        parked.on_reply(heard.append)
        assert heard == [None]
        parked.drop()
        assert client.hears_nothing()


def test_what_is_dropped_behind_a_plugin_that_is_passed_over_stays_so() -> None:
    with started(python(1, on_failure="pass"), DROPS) as (server, port), Client(port) as client:
        client.ask()
        [parked] = taken(server)
        parked.fail()
        assert client.hears_nothing()
        assert plugin_counts(server, 1)["waiting"] == 0


def test_an_earlier_plugin_hears_of_what_was_dropped_behind_a_later_one() -> None:
    stages = (python(1), python(2, on_failure="pass"), DROPS)
    with started(*stages) as (server, port), Client(port) as client:
        client.ask()
        [outer] = taken(server)
        assert outer.proceed() is None
        heard: list[bytes | None] = []
        outer.on_reply(heard.append)
        [inner] = taken(server)
        inner.fail()
        assert server.take() == []
        assert heard == [None]
        outer.drop()
        assert client.hears_nothing()


@pytest.mark.parametrize(
    ("on_failure", "rcode"), [("servfail", dns.rcode.SERVFAIL), ("pass", dns.rcode.NOERROR)]
)
def test_the_deadline_answers_for_a_plugin_that_does_not(
    on_failure: str, rcode: dns.rcode.Rcode
) -> None:
    stage = python(1, deadline_ms=100, on_failure=on_failure)
    with started(stage) as (server, port), Client(port) as client:
        client.ask()
        [parked] = taken(server)
        assert client.reply().rcode() == rcode
        parked.reply(b"too late")
        assert client.hears_nothing()
        assert plugin_counts(server, 1) == {"plugin": 1, "parked": 1, "waiting": 0, "expired": 1}


def test_a_later_plugins_reply_comes_to_the_one_before() -> None:
    with started(python(1), python(2)) as (server, port), Client(port) as client:
        client.ask()
        [outer] = taken(server)
        assert outer.proceed() is None
        heard: list[bytes | None] = []
        outer.on_reply(heard.append)
        [inner] = taken(server)
        assert inner.plugin == 2
        wire = inner.proceed()
        assert wire is not None
        assert heard == []
        inner.reply(wire)
        assert heard == [], "no thread that answers queries calls Python"
        readable, _, _ = select.select([server.plugin_fd()], [], [], 5)
        assert readable
        assert server.take() == []
        assert heard == [wire]
        changed = dns.message.from_wire(wire)
        changed.flags |= dns.flags.AD
        outer.reply(changed.to_wire())
        assert client.reply().flags & dns.flags.AD


def test_a_prefilter_keeps_python_asleep() -> None:
    stages = (
        python(1, types=[28]),
        python(2, zones=["other.test."]),
        python(3, networks=["10.0.0.0/8"]),
    )
    with started(*stages) as (server, port), Client(port) as client:
        client.ask()
        assert client.reply().answer
        assert server.take() == []


def test_an_oversized_reply_is_truncated() -> None:
    with started(python(1)) as (server, port), Client(port) as client:
        query = client.ask()
        [parked] = taken(server)
        large = dns.message.make_response(query)
        rrset = large.find_rrset(large.answer, query.question[0].name, 1, 16, create=True)
        for number in range(50):
            rrset.add(dns.rdata.from_text("IN", "TXT", f'"some text {number:020}"'), 60)
        parked.reply(large.to_wire())
        reply = client.reply()
        assert reply.flags & dns.flags.TC
        assert not reply.answer


def test_close_answers_what_waits() -> None:
    with started(python(1)) as (server, port), Client(port) as client:
        client.ask()
        parked = taken(server)
        server.close()
        assert client.reply().rcode() == dns.rcode.SERVFAIL
        parked.clear()


RENAMED = {
    "kind": "rewrite",
    "rules": [
        {
            "field": {
                "of": "name",
                "names": {"match": "exact", "name": "alias.example.org."},
                "to": "ns.example.org.",
                "answers": [{"do": "auto"}],
            },
            "goes_on": False,
        }
    ],
}


@pytest.mark.parametrize(
    ("stages", "heard"),
    [
        ([python(1), RENAMED], ["alias.example.org."]),
        ([RENAMED, python(1)], ["ns.example.org."]),
        ([python(1), RENAMED, python(2)], ["alias.example.org.", "ns.example.org."]),
    ],
)
@pytest.mark.parametrize("fails", [False, True])
def test_what_is_rewritten_between_comes_back_as_what_was_asked(
    stages: list[dict[str, Any]], heard: list[str], fails: bool
) -> None:
    with started(*stages) as (server, port), Client(port) as client:
        query = client.ask("alias.example.org.")
        waiting = []
        for name in heard:
            [parked] = taken(server)
            assert dns.message.from_wire(parked.wire()).question[0].name.to_text() == name
            waiting.append(parked)
            if name == heard[-1]:
                break
            assert parked.proceed() is None
        last = waiting.pop()
        if fails:
            last.fail()
        else:
            wire = last.proceed()
            assert wire is not None
            last.reply(wire)
        for outer in waiting:
            inner: list[bytes | None] = []
            outer.on_reply(inner.append)
            (wire,) = inner
            assert wire is not None
            outer.reply(wire)
        reply = client.reply()
        assert reply.question == query.question
        assert reply.rcode() == (dns.rcode.SERVFAIL if fails else dns.rcode.NOERROR)
        owners = [rrset.name.to_text() for rrset in reply.answer]
        assert owners == ([] if fails else ["alias.example.org."])


@pytest.mark.parametrize("signed", [False, True])
def test_one_that_makes_answers_is_passed_over_in_signed_zones(signed: bool) -> None:
    with started(python(1, unsigned_only=True)) as (server, port), Client(port) as client:
        zone = engine.scan_text(ZONE, b"\x07example\x03org\0")
        if signed:
            server.publish("test", sign_new(zone, plan()).zone, int(time.time()) + 1000)
        client.ask()
        if not signed:
            [parked] = taken(server)
            parked.fail()
        answered = dns.rcode.NOERROR if signed else dns.rcode.SERVFAIL
        assert client.reply().rcode() == answered
