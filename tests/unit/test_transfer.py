"""Transfers without sockets: RFC 5936, RFC 1995, RFC 1996 (TSIG: test_tsig).

dnspython is the other side: it makes queries that we answer and reads what we send.
"""

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.xfr
import dns.zone
import pytest
from transferring import (
    HISTORY,
    KEY,
    KEY_NAME,
    LARGE,
    NAME,
    NOW,
    ORIGIN,
    V1,
    V2,
    V3,
    bare_query,
    code_of,
    fed,
    keyring,
    query,
    transferred,
    zone,
)

import engine


@pytest.fixture(autouse=True)
def _the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: float(NOW))


@pytest.mark.parametrize("key", [None, KEY])
@pytest.mark.parametrize("served", [V1, V2, V3, LARGE])
def test_a_full_transfer_gives_the_zone(served: engine.Zone, key: engine.TsigKey | None) -> None:
    client = transferred(None, served, key=key)
    reached = client.zone()
    assert reached is not None
    assert reached.digest() == served.digest()
    assert client.diffs() is None


@pytest.mark.parametrize("key", [None, KEY])
def test_differences_give_the_zone(key: engine.TsigKey | None) -> None:
    client = transferred(V1, V3, HISTORY, key)
    reached = client.zone()
    assert reached is not None
    assert not reached.difference(V3)
    diffs = client.diffs()
    assert diffs is not None
    assert [(diff.from_serial, diff.to_serial) for diff in diffs] == [(1, 2), (2, 3)]


def test_differences_larger_than_the_zone_are_not_worth_it() -> None:
    small, other = zone(1, "a A 192.0.2.1"), zone(2, "b A 192.0.2.1", "c A 192.0.2.2")
    back = zone(3, "a A 192.0.2.1")
    client = transferred(small, back, [small.difference(other), other.difference(back)])
    assert client.diffs() is None


@pytest.mark.parametrize("history", [None, HISTORY[1:], HISTORY[:1], list(reversed(HISTORY))])
def test_without_a_history_that_chains_an_ixfr_is_a_full_transfer(
    history: list[engine.Diff] | None,
) -> None:
    client = transferred(V1, V3, history)
    reached = client.zone()
    assert reached is not None
    assert not reached.difference(V3)
    assert client.diffs() is None


def test_up_to_date_is_said_by_one_soa() -> None:
    server = engine.TransferServer([])
    request = server.parse(query("IXFR", 3).to_wire(), NOW)
    assert (request.kind, request.serial, request.origin) == ("ixfr", 3, ORIGIN)
    [message] = server.answer(request, V3, None, NOW)
    answer = dns.message.from_wire(message)
    assert [rrset.rdtype for rrset in answer.answer] == [dns.rdatatype.SOA]
    client = transferred(V3, V3)
    assert client.zone() is None
    assert client.diffs() is None


def test_a_zone_of_nothing_but_its_soa_is_transferred() -> None:
    bare = engine.scan_text(b"@ 60 SOA . . 5 1 1 1 1\n", ORIGIN)
    for base in (None, zone(4)):
        reached = transferred(base, bare).zone()
        assert reached is not None
        assert reached.record_count == 1


def test_a_primary_that_is_behind_is_told() -> None:
    client = engine.TransferClient(ORIGIN, V3, None)
    request = client.request(7, NOW)
    reply = dns.message.make_response(dns.message.from_wire(request))
    reply.answer.append(dns.rrset.from_text(NAME, 60, "IN", "SOA", ". . 2 1 1 1 1"))
    with pytest.raises(engine.EngineError, match="serial 2, older than 3") as caught:
        client.feed(reply.to_wire(), NOW)
    assert code_of(caught) == "transfer"
    with pytest.raises(engine.EngineError, match="failed before"):
        client.feed(reply.to_wire(), NOW)


def test_serials_that_cannot_be_compared_take_the_primarys_version() -> None:
    base, far = zone(1), zone(1 + 2**31, "x 60 A 192.0.2.1")
    reached = transferred(base, far).zone()
    assert reached is not None
    assert reached.serial == 1 + 2**31


