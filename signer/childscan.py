"""Whether a parent may take over what a child publishes as CDS and CDNSKEY (RFC 7344, RFC 8078,
RFC 9615). Pure: the answers of the child's servers and the time come in.

    all answer, all agree ─▶ well formed ─▶ signed as the present DS asks ─▶ not older than what
    was taken before ─▶ leads to keys that sign the DNSKEY RRset ─▶ the DS RRset to have

Whatever is not so changes nothing.
"""

from collections.abc import Iterable, Mapping, Sequence

import attrs
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DS

from signer.asking import Answered, Silent
from signer.ds import ds_rdata, matches
from signer.signatures import check, find
from signer.trust import Anchor, Bogus, Insecure, ZoneKeys
from signer.validation import keys_of

DS = dns.rdtypes.ANY.DS.DS
CDS, CDNSKEY, DNSKEY = dns.rdatatype.CDS, dns.rdatatype.CDNSKEY, dns.rdatatype.DNSKEY

#: RFC 8078 section 4: the whole of a CDS or CDNSKEY RRset that asks for no DS at all.
CDS_DELETE = b"\0\0\0\0\0"
CDNSKEY_DELETE = b"\0\0\3\0\0"

# A set of more is nobody's.
_MOST_RECORDS = 32
# RFC 8624 section 3.3: what a DS is made with.
_DIGESTS = frozenset({2, 4})


@attrs.frozen
class Child:
    """A delegation as its parent has it: DS rdata; its servers' names; `accepted`, when the
    signatures that were last gone by were made, in Unix seconds."""

    name: dns.name.Name
    servers: frozenset[dns.name.Name]
    ds: frozenset[bytes] = frozenset()
    accepted: int | None = None

    @property
    def outside(self) -> list[dns.name.Name]:
        """The servers whose names can vouch for it (RFC 9615 section 4.2)."""
        return sorted(one for one in self.servers if not one.is_subdomain(self.name))


@attrs.frozen
class Heard:
    """What one address of one server of the child says."""

    where: str
    soa: Answered | Silent
    dnskey: Answered | Silent
    cds: Answered | Silent
    cdnskey: Answered | Silent


@attrs.frozen
class Signal:
    """CDS and CDNSKEY rdata at the signalling name of one server, validated."""

    cds: frozenset[bytes]
    cdnskey: frozenset[bytes]


@attrs.frozen
class Take:
    """The DS RRset to have: it may be the present one, or empty where its removal is asked for.
    `made`: when the oldest of the signatures gone by was made, in Unix seconds. `why`: on what
    it was believed."""

    ds: frozenset[bytes]
    made: int
    why: str


@attrs.frozen
class Nothing:
    """Nothing is asked for."""

    reason: str


@attrs.frozen
class Refuse:
    """What is asked for, or said, is not to be gone by."""

    reason: str


Verdict = Take | Nothing | Refuse


class _No(Exception):
    """Becomes a Refuse."""


@attrs.frozen
class _Said:
    """One server's answers, none missing."""

    where: str
    serial: int
    dnskey: Answered
    cds: Answered
    cdnskey: Answered


def judge(
    child: Child,
    heard: Sequence[Heard],
    now: int,
    *,
    signals: Mapping[dns.name.Name, Signal | Silent] | None = None,
    unsigned: bool = False,
) -> Verdict:
    """`heard` is of every address of every server; `now` in Unix seconds. For a child without
    DS: `signals` of its servers outside it, or `unsigned`, a person's word that what it
    publishes is its own."""
    try:
        said = _agreed(child, heard)
        first = said[0]
        if not first.cds.rdatas and not first.cdnskey.rdatas:
            return Nothing("publishes neither CDS nor CDNSKEY")
        if _deletes(first):
            if not child.ds:
                return Nothing("asks for no DS, and has none")
            made = _signed_by_ds(child, said, child.ds, now)
            return Take(frozenset(), made, "asks for the removal of its DS")
        wanted = _wanted(child.name, first.cds.rdatas, first.cdnskey.rdatas)
        for one in said:
            _leads(child.name, one, wanted, now)
        if child.ds:
            made = _signed_by_ds(child, said, child.ds, now)
            return Take(wanted, made, "signed as its DS asks")
        why = "by a person's word" if unsigned else _signalled(child, first, signals or {})
        return Take(wanted, _signed_by_ds(child, said, wanted, now), why)
    except _No as no:
        return Refuse(str(no))


