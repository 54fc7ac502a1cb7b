"""*dnstap* in the real engine, before receivers that a test steers."""

import time
from pathlib import Path

import dns.exception
import dns.message
import pytest
from answering import Answering, answering
from asking import ask_all
from house import until
from tapreceiver import Receiver, Tapped, receiving
from upstream import address_of, upstream

from server.counters import TapCounts, decode

ADDRESS = "127.61.11.3"
UPSTREAM = "127.61.11.4"
BOTH = ["CLIENT_QUERY", "CLIENT_RESPONSE"]


def counts(running: Answering) -> TapCounts:
    (found,) = decode(running.server.stats()).taps
    return found


def arrived(receiver: Receiver, number: int) -> list[Tapped]:
    until(lambda: len(receiver.frames) >= number, 10, f"{number} messages")
    return receiver.messages


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_a_query_and_its_response(tmp_path: Path, tcp: bool) -> None:
    with (
        receiving(tmp_path / "s") as receiver,
        answering(ADDRESS, f"whoami\ndnstap {receiver.path} full {{\nidentity one\n}}") as running,
    ):
        before = time.time()
        reply = running.ask("wWw.example.org.", tcp=tcp, source=ADDRESS)
        query, response = arrived(receiver, 2)
        after = time.time()
    assert [query.kind, response.kind] == BOTH
    assert dns.message.from_wire(query.content).question == reply.question
    assert response.content == reply.to_wire()
    for message in (query, response):
        assert (message.outer[1], message.outer[15]) == (b"one", 1)
        assert (message.inner[2], message.inner[3]) == (1, 2 if tcp else 1)
        assert message.inner[5] == bytes((127, 61, 11, 3))
        assert message.inner[4] == bytes((127, 61, 11, 3))
        assert message.inner[7] == running.port
    asked, answered = query.inner[8], response.inner[12]
    assert isinstance(asked, int)
    assert isinstance(answered, int)
    assert int(before) <= asked <= answered <= after
    assert query.inner[9] == response.inner[9]


def test_without_full_there_is_no_message(tmp_path: Path) -> None:
    with (
        receiving(tmp_path / "s") as receiver,
        answering(ADDRESS, f'whoami\ndnstap {receiver.path} {{\nextra "{{type}}"\n}}') as running,
    ):
        running.ask("www.example.org.")
        messages = arrived(receiver, 2)
    assert [(one.kind, one.content, one.outer[3]) for one in messages] == [
        ("CLIENT_QUERY", b"", b"A"),
        ("CLIENT_RESPONSE", b"", b"A"),
    ]


def test_only_the_types_that_are_asked_for(tmp_path: Path) -> None:
    with (
        receiving(tmp_path / "s") as receiver,
        answering(
            ADDRESS, f"whoami\ndnstap {receiver.path} {{\nmessage_types CLIENT_RESPONSE\n}}"
        ) as running,
    ):
        for _ in range(3):
            running.ask("www.example.org.")
        assert [one.kind for one in arrived(receiver, 3)] == ["CLIENT_RESPONSE"] * 3


def test_a_query_that_gets_no_reply_is_seen_too(tmp_path: Path) -> None:
    with (
        receiving(tmp_path / "s") as receiver,
        answering(ADDRESS, f"acl {{\ndrop type TXT\n}}\nwhoami\ndnstap {receiver.path}") as running,
    ):
        with pytest.raises(dns.exception.Timeout):
            running.ask("www.example.org.", "TXT", timeout=0.2)
        running.ask("www.example.org.", "A")
        kinds = [one.kind for one in arrived(receiver, 3)]
    assert kinds == ["CLIENT_QUERY", *BOTH]


def test_what_upstreams_are_asked(tmp_path: Path) -> None:
    with (
        receiving(tmp_path / "s") as receiver,
        upstream(UPSTREAM, address_of) as one,
        answering(
            ADDRESS, f"forward . {UPSTREAM}:{one.port}\ndnstap {receiver.path} full"
        ) as running,
    ):
        running.ask("www.example.org.")
        by_kind = {message.kind: message for message in arrived(receiver, 4)}
    asked, said = by_kind["FORWARDER_QUERY"], by_kind["FORWARDER_RESPONSE"]
    assert sorted(by_kind) == [*BOTH, "FORWARDER_QUERY", "FORWARDER_RESPONSE"]
    assert asked.content == one.heard[0].wire
    assert said.content[:2] == asked.content[:2]
    for message in (asked, said):
        assert message.inner[5] == bytes((127, 61, 11, 4))
        assert message.inner[7] == one.port


def test_a_receiver_that_never_reads_holds_up_no_answer(tmp_path: Path) -> None:
    number = 13_000
    with receiving(tmp_path / "s", reads=False) as receiver:
        body = f"whoami\ndnstap {receiver.path} full {{\nmessage_types CLIENT_QUERY\n}}"
        with answering(ADDRESS, body) as running:
            until(lambda: receiver.greeted or running.ask("x."), 5, "a connection")
            names = (f"n{index}.example.org." for index in range(number))
            assert ask_all(ADDRESS, running.port, names) == number
            found = counts(running)
            assert found.dropped > 0
            assert found.sent + found.dropped < number
    assert receiver.ends == 0


def test_nothing_is_lost_while_the_receiver_is_not_there_yet(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with answering(ADDRESS, f"whoami\ndnstap {path}") as running:
        names = [f"n{index}.example.org." for index in range(1000)]
        assert ask_all(ADDRESS, running.port, names) == 1000
        assert not counts(running).is_connected
        with receiving(path) as receiver:
            arrived(receiver, 2000)
            until(lambda: counts(running).sent == 2000, 5, "all to be counted")
            found = counts(running)
            assert (found.dropped, found.connections, found.is_connected) == (0, 1, True)
            running.server.close()
            until(lambda: receiver.ends == 1, 5, "the end of the stream")


def test_a_receiver_that_starts_again_is_found_again(tmp_path: Path) -> None:
    path = tmp_path / "s"
    with answering(ADDRESS, f"whoami\ndnstap {path} full") as running:
        for connections in (1, 2, 3):
            with receiving(path) as receiver:
                running.ask(f"n{connections}.example.org.")
                arrived(receiver, 2)
                assert counts(running).connections == connections
            running.ask("nobody.listens.example.org.")


def test_a_socket_that_speaks_something_else_is_no_receiver(tmp_path: Path) -> None:
    with (
        upstream(UPSTREAM, lambda _: b"hello", udp=False) as one,
        answering(ADDRESS, f"whoami\ndnstap tcp://{UPSTREAM}:{one.port}") as running,
    ):
        assert ask_all(ADDRESS, running.port, ["a.example.org."] * 10) == 10
        until(lambda: one.connections, 5, "an attempt")
        assert not counts(running).is_connected
