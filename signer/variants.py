"""The versions of one zone, one for each block that has it: what they show together, and when
the next of them is due."""

from collections.abc import Iterator

import attrs

import engine
from signer.candidate import Apex
from signer.hold import Hold
from signer.observer import Published
from signer.policy import Policy
from signer.served import dnskey_expiration, published_names
from signer.signing import resign_due
from signer.variant import Variant


@attrs.define
class Variants:
    """Times are Unix seconds."""

    policy: Policy
    _found: dict[str, Variant] = attrs.field(init=False, factory=dict)

    def __iter__(self) -> Iterator[Variant]:
        return iter(self._found.values())

    def of(self, name: str) -> Variant:
        """A block's; one that is new has nothing on disk."""
        return self._found.setdefault(name, Variant(name))

    def forget(self, name: str) -> None:
        self._found.pop(name, None)

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(self._found)

    @property
    def bases(self) -> list[engine.Zone]:
        """What is on disk."""
        return [one.base for one in self if one.base is not None]

    def dnskeys(self) -> frozenset[bytes]:
        """The DNSKEY rdata in the versions that are on disk."""
        return frozenset[bytes]().union(*(Apex.of(base).dnskeys for base in self.bases))

    def dnskey_expiration(self) -> int | None:
        """When the first signature of a DNSKEY RRset ends."""
        ends = (dnskey_expiration(base) for base in self.bases)
        return min((end for end in ends if end is not None), default=None)

    def published(self) -> Published:
        """The zone's name servers."""
        bases = self.bases
        return published_names(bases[0]) if bases else Published()

    def taken(self) -> dict[str, int | None]:
        """The serial that our own server has taken of each; None where what it holds is of an
        earlier life, which shows nothing of our keys."""
        return {
            one.name: None if one.behind or one.observed_foreign else one.observed_serial
            for one in self
        }

    def content_hold(self) -> Hold | None:
        """Why a version waits for a person."""
        return next((one.content_hold for one in self if one.content_hold is not None), None)

    def outdated(self, wanted: object) -> list[Variant]:
        """Those whose version shows what the keys have moved on from, whoever moved them."""
        return [one for one in self if one.outdated(wanted)]

    def dues(self) -> list[int]:
        """When each has signatures to renew."""
        return [due for due in map(self._due, self) if due is not None]

    def expiring(self, now: int) -> tuple[str, ...]:
        """Those that have signatures to renew now."""
        return tuple(one.name for one in self if (due := self._due(one)) is not None and due <= now)

    def _due(self, one: Variant) -> int | None:
        if one.earliest_expiration is None:
            return None
        return max(resign_due(one.earliest_expiration, self.policy), one.retry_at)
