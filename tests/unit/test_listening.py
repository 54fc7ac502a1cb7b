"""Listeners, routes, versions coming and going, and what is counted and logged."""

import json
import resource
import socket
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest
from keymaker import plan, sign_new
from ports import free_port

import engine
from server import counters

ADDRESS = "127.61.8.3"
TEXT = "@ 60 SOA ns hostmaster 1 2 3 4 5\n@ 60 NS ns\nns 60 A 192.0.2.1\n"


def zone(origin: str, extra: str = "") -> engine.Zone:
    return engine.scan_text((TEXT + extra).encode(), dns.name.from_text(origin).to_wire())


def refuses(port: int) -> bool:
    try:
        socket.create_connection((ADDRESS, port), timeout=5).close()
    except ConnectionRefusedError:
        return True
    except ConnectionResetError:
        return False  # it was accepted by a listener that is being closed
    return False


def listener(address: str, port: int, **changes: Any) -> dict[str, Any]:
    return {"server": f"dns://{address}", "address": address, "port": port} | changes


def chain(name: str, origins: Sequence[str], *stages: dict[str, Any]) -> dict[str, Any]:
    answer = {"kind": "answer", "plugin": "file"}
    return {"id": name, "origins": [*origins], "stages": [{"kind": "metrics"}, *stages, answer]}


def config(
    listeners: Sequence[dict[str, Any]], chains: Sequence[dict[str, Any]], threads: int = 2
) -> bytes:
    routes = [
        {"listener": number, "origin": origin, "chain": one["id"]}
        for number in range(len(listeners))
        for one in chains
        for origin in one["origins"]
    ]
    whole = {"threads": threads, "listeners": listeners, "chains": chains, "routes": routes}
    return json.dumps(whole).encode()


@contextmanager
def started(configuration: bytes) -> Iterator[engine.Server]:
    server = engine.Server()
    server.bind(configuration)
    server.start()
    try:
        yield server
    finally:
        server.close()


def ask(
    address: str, port: int, name: str, rtype: str = "A", *, tcp: bool = False
) -> dns.message.Message:
    query = dns.message.make_query(name, rtype, use_edns=0)
    over = dns.query.tcp if tcp else dns.query.udp
    return over(query, address, port=port, timeout=5)


def forever() -> int:
    return int(time.time()) + 1000


def test_a_zone_comes_changes_and_goes() -> None:
    port = free_port(ADDRESS)
    with started(config([listener(ADDRESS, port)], [chain("a", ["example.org."])])) as server:

        def extended() -> list[int]:
            reply = ask(ADDRESS, port, "ns.example.org.")
            assert reply.rcode() == dns.rcode.SERVFAIL
            return [o.code for o in reply.options if isinstance(o, dns.edns.EDEOption)]

        assert extended() == [14]
        server.publish("a", zone("example.org."), forever())
        assert ask(ADDRESS, port, "ns.example.org.").answer
        server.publish("a", zone("example.org."), int(time.time()) - 1)
        assert extended() == [0]
        old = sign_new(zone("example.org."), plan(now=1_000_000_000)).zone
        server.publish("a", old, int(time.time()) - 1)
        assert extended() == [7]
        server.withdraw("a", b"\x07example\x03org\0")
        assert extended() == [14]
        with pytest.raises(engine.EngineError, match="no such chain"):
            server.publish("b", zone("example.org."), forever())


def test_the_longest_origin_answers_and_ds_is_the_parents() -> None:
    port = free_port(ADDRESS)
    chains = [chain("parent", ["example.org."]), chain("child", ["sub.example.org."])]
    with started(config([listener(ADDRESS, port)], chains)) as server:
        delegation = "sub 60 NS ns.sub\nsub 60 DS 1 13 2 " + "ab" * 32 + "\nns.sub 60 A 192.0.2.2\n"
        server.publish("parent", zone("example.org.", delegation), forever())
        server.publish("child", zone("sub.example.org."), forever())
        assert ask(ADDRESS, port, "ns.sub.example.org.").answer[0][0].to_text() == "192.0.2.1"
        assert ask(ADDRESS, port, "sub.example.org.", "DS").answer
        assert ask(ADDRESS, port, "example.org.", "DS").rcode() == dns.rcode.NOERROR
        assert ask(ADDRESS, port, "example.com.").rcode() == dns.rcode.REFUSED
        chaos = dns.message.make_query("version.bind.", "TXT", "CH")
        assert dns.query.udp(chaos, ADDRESS, port=port, timeout=5).rcode() == dns.rcode.REFUSED
        for rtype in ("AXFR", "IXFR"):
            assert ask(ADDRESS, port, "example.org.", rtype, tcp=True).rcode() == dns.rcode.REFUSED


