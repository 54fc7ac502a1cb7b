"""Asking the parent's servers, on loopback, where each answers as the scenario says."""

import asyncio
from contextlib import AsyncExitStack

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rrset
import pytest
from responder import ADDRESS, Behaviour, server

from signer.config import Observe, ObserveConfig, ParentConfig
from signer.observer import DnsServersView, NotShown, Published, ServersAnswer, Shown
from signer.parent import DnsParentView, NoParent, ParentAnswer, Seen, Unknown

ZONE = dns.name.from_text("example.org.")
DS_A = "11111 13 2 " + "AA" * 32
DS_B = "22222 13 2 " + "BB" * 32


def answers(*records: str, ttl: int = 3600) -> Behaviour:
    """An authoritative answer; with no record, that there is none."""

    def behave(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        if records and query.question[0].name == ZONE:
            rrset = dns.rrset.from_text(ZONE, ttl, "IN", query.question[0].rdtype, *records)
            response.answer.append(rrset)
        else:
            soa = "ns.org. admin.org. 1 2 3 4 300"
            response.authority.append(dns.rrset.from_text("org.", 900, "IN", "SOA", soa))
        return response

    return behave


def refuses(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.REFUSED)
    return response


def resolver(query: dns.message.Message) -> dns.message.Message:
    response = answers(DS_A)(query)
    assert response is not None
    response.flags &= ~dns.flags.AA
    return response


def silent(query: dns.message.Message) -> None:
    return None


def too_long_for_udp(query: dns.message.Message) -> dns.message.Message:
    return answers(*(f"{tag} 13 2 {tag:064X}" for tag in range(60)))(query)  # type: ignore[return-value]


def asked(*behaviours: Behaviour) -> ParentAnswer:
    async def run() -> ParentAnswer:
        async with AsyncExitStack() as stack:
            ports = [await stack.enter_async_context(server(one)) for one in behaviours]
            config = ParentConfig(addresses=tuple((ADDRESS, port) for port in ports))
            return await DnsParentView(config, timeout=0.3).ds(ZONE)

    return asyncio.run(run())


def tags(records: frozenset[bytes]) -> set[int]:
    return {int.from_bytes(ds[:2], "big") for ds in records}


def test_two_servers_that_agree() -> None:
    found = asked(answers(DS_A, ttl=60), answers(DS_A, ttl=86400))
    assert isinstance(found, Seen)
    assert (tags(found.common), found.ttl, found.agreed) == ({11111}, 86400, True)


def test_one_server_that_is_behind() -> None:
    found = asked(answers(DS_A), answers(DS_A, DS_B))
    assert isinstance(found, Seen)
    assert (tags(found.common), tags(found.any)) == ({11111}, {11111, 22222})
    assert not found.agreed


def test_a_parent_without_ds() -> None:
    found = asked(answers())
    assert isinstance(found, Seen)
    assert (found.any, found.ttl) == (frozenset(), 300), "the negative TTL (RFC 2308)"


def test_an_answer_that_needs_tcp() -> None:
    found = asked(too_long_for_udp)
    assert isinstance(found, Seen)
    assert len(found.common) == 60


@pytest.mark.parametrize(
    ("behaviour", "reason"),
    [
        (silent, "does not answer"),
        (refuses, "answers REFUSED"),
        (resolver, "is not authoritative for DS of example.org."),
    ],
)
def test_one_server_that_says_nothing_makes_it_unknown(behaviour: Behaviour, reason: str) -> None:
    found = asked(answers(DS_A), behaviour)
    assert isinstance(found, Unknown)
    assert f"{ADDRESS} port " in found.reason
    assert reason in found.reason


@pytest.mark.parametrize(
    ("zone", "island"), [("example.org.", True), (".", False)], ids=["parent none", "the root"]
)
def test_islands_ask_nobody(zone: str, island: bool) -> None:
    view = DnsParentView(ParentConfig(island=island))
    assert asyncio.run(view.ds(dns.name.from_text(zone))) == NoParent()


SOA = "ns.example.org. admin.example.org. {} 7200 3600 1209600 300"
KEY_A = "257 3 13 " + "A" * 86 + "=="
KEY_B = "257 3 13 " + "B" * 86 + "=="


def shows(serial: int, *keys: str) -> Behaviour:
    def behave(query: dns.message.Message) -> dns.message.Message | None:
        soa = query.question[0].rdtype == dns.rdatatype.SOA
        return answers(*((SOA.format(serial),) if soa else keys))(query)

    return behave


def looked(*behaviours: Behaviour) -> ServersAnswer:
    async def run() -> ServersAnswer:
        async with AsyncExitStack() as stack:
            ports = [await stack.enter_async_context(server(one)) for one in behaviours]
            config = ObserveConfig(Observe.ADDRESSES, tuple((ADDRESS, port) for port in ports))
            return await DnsServersView(config, timeout=0.3).look(ZONE, Published())

    return asyncio.run(run())


def test_our_servers_show_what_all_of_them_show() -> None:
    found = looked(shows(7, KEY_A), shows(8, KEY_A, KEY_B))
    assert isinstance(found, Shown)
    assert (len(found.everywhere), len(found.anywhere)) == (1, 2)
    assert found.serials == (7, 8)


def test_a_server_of_ours_that_is_down_shows_nothing() -> None:
    found = looked(shows(7, KEY_A), silent)
    assert isinstance(found, NotShown)
    assert "does not answer" in found.reason
