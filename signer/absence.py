"""Whether NSEC or NSEC3 records prove that a name has no DS (RFC 4035 section 5.4, RFC 5155
section 8, RFC 6840 section 4). Pure."""

import base64
import binascii
import enum
from collections.abc import Callable, Sequence
from typing import TypeVar

import attrs
import dns.name
import dns.rdatatype
import dns.rdtypes.ANY.NSEC
import dns.rdtypes.ANY.NSEC3
import dns.rrset

import engine
from signer.signatures import check
from signer.trust import Bogus, Insecure, ZoneKeys

NSEC = dns.rdtypes.ANY.NSEC.NSEC
NSEC3 = dns.rdtypes.ANY.NSEC3.NSEC3
T = TypeVar("T", NSEC, NSEC3)

# An honest proof needs three records, four where a wildcard has one of its own.
_MOST_RECORDS = 8
# More hashing than this is nobody's due (RFC 9276 section 3.2).
_MOST_ITERATIONS = 150
_SHA1 = 1
_OPT_OUT = 1


class Kind(enum.Enum):
    """What the name is: delegated without a DS, there and no zone cut, or not there."""

    CUT = "is delegated without a DS"
    NO_CUT = "is no zone cut"
    NO_NAME = "does not exist"


@attrs.frozen
class Absent:
    """No DS, proved. `opt_out`: by a span that may hold unsigned delegations, so that nobody
    can tell whether this one is there (RFC 5155 section 8.6)."""

    kind: Kind
    opt_out: bool = False


def absence(
    name: dns.name.Name, rrsets: Sequence[dns.rrset.RRset], keys: ZoneKeys, now: int
) -> Absent | Insecure | Bogus:
    """`rrsets` is the answer to a question for the DS of a name below `keys.zone`; `now` in
    Unix seconds."""
    for rtype in (dns.rdatatype.NSEC, dns.rdatatype.NSEC3):
        records = [one for one in rrsets if one.rdtype == rtype]
        if not records:
            continue
        if len(records) > _MOST_RECORDS:
            return Bogus(f"too many {dns.rdatatype.to_text(rtype)} records")
        for one in records:
            signed = check(one, rrsets, keys, now)
            if isinstance(signed, Bogus):
                return signed
        if rtype == dns.rdatatype.NSEC:
            return _by_nsec(name, _first(records, NSEC), keys.zone)
        return _by_nsec3(name, _first(records, NSEC3), keys.zone)
    return Bogus(f"{keys.zone} is signed, and that {name} has no DS is not proved")


def _first(rrsets: Sequence[dns.rrset.RRset], rtype: type[T]) -> list[tuple[dns.name.Name, T]]:
    """Owner and rdata; more than one record at an owner is no chain."""
    return [
        (rrset.name, rdata)
        for rrset in rrsets
        if len(rrset) == 1 and isinstance(rdata := rrset[0], rtype)
    ]


def _has(record: NSEC | NSEC3, rtype: dns.rdatatype.RdataType) -> bool:
    window, octet, bit = rtype >> 8, (rtype & 255) >> 3, 0x80 >> (rtype & 7)
    return any(
        number == window and octet < len(bits) and bits[octet] & bit
        for number, bits in record.windows
    )


def _at_name(name: dns.name.Name, record: NSEC | NSEC3, zone: dns.name.Name) -> Absent | Bogus:
    """What the record at the name itself says (RFC 6840 sections 4.1 and 4.3)."""
    if _has(record, dns.rdatatype.DS):
        return Bogus(f"there is no DS of {name} in the answer, and its NSEC says that there is one")
    if _has(record, dns.rdatatype.SOA) or _has(record, dns.rdatatype.CNAME):
        return Bogus(f"the NSEC of {name} is not the one of a delegation from {zone}")
    return Absent(Kind.CUT if _has(record, dns.rdatatype.NS) else Kind.NO_CUT)


def _ends_zone(record: NSEC | NSEC3) -> bool:
    """Whether what is below the owner is not this zone's: such a record denies nothing there."""
    delegated = _has(record, dns.rdatatype.NS) and not _has(record, dns.rdatatype.SOA)
    return delegated or _has(record, dns.rdatatype.DNAME)


def _not_covered(name: dns.name.Name) -> Bogus:
    return Bogus(f"the proof does not cover {name}")


# --- NSEC ---------------------------------------------------------------------------------