# --- what the servers say ------------------------------------------------------------------


def _agreed(child: Child, heard: Sequence[Heard]) -> list[_Said]:
    """RFC 7344 section 6.1 leaves it open how many to ask: all of them."""
    if not heard:
        raise _No("none of its servers has an address")
    said = [_complete(child.name, one) for one in heard]
    first = said[0]
    for rtype in (CDS, CDNSKEY, DNSKEY):
        for other in said[1:]:
            if _rdatas(other, rtype) != _rdatas(first, rtype):
                raise _No(
                    f"its servers differ in {dns.rdatatype.to_text(rtype)}: {first.where} has "
                    f"{_tags(first, rtype)} in serial {first.serial}, {other.where} has "
                    f"{_tags(other, rtype)} in serial {other.serial}"
                )
    return said


def _complete(child: dns.name.Name, one: Heard) -> _Said:
    if isinstance(one.soa, Silent):
        raise _No(one.soa.reason)
    if isinstance(one.dnskey, Silent):
        raise _No(one.dnskey.reason)
    if isinstance(one.cds, Silent):
        raise _No(one.cds.reason)
    if isinstance(one.cdnskey, Silent):
        raise _No(one.cdnskey.reason)
    soa = next(iter(one.soa.rdatas), b"")
    if one.soa.soa != child or len(soa) < 20:
        raise _No(f"{one.where} does not have the zone {child}")
    for answer in (one.cds, one.cdnskey):
        if len(answer.rdatas) > _MOST_RECORDS:
            raise _No(f"{one.where} has more than {_MOST_RECORDS} CDS or CDNSKEY records")
    serial = int.from_bytes(soa[-20:-16], "big")
    return _Said(one.where, serial, one.dnskey, one.cds, one.cdnskey)


def _rdatas(one: _Said, rtype: dns.rdatatype.RdataType) -> frozenset[bytes]:
    return {CDS: one.cds, CDNSKEY: one.cdnskey, DNSKEY: one.dnskey}[rtype].rdatas


def _tags(one: _Said, rtype: dns.rdatatype.RdataType) -> str:
    rdatas = sorted(_rdatas(one, rtype))
    found = [
        int.from_bytes(rdata[:2], "big") if rtype == CDS else key_tag(rdata) for rdata in rdatas
    ]
    return ", ".join(map(str, found)) or "none"


def key_tag(dnskey: bytes) -> int:
    """RFC 4034 appendix B; of the algorithms that are in use."""
    total = sum(octet << 8 if at % 2 == 0 else octet for at, octet in enumerate(dnskey))
    return (total + (total >> 16)) & 0xFFFF


# --- what is asked for ---------------------------------------------------------------------


def _deletes(one: _Said) -> bool:
    """RFC 8078 section 4: that record alone, and in both RRsets where there are both."""
    sets = ((one.cds.rdatas, CDS_DELETE, 2), (one.cdnskey.rdatas, CDNSKEY_DELETE, 3))
    present = [(rdatas, delete) for rdatas, delete, _ in sets if rdatas]
    if all(rdatas == {delete} for rdatas, delete in present):
        return True
    if any(rdata[at : at + 1] == b"\0" for rdatas, _, at in sets for rdata in rdatas):
        # Algorithm 0 is nothing else than that record.
        raise _No("asks for the removal of its DS and for a DS at once")
    return False


