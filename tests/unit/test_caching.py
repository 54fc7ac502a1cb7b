"""*cache* in the real engine, before upstreams that a test steers."""

import json
import select
import time
from typing import Any

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rrset
import pytest
from forwarding import ADDRESS, Asker, addresses, forwarding, named, stage
from house import until
from ours import configuration
from upstream import Heard, address_of, reply_to, upstream

import engine

ANSWER = "192.0.2.1"
OTHER = "192.0.2.2"


def cache(**changes: Any) -> dict[str, Any]:
    found = {
        "kind": "cache",
        "zones": ["."],
        "success": {"capacity": 1024, "most_ttl": 3600, "least_ttl": 0, "disabled": []},
        "denial": {"capacity": 1024, "most_ttl": 1800, "least_ttl": 0, "disabled": []},
        "servfail_seconds": 5,
        "prefetch": {"amount": 0, "duration_ms": 60_000, "percentage": 10},
        "serve_stale_seconds": 0,
        "serve_stale_verify": False,
        "keep_ttl": False,
    }
    return found | changes


def counted(asker: Asker) -> dict[str, Any]:
    (one,) = json.loads(asker.server.stats())["caches"]
    found: dict[str, Any] = one["counts"] | {
        "entries": (one["success_entries"], one["denial_entries"])
    }
    return found


def denied(heard: Heard) -> bytes:
    reply = reply_to(heard, rcode=dns.rcode.NXDOMAIN)
    soa = "ns.example.org. h.example.org. 1 2 3 4 60"
    reply.authority = [dns.rrset.from_text("example.org.", 600, "IN", "SOA", soa)]
    return reply.to_wire()


def failing(heard: Heard) -> bytes:
    return reply_to(heard, rcode=dns.rcode.SERVFAIL).to_wire()


def test_the_second_client_is_answered_from_the_cache_in_its_own_spelling() -> None:
    with upstream(ADDRESS, address_of) as one, forwarding(cache(), stage(one)) as asker:
        for name in ("www.example.org.", "WWW.example.ORG.", "wWw.eXample.org."):
            reply = asker.ask(name)
            assert addresses(reply) == [ANSWER]
            assert named(reply) == name
            assert reply.answer[0].name.to_text() == name
        assert len(one.heard) == 1
        counts = counted(asker)
        assert (counts["success_hits"], counts["misses"]) == (2, 1)
        assert counts["entries"] == (1, 0)


def test_ttls_count_down() -> None:
    with upstream(ADDRESS, address_of) as one, forwarding(cache(), stage(one)) as asker:
        assert asker.ask().answer[0].ttl == 60
        until(lambda: asker.ask().answer[0].ttl < 60, 5, "a TTL below sixty")
        assert len(one.heard) == 1


def test_keepttl_leaves_them() -> None:
    changes = cache(keep_ttl=True)
    with upstream(ADDRESS, address_of) as one, forwarding(changes, stage(one)) as asker:
        asker.ask()
        time.sleep(1.1)
        assert asker.ask().answer[0].ttl == 60


def test_denials_are_kept_as_long_as_the_soa_says() -> None:
    with upstream(ADDRESS, denied) as one, forwarding(cache(), stage(one)) as asker:
        for _ in range(2):
            reply = asker.ask()
            assert reply.rcode() == dns.rcode.NXDOMAIN
            assert reply.authority[0].ttl == 60
        assert len(one.heard) == 1
        assert counted(asker)["denial_hits"] == 1


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(lambda heard: reply_to(heard, rcode=5).to_wire(), id="REFUSED"),
        pytest.param(lambda heard: reply_to(heard, rcode=3).to_wire(), id="NXDOMAIN, no SOA"),
        pytest.param(lambda heard: reply_to(heard).to_wire(), id="nothing at all"),
        pytest.param(lambda heard: address_of(heard, ttl=0), id="TTL 0"),
    ],
)
def test_what_is_not_kept(answer: Any) -> None:
    with upstream(ADDRESS, answer) as one, forwarding(cache(), stage(one)) as asker:
        asker.ask()
        asker.ask()
        assert len(one.heard) == 2


def test_a_failure_is_kept_for_servfail() -> None:
    with upstream(ADDRESS, failing) as one, forwarding(cache(), stage(one)) as asker:
        assert [asker.ask().rcode() for _ in range(3)] == [dns.rcode.SERVFAIL] * 3
        assert len(one.heard) == 1
    quick = cache(servfail_seconds=0)
    with upstream(ADDRESS, failing) as one, forwarding(quick, stage(one)) as asker:
        assert [asker.ask().rcode() for _ in range(3)] == [dns.rcode.SERVFAIL] * 3
        assert len(one.heard) == 3


