"""*forward* in the real engine: what is asked, what is believed, what clients get."""

import socket
import struct
import threading
import time
from collections.abc import Callable

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdata
import pytest
from forwarding import ADDRESS, addresses, forwarding, named, stage
from house import until
from ours import configuration
from upstream import Heard, address_of, reply_to, upstream

OTHER = "127.61.8.10"
FORGER = "127.61.8.11"
ANSWER = "192.0.2.1"


# --- what goes out --------------------------------------------------------------------


def test_ports_ids_and_spellings_are_chance_and_the_client_sees_its_own() -> None:
    with upstream(ADDRESS, address_of) as one, forwarding(stage(one)) as asker:
        for number in range(30):
            reply = asker.ask(f"Number{number}.example.org.")
            assert named(reply) == f"Number{number}.example.org."
            assert addresses(reply) == [ANSWER]
        heard = list(one.heard)
    assert len({query.client[1] for query in heard}) > 25
    assert len({query.wire[:2] for query in heard}) > 25
    assert len({query.name.split(".", 1)[1] for query in heard}) > 15


@pytest.mark.parametrize("want_dnssec", [False, True])
@pytest.mark.parametrize("flag", [0, dns.flags.CD, dns.flags.AD])
def test_the_bits_of_dnssec_go_through_untouched(want_dnssec: bool, flag: int) -> None:
    def secure(heard: Heard) -> bytes:
        return reply_to(heard, f"{heard.name} 60 IN A {ANSWER}", flags=dns.flags.AD).to_wire()

    with upstream(ADDRESS, secure) as one, forwarding(stage(one)) as asker:
        query = dns.message.make_query("example.org.", "A", want_dnssec=want_dnssec, payload=4000)
        query.use_edns(0, dns.flags.DO if want_dnssec else 0, payload=4000)
        query.flags = dns.flags.RD | flag
        reply = dns.query.udp(query, ADDRESS, port=asker.port, timeout=8)
        (heard,) = one.heard
    sent = heard.message
    assert sent.flags == dns.flags.RD | flag
    assert bool(sent.ednsflags & dns.flags.DO) == want_dnssec
    assert sent.payload == 1232
    assert reply.flags & dns.flags.AD
    assert bool(reply.ednsflags & dns.flags.DO) == want_dnssec


def test_options_of_the_client_stay_here_and_extended_errors_come_through() -> None:
    def failing(heard: Heard) -> bytes:
        reply = reply_to(heard, rcode=dns.rcode.SERVFAIL)
        reply.use_edns(0, options=[dns.edns.EDEOption(6, "bogus"), dns.edns.NSIDOption(b"x")])
        return reply.to_wire()

    with upstream(ADDRESS, failing) as one, forwarding(stage(one)) as asker:
        subnet = dns.edns.ECSOption("192.0.2.0", 24)
        reply = asker.ask(use_edns=0, options=[subnet])
        (heard,) = one.heard
    assert heard.message.options == ()
    assert [str(option.otype) for option in reply.options] == ["15"]
    assert reply.rcode() == dns.rcode.SERVFAIL


def test_the_same_question_at_one_time_is_asked_once() -> None:
    gate = threading.Event()

    def slow(heard: Heard) -> bytes:
        gate.wait(8)
        return address_of(heard)

    with upstream(ADDRESS, slow) as one, forwarding(stage(one)) as asker:
        clients = [asker.send(name) for name in ("example.org.", "EXAMPLE.org.", "example.ORG.")]
        until(lambda: one.heard, 5, "the upstream is asked")
        other = asker.send("example.com.")
        gate.set()
        replies = [dns.message.from_wire(client.recv(4096)) for client in (*clients, other)]
        assert len(one.heard) == 2
    spelled = ["example.org.", "EXAMPLE.org.", "example.ORG.", "example.com."]
    assert [named(reply) for reply in replies] == spelled
    assert all(addresses(reply) == [ANSWER] for reply in replies)


def test_clients_of_tcp_are_answered_over_tcp_or_as_prefer_udp_says() -> None:
    for changes, transport in (({}, "tcp"), ({"prefer_udp": True}, "udp")):
        with upstream(ADDRESS, address_of) as one, forwarding(stage(one, **changes)) as asker:
            assert addresses(asker.ask(tcp=True)) == [ANSWER]
            assert [heard.transport for heard in one.heard] == [transport]
    with upstream(ADDRESS, address_of) as one, forwarding(stage(one, force_tcp=True)) as asker:
        assert addresses(asker.ask()) == [ANSWER]
        assert [heard.transport for heard in one.heard] == ["tcp"]


