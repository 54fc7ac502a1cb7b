"""A zone that is not signed here: which of what its source gives is served, and under which
serial."""

from __future__ import annotations

import time

import dns.name

import engine
from zones.increment import Increment
from zones.offloop import OffLoop
from zones.plain import NextVersion, content_loss, next_version
from zones.serial import newer
from zones.source import SourceError
from zoneward import logging

_log = logging.get("zone")


class PlainZone:
    """Asked for the `next` version; told when it is `written`."""

    def __init__(
        self, block: str, origin: dns.name.Name, place: str, off: OffLoop, *, percent: int
    ) -> None:
        """`percent` of the names may go at a time without a person's word."""
        self._block = block
        self._origin = origin
        self._place = place
        self._off = off
        self._percent = percent
        # Digests: of the version that waits for a person's word, and of the one that has it.
        self._lost: bytes | None = None
        self._accepted: bytes | None = None
        # A serial that the next version has to pass, and the one that the last did.
        self._above: int | None = None
        self._passed: int | None = None

    def accept(self) -> bool:
        """Let the version through that waits for a person's word; whether one does."""
        self._accepted = self._lost
        return self._lost is not None

    def server_holds(self, serial: int, current: engine.Zone, *, foreign: bool) -> bool:
        """Whether a server holds a newer version than `current`, or another under its serial
        (`foreign`), as after lost state: the next version then is above that."""
        if newer(serial, current.serial) or (foreign and serial == current.serial):
            self._above = serial
            return True
        return False

    async def next(
        self, current: engine.Zone | None, read: engine.Zone | Increment
    ) -> NextVersion | None:
        """The version to serve after `current`; None when nothing changed. Raises SourceError."""
        if isinstance(read, Increment):
            assert current is not None
            self._passed = None
            found = await self._off.run(read.version, current)
            return None if found is None else NextVersion(*found)
        await self._guard(current, read)
        above = self._passed = self._above
        version = await self._off.run(next_version, current, read, self._place, above=above)
        if version is not None and version.zone.signature_count:
            await self._warn(version.zone, current)
        return version

    def written(self) -> None:
        """The last version is on disk."""
        if self._above == self._passed:
            self._above = None

    async def _guard(self, current: engine.Zone | None, read: engine.Zone) -> None:
        """Raises SourceError for a version that needs a person's word and has none."""
        loss = await self._off.run(content_loss, current, read, percent=self._percent)
        digest = await self._off.run(read.digest) if loss else None
        if loss is not None and digest != self._accepted:
            self._lost = digest
            remedy = f"if that is meant, `zoneward zones accept {self._origin}`"
            raise SourceError(self._place, f"held: {loss}", remedy)
        self._lost = self._accepted = None

    async def _warn(self, zone: engine.Zone, current: engine.Zone | None) -> None:
        """`gate warn`: what a validator would refuse in a presigned zone is said, not held."""

        def check() -> engine.Report:
            return engine.verify(zone, at=int(time.time()), since=current, max_failures=3)

        report = await self._off.run(check)
        if report.failure_count:
            first = "; ".join(failure.message for failure in report.failures)
            _log.warning(
                f"zone {self._origin} serial {zone.serial}: validators would refuse it: "
                f"{report.failure_count} failures: {first}",
                block=self._block,
            )
