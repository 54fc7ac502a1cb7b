"""Serial numbers (RFC 1982), and zones that get another one."""

from __future__ import annotations

import re

import dns.name

import engine
from zones import foreign

_HALF = 1 << 31
_SOA = re.compile(r"^(\S+[ \t]+\d+[ \t]+IN[ \t]+SOA[ \t]+\S+[ \t]+\S+[ \t]+)(\d+)", re.MULTILINE)


def newer(serial: int, than: int) -> bool:
    """RFC 1982 section 3.2; two serials exactly half the space apart are not in order."""
    return 0 < (serial - than) % (1 << 32) < _HALF


def following(serial: int, at_least: int | None = None) -> int:
    """The serial after `serial`; `at_least` where that is newer still."""
    after = (serial + 1) % (1 << 32)
    if at_least is not None and newer(at_least, after):
        return at_least % (1 << 32)
    return after


def renumbered(zone: engine.Zone, serial: int) -> engine.Zone:
    """The same content under another serial. Costs a print and a scan of the whole zone:
    it is for the rare file whose content moves and whose serial does not."""
    text, count = _SOA.subn(
        lambda match: f"{match[1]}{serial}", zone.to_text(foreign=foreign.write), count=1
    )
    if count != 1:
        origin, _ = dns.name.from_wire(zone.origin, 0)
        raise ValueError(f"{origin} has no SOA record to renumber")
    return engine.scan_text(text.encode(), zone.origin, foreign=foreign.read)
