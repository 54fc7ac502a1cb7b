"""Chains in the real engine: order, the three hooks, Python plugins that do wrong, reloads."""

import asyncio
import contextlib
import json
import re
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dns.edns
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from fakemanager import zone
from ports import free_port

import corefile
import engine
from corefile.names import name_wire
from server.api import Next, Plugin, Query, Reply
from server.compile import compile_corefile
from server.counters import DURATION_BUCKETS, SIZE_BUCKETS, Series, decode
from server.registry import Registry
from server.runtime import PluginRuntime

LATER = 2**31
ADDRESS = "127.0.7.3"
CONTENT = (
    "www.a.test. 60 IN A 192.0.2.1",
    "long.a.test. 60 IN TXT " + " ".join(['"' + "x" * 200 + '"'] * 12),
)


class Seen(Plugin):
    """Notes what passes in and out; adds a letter to the trace that a TXT query carries."""

    trace: list[str] = []

    async def handle(self, query: Query, next: Next) -> Reply | None:
        self.trace.append(f"in {type(self).__name__}")
        reply = await next(query)
        self.trace.append(f"out {type(self).__name__}")
        return reply


class First(Seen):
    after = ("log",)


class Second(Seen):
    after = ("first",)


class Raises(Plugin):
    async def handle(self, query: Query, next: Next) -> Reply | None:
        raise ZeroDivisionError("oops")


class Passed(Raises):
    on_failure = "pass"


class Hangs(Plugin):
    deadline = 0.2

    async def handle(self, query: Query, next: Next) -> Reply | None:
        await asyncio.sleep(60)
        return None


class Blocks(Plugin):
    deadline = 0.2

    async def handle(self, query: Query, next: Next) -> Reply | None:
        time.sleep(1.0)
        return None


class Drops(Plugin):
    async def handle(self, query: Query, next: Next) -> Reply | None:
        return None


class OnlyText(Raises):
    types = (dns.rdatatype.TXT,)


class OnlyBelow(Raises):
    zones = ("www.a.test",)


class OnlyElsewhere(Raises):
    networks = ("192.0.2.0/24", "2001:db8::/32")


class Truncated(Plugin):
    async def handle(self, query: Query, next: Next) -> dns.message.Message:
        reply = dns.message.make_response(query.message())
        text = " ".join(['"' + "y" * 200 + '"'] * 12)
        reply.answer.append(dns.rrset.from_text(query.name, 60, "IN", "TXT", text))
        return reply


PLUGINS: dict[str, type[Plugin]] = {
    kind.__name__.lower(): kind
    for kind in (
        *(First, Second, Raises, Passed, Hangs, Blocks, Drops),
        *(OnlyText, OnlyBelow, OnlyElsewhere, Truncated),
    )
}


class Running:
    """The engine with one Corefile, whose port is written PORT."""

    def __init__(self, text: str) -> None:
        self.port = free_port(ADDRESS)
        self.server = engine.Server()
        self.runtime = PluginRuntime(self.server)
        self.compiled = self.compile(text, 0)
        self.server.bind(self.compiled.config.encode())
        self.runtime.add(self.compiled.instances)
        self.server.start()

    def compile(self, text: str, first_plugin: int) -> Any:
        text = re.sub(r"^([a-z.]+) {", rf"\1:{self.port} {{\n bind {ADDRESS}", text, flags=re.M)
        parsed = corefile.parse(text, path="C", environ={}, read=Path.read_text)
        return compile_corefile(parsed, Registry.of(PLUGINS), first_plugin=first_plugin)

    def reconfigure(self, text: str) -> None:
        old, self.compiled = self.compiled, self.compile(text, 100)
        self.runtime.add(self.compiled.instances)
        self.server.configure(self.compiled.config.encode())
        self.runtime.remove([instance.number for instance in old.instances])

    def publish(self, version: engine.Zone, valid_until: int = LATER, *, block: int = 0) -> None:
        self.server.publish(self.compiled.config.chains[block].id, version, valid_until)

    def ask(
        self, name: str, rtype: str = "A", *, tcp: bool = False, timeout: float = 4.0, **more: Any
    ) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, use_edns=more.pop("edns", 0), **more)
        how = dns.query.tcp if tcp else dns.query.udp
        return how(query, ADDRESS, timeout=timeout, port=self.port)

    def series(self, of: str) -> Series:
        (found,) = [one for one in decode(self.server.stats()).series if one.zone == of]
        return found

    def log(self, count: int) -> list[tuple[int, str]]:
        """The lines in the ring once there are as many."""
        lines: list[tuple[int, str]] = []
        end = time.monotonic() + 5
        while len(lines) < count and time.monotonic() < end:
            lines += self.server.drain_log()
            time.sleep(0.01)
        return lines

    def close(self) -> None:
        self.server.close()
        self.runtime.stop()