def test_queries_for_other_data_are_other_entries() -> None:
    def secure(heard: Heard) -> bytes:
        reply = reply_to(heard, f"{heard.name} 60 IN A {ANSWER}", flags=dns.flags.AD)
        if heard.message.ednsflags & dns.flags.DO:
            sig = "A 13 3 60 20400101000000 20200101000000 1 example.org. AAAA"
            reply.answer.append(dns.rrset.from_text(heard.name, 60, "IN", "RRSIG", sig))
        return reply.to_wire()

    with upstream(ADDRESS, secure) as one, forwarding(cache(), stage(one)) as asker:
        for _ in range(2):
            assert len(asker.ask().answer) == 1
            assert len(asker.ask(want_dnssec=True).answer) == 2
            assert len(asker.ask(want_dnssec=True, flags=dns.flags.CD).answer) == 2
        assert len(one.heard) == 3


def test_a_reply_too_long_for_one_client_is_whole_for_another() -> None:
    def long(heard: Heard) -> bytes:
        reply = reply_to(heard, f"{heard.name} 60 IN A {ANSWER}")
        for number in range(60):
            reply.answer[0].add(dns.rdata.from_text(1, 1, f"198.51.100.{number}"))
        if heard.transport == "udp":
            return reply_to(heard, flags=dns.flags.TC).to_wire()
        return reply.to_wire()

    with upstream(ADDRESS, long) as one, forwarding(cache(), stage(one)) as asker:
        assert asker.ask().flags & dns.flags.TC
        whole = asker.ask(tcp=True)
        assert len(addresses(whole)) == 61
        assert len(addresses(asker.ask(use_edns=0, payload=1232))) == 61
        assert asker.ask().flags & dns.flags.TC
        assert len(one.heard) == 2, "once over UDP, then over TCP"


def test_zones_that_are_not_cached() -> None:
    changes = cache(
        zones=["example.org."],
        success={"capacity": 1024, "most_ttl": 9, "least_ttl": 0, "disabled": ["x.example.org."]},
    )
    with upstream(ADDRESS, address_of) as one, forwarding(changes, stage(one)) as asker:
        for name in ("example.com.", "x.example.org.", "example.org."):
            asker.ask(name)
            asker.ask(name)
        assert len(one.heard) == 5
        assert asker.ask("example.org.").answer[0].ttl <= 9


def test_stale_replies_bridge_a_failure_and_are_refreshed_beside() -> None:
    changes = cache(serve_stale_seconds=3600)
    with (
        upstream(ADDRESS, lambda heard: address_of(heard, ttl=1)) as one,
        forwarding(changes, stage(one)) as asker,
    ):
        assert addresses(asker.ask()) == [ANSWER]
        one.answer = failing
        time.sleep(1.1)
        reply = asker.ask()
        assert addresses(reply) == [ANSWER]
        assert reply.answer[0].ttl == 0
        until(lambda: len(one.heard) == 2, 5, "somebody fetches a newer one")
        assert addresses(asker.ask()) == [ANSWER]
        assert len(one.heard) == 2, "one refresh at a time"
        assert counted(asker)["served_stale"] == 2


def test_a_refresh_replaces_what_was_stale() -> None:
    changes = cache(serve_stale_seconds=3600)
    with (
        upstream(ADDRESS, lambda heard: address_of(heard, ttl=1)) as one,
        forwarding(changes, stage(one)) as asker,
    ):
        asker.ask()
        one.answer = lambda heard: address_of(heard, OTHER)
        time.sleep(1.1)
        assert addresses(asker.ask()) == [ANSWER]
        until(lambda: addresses(asker.ask()) == [OTHER], 5, "the newer reply is there")
        assert len(one.heard) == 2


def test_verify_asks_first_and_gives_the_stale_reply_for_a_failure() -> None:
    changes = cache(serve_stale_seconds=3600, serve_stale_verify=True)
    with (
        upstream(ADDRESS, lambda heard: address_of(heard, ttl=1)) as one,
        forwarding(changes, stage(one)) as asker,
    ):
        asker.ask()
        one.answer = failing
        time.sleep(1.1)
        reply = asker.ask()
        assert addresses(reply) == [ANSWER]
        assert reply.answer[0].ttl == 0
        one.answer = lambda heard: address_of(heard, OTHER)
        assert addresses(asker.ask()) == [OTHER]


