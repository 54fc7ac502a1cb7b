"""Transfers without sockets: RFC 5936, RFC 1995, RFC 1996, TSIG by RFC 8945.

dnspython is the other side: it makes queries that we answer and reads what we send.
"""

import struct
from collections.abc import Callable, Iterator
from typing import TypeVar

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.query
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.rrset
import dns.tsig
import dns.tsigkeyring
import dns.xfr
import dns.zone
import pytest

import engine

NOW = 1_700_000_000
NAME = dns.name.from_text("example.org.")
ORIGIN = NAME.to_wire()
SECRET = b"0123456789abcdef0123456789abcdef"
KEY_NAME = dns.name.from_text("transfer.example.")
KEY = engine.TsigKey(KEY_NAME.to_wire(), "hmac-sha256", SECRET)
ALGORITHMS = ["hmac-sha256", "hmac-sha384", "hmac-sha512"]


def zone(serial: int, *lines: str) -> engine.Zone:
    text = f"@ 3600 SOA ns hostmaster {serial} 3600 600 86400 300\n@ 3600 NS ns\n"
    return engine.scan_text((text + "\n".join(lines) + "\n").encode(), ORIGIN)


# What stays: a difference larger than the zone is not sent as one.
REST = [f"rest{number} 60 A 192.0.2.9" for number in range(30)]
V1 = zone(1, "ns 60 A 192.0.2.1", "mx MX 10 Mail.Example.org.", *REST)
V2 = zone(2, "ns 60 A 192.0.2.1", "mx MX 10 mail", "www 60 A 192.0.2.2", *REST)
V3 = zone(3, "ns 90 A 192.0.2.1", "mx MX 10 mail", "a.b 60 TXT text", *REST)
HISTORY = [V1.difference(V2), V2.difference(V3)]
LARGE = zone(9, *(f"host{n} 60 TXT {'x' * 200} {n}" for n in range(2000)))


@pytest.fixture(autouse=True)
def _the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: float(NOW))


def keyring(algorithm: str = "hmac-sha256") -> dict[dns.name.Name, dns.tsig.Key]:
    return {KEY_NAME: dns.tsig.Key(KEY_NAME, SECRET, algorithm)}


def query(qtype: str, serial: int | None = None) -> dns.message.Message:
    message = dns.message.make_query(NAME, qtype)
    if serial is not None:
        soa = dns.rrset.from_text(NAME, 0, "IN", "SOA", f". . {serial} 0 0 0 0")
        message.authority.append(soa)
    return message


def code_of(raised: pytest.ExceptionInfo[engine.EngineError]) -> str:
    return raised.value.code


def fed(client: engine.TransferClient, messages: Iterator[bytes] | list[bytes]) -> bool:
    done = False
    for message in messages:
        assert not done
        done = client.feed(message, NOW)
    return done


def transferred(
    base: engine.Zone | None,
    served: engine.Zone,
    history: list[engine.Diff] | None = None,
    key: engine.TsigKey | None = None,
) -> engine.TransferClient:
    client = engine.TransferClient(ORIGIN, base, key)
    server = engine.TransferServer([key] if key else [])
    request = server.parse(client.request(7, NOW), NOW)
    assert fed(client, server.answer(request, served, history, NOW))
    return client


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


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_dnspython_accepts_our_signatures_and_we_its(algorithm: str) -> None:
    server = engine.TransferServer([engine.TsigKey(KEY_NAME.to_wire(), algorithm, SECRET)])
    message = query("AXFR")
    message.use_tsig(keyring(algorithm), KEY_NAME, algorithm=algorithm)
    request = server.parse(message.to_wire(), NOW)
    assert request.key == KEY_NAME.to_wire()
    context = None
    for number, wire in enumerate(server.answer(request, LARGE, None, NOW)):
        reply = dns.message.from_wire(
            wire,
            keyring=keyring(algorithm),
            request_mac=message.mac,
            xfr=True,
            tsig_ctx=context,
            multi=True,
        )
        assert reply.had_tsig, number
        context = reply.tsig_ctx


def signed_by_dnspython(request: bytes, messages: list[bytes], every: int) -> list[bytes]:
    """The messages signed anew by dnspython: each `every`th, the first and the last."""
    asked = dns.message.from_wire(request, keyring=keyring())
    key = keyring()[KEY_NAME]
    made: list[bytes] = []
    context = None
    for number, wire in enumerate(messages):
        if number % every and number + 1 < len(messages):
            assert context is not None
            context.update(wire)
            made.append(wire)
            continue
        tsig = dns.rdtypes.ANY.TSIG.TSIG(
            dns.rdataclass.ANY,
            dns.rdatatype.TSIG,
            key.algorithm,
            NOW,
            300,
            b"",
            struct.unpack("!H", wire[:2])[0],
            0,
            b"",
        )
        tsig, context = dns.tsig.sign(wire, key, tsig, NOW, asked.mac, context, True)
        owner, rdata = KEY_NAME.to_wire(), tsig.to_wire()
        head = struct.pack("!HHIH", 250, 255, 0, len(rdata))
        count = struct.unpack("!H", wire[10:12])[0] + 1
        made.append(wire[:10] + struct.pack("!H", count) + wire[12:] + owner + head + rdata)
    return made


