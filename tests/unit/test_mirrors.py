"""*mirror* in the real engine: which queries are copied, and what becomes of the copies."""

import json
import struct
from collections.abc import Callable
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
from answering import Answering, answering
from asking import ask_all
from house import until
from ours import configuration
from ports import free_port
from tapreceiver import receiving
from upstream import Answer, Heard, address_of, reply_to, upstream

import engine
from server.counters import TapCounts, decode

ADDRESS = "127.61.12.3"
SHADOW = "127.61.12.4"
HOSTS = "hosts /dev/null {\n192.0.2.1 www.example.org\n192.0.2.2 mail.example.org\n}\nwhoami"


def counts(running: Answering) -> TapCounts:
    (found,) = [one for one in decode(running.server.stats()).taps if one.plugin == "mirror"]
    return found


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def written(path: Path, number: int) -> list[dict[str, Any]]:
    until(lambda: len(lines(path)) >= number, 10, f"{number} lines")
    return lines(path)


# --- which --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "copied"),
    [
        ("", ["www A", "mail A", "www TXT", "no A"]),
        ("type TXT", ["www TXT"]),
        ("net 127.61.12.3 10.0.0.0/8", ["www A", "mail A", "www TXT", "no A"]),
        ("net 10.0.0.0/8", []),
        ("rcode REFUSED", []),
        ("rcode NOERROR", ["www A", "mail A", "www TXT"]),
        ("rcode SERVFAIL REFUSED", ["no A"]),
    ],
)
def test_filters(tmp_path: Path, options: str, copied: list[str]) -> None:
    path = tmp_path / "q"
    with answering(ADDRESS, f"{HOSTS}\nmirror json {path} {{\n{options}\n}}") as running:
        for asked in ("www A", "mail A", "www TXT", "no A"):
            name, rtype = asked.split()
            running.ask(f"{name}.example.org.", rtype, source=ADDRESS)
        running.server.close()
    found = [f"{line['name'].removesuffix('.example.org.')} {line['type']}" for line in lines(path)]
    assert found == copied


def test_names_and_what_is_below_them(tmp_path: Path) -> None:
    path = tmp_path / "q"
    with answering(ADDRESS, f"{HOSTS}\nmirror json {path} b.test WWW.example.org") as running:
        for name in (
            "www.example.org.",
            "a.Www.example.org.",
            "example.org.",
            "b.test.",
            "a.test.",
        ):
            running.ask(name)
        running.server.close()
    assert [line["name"] for line in lines(path)] == [
        "www.example.org.",
        "a.Www.example.org.",
        "b.test.",
    ]


def test_a_sample(tmp_path: Path) -> None:
    path = tmp_path / "q"
    with answering(ADDRESS, f"whoami\nmirror json {path} {{\nsample 1/10\n}}") as running:
        assert ask_all(ADDRESS, running.port, ["a.test."] * 4000) == 4000
        running.server.close()
    assert 250 < len(lines(path)) < 550


# --- files --------------------------------------------------------------------------------


def test_a_line_says_what_was_asked_and_answered(tmp_path: Path) -> None:
    path = tmp_path / "q"
    body = f'{HOSTS}\nmirror json {path} {{\nanswers\nextra "{{rcode}}"\n}}'
    with answering(ADDRESS, body) as running:
        reply = running.ask("WWW.example.org.", source=ADDRESS)
        (line,) = written(path, 1)
    assert line.pop("seconds") >= 0
    assert line.pop("time").endswith("Z")
    assert line.pop("client_port") > 0
    assert line == {
        "client": ADDRESS,
        "server": ADDRESS,
        "server_port": running.port,
        "transport": "udp",
        "id": reply.id,
        "name": "WWW.example.org.",
        "type": "A",
        "class": "IN",
        "flags": "rd",
        "do": False,
        "bufsize": 1232,
        "size": len(dns.message.make_query("www.example.org.", "A", use_edns=0).to_wire()),
        "reply_size": len(reply.to_wire()),
        "rcode": "NOERROR",
        "reply_flags": dns.flags.to_text(reply.flags).lower().replace(" ", ","),
        "answer": [{"name": "WWW.example.org.", "type": "A", "ttl": 3600, "data": "192.0.2.1"}],
        "extra": "NOERROR",
    }