@pytest.mark.parametrize("edns", [False, True])
def test_dnspython_reads_our_messages(edns: bool) -> None:
    message = query("AXFR")
    if edns:
        message.use_edns(0)
    server = engine.TransferServer([])
    request = server.parse(message.to_wire(), NOW)
    got = dns.zone.Zone(NAME)
    replies = list(server.answer(request, LARGE, None, NOW))
    assert len(replies) > 5
    assert all(len(reply) <= 60 * 1024 for reply in replies)
    with dns.xfr.Inbound(got, dns.rdatatype.AXFR) as inbound:
        for number, wire in enumerate(replies):
            reply = dns.message.from_wire(wire, xfr=True, one_rr_per_rrset=True, origin=NAME)
            assert reply.flags & dns.flags.AA
            assert (reply.edns == 0) == (edns and number == 0)
            done = inbound.process_message(reply)
        assert done
    assert sum(len(rdataset) for _, rdataset in got.iterate_rdatasets()) == LARGE.record_count
    assert sum(map(len, replies)) < sum(len(line) for line in LARGE.to_text().splitlines())


def forged(*rrsets: tuple[str, int, str, str], **changes: object) -> bytes:
    reply = dns.message.make_response(dns.message.from_wire(bare_query()))
    for owner, ttl, rtype, text in rrsets:
        reply.answer.append(dns.rrset.from_text(dns.name.from_text(owner), ttl, "IN", rtype, text))
    for name, value in changes.items():
        setattr(reply, name, value)
    return reply.to_wire()


SOA = ("example.org.", 60, "SOA", ". . 5 1 1 1 1")
OTHER_SOA = ("example.org.", 60, "SOA", ". . 6 1 1 1 1")
RECORD = ("www.example.org.", 60, "A", "192.0.2.1")
TC = dns.flags.QR | dns.flags.AA | dns.flags.TC


@pytest.mark.parametrize(
    ("messages", "reason"),
    [
        ([forged(RECORD, SOA)], "does not begin with the zone's SOA"),
        ([forged(SOA, RECORD, OTHER_SOA)], "the SOA at the end is not the one at the start"),
        ([forged(SOA, ("www.example.com.", 60, "A", "192.0.2.1"), SOA)], "not in the zone"),
        ([forged(SOA, ("www.example.org.", 60, "SOA", ". . 5 1 1 1 1"), SOA)], "below the zone's"),
        ([forged(SOA, RECORD, id=8)], "not a response to the query"),
        ([forged(SOA, RECORD, flags=0)], "not a response to the query"),
        ([forged(SOA, RECORD, flags=TC)], "truncated"),
        ([forged(flags=dns.flags.QR | 5)], "answers REFUSED"),
        ([forged(SOA, RECORD, question=[])], "another question"),
        ([forged()], "without records"),
        ([forged(SOA, RECORD, SOA), forged(RECORD)], "behind the transfer's end"),
        ([forged(SOA, RECORD, SOA)[:-3]], "runs past the end"),
        (
            [forged(SOA, RECORD, ("www.example.org.", 60, "CNAME", "x.example.org."), SOA)],
            "a CNAME stands alone",
        ),
    ],
)
def test_what_is_not_right_is_refused(messages: list[bytes], reason: str) -> None:
    client = engine.TransferClient(ORIGIN, None, None)
    client.request(7, NOW)
    for message in messages[:-1]:
        client.feed(message, NOW)
    with pytest.raises(engine.EngineError, match=reason) as caught:
        client.feed(messages[-1], NOW)
    assert code_of(caught) == "transfer"
    with pytest.raises(engine.EngineError):
        client.zone()


def test_records_behind_the_last_soa_are_refused() -> None:
    raw = forged(SOA, RECORD, SOA, ("later.example.org.", 60, "A", "192.0.2.1"))
    client = engine.TransferClient(ORIGIN, None, None)
    client.request(7, NOW)
    # dnspython joins the two SOA records into one RRset, so the last is put apart by hand.
    parts = [forged(SOA), forged(RECORD), forged(SOA)]
    assert fed(client, parts)
    with pytest.raises(engine.EngineError, match="behind the transfer's end"):
        client.feed(raw, NOW)


def test_differences_that_do_not_fit_are_refused() -> None:
    wrong = engine.scan_text(b"@ 60 SOA . . 1 1 1 1 1\n", ORIGIN)
    client = engine.TransferClient(ORIGIN, wrong, None)
    server = engine.TransferServer([])
    request = server.parse(client.request(7, NOW), NOW)
    with pytest.raises(engine.EngineError, match="is not there") as caught:
        fed(client, server.answer(request, V3, HISTORY, NOW))
    assert code_of(caught) == "difference"