@pytest.mark.parametrize(("every", "accepted"), [(1, True), (2, True), (100, True), (101, False)])
def test_up_to_99_messages_may_go_unsigned(every: int, accepted: bool) -> None:
    client = engine.TransferClient(ORIGIN, None, KEY)
    request = client.request(7, NOW)
    plain = engine.TransferServer([])
    bare = plain.parse(dns.message.make_query(NAME, "AXFR", id=7).to_wire(), NOW)
    [whole] = plain.answer(bare, zone(1, *(f"h{n} 60 A 192.0.2.1" for n in range(250))), None, NOW)
    parsed = dns.message.from_wire(whole, one_rr_per_rrset=True)
    messages = []
    for number, rrset in enumerate(parsed.answer):
        part = dns.message.make_response(dns.message.from_wire(bare_query()))
        part.id = 7
        if number:
            part.question = []
        part.answer = [rrset]
        messages.append(part.to_wire())
    replies = signed_by_dnspython(request, messages, every)
    if accepted:
        assert fed(client, replies)
        return
    with pytest.raises(engine.EngineError, match="without the TSIG"):
        fed(client, replies)


def bare_query() -> bytes:
    return dns.message.make_query(NAME, "AXFR", id=7).to_wire()


def test_a_transfer_whose_last_message_is_not_signed_is_refused() -> None:
    client = engine.TransferClient(ORIGIN, None, KEY)
    server = engine.TransferServer([KEY])
    replies = list(server.answer(server.parse(client.request(7, NOW), NOW), LARGE, None, NOW))
    cut = dns.message.from_wire(replies[-1], ignore_trailing=True, keyring=False)
    bare = replies[-1][: -(len(KEY_NAME.to_wire()) + 10 + 13 + 16 + 32)]
    bare = bare[:10] + struct.pack("!H", len(cut.additional)) + bare[12:]
    with pytest.raises(engine.EngineError, match="last message is not signed"):
        fed(client, [*replies[:-1], bare])


def refused(server: engine.TransferServer, wire: bytes, now: int = NOW) -> dns.message.Message:
    with pytest.raises(engine.EngineError) as caught:
        server.parse(wire, now)
    assert code_of(caught) == "tsig"
    reply = caught.value.reply  # type: ignore[attr-defined]
    return dns.message.from_wire(reply, keyring=False)


def test_errors_of_tsig_are_told_as_rfc_8945_section_5_2_says() -> None:
    server = engine.TransferServer([KEY])
    message = query("SOA")
    message.use_tsig(keyring(), KEY_NAME)
    wire = message.to_wire()
    stranger = engine.TransferServer([])
    other = engine.TransferServer([engine.TsigKey(KEY_NAME.to_wire(), "hmac-sha256", b"other")])
    for asked, error, now, signed in [
        (stranger, dns.rcode.BADKEY, NOW, False),
        (other, dns.rcode.BADSIG, NOW, False),
        (server, dns.rcode.BADTIME, NOW + 301, True),
        (server, dns.rcode.BADTIME, NOW - 301, True),
    ]:
        reply = refused(asked, wire, now)
        assert reply.rcode() == dns.rcode.NOTAUTH
        assert reply.tsig_error == error
        assert bool(reply.mac) == signed
        if signed:
            assert int.from_bytes(reply.tsig[0].other, "big") == now
    assert server.parse(wire, NOW + 300).kind == "soa"


T = TypeVar("T")


def accepted(work: Callable[[], T], *codes: str) -> T | None:
    """What `work` gives; None when it is refused for one of these reasons."""
    try:
        return work()
    except engine.EngineError as error:
        if error.code in codes:
            return None
        raise


def test_any_flipped_bit_of_a_signed_query_is_found() -> None:
    server = engine.TransferServer([KEY])
    message = query("IXFR", 1)
    message.use_tsig(keyring(), KEY_NAME)
    wire = message.to_wire()
    assert server.parse(wire, NOW).key == KEY_NAME.to_wire()
    # The id (first two octets) may change on the way: the original one is signed.
    for bit in range(16, len(wire) * 8):
        flipped = bytearray(wire)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        request = accepted(lambda wire=bytes(flipped): server.parse(wire, NOW), "malformed", "tsig")
        if request is not None:
            # Names ignore case (RFC 4343), in the TSIG record too; a TSIG record of another
            # type is none, and then nobody signed.
            assert bytes(flipped).lower() == wire.lower() or request.key is None, bit


def test_a_client_refuses_what_a_flipped_bit_made() -> None:
    server = engine.TransferServer([KEY])
    maker = engine.TransferClient(ORIGIN, V1, KEY)
    asked = maker.request(7, NOW)
    [reply] = server.answer(server.parse(asked, NOW), V3, HISTORY, NOW)
    for bit in range(len(reply) * 8):
        flipped = bytearray(reply)
        flipped[bit // 8] ^= 0x80 >> bit % 8
        client = engine.TransferClient(ORIGIN, V1, KEY)
        client.request(7, NOW)
        feed = lambda client=client, wire=bytes(flipped): client.feed(wire, NOW)  # noqa: E731
        if accepted(feed, "transfer") is not None:
            assert bytes(flipped).lower() == reply.lower(), bit


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


def test_a_secret_is_in_no_text_of_its_key() -> None:
    for shown in (repr(KEY), str(KEY), f"{vars(type(KEY))}"):
        assert SECRET.decode() not in shown
        assert SECRET.hex() not in shown


@pytest.mark.parametrize(("algorithm", "secret"), [("hmac-md5", SECRET), ("hmac-sha256", b"")])
def test_keys_that_protect_nothing_are_refused(algorithm: str, secret: bytes) -> None:
    with pytest.raises(engine.EngineError) as caught:
        engine.TsigKey(KEY_NAME.to_wire(), algorithm, secret)
    assert code_of(caught) == "tsig"
