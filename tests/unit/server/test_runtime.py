"""Python plugins at work, around a fake of the engine: what they do wrong stays theirs."""

import asyncio
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import dns.flags
import dns.message
import dns.rcode
import pytest

from server.api import Next, Plugin, Query, Reply
from server.compile import Instance
from server.runtime import PluginError, PluginRuntime

REPLY = dns.message.make_response(dns.message.make_query("a.test", "A", id=7)).to_wire()


class FakeParked:
    """A parked query whose fate can be waited for."""

    def __init__(self, plugin: int, *, parks_again: bool = False) -> None:
        self.plugin = plugin
        self.name = b"\x01A\x04test\0"
        self.rtype, self.qclass = 1, 1
        self.dnssec_ok = False
        self.client, self.client_port, self.transport = "192.0.2.1", 5353, "udp"
        self.fate: object = None
        self.settled = threading.Event()
        self._parks_again = parks_again

    def wire(self) -> bytes:
        return dns.message.make_query("A.test", "A", id=7).to_wire()

    def proceed(self) -> bytes | None:
        return None if self._parks_again else REPLY

    def on_reply(self, callback: Callable[[bytes | None], None]) -> None:
        asyncio.get_running_loop().call_later(0.02, callback, REPLY)

    def reply(self, wire: bytes) -> None:
        self._settle(wire)

    def drop(self) -> None:
        self._settle("dropped")

    def fail(self) -> None:
        self._settle("failed")

    def _settle(self, fate: object) -> None:
        assert self.fate is None, "a query was settled twice"
        self.fate = fate
        self.settled.set()

    def wait(self) -> object:
        assert self.settled.wait(5), "the query was left hanging"
        return self.fate


class FakeEngine:
    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK)
        self._waiting: list[FakeParked] = []

    def plugin_fd(self) -> int:
        return self._fd

    def take(self) -> Sequence[FakeParked]:
        os.eventfd_read(self._fd)
        taken, self._waiting = self._waiting, []
        return taken

    def park(self, *queries: FakeParked) -> None:
        self._waiting += queries
        os.eventfd_write(self._fd, 1)


class Scripted(Plugin):
    """Does what the test passes in."""

    deadline = 0.3

    def __init__(self, act: Callable[[Query, Next], object]) -> None:
        self.act = act
        self.events: list[str] = []

    async def start(self) -> None:
        self.events.append("start")

    async def stop(self) -> None:
        self.events.append("stop")

    async def handle(self, query: Query, next: Next) -> Reply | dns.message.Message | bytes | None:
        result = self.act(query, next)
        if asyncio.iscoroutine(result):
            result = await result
        return result  # type: ignore[return-value]


class Rig:
    def __init__(self, runtime: PluginRuntime, engine: FakeEngine) -> None:
        self.runtime = runtime
        self.engine = engine

    def ask(self, act: Callable[[Query, Next], object], **options: bool) -> FakeParked:
        self.runtime.add([Instance(1, "scripted", "chain", Scripted(act))])
        parked = FakeParked(1, **options)
        self.engine.park(parked)
        parked.wait()
        return parked


@pytest.fixture
def rig() -> Iterator[Rig]:
    engine = FakeEngine()
    runtime = PluginRuntime(engine, stall=0.4)
    yield Rig(runtime, engine)
    runtime.stop()


async def pass_on(query: Query, next: Next) -> Reply | None:
    return await next(query)


async def set_flag(query: Query, next: Next) -> dns.message.Message:
    reply = await next(query)
    assert reply is not None
    message = reply.message()
    message.flags |= dns.flags.AD
    return message


def answer_itself(query: Query, next: Next) -> bytes:
    message = dns.message.make_response(query.message())
    message.set_rcode(dns.rcode.NXDOMAIN)
    return message.to_wire()


def raise_error(query: Query, next: Next) -> None:
    raise ZeroDivisionError("oops")


async def hang(query: Query, next: Next) -> None:
    await asyncio.sleep(60)


async def call_next_twice(query: Query, next: Next) -> Reply | None:
    await next(query)
    return await next(query)


def test_a_reply_is_passed_on_as_it_is(rig: Rig) -> None:
    assert rig.ask(pass_on).fate == REPLY


def test_a_reply_that_comes_later_is_waited_for(rig: Rig) -> None:
    assert rig.ask(pass_on, parks_again=True).fate == REPLY


