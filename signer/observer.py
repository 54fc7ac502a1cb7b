"""What our own servers answer: the keys and the serial that each of them shows."""

import asyncio

import attrs
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.SOA

from signer.asking import Answered, ask


@attrs.frozen
class Shown:
    """Every server has answered: the DNSKEY that all of them show, and their serials."""

    dnskeys: frozenset[bytes]
    serials: tuple[int, ...]


@attrs.frozen
class NotShown:
    """Which server does not answer, and why."""

    reason: str


async def look(
    zone: dns.name.Name, servers: tuple[tuple[str, int], ...], timeout: float = 3.0
) -> Shown | NotShown:
    """Ask each (address, port); `timeout` in seconds. Never raises for what networks do."""
    answers = await asyncio.gather(
        *(
            ask(zone, rtype, address, port, timeout)
            for address, port in servers
            for rtype in (dns.rdatatype.DNSKEY, dns.rdatatype.SOA)
        )
    )
    keys: list[frozenset[bytes]] = []
    serials: list[int] = []
    for (address, port), dnskey, soa in zip(servers, answers[::2], answers[1::2], strict=True):
        for answer in (dnskey, soa):
            if not isinstance(answer, Answered):
                return NotShown(answer.reason)
        if not isinstance(dnskey, Answered) or not isinstance(soa, Answered) or not soa.rdatas:
            return NotShown(f"{address} port {port} has no SOA of {zone}")
        keys.append(dnskey.rdatas)
        serials.append(_serial(next(iter(soa.rdatas))))
    return Shown(frozenset.intersection(*keys), tuple(serials))


def _serial(rdata: bytes) -> int:
    soa = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.SOA, rdata, 0, len(rdata))
    if not isinstance(soa, dns.rdtypes.ANY.SOA.SOA):
        raise TypeError("dnspython gave another type than the one asked for")
    return soa.serial
