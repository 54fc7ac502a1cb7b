"""Catalog zones (RFC 9432) read by the server: which zones a block has."""

from collections.abc import Iterable

from corefile.names import encloses, wire_name
from engine import RRset, Zone

_PTR, _TXT = 12, 16
_VERSION = b"\x012"


class CatalogError(Exception):
    """A catalog that can't be used; what it said before goes on to count."""


def members(catalog: Zone, bounds: Iterable[str]) -> frozenset[str]:
    """The member zones of a catalog, absolute text. Raises CatalogError when its version is
    not 2 (RFC 9432 section 4.2.1), a member is no name, or one lies outside of `bounds`."""
    version = catalog.rrset(b"\x07version" + catalog.origin, _TXT)
    if version is None or version.rdatas != [_VERSION]:
        raise CatalogError("the catalog's version is not 2")
    limits = tuple(bounds)
    found: set[str] = set()
    for rrset in catalog:
        if rrset.rtype == _PTR and _is_member(rrset, catalog.origin):
            if len(rrset.rdatas) != 1:
                raise CatalogError("a member of the catalog has more than one PTR record")
            try:
                zone = wire_name(rrset.rdatas[0])
            except ValueError as error:
                raise CatalogError(f"a member of the catalog: {error}") from None
            if not any(encloses(limit, zone) for limit in limits):
                raise CatalogError(f"the catalog's member {zone} lies outside of the block's keys")
            found.add(zone)
    return frozenset(found)


def _is_member(rrset: RRset, origin: bytes) -> bool:
    """UNIQUE.zones.CATALOG, one label before `zones` (RFC 9432 section 4.1)."""
    owner = rrset.owner
    return bool(owner) and owner[1 + owner[0] :].lower() == b"\x05zones" + origin.lower()
