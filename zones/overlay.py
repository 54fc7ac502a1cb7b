"""A source with records of ours on top: what is signed, gated and transferred as if it had been
in the source."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Executor

import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

import engine
from zones.increment import Increment
from zones.source import Followed, Hint, Source, Standing

#: Zone-file text of the records to add to a zone, with absolute names; empty for none.
Lay = Callable[[engine.Zone], str]


class OverlaidSource:
    """`lay` is asked each time the source was read. It never hints by itself: who changes what
    `lay` gives has the zone loaded again."""

    def __init__(self, inner: Source, lay: Lay, executor: Executor) -> None:
        self._inner = inner
        self._lay = lay
        self._executor = executor

    @property
    def origin(self) -> dns.name.Name:
        return self._inner.origin

    async def load(self) -> engine.Zone:
        """The source with the records. Raises SourceError."""
        zone = await self._inner.load()
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._executor, lambda: overlaid(zone, self._lay(zone)))

    def changes(self) -> AsyncIterator[Hint]:
        return self._inner.changes()

    async def increment(self, base: engine.Zone) -> Increment | None:
        """Never: what is laid on top may be different wherever it is."""
        del base
        return None

    async def taken(self) -> None:
        if isinstance(self._inner, Followed):
            await self._inner.taken()

    async def list_again(self) -> None:
        """Raises SourceError."""
        if isinstance(self._inner, Followed):
            await self._inner.list_again()

    def standing(self) -> Standing | None:
        return self._inner.standing() if isinstance(self._inner, Followed) else None

    async def stop(self) -> None:
        if isinstance(self._inner, Followed):
            await self._inner.stop()


def overlaid(zone: engine.Zone, text: str) -> engine.Zone:
    """The zone with more records. Raises EngineError."""
    soa = zone.rrset(zone.origin, dns.rdatatype.SOA)
    if not text or soa is None:
        return zone
    rdata = dns.rdata.from_wire(
        dns.rdataclass.IN, dns.rdatatype.SOA, soa.rdatas[0], 0, len(soa.rdatas[0])
    )
    origin, _ = dns.name.from_wire(zone.origin, 0)
    # Their difference begins and ends at the zone's own serial.
    head = f"{origin} {soa.ttl} IN SOA {rdata.to_text()}\n"
    bare, more = (engine.scan_text(part.encode(), zone.origin) for part in (head, head + text))
    return zone.apply(bare.difference(more))
