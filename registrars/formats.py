"""DS, DNSKEY, CDS and CDNSKEY records as people and programs pass them on."""

import base64

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


def ds_entry(key_tag: int, algorithm: int, digest_type: int, digest: str, id: str = "") -> Entry:  # noqa: A002
    """From the fields of a form; the digest hexadecimal. Raises ValueError, OverflowError."""
    head = key_tag.to_bytes(2, "big") + bytes((algorithm, digest_type))
    return Entry(head + bytes.fromhex(digest), None, id)


def dnskey_entry(
    zone: dns.name.Name,
    flags: int,
    algorithm: int,
    public_key: str,
    id: str = "",  # noqa: A002
) -> Entry:
    """From the fields of a form; the key base64, in which blanks don't count. Raises
    ValueError, OverflowError, DNSException."""
    key = base64.b64decode("".join(public_key.split()), validate=True)
    return Entry.of_dnskey(zone, flags.to_bytes(2, "big") + bytes((3, algorithm)) + key, id=id)


def base64_key(entry: Entry) -> str:
    """The public key of an entry that has one. Raises ValueError."""
    if entry.public_key is None:
        raise ValueError("a registrar that wants the key was given a digest alone")
    return base64.b64encode(entry.public_key).decode()


def hex_digest(entry: Entry) -> str:
    return entry.digest.hex().upper()


def domain(zone: dns.name.Name) -> str:
    """A zone's name as registrars write it: lower case, no dot at the end."""
    return zone.canonicalize().to_text(omit_final_dot=True)


def ds_text(entry: Entry) -> str:
    """DS rdata in presentation format (RFC 4034 section 5.3)."""
    return f"{entry.tag} {entry.algorithm} {entry.digest_type} {hex_digest(entry)}"


def ds_from_text(text: str) -> Entry:
    """The reverse; the digest may have blanks in it. Raises ValueError, OverflowError."""
    tag, algorithm, digest_type, *digest = text.split()
    return ds_entry(int(tag), int(algorithm), int(digest_type), "".join(digest))
