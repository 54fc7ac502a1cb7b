"""A change of a zone as two small zones: its touched names before and after, and nothing else."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping

import attrs
import dns.name

import engine
from corefile.names import name_wire
from zones.serial import following

# What a signer makes, and the SOA, which a source that is followed does not change: RRSIG, NSEC,
# DNSKEY, NSEC3, NSEC3PARAM, CDS, CDNSKEY.
_NOT_THE_SOURCES = frozenset({6, 46, 47, 48, 50, 51, 59, 60})
_SOA = 6


@attrs.frozen
class Increment:
    """`before` has the served version's serial, `after` the one that follows."""

    before: engine.Zone
    after: engine.Zone

    def changes(self) -> engine.Diff:
        """For the signer; the SOA is no part of it."""
        return engine.source_changes(self.before, self.after)

    def version(self, current: engine.Zone) -> tuple[engine.Zone, engine.Diff] | None:
        """The next version of a zone that is not signed; None when nothing changed."""
        if not self.changes():
            return None
        diff = self.before.difference(self.after)
        return current.apply(diff), diff


#: Told the name and the reason of what the engine does not take.
Refuse = Callable[[str, str], None]


def increment(base: engine.Zone, texts: Mapping[str, str], refuse: Refuse) -> Increment:
    """`texts` has, for each name that was touched, zone-file text of all that is to be there."""
    before = "".join(_text(name, base.rrsets_at(name_wire(name))) for name in texts)
    return Increment(
        engine.scan_text((soa_line(base, base.serial) + before).encode(), base.origin),
        sound_zone(soa_line(base, following(base.serial)), texts, base.origin, refuse),
    )


def sound_zone(head: str, texts: Mapping[str, str], origin: bytes, refuse: Refuse) -> engine.Zone:
    """A zone of its SOA record and its names' texts, without those that the engine does not take:
    a fault of ours, and no reason to leave out the others. Raises ScanError for the SOA."""
    try:
        return engine.scan_text((head + "".join(texts.values())).encode(), origin)
    except engine.ScanError:
        sound = []
        for name, text in texts.items():
            try:
                engine.scan_text((head + text).encode(), origin)
            except engine.ScanError as error:
                refuse(name, error.message or str(error))
            else:
                sound.append(text)
        return engine.scan_text((head + "".join(sound)).encode(), origin)


def soa_line(base: engine.Zone, serial: int) -> str:
    """The zone's SOA record under a serial."""
    soa = base.rrset(base.origin, _SOA)
    assert soa is not None
    rdata = soa.rdatas[0]
    # The serial is the first of five 32-bit numbers at the end (RFC 1035 section 3.3.13).
    rdata = rdata[:-20] + serial.to_bytes(4) + rdata[-16:]
    origin, _ = dns.name.from_wire(base.origin, 0)
    return _line(str(origin), _SOA, soa.ttl, rdata)


def _text(name: str, rrsets: Iterable[engine.RRset]) -> str:
    return "".join(
        _line(name, rrset.rtype, rrset.ttl, rdata)
        for rrset in rrsets
        if not rrset.ours and rrset.rtype not in _NOT_THE_SOURCES
        for rdata in rrset.rdatas
    )


def _line(name: str, rtype: int, ttl: int, rdata: bytes) -> str:
    """RFC 3597 section 5."""
    return f"{name} {ttl} IN TYPE{rtype} \\# {len(rdata)} {rdata.hex()}\n"