# --- what is believed -----------------------------------------------------------------


def changed(wire: bytes, at: int, value: bytes) -> bytes:
    return wire[:at] + value + wire[at + len(value) :]


def swapped(heard: Heard) -> str:
    return heard.name.swapcase()


FORGED: dict[str, Callable[[Heard], bytes]] = {
    "another id": lambda heard: changed(
        address_of(heard, "203.0.113.1"), 1, bytes([heard.wire[1] ^ 1])
    ),
    "another name": lambda heard: changed(address_of(heard, "203.0.113.1"), 13, b"x"),
    "another type": lambda heard: changed(
        address_of(heard, "203.0.113.1"), 12 + len(b"\6forged\7example\3org\0"), b"\0\x1c"
    ),
    "a query": lambda heard: changed(
        changed(address_of(heard, "203.0.113.1"), 2, b"\1"), 0, b"\0\0"
    ),
    "nothing": lambda heard: b"",
    "noise": lambda heard: bytes(200),
}


@pytest.mark.parametrize("what", FORGED)
def test_what_does_not_answer_the_question_is_passed_over_and_counted(what: str) -> None:
    def both(heard: Heard) -> list[bytes]:
        return [FORGED[what](heard), address_of(heard)]

    with upstream(ADDRESS, both) as one, forwarding(stage(one)) as asker:
        reply = asker.ask("Forged.example.org.")
        assert addresses(reply) == [ANSWER]
        assert named(reply) == "Forged.example.org."
        assert asker.foreign() == 1
        assert one.heard[0].transport == "udp"


def test_a_reply_from_another_address_or_port_is_not_heard() -> None:
    """Even one that knows port, ID and spelling: it comes from elsewhere."""
    sent: list[bytes] = []

    def forged(heard: Heard) -> bytes:
        for address in (FORGER, ADDRESS):
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as forger:
                forger.bind((address, 0))
                sent.append(address_of(heard, "203.0.113.1"))
                forger.sendto(sent[-1], heard.client)
        time.sleep(0.05)
        return address_of(heard)

    with upstream(ADDRESS, forged) as one, forwarding(stage(one)) as asker:
        for number in range(5):
            assert addresses(asker.ask(f"{number}.example.org.")) == [ANSWER]
        assert asker.foreign() == 0
    assert len(sent) == 10


def test_an_upstream_that_spells_names_its_own_way_is_asked_over_tcp() -> None:
    def lowering(heard: Heard) -> bytes:
        reply = reply_to(heard, f"example.org. 60 IN A {ANSWER}")
        wire = reply.to_wire()
        end = 12 + len(b"\7example\3org\0")
        return changed(wire, 12, wire[12:end].lower())

    with upstream(ADDRESS, lowering) as one, forwarding(stage(one)) as asker:
        # Ten letters: one query in 1024 is spelled in lower case by chance.
        replies = [asker.ask("example.org.") for _ in range(3)]
        transports = {heard.transport for heard in one.heard}
    assert all(addresses(reply) == [ANSWER] for reply in replies)
    assert transports == {"udp", "tcp"}


def test_a_flood_of_guesses_sends_the_question_over_tcp() -> None:
    def guesses(heard: Heard) -> bytes | list[bytes]:
        if heard.transport == "tcp":
            return address_of(heard)
        ids = [(int.from_bytes(heard.wire[:2]) + step) % 65536 for step in range(1, 5)]
        return [changed(address_of(heard, "203.0.113.1"), 0, struct.pack("!H", i)) for i in ids]

    with upstream(ADDRESS, guesses) as one, forwarding(stage(one)) as asker:
        assert addresses(asker.ask()) == [ANSWER]
        assert [heard.transport for heard in one.heard] == ["udp", "tcp"]
        assert asker.foreign() == 3


def test_a_malformed_reply_is_no_reply() -> None:
    def cut(heard: Heard) -> bytes:
        return address_of(heard)[:-1]

    with (
        upstream(ADDRESS, cut) as bad,
        upstream(OTHER, address_of) as good,
        forwarding(stage(bad, good)) as asker,
    ):
        assert addresses(asker.ask()) == [ANSWER]
        assert [heard.transport for heard in good.heard] == ["udp"]


# --- truncation and TCP ---------------------------------------------------------------


def long_answer(heard: Heard) -> bytes:
    if heard.transport == "udp":
        return reply_to(heard, flags=dns.flags.TC).to_wire()
    reply = reply_to(heard, f"{heard.name} 60 IN A " + ANSWER)
    for number in range(100):
        reply.answer[0].add(dns.rdata.from_text(1, 1, f"198.51.100.{number}"))
    return reply.to_wire()