Start = Callable[[str], Running]


@pytest.fixture
def start() -> Iterator[Start]:
    with contextlib.ExitStack() as stack:

        def begin(text: str) -> Running:
            running = Running(text)
            stack.callback(running.close)
            return running

        yield begin


def extended_errors(reply: dns.message.Message) -> list[int]:
    return [int(one.code) for one in reply.options if isinstance(one, dns.edns.EDEOption)]


def rcode(reply: dns.message.Message) -> str:
    return dns.rcode.to_text(reply.rcode())


# --- zones ---


def test_a_zone_that_has_not_arrived_is_not_ready(start: Start) -> None:
    running = start("a.test {\n file db\n}")
    reply = running.ask("www.a.test")
    assert (rcode(reply), extended_errors(reply)) == ("SERVFAIL", [14])
    running.publish(zone("a.test.", 1, *CONTENT))
    reply = running.ask("www.a.test")
    assert (rcode(reply), bool(reply.flags & dns.flags.AA)) == ("NOERROR", True)
    running.server.withdraw(running.compiled.config.chains[0].id, name_wire("a.test."))
    assert extended_errors(running.ask("www.a.test")) == [14]


def test_a_copy_whose_time_is_over_is_not_served(start: Start) -> None:
    running = start("a.test {\n file db\n}")
    running.publish(zone("a.test.", 1, *CONTENT), int(time.time()) - 1)
    reply = running.ask("www.a.test")
    assert rcode(reply) == "SERVFAIL"
    assert len(extended_errors(reply)) == 1


def test_the_longest_key_gets_the_query_and_a_ds_query_the_parent(start: Start) -> None:
    running = start("a.test {\n file db\n}\nsub.a.test {\n file db\n}")
    running.publish(zone("a.test.", 1, "sub.a.test. 60 IN NS ns.example.org."))
    running.publish(zone("sub.a.test.", 2, "www.sub.a.test. 60 IN A 192.0.2.2"), block=1)
    assert running.ask("www.sub.a.test").answer[0][0].to_text() == "192.0.2.2"
    (soa,) = running.ask("sub.a.test", "DS").authority
    assert soa.name == dns.name.from_text("a.test")


def test_no_route_is_refused(start: Start) -> None:
    running = start("a.test {\n whoami\n prometheus\n}")
    assert rcode(running.ask("b.test")) == "REFUSED"
    assert running.series("dropped").responses[0].rcode == "REFUSED"


def test_nobody_in_the_chain_answers(start: Start) -> None:
    assert rcode(start("a.test {\n errors\n}").ask("a.test")) == "REFUSED"


@pytest.mark.parametrize("tcp", [False, True])
def test_whoami(start: Start, tcp: bool) -> None:
    reply = start(". {\n whoami\n}").ask("who.test", tcp=tcp)
    label = "_tcp" if tcp else "_udp"
    found = {(str(rrset.name), rrset.rdtype): rrset[0].to_text() for rrset in reply.additional}
    assert found["who.test.", dns.rdatatype.A].startswith("127.0.")
    assert re.fullmatch(r"0 0 \d+ \.", found[f"{label}.who.test.", dns.rdatatype.SRV])
    assert (rcode(reply), reply.answer) == ("NOERROR", [])


# --- the three hooks, as Python sees them ---


def test_stages_are_entered_in_order_and_left_in_reverse(start: Start) -> None:
    Seen.trace.clear()
    running = start(". {\n whoami\n second\n first\n}")
    assert rcode(running.ask("a.test")) == "NOERROR"
    assert Seen.trace == ["in First", "in Second", "out Second", "out First"]