def test_files_are_rotated_and_no_line_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "q"
    body = f"whoami\nmirror json {path} {{\nrotate 100k 3\n}}"
    with answering(ADDRESS, body) as running:
        for _ in range(10):
            names = [f"n{number}.test." for number in range(100)]
            before = counts(running).sent
            assert ask_all(ADDRESS, running.port, names) == 100
            until(lambda: counts(running).sent >= before + 100, 5, "all written")  # noqa: B023
    files = sorted(tmp_path.iterdir())
    assert [file.name for file in files] == ["q", "q.1", "q.2"]
    assert sum(len(lines(file)) for file in files) == 1000
    assert all(file.stat().st_size <= 100 * 1024 for file in files)


def test_a_file_that_is_moved_away_is_opened_anew(tmp_path: Path) -> None:
    path, moved = tmp_path / "q", tmp_path / "moved"
    with answering(ADDRESS, f"whoami\nmirror json {path}") as running:
        running.ask("one.test.")
        written(path, 1)
        path.rename(moved)

        def is_new() -> bool:
            running.ask("two.test.")
            return path.exists() and bool(lines(path))

        until(is_new, 5, "a new file")
    assert lines(moved)[0]["name"] == "one.test."
    assert {line["name"] for line in lines(path)} == {"two.test."}


def test_a_file_that_cannot_be_written_costs_no_answer(tmp_path: Path) -> None:
    path = tmp_path / "nowhere" / "q"
    with answering(ADDRESS, f"whoami\nmirror json {path} {{\nqueue 10\n}}") as running:
        assert ask_all(ADDRESS, running.port, ["a.test."] * 500) == 500
        found = counts(running)
        assert (found.sent, found.is_connected) == (0, False)
        assert found.dropped == 490
        path.parent.mkdir()
        written(path, 10)


@pytest.mark.parametrize("tcp", [False, True], ids=["udp", "tcp"])
def test_packets(tmp_path: Path, tcp: bool) -> None:
    path = tmp_path / "q.pcap"
    with answering(ADDRESS, f"{HOSTS}\nmirror pcap {path} {{\nanswers\n}}") as running:
        reply = running.ask("www.example.org.", tcp=tcp, source=ADDRESS)
        running.server.close()
    octets = path.read_bytes()
    assert struct.unpack("<IHHIIII", octets[:24]) == (0xA1B23C4D, 2, 4, 0, 0, 65535, 101)
    at, payloads = 24, []
    while at < len(octets):
        _, _, kept, whole = struct.unpack_from("<4I", octets, at)
        packet = octets[at + 16 : at + 16 + kept]
        assert kept == whole == int.from_bytes(packet[2:4])
        assert (packet[0], packet[9]) == (0x45, 6 if tcp else 17)
        assert {str(ip_address(packet[12:16])), str(ip_address(packet[16:20]))} == {ADDRESS}
        payloads.append(packet[20 + (22 if tcp else 8) :])
        at += 16 + kept
    assert dns.message.from_wire(payloads[0]).question == reply.question
    assert payloads[1:] == [reply.to_wire()]


# --- addresses ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "is_right"),
    [
        ("prefix", lambda address: address == "127.61.12.0"),
        ("prefix 8", lambda address: address == "127.0.0.0"),
        ("hash", lambda address: address != ADDRESS and ip_address(address).version == 4),
    ],
)
def test_addresses_that_are_nobodys(
    tmp_path: Path, how: str, is_right: Callable[[str], bool]
) -> None:
    path = tmp_path / "q"
    body = f"whoami\nmirror json {path} {{\nanonymise {how}\n}}"
    with answering(ADDRESS, body) as running:
        for name in ("one.test.", "two.test."):
            running.ask(name, source=ADDRESS)
        found = {line["client"] for line in written(path, 2)}
    assert len(found) == 1
    assert is_right(found.pop())