def test_configure_keeps_sockets_that_stay_and_versions_too() -> None:
    first, second = free_port(ADDRESS), free_port(ADDRESS)
    chains = [chain("a", ["example.org."])]
    with started(config([listener(ADDRESS, first)], chains)) as server:
        server.publish("a", zone("example.org."), forever())
        with socket.create_connection((ADDRESS, first), timeout=5) as connection:
            server.configure(config([listener(ADDRESS, first), listener(ADDRESS, second)], chains))
            query = dns.message.make_query("ns.example.org.", "A")
            dns.query.send_tcp(connection, query)
            assert dns.query.receive_tcp(connection)[0].answer
        for port in (first, second):
            for tcp in (False, True):
                assert ask(ADDRESS, port, "ns.example.org.", tcp=tcp).answer
        server.configure(config([listener(ADDRESS, second)], chains))
        assert ask(ADDRESS, second, "ns.example.org.").answer
        # The listener is closed on the runtime's thread, soon after the swap.
        deadline = time.monotonic() + 5
        while not refuses(first):
            assert time.monotonic() < deadline, "the port that went away still takes connections"
        assert sum(r.count for s in counters.decode(server.stats()).series for r in s.requests) == 6


def test_a_config_that_is_refused_leaves_the_old_one_running() -> None:
    port = free_port(ADDRESS)
    chains = [chain("a", ["example.org."])]
    with started(config([listener(ADDRESS, port)], chains)) as server:
        server.publish("a", zone("example.org."), forever())
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as other:
            other.bind((ADDRESS, 0))
            other.listen()
            taken = listener(ADDRESS, other.getsockname()[1])
            with pytest.raises(engine.EngineError, match="already in use") as caught:
                server.configure(config([listener(ADDRESS, port), taken], chains))
            assert caught.value.code == "bind"
            assert caught.value.place == f"{ADDRESS}:{taken['port']}/tcp"
        with pytest.raises(engine.EngineError) as caught:
            server.configure(b'{"threads": 1, "nonsense": 2}')
        assert caught.value.code == "config"
        assert ask(ADDRESS, port, "ns.example.org.").answer


def test_another_server_on_the_same_port_is_noticed() -> None:
    port = free_port(ADDRESS)
    whole = config([listener(ADDRESS, port)], [chain("a", ["example.org."])])
    with started(whole), pytest.raises(engine.EngineError, match="already in use") as caught:
        engine.Server().bind(whole)
    assert caught.value.place == f"{ADDRESS}:{port}/udp"


@pytest.mark.parametrize(("bound", "asked"), [("0.0.0.0", "127.61.8.4"), ("::", "::1")])
def test_a_reply_comes_from_the_address_that_was_asked(bound: str, asked: str) -> None:
    port = free_port(bound)
    with started(config([listener(bound, port)], [chain("a", ["example.org."])])) as server:
        server.publish("a", zone("example.org."), forever())
        for tcp in (False, True):
            assert ask(asked, port, "ns.example.org.", tcp=tcp).answer


def test_a_peer_that_sends_half_a_query_does_not_hold_up_another() -> None:
    port = free_port(ADDRESS)
    with started(config([listener(ADDRESS, port)], [chain("a", ["example.org."])])) as server:
        server.publish("a", zone("example.org."), forever())
        slow = [socket.create_connection((ADDRESS, port), timeout=5) for _ in range(50)]
        for one in slow:
            one.sendall(b"\0\x28half")
        assert ask(ADDRESS, port, "ns.example.org.", tcp=True).answer
        for one in slow:
            one.close()


def test_the_log_has_coredns_format() -> None:
    port = free_port(ADDRESS)
    line = '{remote} {local} "{type} {class} {name} {proto} {>do}" {rcode} {>rflags}'
    stages = (
        {"kind": "errors", "prefix": "[ERROR] "},
        {"kind": "log", "names": ["."], "classes": ["denial", "error"], "format": line},
    )
    chains = [chain("a", ["example.org.", "late.test."], *stages)]
    with started(config([listener(ADDRESS, port)], chains)) as server:
        server.publish("a", zone("example.org."), forever())
        ask(ADDRESS, port, "ns.example.org.")
        ask(ADDRESS, port, "No.example.org.", "TXT")
        ask(ADDRESS, port, "late.test.")
        client = "127.0.0.1"
        assert server.drain_log() == [
            (20, f'{client} {ADDRESS} "TXT IN No.example.org. udp false" NXDOMAIN qr,aa,rd'),
            (40, "[ERROR] SERVFAIL late.test. A: the zone has not been loaded yet"),
            (20, f'{client} {ADDRESS} "A IN late.test. udp false" SERVFAIL qr,rd'),
        ]


