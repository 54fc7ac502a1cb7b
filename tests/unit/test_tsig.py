"""TSIG by RFC 8945, with dnspython as the other side."""

import struct
from collections.abc import Callable
from typing import TypeVar

import dns.message
import dns.rcode
import dns.rdatatype
import dns.rdtypes.ANY.TSIG
import dns.tsig
import pytest
from transferring import (
    ALGORITHMS,
    HISTORY,
    KEY,
    KEY_NAME,
    LARGE,
    NAME,
    NOW,
    ORIGIN,
    SECRET,
    V1,
    V3,
    bare_query,
    code_of,
    fed,
    keyring,
    query,
    zone,
)

import engine


@pytest.fixture(autouse=True)
def _the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time", lambda: float(NOW))


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


def test_a_secret_is_in_no_text_of_its_key() -> None:
    for shown in (repr(KEY), str(KEY), f"{vars(type(KEY))}"):
        assert SECRET.decode() not in shown
        assert SECRET.hex() not in shown


@pytest.mark.parametrize(("algorithm", "secret"), [("hmac-md5", SECRET), ("hmac-sha256", b"")])
def test_keys_that_protect_nothing_are_refused(algorithm: str, secret: bytes) -> None:
    with pytest.raises(engine.EngineError) as caught:
        engine.TsigKey(KEY_NAME.to_wire(), algorithm, secret)
    assert code_of(caught) == "tsig"