def test_what_is_sent_is_logged_and_counted_once(start: Start) -> None:
    Seen.trace.clear()
    running = start(". {\n whoami\n first\n log\n prometheus\n}")
    running.ask("a.test")
    (line,) = running.log(1)
    assert " NOERROR " in line[1]
    (counted,) = running.series(".").responses
    assert (counted.plugin, counted.count) == ("first", 1)


# --- Python plugins that do wrong ---


@pytest.mark.parametrize("name", ["raises", "hangs", "blocks"])
def test_a_failing_plugin_costs_its_own_queries(start: Start, name: str) -> None:
    running = start(f"a.test {{\n {name}\n whoami\n}}\nb.test {{\n whoami\n}}")
    began = time.monotonic()
    assert rcode(running.ask("a.test")) == "SERVFAIL"
    assert time.monotonic() - began < 0.9, "the deadline is the engine's, whatever the loop does"
    assert rcode(running.ask("b.test")) == "NOERROR"
    tally = running.runtime.tallies()[name]
    assert tally.handled == 1
    if name == "raises":
        assert tally.failed == 1


def test_a_failing_plugin_can_be_passed_over(start: Start) -> None:
    running = start(". {\n passed\n whoami\n}")
    assert rcode(running.ask("a.test")) == "NOERROR"
    assert running.runtime.tallies()["passed"].failed == 1


def test_a_dropped_query_gets_nothing(start: Start) -> None:
    running = start(". {\n drops\n whoami\n}")
    with pytest.raises(dns.exception.Timeout):
        running.ask("a.test", timeout=0.5)
    assert running.runtime.tallies()["drops"].dropped == 1


@pytest.mark.parametrize(
    ("plugin", "rtype", "name"),
    [("onlytext", "A", "www.a.test"), ("onlybelow", "A", "a.test"), ("onlyelsewhere", "A", "a.")],
)
def test_the_prefilter_wakes_nobody(start: Start, plugin: str, rtype: str, name: str) -> None:
    running = start(f". {{\n {plugin}\n whoami\n}}")
    assert rcode(running.ask(name, rtype)) == "NOERROR"
    assert running.runtime.tallies()[plugin].handled == 0


@pytest.mark.parametrize(
    ("plugin", "rtype", "name"),
    [
        ("onlytext", "TXT", "a.test"),
        ("onlybelow", "A", "WWW.a.test"),
        ("onlybelow", "A", "x.www.a.test"),
    ],
)
def test_the_prefilter_lets_through(start: Start, plugin: str, rtype: str, name: str) -> None:
    running = start(f". {{\n {plugin}\n whoami\n}}")
    assert rcode(running.ask(name, rtype)) == "SERVFAIL"
    assert running.runtime.tallies()[plugin].handled == 1


@pytest.mark.parametrize(
    ("payload", "tcp", "fits"), [(1232, False, False), (4096, False, None), (1232, True, True)]
)
def test_a_plugins_reply_is_cut_to_what_the_client_takes(
    start: Start, payload: int, tcp: bool, fits: bool | None
) -> None:
    reply = start(". {\n truncated\n}").ask("a.test", "TXT", payload=payload, tcp=tcp)
    if fits is not None:
        assert bool(reply.flags & dns.flags.TC) is not fits
    assert len(reply.to_wire()) <= (65535 if tcp else payload)


# --- the log ---


def test_the_default_log_line(start: Start) -> None:
    running = start("a.test {\n file db\n log\n}")
    running.publish(zone("a.test.", 1, *CONTENT))
    running.ask("www.A.test", id=4711, want_dnssec=True, payload=1400)
    ((level, line),) = running.log(1)
    assert level == 20
    assert re.fullmatch(
        r'127\.0\.\d+\.\d+:\d+ - 4711 "A IN www\.A\.test\. udp \d+ true 1400" '
        r"NOERROR qr,aa,rd \d+ [0-9.]+s",
        line,
    ), line


def test_a_format_of_ones_own(start: Start) -> None:
    running = start('. {\n whoami\n log . "{proto}|{rcode}|{>opcode}|{>do}|{>bufsize}|{local}"\n}')
    running.ask("a.test", edns=-1, tcp=True)
    assert running.log(1) == [(20, f"tcp|NOERROR|0|false|512|{ADDRESS}")]


