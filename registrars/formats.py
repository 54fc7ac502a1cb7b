"""DS, DNSKEY, CDS and CDNSKEY records as people and programs pass them on."""

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import msgspec

from registrars.protocol import Entry

DEFAULT_TTL = 3600


class EntryJson(msgspec.Struct, frozen=True):
    """One entry, field by field, as registrars' forms and APIs ask for it. The digest is
    hexadecimal, the public key base64."""

    zone: str
    key_tag: int
    algorithm: int
    digest_type: int
    digest: str
    flags: int | None
    protocol: int | None
    public_key: bytes | None


def record(
    zone: dns.name.Name, rtype: dns.rdatatype.RdataType, rdata: bytes, ttl: int = DEFAULT_TTL
) -> str:
    """One line of zone-file text. Raises dns.exception.DNSException for bad rdata."""
    parsed = dns.rdata.from_wire(dns.rdataclass.IN, rtype, rdata, 0, len(rdata))
    text = parsed.to_text(chunksize=0)
    return f"{zone.to_text()} {ttl} IN {dns.rdatatype.to_text(rtype)} {text}"


def bind(zone: dns.name.Name, entries: tuple[Entry, ...], ttl: int = DEFAULT_TTL) -> str:
    """The DS records and, as comments, the DNSKEY records that they were made of."""
    lines = []
    for entry in entries:
        lines.append(record(zone, dns.rdatatype.DS, entry.ds, ttl))
        if entry.dnskey is not None:
            lines.append("; " + record(zone, dns.rdatatype.DNSKEY, entry.dnskey, ttl))
    return "".join(line + "\n" for line in lines)


def child_records(zone: dns.name.Name, entries: tuple[Entry, ...], ttl: int = DEFAULT_TTL) -> str:
    """The CDS and CDNSKEY records of RFC 7344 that say the same."""
    lines = [record(zone, dns.rdatatype.CDS, entry.ds, ttl) for entry in entries]
    lines += [
        record(zone, dns.rdatatype.CDNSKEY, entry.dnskey, ttl)
        for entry in entries
        if entry.dnskey is not None
    ]
    return "".join(line + "\n" for line in lines)


def as_json(zone: dns.name.Name, entries: tuple[Entry, ...]) -> tuple[EntryJson, ...]:
    """Ready for msgspec.json.encode."""
    return tuple(
        EntryJson(
            zone=zone.to_text(),
            key_tag=entry.tag,
            algorithm=entry.ds[2],
            digest_type=entry.ds[3],
            digest=entry.ds[4:].hex().upper(),
            flags=None if entry.dnskey is None else int.from_bytes(entry.dnskey[:2], "big"),
            protocol=None if entry.dnskey is None else entry.dnskey[2],
            public_key=None if entry.dnskey is None else entry.dnskey[4:],
        )
        for entry in entries
    )
