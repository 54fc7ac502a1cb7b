"""What the parent says of a zone: the DS RRset at each of its servers."""

from typing import Protocol

import attrs
import dns.name


@attrs.frozen
class Seen:
    """Every server that was asked has answered. `common` is in every answer, `any` in at
    least one; both hold DS rdata in wire form. `ttl` is the highest, in seconds."""

    common: frozenset[bytes]
    any: frozenset[bytes]
    ttl: int
    servers: tuple[str, ...]

    @property
    def agreed(self) -> bool:
        return self.common == self.any


@attrs.frozen
class Unknown:
    """The parent could not be asked, or not all of it answered."""

    reason: str


@attrs.frozen
class NoParent:
    """`parent none`: an island, whose trust anchors are configured by hand."""


ParentAnswer = Seen | Unknown | NoParent


class ParentView(Protocol):
    async def ds(self, zone: dns.name.Name) -> ParentAnswer:
        """Ask now. Never raises for what a network can do."""