# --- dnstap -------------------------------------------------------------------------------


def test_to_a_dnstap_receiver(tmp_path: Path) -> None:
    with (
        receiving(tmp_path / "s") as receiver,
        answering(
            ADDRESS, f"{HOSTS}\nmirror dnstap {receiver.path} {{\ntype A\nanonymise prefix\n}}"
        ) as running,
    ):
        running.ask("www.example.org.", "TXT")
        running.ask("www.example.org.", "A", source=ADDRESS)
        until(lambda: receiver.frames, 5, "a message")
        (message,) = receiver.messages
    assert message.kind == "CLIENT_QUERY"
    assert message.inner[4] == bytes((127, 61, 12, 0))


# --- another server -----------------------------------------------------------------------


def addressed(heard: Heard) -> bytes:
    return address_of(heard, "192.0.2.1", 5)


def other(heard: Heard) -> bytes:
    return address_of(heard, "192.0.2.9")


def refused(heard: Heard) -> bytes:
    return reply_to(heard, rcode=dns.rcode.REFUSED).to_wire()


def cut_off(heard: Heard) -> bytes:
    return reply_to(heard, flags=dns.flags.TC).to_wire()


def broken(heard: Heard) -> bytes:
    return address_of(heard)[:-3]


def silent(heard: Heard) -> None:
    return None


@pytest.mark.parametrize(
    ("answer", "result"),
    [
        (addressed, "same"),
        (other, "answer"),
        (refused, "rcode"),
        (cut_off, "truncated"),
        (broken, "malformed"),
        (silent, "silence"),
    ],
)
def test_answers_are_compared(answer: Answer, result: str) -> None:
    with (
        upstream(SHADOW, answer) as shadow,
        answering(ADDRESS, f"{HOSTS}\nmirror server {SHADOW}:{shadow.port}") as running,
    ):
        for _ in range(3):
            running.ask("www.example.org.")
        until(lambda: counts(running).compared == {result: 3}, 8, f"three times {result}")
        assert counts(running).sent == len(shadow.heard) == 3


def test_the_other_server_learns_nothing_of_clients() -> None:
    with (
        upstream(SHADOW, addressed) as shadow,
        answering(ADDRESS, f"{HOSTS}\nmirror server {SHADOW}:{shadow.port}") as running,
    ):
        options = [dns.edns.ECSOption("192.0.2.0", 24), dns.edns.CookieOption(b"12345678", b"")]
        running.ask("www.example.org.", options=options, want_dnssec=True)
        until(lambda: shadow.heard, 5, "a query")
        (heard,) = shadow.heard
    assert heard.message.options == ()
    assert heard.message.ednsflags & dns.flags.DO


def test_a_server_that_is_not_there_costs_no_answer() -> None:
    with answering(ADDRESS, f"{HOSTS}\nmirror server {SHADOW}:9") as running:
        assert ask_all(ADDRESS, running.port, ["www.example.org."] * 200) == 200


def test_a_mirror_before_itself_does_not_multiply() -> None:
    port = free_port(ADDRESS)
    target = {"to": "server", "address": ADDRESS, "port": port}
    sink = {"plugin": "mirror", "target": target, "capacity": 100}
    stages = [{"kind": "tap", "sink": sink, "sample": 1_000_000}, {"kind": "whoami"}]
    server = engine.Server()
    server.bind(configuration(ADDRESS, port, ["."], stages))
    server.start()
    try:
        for number in range(5):
            assert ask_all(ADDRESS, port, [f"n{number}.test."]) == 1
            until(lambda: _compared(server) > number, 5, "the answer")  # noqa: B023
        assert _compared(server) == 5
    finally:
        server.close()


def _compared(server: engine.Server) -> int:
    (found,) = decode(server.stats()).taps
    return found.compared.get("same", 0)