def test_a_reply_can_be_changed(rig: Rig) -> None:
    fate = rig.ask(set_flag).fate
    assert isinstance(fate, bytes)
    assert dns.message.from_wire(fate).flags & dns.flags.AD


def test_a_plugin_can_answer_itself(rig: Rig) -> None:
    fate = rig.ask(answer_itself).fate
    assert isinstance(fate, bytes)
    assert dns.message.from_wire(fate).rcode() == dns.rcode.NXDOMAIN


def test_what_a_plugin_sees(rig: Rig) -> None:
    seen: list[object] = []

    def look(query: Query, next: Next) -> bytes:
        seen.extend((str(query.name), query.type, query.rclass, query.client, query.client_port))
        seen.extend((query.transport, query.dnssec_ok, query.message().id))
        return REPLY

    rig.ask(look)
    assert seen == ["A.test.", 1, 1, "192.0.2.1", 5353, "udp", False, 7]


@pytest.mark.parametrize(
    ("act", "fate", "counted"),
    [
        (lambda query, next: None, "dropped", {"dropped": 1, "failed": 0, "expired": 0}),
        (raise_error, "failed", {"dropped": 0, "failed": 1, "expired": 0}),
        (hang, "failed", {"dropped": 0, "failed": 1, "expired": 1}),
        (call_next_twice, "failed", {"dropped": 0, "failed": 1, "expired": 0}),
        (lambda query, next: "text", "failed", {"dropped": 0, "failed": 1, "expired": 0}),
    ],
)
def test_what_goes_wrong_is_the_querys_own_and_counted(
    rig: Rig, act: Callable[[Query, Next], object], fate: str, counted: dict[str, int]
) -> None:
    assert rig.ask(act).fate == fate
    tally = rig.runtime.tallies()["scripted"]
    assert tally.handled == 1
    assert {name: getattr(tally, name) for name in counted} == counted


def test_a_failure_is_logged_with_its_place(rig: Rig, caplog: pytest.LogCaptureFixture) -> None:
    rig.ask(raise_error)
    (record,) = [one for one in caplog.records if one.levelno == logging.ERROR]
    assert "plugin scripted failed: ZeroDivisionError: oops" in record.getMessage()
    assert "test_runtime.py:" in record.getMessage()


def test_one_that_blocks_the_loop_is_found_and_passed_by(
    rig: Rig, caplog: pytest.LogCaptureFixture
) -> None:
    def block(query: Query, next: Next) -> bytes:
        time.sleep(1.0)
        return REPLY

    rig.ask(block)
    assert rig.runtime.tallies()["scripted"].stalled == 1
    (line,) = [
        one.getMessage() for one in caplog.records if "blocked the plugins' loop" in one.message
    ]
    assert "plugin scripted" in line
    assert "time.sleep" in line
    again = FakeParked(1)
    rig.engine.park(again)
    assert again.wait() == "failed"


def test_others_do_not_notice(rig: Rig) -> None:
    rig.runtime.add(
        [
            Instance(1, "bad", "chain", Scripted(raise_error)),
            Instance(2, "good", "chain", Scripted(pass_on)),
        ]
    )
    queries = [FakeParked(number) for number in (1, 2, 1, 2)]
    rig.engine.park(*queries)
    assert [query.wait() for query in queries] == ["failed", REPLY, "failed", REPLY]


def test_a_query_for_a_plugin_that_is_gone_fails(rig: Rig) -> None:
    scripted = Scripted(pass_on)
    rig.runtime.add([Instance(1, "scripted", "chain", scripted)])
    rig.runtime.remove([1])
    assert scripted.events == ["start", "stop"]
    parked = FakeParked(1)
    rig.engine.park(parked)
    assert parked.wait() == "failed"


def test_a_plugin_that_does_not_start_stops_those_before_it(rig: Rig) -> None:
    class Stubborn(Plugin):
        async def start(self) -> None:
            raise OSError("no network")

    first = Scripted(pass_on)
    with pytest.raises(PluginError, match="stubborn failed to start: OSError: no network"):
        rig.runtime.add(
            [Instance(1, "first", "chain", first), Instance(2, "stubborn", "chain", Stubborn())]
        )
    assert first.events == ["start", "stop"]
