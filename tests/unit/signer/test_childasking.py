"""A child's servers and the resolver, asked on loopback: what is judged is what they say."""

import asyncio
from collections.abc import Callable
from typing import Any

import dns.asyncresolver
import dns.dnssec
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset
import keymaker
import pytest
from keymaker import DAY, NOW
from responder import ADDRESS, Behaviour, server
from signedparent import SignedParent, rdata

from signer.childasking import Network, scan
from signer.childscan import Child, Refuse, Take, Verdict
from signer.ds import ds_rdata
from signer.signalling import signalling_name
from signer.trust import Anchor

CHILD = dns.name.from_text("child.org.")
INSIDE, OUTSIDE = dns.name.from_text("ns.child.org."), dns.name.from_text("ns1.example.net.")
KEY = keymaker.key(number=4)
DNSKEY = dns.rdatatype.DNSKEY
DS = frozenset({ds_rdata(CHILD, KEY.dnskey)})
ZONE = SignedParent("child.org.", "", (KEY,), cds=sorted(DS), cdnskeys=[KEY.dnskey])


class Signalling:
    """The zone of a server's name: signed by dnspython, and the resolver that has it."""

    origin = dns.name.from_text("example.net.")

    def __init__(self, **announced: bytes) -> None:
        wire, self._private = keymaker.new_pair(13)
        self._dnskey = rdata(DNSKEY, wire)
        self.anchor = Anchor(self.origin, dnskeys=frozenset({self._dnskey}))
        name = signalling_name(CHILD, OUTSIDE)
        assert name is not None
        self._rrsets = dict([self._signed(self.origin, DNSKEY, wire)])
        for rtype, rdatas in announced.items():
            self._rrsets |= [self._signed(name, dns.rdatatype.from_text(rtype), rdatas)]
        address = dns.rrset.from_text(OUTSIDE, 300, "IN", "A", ADDRESS)
        self._rrsets[OUTSIDE, dns.rdatatype.A] = [address]

    def _signed(
        self, name: dns.name.Name, rtype: dns.rdatatype.RdataType, wire: bytes
    ) -> tuple[tuple[dns.name.Name, dns.rdatatype.RdataType], list[dns.rrset.RRset]]:
        covered = dns.rrset.from_rdata(name, 300, rdata(rtype, wire))
        signature = dns.dnssec.sign(
            covered,
            self._private,
            self.origin,
            self._dnskey,
            inception=NOW - 3600,
            expiration=NOW + DAY,
        )
        return (name, rtype), [covered, dns.rrset.from_rdata(name, 300, signature)]

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        question = query.question[0]
        response.answer += self._rrsets.get((question.name, question.rdtype), [])
        return response


GOOD = Signalling(CDS=min(DS), CDNSKEY=KEY.dnskey)
HALF = Signalling(CDS=min(DS))


def asked(
    child: Child,
    *,
    servers: Behaviour = ZONE.answer,
    resolver: Behaviour = GOOD.answer,
    anchored: Signalling | SignedParent = GOOD,
    glue: dict[dns.name.Name, list[str]] | None = None,
    **more: Any,
) -> Verdict:
    async def body() -> Verdict:
        async with server(servers) as port, server(resolver) as resolver_port:
            stub = dns.asyncresolver.Resolver(configure=False)
            stub.nameservers = [ADDRESS]
            stub.port = resolver_port
            network = Network(
                stub, (anchored.anchor,), timeout=2.0, port=port, wall=lambda: float(NOW)
            )
            return await scan(child, glue or {INSIDE: [ADDRESS]}, network, **more)

    return asyncio.run(body())


def reason(found: Verdict) -> str:
    assert isinstance(found, Refuse), found
    return found.reason


def test_a_wish_under_a_ds_needs_no_resolver() -> None:
    child = Child(CHILD, frozenset({INSIDE}), DS)
    found = asked(child, resolver=lambda query: None)
    assert isinstance(found, Take)
    assert found.ds == DS


def test_addresses_that_the_parent_does_not_have_are_asked_for() -> None:
    found = asked(Child(CHILD, frozenset({INSIDE, OUTSIDE}), DS))
    assert isinstance(found, Take)


def test_a_first_ds_by_authenticated_signals() -> None:
    found = asked(Child(CHILD, frozenset({INSIDE, OUTSIDE})))
    assert isinstance(found, Take), found
    assert (found.ds, found.why) == (DS, "ns1.example.net. vouch for it")


def without_signatures(query: dns.message.Message) -> dns.message.Message:
    response = GOOD.answer(query)
    if query.question[0].rdtype == dns.rdatatype.CDS:
        response.answer = [one for one in response.answer if one.rdtype != dns.rdatatype.RRSIG]
    return response


def failing(query: dns.message.Message) -> dns.message.Message:
    response = dns.message.make_response(query)
    response.set_rcode(dns.rcode.SERVFAIL)
    return response if query.question[0].rdtype in (59, 60) else GOOD.answer(query)


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"resolver": Signalling().answer}, "there is no CDS of _dsboot.child.org._signal."),
        ({"resolver": without_signatures}, "is not signed"),
        ({"resolver": failing}, "the resolver does not give"),
        ({"anchored": ZONE}, "no trust anchor is above example.net."),
        (
            {"anchored": Signalling()},
            "no DNSKEY of example.net. is the one that its anchor or DS names",
        ),
        (
            {"resolver": HALF.answer, "anchored": HALF},
            "there is no CDNSKEY of _dsboot.child.org._signal.ns1.example.net.",
        ),
    ],
)
def test_signals_that_do_not_count(changes: dict[str, Any], why: str) -> None:
    assert why in reason(asked(Child(CHILD, frozenset({INSIDE, OUTSIDE})), **changes))


def answering(change: Callable[[dns.message.Message], None]) -> Behaviour:
    def behaviour(query: dns.message.Message) -> dns.message.Message:
        response = ZONE.answer(query)
        change(response)
        return response

    return behaviour


@pytest.mark.parametrize(
    ("servers", "why"),
    [
        (lambda query: None, "does not answer"),
        (answering(lambda reply: reply.set_rcode(dns.rcode.REFUSED)), "answers REFUSED"),
        (answering(lambda reply: setattr(reply, "flags", 0x8000)), "is not authoritative"),
        (answering(lambda reply: reply.answer.clear()), "does not have the zone"),
    ],
    ids=["silent", "refusing", "not authoritative", "empty"],
)
def test_servers_that_say_nothing_change_nothing(servers: Behaviour, why: str) -> None:
    assert why in reason(asked(Child(CHILD, frozenset({INSIDE}), DS), servers=servers))


def test_more_servers_and_addresses_than_anybody_has_are_not_asked() -> None:
    names = frozenset(dns.name.from_text(f"ns{number}.child.org.") for number in range(17))
    assert "more than 16 name servers" in reason(asked(Child(CHILD, names, DS)))
    many = {INSIDE: [f"127.61.5.{number}" for number in range(1, 10)]}
    found = asked(Child(CHILD, frozenset({INSIDE}), DS), glue=many)
    assert "more than 8 addresses" in reason(found)