def test_what_is_counted_has_the_shape_that_python_reads() -> None:
    port = free_port(ADDRESS)
    with started(config([listener(ADDRESS, port)], [chain("a", ["example.org."])])) as server:
        server.publish("a", zone("example.org."), forever())
        ask(ADDRESS, port, "ns.example.org.")
        ask(ADDRESS, port, "no.example.org.", tcp=True)
        ask(ADDRESS, port, "example.com.")
        stats = counters.decode(server.stats())
        dropped, counted = sorted(stats.series, key=lambda series: series.zone)
        assert [(r.proto, r.family, r.type, r.count) for r in counted.requests] == [
            ("udp", 1, "A", 1),
            ("tcp", 1, "A", 1),
        ]
        assert {(r.rcode, r.plugin, r.count) for r in counted.responses} == {
            ("NOERROR", "file", 1),
            ("NXDOMAIN", "file", 1),
        }
        assert [(r.rcode, r.plugin) for r in dropped.responses] == [("REFUSED", "")]
        assert len(counted.duration.counts) == len(counters.DURATION_BUCKETS) + 1
        assert len(counted.request_size[0].histogram.counts) == len(counters.SIZE_BUCKETS) + 1
        assert [(z.origin, z.serial) for z in stats.zones] == [("example.org.", 1)]
        assert stats.panics == 0


def test_whoami_tells_the_client_who_it_is() -> None:
    port = free_port(ADDRESS)
    whole = {"id": "w", "origins": [], "stages": [{"kind": "whoami"}]}
    routes = [{"listener": 0, "origin": ".", "chain": "w"}]
    configuration = json.dumps(
        {"threads": 1, "listeners": [listener(ADDRESS, port)], "chains": [whole], "routes": routes}
    )
    with started(configuration.encode()):
        reply = ask(ADDRESS, port, "who.test.")
        assert reply.rcode() == dns.rcode.NOERROR
        assert not reply.answer
        texts = [rrset.to_text() for rrset in reply.additional]
        assert texts[0] == "who.test. 0 IN A 127.0.0.1"
        assert texts[1].startswith("_udp.who.test. 0 IN SRV 0 0 ")


def test_one_peer_does_not_take_all_connections() -> None:
    port = free_port("127.0.6.10")
    settings = config([listener("127.0.6.10", port)], [chain("c", ["example.org."])])
    held: list[socket.socket] = []
    with started(settings) as server:
        server.publish("c", zone("example.org."), forever())
        try:
            for _ in range(300):
                one = socket.create_connection(("127.0.6.10", port), timeout=5)
                held.append(one)
            query = dns.message.make_query("example.org", "SOA")
            reply = dns.query.tcp(query, "127.0.6.10", 5, port=port, source="127.0.6.11")
            assert reply.rcode() == dns.rcode.NOERROR
            with pytest.raises((OSError, EOFError)):
                dns.query.tcp(query, "127.0.6.10", 5, port=port)
            for one in held:
                one.close()
            time.sleep(0.3)
            assert dns.query.tcp(query, "127.0.6.10", 5, port=port).answer
        finally:
            for one in held:
                one.close()


def test_a_peer_that_reads_nothing_is_not_written_to_without_end() -> None:
    """Many questions on one connection, each with an answer of 40 KB, none taken."""
    port = free_port("127.0.6.12")
    settings = config([listener("127.0.6.12", port)], [chain("c", ["example.org."])])
    lines = "\n".join(f"big 60 TXT {'x' * 200}{number}" for number in range(200))
    with started(settings) as server:
        server.publish("c", zone("example.org.", lines), forever())
        query = dns.message.make_query("big.example.org", "TXT").to_wire()
        framed = len(query).to_bytes(2, "big") + query
        before = resident()
        peers = [socket.create_connection(("127.0.6.12", port), timeout=5) for _ in range(100)]
        for peer in peers:
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            peer.sendall(framed * 64)
        time.sleep(1)
        assert resident() - before < 100 << 20
        for peer in peers:
            peer.close()


def resident() -> int:
    """Octets of memory that this process has."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()
