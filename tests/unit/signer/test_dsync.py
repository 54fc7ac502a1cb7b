"""Whom a parent wants to be told of new CDS, the message, and how often it is sent."""

import asyncio
from collections.abc import Sequence

import attrs
import dns.asyncresolver
import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.rdatatype
import dns.rrset
import pytest
from responder import ADDRESS, Behaviour, server

from signer import dsync
from signer.asking import Answered, Silent
from signer.config import ParentConfig
from signer.dsync import Finder, Herald, LookupName, Target, discover, targets

CITY = dns.name.from_text("city.ise.mie.jp.")
NEWS = frozenset({b"one"})


def rdata(target: str, *, port: int = 5359, rtype: int = 59, scheme: int = 1) -> bytes:
    head = rtype.to_bytes(2, "big") + bytes([scheme]) + port.to_bytes(2, "big")
    return head + dns.name.from_text(target).to_wire()


SCANNER = rdata("scanner.example.")
TARGET = Target(dns.name.from_text("scanner.example."), 5359)


def found(child: dns.name.Name, has: dict[str, bytes], soa: str) -> tuple[object, list[str]]:
    """What is discovered in a parent that has DSYNC of some names, and what was asked for."""
    asked: list[str] = []

    async def lookup(name: dns.name.Name) -> Answered | Silent:
        asked.append(name.to_text())
        if name.to_text() in has:
            return Answered(frozenset({has[name.to_text()]}), 60)
        record = dns.rrset.from_text(soa, 60, "IN", "SOA", f"ns.{soa} host.{soa} 1 1 1 1 1")
        return Answered(frozenset(), 60, (record,))

    return asyncio.run(discover(child, lookup)), asked


@pytest.mark.parametrize(
    ("has", "soa", "names"),
    [
        ("city._dsync.ise.mie.jp.", "ise.mie.jp.", ["city._dsync.ise.mie.jp."]),
        (
            "city.ise.mie._dsync.jp.",
            "jp.",
            ["city._dsync.ise.mie.jp.", "city.ise.mie._dsync.jp."],
        ),
        ("_dsync.ise.mie.jp.", "ise.mie.jp.", ["city._dsync.ise.mie.jp.", "_dsync.ise.mie.jp."]),
        (
            "_dsync.jp.",
            "jp.",
            ["city._dsync.ise.mie.jp.", "city.ise.mie._dsync.jp.", "_dsync.jp."],
        ),
    ],
    ids=["at once", "the parent is further up", "for all children", "both"],
)
def test_names_looked_up(has: str, soa: str, names: list[str]) -> None:
    """RFC 9859 section 4.1, with its example."""
    assert found(CITY, {has: SCANNER}, soa) == ((TARGET,), names)


def test_a_parent_that_wants_nothing() -> None:
    result, asked = found(CITY, {}, "jp.")
    assert result == ()
    assert asked[-1] == "_dsync.jp."
    # An SOA that is not above the parent leads nowhere.
    assert found(CITY, {}, "example.")[1] == ["city._dsync.ise.mie.jp.", "_dsync.ise.mie.jp."]
    other = {"city._dsync.ise.mie.jp.": rdata("scanner.example.", rtype=62)}
    assert found(CITY, other, "jp.") == ((), ["city._dsync.ise.mie.jp."])


def test_a_parent_that_does_not_answer() -> None:
    async def lookup(name: dns.name.Name) -> Answered | Silent:
        return Silent("it is silent")

    assert asyncio.run(discover(CITY, lookup)) == Silent("it is silent")


def test_names_that_are_too_long() -> None:
    child = dns.name.Name((b"a" * 63, b"b" * 63, b"c" * 63, b"d" * 58, b""))
    assert LookupName.first(child).name is None


@pytest.mark.parametrize(
    "wire",
    [
        b"",
        SCANNER[:5],
        SCANNER[:-3],
        SCANNER[:5] + b"\xc0\x00",
        rdata("scanner.example.", scheme=2),
        rdata("scanner.example.", rtype=62),
        rdata("scanner.example.", port=0),
        rdata("."),
    ],
)
def test_records_that_are_left_out(wire: bytes) -> None:
    assert targets([wire, SCANNER]) == (TARGET,)


def test_no_more_targets_than_a_few() -> None:
    assert len(targets([rdata(f"ns{number}.example.") for number in range(40)])) == 4