def test_memory_is_bounded() -> None:
    client = engine.TransferClient(ORIGIN, None, None, max_octets=100_000)
    server = engine.TransferServer([])
    request = server.parse(client.request(7, NOW), NOW)
    with pytest.raises(engine.EngineError, match="more than 100000 octets"):
        fed(client, server.answer(request, LARGE, None, NOW))


def test_nothing_is_had_before_the_end() -> None:
    client = engine.TransferClient(ORIGIN, None, None)
    with pytest.raises(engine.EngineError, match="no request was made"):
        client.feed(forged(SOA), NOW)
    client = engine.TransferClient(ORIGIN, None, None)
    client.request(7, NOW)
    assert not client.feed(forged(SOA), NOW)
    for ask in (client.zone, client.diffs):
        with pytest.raises(engine.EngineError, match="not complete"):
            ask()
    with pytest.raises(engine.EngineError, match="made before"):
        client.request(8, NOW)


@pytest.mark.parametrize("key", [None, KEY])
def test_notify_is_understood_and_acknowledged(key: engine.TsigKey | None) -> None:
    wire = engine.notify_message(ORIGIN, 17, key, 99, NOW)
    told = dns.message.from_wire(wire, keyring=keyring())
    assert told.opcode() == dns.opcode.NOTIFY
    assert told.answer[0][0].serial == 17
    server = engine.TransferServer([KEY])
    request = server.parse(wire, NOW)
    assert (request.kind, request.serial, request.origin) == ("notify", 17, ORIGIN)
    assert request.key == (KEY_NAME.to_wire() if key else None)
    reply = dns.message.from_wire(
        server.acknowledge(request, NOW), keyring=keyring(), request_mac=told.mac
    )
    assert (reply.opcode(), reply.rcode(), reply.id) == (dns.opcode.NOTIFY, 0, 99)
    assert reply.had_tsig == bool(key)
    with pytest.raises(engine.EngineError, match="acknowledged, not answered"):
        server.answer(request, V1, None, NOW)


@pytest.mark.parametrize("key", [None, KEY])
def test_a_refusal_repeats_the_question(key: engine.TsigKey | None) -> None:
    message = query("AXFR")
    if key:
        message.use_tsig(keyring(), KEY_NAME)
    server = engine.TransferServer([KEY])
    request = server.parse(message.to_wire(), NOW)
    wire = server.refuse(request, dns.rcode.REFUSED, NOW)
    reply = dns.message.from_wire(wire, keyring=keyring(), request_mac=message.mac)
    assert reply.rcode() == dns.rcode.REFUSED
    assert reply.question == message.question
    assert reply.had_tsig == bool(key)


@pytest.mark.parametrize(
    ("wire", "rcode"),
    [
        (query("A").to_wire(), dns.rcode.REFUSED),
        (query("IXFR").to_wire(), dns.rcode.FORMERR),
        (query("AXFR").to_wire() + b"x", dns.rcode.FORMERR),
        (query("AXFR").to_wire()[:-1], dns.rcode.FORMERR),
        (dns.message.make_query(NAME, "SOA", rdclass="CH").to_wire(), dns.rcode.REFUSED),
        (b"\0\7\x28" + bytes(9), dns.rcode.FORMERR),
        (b"\0\7", None),
        (b"", None),
        (dns.message.make_response(query("SOA")).to_wire(), None),
    ],
    ids=[
        "a query for data",
        "IXFR without a serial",
        "an octet too many",
        "an octet too few",
        "another class",
        "UPDATE without a zone",
        "half a header",
        "nothing",
        "a response",
    ],
)
def test_queries_that_are_none_get_an_error(wire: bytes, rcode: dns.rcode.Rcode | None) -> None:
    with pytest.raises(engine.EngineError) as caught:
        engine.TransferServer([KEY]).parse(wire, NOW)
    assert code_of(caught) == "malformed"
    reply = caught.value.reply  # type: ignore[attr-defined]
    if rcode is None:
        assert reply is None
    else:
        assert dns.message.from_wire(reply).rcode() == rcode