@pytest.mark.parametrize(
    ("classes", "logged"),
    [
        ("all", ["www", "none", "long", "other"]),
        ("success", ["www"]),
        ("denial", ["none", "long"]),
        ("error", ["other"]),
        ("denial error", ["none", "long", "other"]),
    ],
)
def test_classes(start: Start, classes: str, logged: list[str]) -> None:
    running = start(
        f"a.test {{\n file db\n log {{name}} {{\n class {classes}\n }}\n}}\n"
        f"b.test {{\n file db\n log {{name}} {{\n class {classes}\n }}\n}}"
    )
    running.publish(zone("a.test.", 1, *CONTENT))
    for name in ("www.a.test", "none.a.test", "long.a.test", "other.b.test"):
        running.ask(name)
    assert [line.split(".")[0] for _, line in running.log(len(logged))] == logged
    assert running.server.drain_log() == []


def test_names_to_log(start: Start) -> None:
    running = start(". {\n whoami\n log a.test {name}\n}")
    for name in ("a.test", "b.a.test", "b.test", "xa.test"):
        running.ask(name)
    assert [line for _, line in running.log(2)] == ["a.test.", "b.a.test."]
    assert running.server.drain_log() == []


def test_errors_say_why(start: Start) -> None:
    running = start("a.test {\n file db\n errors\n}")
    running.ask("www.a.test", "MX")
    ((level, line),) = running.log(1)
    assert level == 40
    block = running.compiled.config.chains[0].id
    assert line.startswith(f"plugin/errors [{block}]: SERVFAIL www.a.test. MX: ")


# --- counters ---


def test_the_shape_of_the_statistics(start: Start) -> None:
    running = start("a.test {\n file db\n prometheus\n raises\n}\nb.test {\n whoami\n}")
    running.publish(zone("a.test.", 7, *CONTENT), 2_000_000_000)
    running.ask("www.a.test", want_dnssec=True)
    running.ask("www.b.test")
    stats = decode(running.server.stats())
    assert set(json.loads(running.server.stats())) == set(type(stats).__struct_fields__)
    one = running.series("a.test.")
    assert one.server == f"dns://{ADDRESS}:{running.port}"
    (request,) = one.requests
    assert (request.proto, request.family, request.type, request.count) == ("udp", 1, "A", 1)
    assert one.dnssec_ok == 1
    assert len(one.duration.counts) == len(DURATION_BUCKETS) + 1
    assert sum(one.duration.counts) == 1
    assert one.duration.sum > 0
    (sizes,) = one.request_size
    assert len(sizes.histogram.counts) == len(SIZE_BUCKETS) + 1
    assert [(found.rcode, found.count) for found in one.responses] == [("SERVFAIL", 1)]
    (counted,) = stats.plugins
    assert (counted.parked, counted.waiting) == (1, 0)
    (held,) = stats.zones
    assert (held.origin, held.serial, held.valid_until) == ("a.test.", 7, 2_000_000_000)
    assert stats.panics == 0
    assert not [found for found in stats.series if found.zone == "b.test." and found.requests]


# --- reloads ---


def test_a_reload_keeps_zones_and_sockets(start: Start) -> None:
    running = start("a.test {\n file db\n}")
    running.publish(zone("a.test.", 1, *CONTENT))
    running.reconfigure("a.test {\n file db\n raises\n}")
    assert rcode(running.ask("www.a.test")) == "SERVFAIL"
    running.reconfigure("a.test {\n file db\n}\nb.test {\n whoami\n}")
    assert rcode(running.ask("www.a.test")) == "NOERROR"
    assert rcode(running.ask("www.b.test")) == "NOERROR"


def test_a_port_in_use_is_named_and_the_old_configuration_stays(start: Start) -> None:
    running = start("a.test {\n whoami\n}")
    with socket.socket() as other:
        other.bind((ADDRESS, 0))
        other.listen()
        port = other.getsockname()[1]
        text = f"a.test:{port} {{\n bind {ADDRESS}\n whoami\n}}"
        parsed = corefile.parse(text, path="C", environ={}, read=Path.read_text)
        config = compile_corefile(parsed, Registry.of({})).config
        with pytest.raises(engine.EngineError) as caught:
            running.server.configure(config.encode())
        assert caught.value.code == "bind"
        assert f"{ADDRESS}:{port}" in f"{caught.value.place} {caught.value}"
    assert rcode(running.ask("a.test")) == "NOERROR"