def test_prefetch_keeps_what_is_asked_for_often() -> None:
    wanted = {"amount": 2, "duration_ms": 60_000, "percentage": 90}
    with (
        upstream(ADDRESS, lambda heard: address_of(heard, ttl=10)) as one,
        forwarding(cache(prefetch=wanted), stage(one)) as asker,
    ):
        asker.ask()
        one.answer = lambda heard: address_of(heard, OTHER)
        until(lambda: asker.ask() and len(one.heard) == 2, 8, "it is fetched before its end")
        until(lambda: addresses(asker.ask()) == [OTHER], 5, "the newer reply is there")
        assert counted(asker)["prefetches"] == 1


def test_zones_that_are_held_here_are_answered_by_them_alone() -> None:
    """A new version of a zone is seen at once, and a cache in front keeps none of it."""
    answer = {"kind": "answer", "plugin": "file"}
    with upstream(ADDRESS, address_of) as one, forwarding(cache(), stage(one)) as asker:
        assert addresses(asker.ask("www.a.test.")) == [ANSWER]
        stages = [cache(), answer, stage(one)]
        config = json.loads(configuration(ADDRESS, asker.port, ["."], stages, threads=1))
        config["chains"][0]["origins"] = ["a.test."]
        asker.server.configure(json.dumps(config).encode())
        assert asker.ask("www.a.test.").rcode() == dns.rcode.SERVFAIL, "its zone has yet to come"
        for address in ("192.0.2.7", "192.0.2.8"):
            text = f"@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\nwww 60 A {address}\n"
            zone = engine.scan_text(text.encode(), b"\1a\4test\0")
            asker.server.publish("test", zone, int(time.time()) + 1000)
            assert addresses(asker.ask("www.a.test.")) == [address]
        assert addresses(asker.ask("www.b.test.")) == [ANSWER]


def test_what_is_kept_and_counted_outlives_a_reload() -> None:
    with upstream(ADDRESS, address_of) as one, forwarding(cache(), stage(one)) as asker:
        asker.ask()

        def configure(*stages: dict[str, Any]) -> None:
            asker.server.configure(
                configuration(ADDRESS, asker.port, ["."], list(stages), threads=1)
            )

        configure(cache(), stage(one), {"kind": "whoami"})
        asker.ask()
        assert len(one.heard) == 1
        configure(cache(servfail_seconds=1), stage(one))
        asker.ask()
        assert len(one.heard) == 2
        counts = counted(asker)
        assert (counts["success_hits"], counts["misses"]) == (1, 2)


def test_the_entry_of_an_extended_error_has_it() -> None:
    def explained(heard: Heard) -> bytes:
        reply = reply_to(heard, rcode=dns.rcode.SERVFAIL)
        reply.use_edns(0, options=[dns.edns.EDEOption(6, "bogus")])
        return reply.to_wire()

    with upstream(ADDRESS, explained) as one, forwarding(cache(), stage(one)) as asker:
        for _ in range(2):
            (option,) = asker.ask(use_edns=0).options
            assert isinstance(option, dns.edns.EDEOption)
            assert (option.code, option.text) == (6, "bogus")
        assert asker.ask().options == ()
        assert len(one.heard) == 1


def test_a_python_plugin_in_front_hears_of_replies_that_come_later_and_of_those_kept() -> None:
    python = {"kind": "python", "plugin": 7, "name": "x", "deadline_ms": 5000}
    stages = (python | {"on_failure": "servfail"}, cache())
    with upstream(ADDRESS, address_of) as one, forwarding(*stages, stage(one)) as asker:
        heard: list[bytes | None] = []
        for _ in range(2):
            client = asker.send("www.example.org.")
            select.select([asker.server.plugin_fd()], [], [], 5)
            (parked,) = asker.server.take()
            at_once = parked.proceed()
            if at_once is None:
                parked.on_reply(heard.append)
                select.select([asker.server.plugin_fd()], [], [], 5)
                assert asker.server.take() == []
                at_once = heard.pop()
            assert at_once is not None
            parked.reply(at_once)
            assert addresses(dns.message.from_wire(client.recv(4096))) == [ANSWER]
        assert len(one.heard) == 1
        assert counted(asker)["success_hits"] == 1