def _by_nsec(
    name: dns.name.Name, records: Sequence[tuple[dns.name.Name, NSEC]], zone: dns.name.Name
) -> Absent | Bogus:
    for owner, record in records:
        if owner == name:
            return _at_name(name, record, zone)
    for owner, record in records:
        if not _covers(owner, record, name, zone):
            continue
        if record.next.is_subdomain(name):
            return Absent(Kind.NO_CUT)  # an empty non-terminal
        # The closest encloser is what the name shares with its neighbours.
        encloser = max(
            _common(name, owner), _common(name, record.next), key=lambda one: len(one.labels)
        )
        wildcard = dns.name.Name((b"*", *encloser.labels))
        return _source_of_synthesis(
            wildcard,
            next((one for at, one in records if at == wildcard), None),
            any(_covers(at, one, wildcard, zone) for at, one in records),
        )
    return _not_covered(name)


def _source_of_synthesis(
    wildcard: dns.name.Name, at: NSEC | NSEC3 | None, covered: bool
) -> Absent | Bogus:
    """RFC 4592 section 3.3.1: without the wildcard the name could be made from it."""
    if covered:
        return Absent(Kind.NO_NAME)
    if at is None:
        return _not_covered(wildcard)
    if _has(at, dns.rdatatype.DS) or _has(at, dns.rdatatype.CNAME):
        return Bogus(f"{wildcard} may have an answer")
    return Absent(Kind.NO_CUT)


def _covers(owner: dns.name.Name, record: NSEC, name: dns.name.Name, zone: dns.name.Name) -> bool:
    if name.is_subdomain(owner) and _ends_zone(record):
        return False
    return owner < name and (record.next == zone or bool(name < record.next))


def _common(first: dns.name.Name, second: dns.name.Name) -> dns.name.Name:
    _, _, labels = first.fullcompare(second)
    return first.split(labels)[1]


# --- NSEC3 --------------------------------------------------------------------------------


def _by_nsec3(
    name: dns.name.Name, records: Sequence[tuple[dns.name.Name, NSEC3]], zone: dns.name.Name
) -> Absent | Insecure | Bogus:
    # RFC 5155 sections 8.1 and 8.2: unknown hashes and flags are passed over.
    known = [
        (hashed, record)
        for owner, record in records
        if record.algorithm == _SHA1
        and record.flags in (0, _OPT_OUT)
        and (hashed := _hash_of(owner, zone)) is not None
    ]
    if not known:
        return _not_covered(name)
    iterations, salt = known[0][1].iterations, known[0][1].salt
    if any((one.iterations, one.salt) != (iterations, salt) for _, one in known):
        return Bogus("its NSEC3 records are of several chains")
    if iterations > _MOST_ITERATIONS:
        return Insecure(f"{zone} has NSEC3 with {iterations} iterations")

    def hash_name(one: dns.name.Name) -> bytes:
        return engine.nsec3_hash(one.canonicalize().to_digestable(), iterations, salt)

    return _in_hashes(name, dict(known), zone, hash_name)


def _in_hashes(
    name: dns.name.Name,
    records: dict[bytes, NSEC3],
    zone: dns.name.Name,
    hash_name: Callable[[dns.name.Name], bytes],
) -> Absent | Bogus:
    at = records.get(hash_name(name))
    if at is not None:
        return _at_name(name, at, zone)
    next_closer, encloser = name, name.parent()
    while (at := records.get(hash_name(encloser))) is None:
        if encloser == zone:
            return Bogus(f"the proof has no closest encloser of {name}")
        next_closer, encloser = encloser, encloser.parent()
    # RFC 5155 section 8.3.
    if _ends_zone(at):
        return Bogus(f"{encloser} is not of {zone}'s own")
    cover = _cover(records, hash_name(next_closer))
    if cover is None:
        return _not_covered(next_closer)
    if cover.flags & _OPT_OUT:
        return Absent(Kind.CUT, opt_out=True)
    wildcard = dns.name.Name((b"*", *encloser.labels))
    hashed = hash_name(wildcard)
    covered = _cover(records, hashed) is not None
    return _source_of_synthesis(wildcard, records.get(hashed), covered)


def _hash_of(owner: dns.name.Name, zone: dns.name.Name) -> bytes | None:
    if len(owner) != len(zone) + 1 or not owner.is_subdomain(zone):
        return None
    try:
        return base64.b32hexdecode(owner.labels[0].upper())
    except binascii.Error:
        return None


def _cover(records: dict[bytes, NSEC3], hashed: bytes) -> NSEC3 | None:
    for owner, record in records.items():
        after, before = owner < hashed, hashed < record.next
        # The last of the chain points back to its first (RFC 5155 section 3.1.7).
        if (after and before) if owner < record.next else (after or before):
            return record
    return None
