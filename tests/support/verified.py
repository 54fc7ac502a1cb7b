"""A signed zone to be verified, with one lie in it: unsigned, or signed truly by hand."""

import functools
from collections.abc import Callable, Iterable
from typing import NamedTuple

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdatatype as t
import dns.rrset
from keymaker import DAY, IN, NOW, new_pair, pkcs8, plan, sign_new

import engine

ORIGIN_NAME = dns.name.from_text("example.org.")
ORIGIN = ORIGIN_NAME.to_wire()
ZONE = """
@ 3600 SOA ns hostmaster 1 3600 600 86400 300
@ 3600 NS ns
ns 3600 A 192.0.2.1
www 3600 A 192.0.2.2
www 3600 TXT text
*.wild 3600 MX 10 www
ent.deep 3600 TXT below
secure 3600 NS ns.secure
secure 3600 DS 1 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns.secure 3600 A 192.0.2.3
insecure 3600 NS ns.insecure
insecure 3600 A 192.0.2.5
ns.insecure 3600 A 192.0.2.4
alias 3600 DNAME www
below.alias 3600 A 192.0.2.6
cut.below 3600 NS ns
"""
Record = tuple[bytes, int, int, bytes]
Edit = Callable[[Record], Record | None]


def name(text: str) -> bytes:
    return dns.name.from_text(text, ORIGIN_NAME).to_wire()


def records(zone: engine.Zone) -> list[Record]:
    made = []
    for rrset in zone:
        made += [(rrset.owner, rrset.rtype, rrset.ttl, rdata) for rdata in rrset.rdatas]
        made += [(rrset.owner, t.RRSIG, rrset.ttl, rdata) for rdata in rrset.signatures]
    return made


@functools.cache
def line(record: Record) -> str:
    owner, rtype, ttl, rdata = record
    shown = dns.name.from_wire(owner, 0)[0].to_text()
    return rf"{shown} {ttl} TYPE{rtype} \# {len(rdata)} {rdata.hex()}"


def build(content: Iterable[Record], origin: bytes = ORIGIN) -> engine.Zone:
    return engine.scan_text(("\n".join(map(line, content)) + "\n").encode(), origin)


def edited(zone: engine.Zone, edit: Edit) -> engine.Zone:
    return build(new for old in records(zone) if (new := edit(old)) is not None)


def covers(record: Record, rtype: int) -> bool:
    return record[1] == t.RRSIG and int.from_bytes(record[3][:2], "big") == rtype


def codes(zone: engine.Zone, at: int = NOW, **options: object) -> set[tuple[str, str]]:
    report = engine.verify(zone, at=at, **options)  # type: ignore[arg-type]
    assert report.failure_count >= len(report.failures)
    return {(dns.name.from_wire(one.owner, 0)[0].to_text(), one.code) for one in report.failures}


class Hand(NamedTuple):
    """A key whose private half signs by dnspython, so that lies can be signed truly."""

    engine: engine.SigningKey
    private: object
    dnskey: dns.rdata.Rdata


@functools.cache
def hand() -> Hand:
    dnskey, private = new_pair(13)
    rdata = dns.rdata.from_wire(IN, t.DNSKEY, dnskey, 0, len(dnskey))
    return Hand(engine.SigningKey(dnskey, pkcs8(private)), private, rdata)


def sign_by_hand(owner: bytes, rtype: int, ttl: int, rdatas: list[bytes]) -> list[Record]:
    """The RRset with a true signature, whatever it says."""
    owner_name = dns.name.from_wire(owner, 0)[0]
    parsed = [dns.rdata.from_wire(IN, rtype, one, 0, len(one)) for one in rdatas]
    rrset = dns.rrset.from_rdata_list(owner_name, ttl, parsed)
    rrsig = dns.dnssec.sign(
        rrset, hand().private, ORIGIN_NAME, hand().dnskey, NOW - 3600, expiration=NOW + 14 * DAY
    )
    made = [(owner, rtype, ttl, one) for one in rdatas]
    return [*made, (owner, t.RRSIG, ttl, rrsig.to_wire())]


def without(zone: engine.Zone, owner: bytes, rtype: int) -> list[Record]:
    return [
        record
        for record in records(zone)
        if not (record[0] == owner and (record[1] == rtype or covers(record, rtype)))
    ]


def resigned(
    zone: engine.Zone, owner: bytes, rtype: int, change: Callable[[bytes], bytes]
) -> engine.Zone:
    rrset = zone.rrset(owner, rtype)
    assert rrset is not None
    new = sign_by_hand(owner, rtype, rrset.ttl, [change(rdata) for rdata in rrset.rdatas])
    return build([*without(zone, owner, rtype), *new])


@functools.cache
def signed(nsec3: tuple[int, bytes, bool] | None = None) -> engine.Zone:
    unsigned = engine.scan_text(ZONE.encode(), ORIGIN)
    return sign_new(unsigned, plan(hand().engine, nsec3=nsec3)).zone


NSEC3 = (0, b"\xab", False)
OPT_OUT = (5, b"", True)


def flipped(rdata: bytes, bit: int) -> bytes:
    octets = bytearray(rdata)
    octets[bit // 8] ^= 0x80 >> bit % 8
    return bytes(octets)