def test_a_truncated_reply_is_had_over_tcp_and_cut_for_the_client_alone() -> None:
    with upstream(ADDRESS, long_answer) as one, forwarding(stage(one)) as asker:
        short = asker.ask()
        assert short.flags & dns.flags.TC
        assert short.answer == []
        assert [heard.transport for heard in one.heard] == ["udp", "tcp"]
        assert len(addresses(asker.ask(tcp=True))) == 101


def test_a_connection_is_used_again_and_replaced_when_it_was_closed() -> None:
    with upstream(ADDRESS, address_of) as one, forwarding(stage(one, force_tcp=True)) as asker:
        for number in range(5):
            asker.ask(f"{number}.example.org.")
        assert one.connections == 1
        one.hang_up()
        for number in range(5):
            assert addresses(asker.ask(f"{number}.example.org.")) == [ANSWER]
        assert one.connections == 2
        (counts,) = asker.counted()["upstreams"]
        assert counts["opened"] == 2
        # One more if a query was on its way when the connection was found closed.
        assert counts["reused"] in (8, 9)


def test_an_idle_connection_is_closed_after_expire() -> None:
    with (
        upstream(ADDRESS, address_of) as one,
        forwarding(stage(one, force_tcp=True, expire_ms=50)) as asker,
    ):
        asker.ask()
        time.sleep(0.3)
        asker.ask()
        assert one.connections == 2


def test_replies_out_of_order_find_their_queries() -> None:
    held: list[Heard] = []

    def backwards(heard: Heard) -> list[bytes]:
        held.append(heard)
        if len(held) < 3:
            return []
        return [address_of(one, f"192.0.2.{ord(one.name[0])}") for one in reversed(held)]

    with upstream(ADDRESS, backwards) as one, forwarding(stage(one, force_tcp=True)) as asker:
        clients = [asker.send(f"{letter}.example.org.") for letter in "abc"]
        replies = [dns.message.from_wire(client.recv(4096)) for client in clients]
        assert one.connections == 1
    assert [addresses(reply) for reply in replies] == [[f"192.0.2.{97 + i}"] for i in range(3)]


# --- life -----------------------------------------------------------------------------


def test_closing_lets_the_upstreams_answer_what_they_were_asked() -> None:
    gate = threading.Event()

    def slow(heard: Heard) -> bytes:
        gate.wait(8)
        return address_of(heard)

    with upstream(ADDRESS, slow) as one, forwarding(stage(one)) as asker:
        client = asker.send("example.org.")
        until(lambda: one.heard, 5, "the upstream is asked")
        threading.Timer(0.1, gate.set).start()
        asker.server.close()
        assert addresses(dns.message.from_wire(client.recv(4096))) == [ANSWER]


def test_a_new_configuration_loses_no_query_that_waits() -> None:
    gate = threading.Event()

    def slow(heard: Heard) -> bytes:
        gate.wait(8)
        return address_of(heard)

    with upstream(ADDRESS, slow) as one, forwarding(stage(one)) as asker:
        client = asker.send("example.org.")
        until(lambda: one.heard, 5, "the upstream is asked")
        asker.server.configure(
            configuration(ADDRESS, asker.port, ["."], [{"kind": "whoami"}], threads=1)
        )
        gate.set()
        assert addresses(dns.message.from_wire(client.recv(4096))) == [ANSWER]


def test_many_at_once_over_two_threads() -> None:
    def echo(heard: Heard) -> bytes:
        number = int(heard.name.split(".")[0])
        return address_of(heard, f"10.0.{number // 256}.{number % 256}")

    with upstream(ADDRESS, echo) as one, forwarding(stage(one), threads=2) as asker:
        for start in range(0, 600, 50):
            clients = [asker.send(f"{n}.example.org.") for n in range(start, start + 50)]
            for number, client in enumerate(clients, start):
                reply = dns.message.from_wire(client.recv(4096))
                assert addresses(reply) == [f"10.0.{number // 256}.{number % 256}"]
                client.close()


def test_an_upstream_on_ipv6() -> None:
    with upstream("::1", address_of) as one, forwarding(stage(one)) as asker:
        assert addresses(asker.ask()) == [ANSWER]
        assert addresses(asker.ask(tcp=True)) == [ANSWER]
        assert [heard.transport for heard in one.heard] == ["udp", "tcp"]
