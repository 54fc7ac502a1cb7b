"""*forward* in the real engine: which upstream is asked, and what comes of one that fails."""

import socket
import threading
import time
from typing import Any

import dns.edns
import dns.message
import dns.rcode
import dns.rdatatype
import pytest
from forwarding import ADDRESS, addresses, forwarding, stage
from house import until
from upstream import Heard, address_of, reply_to, upstream

OTHER = "127.61.8.10"
ANSWER = "192.0.2.1"


# --- upstreams that fail --------------------------------------------------------------


@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_a_closed_port_sends_the_query_to_the_next_upstream(transport: str) -> None:
    with upstream(OTHER, address_of) as good, upstream(ADDRESS, address_of) as bad:
        bad.close()
        with forwarding(stage(bad, good, force_tcp=transport == "tcp")) as asker:
            assert addresses(asker.ask()) == [ANSWER]
            assert [heard.transport for heard in good.heard] == [transport]


def test_silence_sends_the_query_on_after_one_time_out_and_probes_mark_it_down() -> None:
    probes: list[Heard] = []

    def silent(heard: Heard) -> None:
        if heard.message.question[0].rdtype == dns.rdatatype.NS:
            probes.append(heard)

    with (
        upstream(ADDRESS, silent) as bad,
        upstream(OTHER, address_of) as good,
        forwarding(stage(bad, good, max_fails=1)) as asker,
    ):
        assert addresses(asker.ask()) == [ANSWER]
        until(lambda: len(probes) > 2 or None, 8, "probes that are not answered")
        asked = len(bad.heard) - len(probes)
        assert addresses(asker.ask("later.example.org.")) == [ANSWER]
        assert len(bad.heard) - len(probes) == asked, "it is down: it is not asked"
        bad.answer = address_of

        def reached() -> bool:
            asker.ask("reached.example.org.")
            return any(b"reached" in heard.wire.lower() for heard in bad.heard)

        until(reached, 8, "a probe is answered, and queries reach it again")


def test_an_upstream_that_comes_back_within_the_patience_loses_nothing() -> None:
    with upstream(ADDRESS, address_of) as bad:
        bad.close()
        with forwarding(stage(bad)) as asker:
            client = asker.send("example.org.")
            time.sleep(0.3)
            revived = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            revived.bind((bad.address, bad.port))
            revived.settimeout(5)
            while True:
                wire, source = revived.recvfrom(4096)
                heard = Heard(wire, "udp", source)
                revived.sendto(address_of(heard), source)
                if heard.message.question[0].rdtype == dns.rdatatype.A:
                    break
            assert addresses(dns.message.from_wire(client.recv(4096))) == [ANSWER]
            revived.close()


def test_without_any_upstream_it_is_servfail_with_the_reason() -> None:
    with upstream(ADDRESS, address_of) as bad:
        bad.close()
        with forwarding(stage(bad, max_connect_attempts=2)) as asker:
            reply = asker.ask(use_edns=0)
    assert reply.rcode() == dns.rcode.SERVFAIL
    (error,) = reply.options
    assert isinstance(error, dns.edns.EDEOption)
    assert (error.code, error.text) == (22, "no upstream answered")


def test_failfast_answers_at_once_when_all_are_down() -> None:
    with upstream(ADDRESS, address_of) as bad:
        bad.close()
        changes = {"failfast": True, "max_fails": 1, "max_connect_attempts": 1}
        with forwarding(stage(bad, **changes)) as asker:
            assert asker.ask().rcode() == dns.rcode.SERVFAIL
            until(lambda: asker.ask() and asker.counted()["broken"], 8, "it is down")
            assert asker.counted()["upstreams"][0]["probe_failures"] > 1


def test_more_queries_than_max_concurrent_are_refused() -> None:
    gate = threading.Event()

    def slow(heard: Heard) -> bytes:
        gate.wait(8)
        return address_of(heard)

    with upstream(ADDRESS, slow) as one, forwarding(stage(one, max_concurrent=1)) as asker:
        first = asker.send("one.example.org.")
        until(lambda: one.heard, 5, "the upstream is asked")
        assert asker.ask("two.example.org.").rcode() == dns.rcode.REFUSED
        assert asker.counted()["rejected"] == 1
        gate.set()
        assert addresses(dns.message.from_wire(first.recv(4096))) == [ANSWER]
        assert addresses(asker.ask("three.example.org.")) == [ANSWER]