def test_the_message() -> None:
    """RFC 1996 section 3 and RFC 9859 section 3."""
    read = dns.message.from_wire(dsync.message(CITY).to_wire())
    assert read.opcode() == dns.opcode.NOTIFY
    assert read.flags & dns.flags.AA
    assert not read.flags & (dns.flags.QR | dns.flags.RD)
    (question,) = read.question
    assert (question.name, question.rdtype) == (CITY, dns.rdatatype.CDS)
    assert not read.answer + read.authority + read.additional


# --- telling -------------------------------------------------------------------------------


@attrs.define
class Clock:
    now: float = 1000.0

    def boot(self) -> float:
        return self.now

    def wall(self) -> int:
        return int(self.now)

    def boot_id(self) -> str:
        return "one"

    def synchronised(self) -> bool:
        return True


def taking(heard: list[dns.message.Message], rcode: dns.rcode.Rcode) -> Behaviour:
    def behaviour(query: dns.message.Message) -> dns.message.Message:
        heard.append(query)
        response = dns.message.make_response(query)
        response.set_rcode(rcode)
        return response

    return behaviour


def parent(port: int) -> Behaviour:
    """Has DSYNC for all of its children, to a port of an address of its own."""
    lines = [
        dns.rrset.from_text("_dsync.mie.jp.", 60, "IN", "TYPE66", f"\\# {len(wire)} {wire.hex()}")
        for wire in [rdata("scanner.mie.jp.", port=port)]
    ]
    lines.append(dns.rrset.from_text("scanner.mie.jp.", 60, "IN", "A", ADDRESS))
    soa = dns.rrset.from_text("mie.jp.", 60, "IN", "SOA", "ns.mie.jp. host.mie.jp. 1 1 1 1 1")

    def behaviour(query: dns.message.Message) -> dns.message.Message:
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        question = query.question[0]
        has = [one for one in lines if (one.name, one.rdtype) == (question.name, question.rdtype)]
        response.answer += has
        response.authority += [] if has else [soa]
        return response

    return behaviour


def nowhere() -> dns.asyncresolver.Resolver:
    found = dns.asyncresolver.Resolver(configure=False)
    found.nameservers = [ADDRESS]
    found.port = 9
    return found


def told(
    news: Sequence[frozenset[bytes] | None],
    *,
    rcode: dns.rcode.Rcode = dns.rcode.NOERROR,
    every: float,
) -> tuple[int, list[float | None]]:
    """How often a target hears of it, when the herald is called so often, so many seconds
    apart; and what is due after each."""
    heard: list[dns.message.Message] = []
    due: list[float | None] = []

    async def body() -> None:
        async with server(taking(heard, rcode)) as port, server(parent(port)) as at:
            clock = Clock()
            config = ParentConfig(addresses=((ADDRESS, at),))
            herald = Herald(
                dns.name.from_text("ise.mie.jp."), Finder(config, resolver=nowhere()), clock
            )
            for one in news:
                herald.tell(one)
                await herald.close()
                due.append(herald.due())
                clock.now += every

    asyncio.run(body())
    assert all(message.opcode() == dns.opcode.NOTIFY for message in heard)
    return len(heard), due


def test_the_parent_is_told_once_and_again_after_growing_pauses() -> None:
    assert told([NEWS] * 3, every=10) == (1, [1300.0, 1300.0, 1300.0])
    count, due = told([NEWS] * 4, every=400)
    # At 1000; at 1400, and then not before 600 seconds have passed.
    assert (count, due) == (3, [1300.0, 2000.0, 2000.0, 3400.0])


def test_it_is_told_no_more_when_it_has_what_was_asked_for() -> None:
    assert told([None, NEWS, None, None], every=90_000) == (1, [None, 91_300.0, None, None])


def test_other_cds_are_news() -> None:
    assert told([NEWS, frozenset({b"two"})], every=1)[0] == 2


def test_a_refusal_is_no_end_but_there_is_one(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "signer.dsync")
    count, due = told([NEWS] * 20, rcode=dns.rcode.REFUSED, every=90_000)
    assert (count, due[-1]) == (16, None)
    lines = [record.message for record in caplog.records if "answers REFUSED" in record.message]
    assert len(lines) == 1


def test_a_parent_without_address_is_told_of_once(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("INFO", "signer.dsync")

    async def body() -> None:
        herald = Herald(CITY, Finder(ParentConfig(), resolver=nowhere(), timeout=0.2), Clock())
        herald.tell(NEWS)
        await herald.close()

    asyncio.run(body())
    (line,) = [record.message for record in caplog.records]
    assert "no DSYNC record of its parent could be had" in line
