"""Trust anchors in files: DS or DNSKEY records as zone-file text, of any zones."""

from collections.abc import Iterable
from pathlib import Path

import attrs
import dns.exception
import dns.name
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS
import dns.rrset
import dns.zonefile

from corefile import CorefileError, Directive
from corefile.arguments import plain
from signer.trust import Anchor

_MOST_OCTETS = 1 << 20


class AnchorError(Exception):
    """A file that holds no anchor, in one line."""


def read(path: Path) -> tuple[Anchor, ...]:
    """One anchor for each zone that the file has records of. Raises AnchorError."""
    try:
        with path.open("rb") as file:
            content = file.read(_MOST_OCTETS + 1)
        if len(content) > _MOST_OCTETS:
            raise AnchorError(f"{path} is too large for a file of trust anchors")
        rrsets = dns.zonefile.read_rrsets(content.decode(), rdclass=None, default_ttl=0)
    except OSError as error:
        raise AnchorError(f"{path} can't be read: {error.strerror}") from error
    except (dns.exception.DNSException, ValueError) as error:
        text = " ".join(str(error).split())
        raise AnchorError(f"{path} holds no DS or DNSKEY records in zone-file text: {text}") from (
            error
        )
    found: dict[dns.name.Name, Anchor] = {}
    for rrset in rrsets:
        zone = rrset.name.canonicalize()
        found[zone] = _with(found.get(zone, Anchor(zone)), rrset, path)
    if not found:
        raise AnchorError(f"{path} holds no DS or DNSKEY record")
    return tuple(found[zone] for zone in sorted(found))


def read_option(option: Directive | None, base: Path) -> tuple[Anchor, ...]:
    """The *anchor* option of a directive's body; records of one zone in several files count
    together, and relative paths from `base`. Raises CorefileError."""
    found: dict[dns.name.Name, Anchor] = {}
    if option is None:
        return ()
    plain(option, 1, None, "anchor FILE…")
    for token in option.args:
        try:
            given = read(base / token.text)
        except AnchorError as error:
            raise CorefileError(token.place, str(error)) from error
        for one in given:
            same = found.get(one.zone, Anchor(one.zone))
            found[one.zone] = Anchor(one.zone, same.ds | one.ds, same.dnskeys | one.dnskeys)
    return tuple(found.values())


def _with(anchor: Anchor, rrset: dns.rrset.RRset, path: Path) -> Anchor:
    for one in rrset:
        if isinstance(one, dns.rdtypes.ANY.DS.DS):
            anchor = attrs.evolve(anchor, ds=anchor.ds | {one})
        elif isinstance(one, dns.rdtypes.ANY.DNSKEY.DNSKEY):
            anchor = attrs.evolve(anchor, dnskeys=anchor.dnskeys | {one})
        else:
            raise AnchorError(f"{path}: the record at {rrset.name} is neither DS nor DNSKEY")
    return anchor


def nearest(anchors: Iterable[Anchor], zone: dns.name.Name) -> Anchor | None:
    """That of the zone, or of the closest zone above it."""
    above = [one for one in anchors if zone.is_subdomain(one.zone)]
    return max(above, key=lambda one: len(one.zone), default=None)
