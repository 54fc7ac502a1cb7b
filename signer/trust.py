"""What validation starts from and comes to: anchors, keys that are trusted, and the other
outcomes of RFC 4035 section 4.3."""

import attrs
import dns.name
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS


@attrs.frozen
class Anchor:
    """What names the keys of a zone that may sign its DNSKEY RRset: DS or DNSKEY records that
    are configured, or a DS RRset that was validated."""

    zone: dns.name.Name
    ds: frozenset[dns.rdtypes.ANY.DS.DS] = frozenset()
    dnskeys: frozenset[dns.rdtypes.ANY.DNSKEY.DNSKEY] = frozenset()


@attrs.frozen
class ZoneKeys:
    """The DNSKEY RRset of a zone, validated: what it signs is secure."""

    zone: dns.name.Name
    dnskeys: tuple[dns.rdtypes.ANY.DNSKEY.DNSKEY, ...]


@attrs.frozen
class Insecure:
    """Proved to have no chain that we could check, and why."""

    reason: str


@attrs.frozen
class Bogus:
    """A chain should be there, and what was given does not fit it."""

    reason: str