def _wanted(
    child: dns.name.Name, cds: frozenset[bytes], cdnskeys: frozenset[bytes]
) -> frozenset[bytes]:
    """The DS RRset that is asked for; RFC 7344 section 4: CDS and CDNSKEY say the same."""
    usable = frozenset(one for one in cds if len(one) > 4 and one[3] in _DIGESTS)
    if not cds:
        return frozenset(ds_rdata(child, dnskey) for dnskey in cdnskeys)
    if not usable:
        raise _No("its CDS have no digest of SHA-256 or SHA-384")
    keys = {digest: {one[:3] for one in usable if one[3] == digest} for digest in _DIGESTS}
    if keys[2] and keys[4] and keys[2] != keys[4]:
        raise _No("its CDS are of other keys with SHA-256 than with SHA-384")
    if cdnskeys:
        for one in sorted(usable):
            if not any(matches(child, dnskey, one) for dnskey in cdnskeys):
                tag = int.from_bytes(one[:2], "big")
                raise _No(f"its CDS and CDNSKEY differ: CDS {tag} is of no CDNSKEY")
        for dnskey in sorted(cdnskeys):
            if not any(matches(child, dnskey, one) for one in usable):
                raise _No(f"its CDS and CDNSKEY differ: CDNSKEY {key_tag(dnskey)} has no CDS")
    return usable


# --- whether it is believed ----------------------------------------------------------------


def _signed_by_ds(child: Child, said: Iterable[_Said], ds: frozenset[bytes], now: int) -> int:
    """RFC 7344 section 4.1: by a key in the DNSKEY RRset and in the DS RRset. When the oldest of
    the signatures was made, which is not before that of the last time (section 6.2)."""
    made: list[int] = []
    for one in said:
        keys = _entries(child.name, one, ds, now)
        for rtype, answer in ((CDS, one.cds), (CDNSKEY, one.cdnskey)):
            if not answer.rdatas:
                continue
            rrset = find(answer.rrsets, child.name, rtype)
            assert rrset is not None
            signed = check(rrset, answer.rrsets, keys, now)
            if isinstance(signed, Bogus):
                raise _No(f"{one.where}: {signed.reason}")
            made.append(signed.inception)
    oldest = min(made)
    if child.accepted is not None and oldest < child.accepted:
        raise _No(
            f"its CDS were signed {child.accepted - oldest} seconds before those that were taken "
            "over last"
        )
    return oldest


def _entries(child: dns.name.Name, one: _Said, ds: frozenset[bytes], now: int) -> ZoneKeys:
    """Those of its keys that are in a DS RRset."""
    found = _keys(child, one, ds, now)
    entries = tuple(
        key
        for key in found.dnskeys
        if any(matches(child, key.to_digestable(), record) for record in ds)
    )
    return ZoneKeys(child, entries)


def _leads(child: dns.name.Name, one: _Said, ds: frozenset[bytes], now: int) -> None:
    """RFC 7344 section 4.1, the delegation goes on to work; by each algorithm for itself (RFC
    6840 section 5.11), since a validator may know one only."""
    for algorithm in sorted({record[2] for record in ds}):
        _keys(child, one, frozenset(record for record in ds if record[2] == algorithm), now)


def _keys(child: dns.name.Name, one: _Said, ds: frozenset[bytes], now: int) -> ZoneKeys:
    records = frozenset(
        dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DS, record, 0, len(record))
        for record in ds
    )
    anchor = Anchor(child, frozenset(record for record in records if isinstance(record, DS)))
    found = keys_of(anchor, one.dnskey.rrsets, now)
    if isinstance(found, Bogus | Insecure):
        raise _No(f"{one.where}: {found.reason}")
    return found


def _signalled(child: Child, one: _Said, signals: Mapping[dns.name.Name, Signal | Silent]) -> str:
    """RFC 9615 section 4.2: every server outside the child vouches for the same."""
    if not child.outside:
        raise _No(
            "has no DS, and no server outside it that could vouch for it (RFC 9615); once you "
            f"know that its CDS are its own: --accept {child.name}"
        )
    for server in child.outside:
        signal = signals.get(server)
        if not isinstance(signal, Signal):
            reason = "was not asked" if signal is None else signal.reason
            raise _No(f"has no DS, and {server} does not vouch for it: {reason}")
        if (signal.cds, signal.cdnskey) != (one.cds.rdatas, one.cdnskey.rdatas):
            raise _No(f"has no DS, and {server} vouches for other CDS or CDNSKEY than it has")
    return f"{', '.join(map(str, child.outside))} vouch for it"