# --- who is asked ---------------------------------------------------------------------


def refusing(heard: Heard) -> bytes:
    return reply_to(heard, rcode=dns.rcode.REFUSED).to_wire()


def test_failover_tries_the_others_and_gives_the_last_reply() -> None:
    with (
        upstream(ADDRESS, refusing) as first,
        upstream(OTHER, address_of) as second,
        forwarding(stage(first, second, failover=[5])) as asker,
    ):
        assert addresses(asker.ask()) == [ANSWER]
        second.answer = refusing
        assert asker.ask().rcode() == dns.rcode.REFUSED
        assert (len(first.heard), len(second.heard)) == (2, 2)


def test_next_goes_to_the_next_forward_and_to_nothing_else() -> None:
    with (
        upstream(ADDRESS, refusing) as first,
        upstream(OTHER, address_of) as second,
    ):
        with forwarding(stage(first, next=[5]), stage(second)) as asker:
            assert addresses(asker.ask()) == [ANSWER]
            assert addresses(asker.ask(tcp=True)) == [ANSWER]
        with forwarding(stage(first, next=[5]), {"kind": "whoami"}) as asker:
            assert asker.ask().rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize(
    ("behind", "expected"),
    [
        ([{"from": "example.org."}], dns.rcode.NOERROR),
        ([{"from": "example.com."}], dns.rcode.REFUSED),
        ([{"except": ["www.example.org."]}], dns.rcode.REFUSED),
        ([{"from": "example.com."}, {}], dns.rcode.NOERROR),
    ],
)
def test_next_goes_to_one_that_takes_the_name_or_the_reply_is_given(
    behind: list[dict[str, Any]], expected: dns.rcode.Rcode
) -> None:
    def explained(heard: Heard) -> bytes:
        reply = reply_to(heard, rcode=dns.rcode.REFUSED)
        reply.use_edns(0, options=[dns.edns.EDEOption(18, "not for you")])
        return reply.to_wire()

    with upstream(ADDRESS, explained) as first, upstream(OTHER, address_of) as second:
        stages = [stage(second, **changes) for changes in behind]
        with forwarding(stage(first, next=[5]), *stages) as asker:
            reply = asker.ask("www.example.org.", use_edns=0)
    assert reply.rcode() == expected
    assert (reply.options != ()) == (expected == dns.rcode.REFUSED), "it is the first one's"


def test_names_that_are_excepted_and_transfers_go_on_in_the_chain() -> None:
    changes: dict[str, Any] = {"from": "example.org.", "except": ["in.example.org."]}
    with (
        upstream(ADDRESS, address_of) as one,
        forwarding(stage(one, **changes), {"kind": "whoami"}) as asker,
    ):
        assert addresses(asker.ask("example.org.")) == [ANSWER]
        for name in ("in.example.org.", "a.in.example.org.", "example.com."):
            assert asker.ask(name).additional, "whoami answered"
        assert asker.ask("example.org.", tcp=True, rtype="AXFR").rcode() == dns.rcode.NOERROR
        assert len(one.heard) == 1


def test_round_robin_asks_each_in_turn() -> None:
    with (
        upstream(ADDRESS, address_of) as first,
        upstream(OTHER, address_of) as second,
        forwarding(stage(first, second, policy="round_robin")) as asker,
    ):
        for number in range(10):
            asker.ask(f"{number}.example.org.")
        assert (len(first.heard), len(second.heard)) == (5, 5)


def failing(heard: Heard) -> bytes:
    return reply_to(heard, rcode=dns.rcode.SERVFAIL).to_wire()


def test_the_log_says_whose_failure_it_was() -> None:
    errors = {"kind": "errors", "prefix": "x: "}
    with upstream(ADDRESS, failing) as one:
        with forwarding(errors, stage(one)) as asker:
            asker.ask("www.example.org.")
            ((_, line),) = asker.server.drain_log()
            assert line == "x: SERVFAIL www.example.org. A: the upstream answered so"
        one.close()
        with forwarding(errors, stage(one, max_connect_attempts=1)) as asker:
            asker.ask("www.example.org.")
            ((_, line),) = asker.server.drain_log()
            assert line == "x: SERVFAIL www.example.org. A: no upstream answered"
