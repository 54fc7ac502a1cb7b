"""The RRsets of one name while they are collected, and as zone-file text. No I/O."""

from __future__ import annotations

from collections.abc import Mapping

import attrs

# Octets of rdata in one RRset; a message has 65,535 for it and its signature.
_LARGEST_RRSET = 48 * 1024
#: RRsets by type: TTL and rdata in presentation form.
Records = Mapping[str, tuple[int, tuple[str, ...]]]


@attrs.define
class Builder:
    """Collects one name's RRsets: no record twice, one TTL a set (RFC 2181 section 5.2)."""

    sets: dict[str, dict[str, None]] = attrs.field(factory=dict)
    ttls: dict[str, int] = attrs.field(factory=dict)
    sizes: dict[str, int] = attrs.field(factory=dict)

    def add(self, rtype: str, ttl: int, rdata: str, octets: int) -> None:
        rdatas = self.sets.get(rtype)
        if rdatas is None:
            rdatas = self.sets[rtype] = {}
            self.ttls[rtype], self.sizes[rtype] = ttl, 0
        if rdata not in rdatas:
            size = self.sizes[rtype] + octets
            if size > _LARGEST_RRSET:
                return
            rdatas[rdata] = None
            self.sizes[rtype] = size
        if ttl < self.ttls[rtype]:
            self.ttls[rtype] = ttl

    def records(self) -> Records:
        return {rtype: (self.ttls[rtype], tuple(rdatas)) for rtype, rdatas in self.sets.items()}


def zone_text(name: str, records: Records) -> str:
    """One name's RRsets as zone-file lines."""
    return "".join(
        f"{name} {ttl} IN {rtype} {rdata}\n"
        for rtype, (ttl, rdatas) in records.items()
        for rdata in rdatas
    )
