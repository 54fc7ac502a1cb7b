"""Following the manager: one subscription a block, catalog first, then its members.

A subscription never gives up: without the manager the copies go on being served until their
time is over, and it tries again with growing pauses.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import attrs

from corefile.arguments import Endpoint
from corefile.link import ALGORITHM, LinkKey, catalog_name, derive
from corefile.names import encloses, name_wire, wire_name
from corefile.secrets import SecretError
from engine import EngineError, TsigKey, Zone
from server.compile import BlockData
from server.copies import DAMAGED, Copy, CopyStore
from server.freshness import Timers, believable_contact, poll_interval, retry_interval, valid_until
from server.members import CatalogError, members
from server.transfer import Connection, Received

_log = logging.getLogger("zoneward.server.subscriptions")

_SOA = 6
_FIRST_PAUSE, _LONGEST_PAUSE = 0.2, 10.0
# How old a contact on disk may get before it is written again.
_CONTACT_GRAIN = 5
_CATALOG_POLL = 30.0
# Questions that fall into so many seconds are asked one after the other.
_TOGETHER = 0.5
_QUIET_ATTEMPTS = 4
# What the engine says of a transfer that the manager can't give.
_NO_VERSION = "the primary answers SERVFAIL"
TROUBLE = (SecretError, OSError, EOFError, EngineError, TimeoutError, CatalogError, ValueError)

Publish = Callable[[str, Zone, int], None]
Withdraw = Callable[[str, bytes], None]
Link = Callable[[], bytes]


@attrs.define
class Followed:
    """A member zone as it stands. Times are Unix seconds, `due` is the loop's clock."""

    zone: Zone | None = None
    timers: Timers | None = None
    expiration: int | None = None
    contact: int = 0
    contact_on_disk: int = 0
    valid_until: int = 0
    due: float = 0.0
    problem: str | None = None


class Subscription:
    """One block's zones. `publish` and `withdraw` are the engine's."""

    def __init__(
        self,
        block: BlockData,
        where: Path | Endpoint,
        link: Link,
        directory: Path,
        publish: Publish,
        withdraw: Withdraw,
    ) -> None:
        self.block = block
        self._where = where
        self._link = link
        self._zones = CopyStore(directory / "zones" / block.id)
        self._catalogs = CopyStore(directory / "catalogs")
        self._publish = publish
        self._withdraw = withdraw
        self._catalog_name = catalog_name(block.id)
        self._catalog: Zone | None = None
        self._catalog_due = 0.0
        self._key: TsigKey | None = None
        self._connection: Connection | None = None
        self._wake = asyncio.Event()
        # In the order in which they were told.
        self._told: dict[str, None] = {}
        self.followed: dict[str, Followed] = {}

    # --- before the manager is reachable ---

    def restore(self) -> list[str]:
        """Publish the copies on disk; blocks on it. Gives lines for the log."""
        copies, problems = self._zones.load_all()
        for copy in copies:
            origin = wire_name(copy.zone.origin)
            if any(encloses(bound, origin) for bound in self.block.bounds):
                problems += self._restore(origin, copy)
        try:
            copy_of_catalog = self._catalogs.load(self._catalog_name)
        except EngineError as error:
            if error.code == DAMAGED:
                self._catalogs.remove(self._catalog_name)
            problems.append(f"the copy of {self._catalog_name} is fetched anew: {error}")
        else:
            self._catalog = copy_of_catalog.zone if copy_of_catalog is not None else None
        return problems

    def _restore(self, origin: str, copy: Copy) -> list[str]:
        contact = believable_contact(copy.contact, int(time.time()))
        entry = Followed(contact=contact, contact_on_disk=contact)
        try:
            self._show(origin, entry, copy.zone)
        except TROUBLE as error:
            return [f"{origin}: the copy on disk can't be served: {error}"]
        self.followed[origin] = entry
        return []

    def republish(self, block: BlockData) -> None:
        """Take another reading of the same block, and publish what is here again."""
        self.block = block
        for entry in self.followed.values():
            if entry.zone is not None:
                self._publish(block.id, entry.zone, entry.valid_until)

    # --- following ---

    def told(self, origin: str) -> None:
        """A NOTIFY (RFC 1996) for a member or the catalog came."""
        self._told[origin] = None
        self._wake.set()

    @property
    def missing(self) -> tuple[str, ...]:
        """Zones that are configured, or in the catalog, and have no version to serve."""
        expected = dict.fromkeys((*self.block.zones, *self.followed))
        return tuple(
            origin
            for origin in expected
            if origin not in self.followed or self.followed[origin].zone is None
        )

    async def run(self) -> None:
        """Follow until cancelled."""
        pause = _FIRST_PAUSE
        complaint = None
        # Both processes start together: that the manager is not there yet is no news.
        quiet = _QUIET_ATTEMPTS
        while True:
            try:
                self._key = tsig_key(derive(await asyncio.to_thread(self._link), self.block.id))
                self._connection = await Connection.open(self._where)
                if complaint is not None:
                    _log.info("block %s: the manager is back", self.block.id)
                complaint, quiet = None, 0
                self._catalog_due = 0.0
                for entry in self.followed.values():
                    entry.due = 0.0
                while True:
                    await self._round()
                    pause = _FIRST_PAUSE
                    await self._sleep()
            except TROUBLE as error:
                text = str(error) or type(error).__name__
                quiet -= 1
                if text != complaint and quiet < 0:
                    complaint = text
                    _log.warning(
                        "block %s: can't follow the manager at %s: %s; what is here goes on being "
                        "served, trying again",
                        self.block.id,
                        self._where,
                        text,
                    )
            finally:
                await self._hang_up()
            await self._rest(pause)
            pause = min(pause * 2, _LONGEST_PAUSE)

    async def _rest(self, pause: float) -> None:
        """A NOTIFY says that the manager is back."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause):
                await self._wake.wait()
        self._wake.clear()

    async def _hang_up(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()

    async def _ask(self, origin: str, base: Zone | None) -> Received | None:
        """A transfer; where a difference does not fit what is here, of the whole zone (RFC 1995
        section 4 leaves that to us)."""
        try:
            return await self._ask_once(origin, base)
        except EngineError as error:
            if base is None or error.code != "difference":
                raise
            _log.warning(
                "zone %s of block %s: %s; asking for the whole zone", origin, self.block.id, error
            )
            return await self._ask_once(origin, None)

    async def _ask_once(self, origin: str, base: Zone | None) -> Received | None:
        """After a transfer that went wrong the connection is a new one, since nobody knows what
        is still to come on the old."""
        if self._connection is None:
            self._connection = await Connection.open(self._where)
        assert self._key is not None
        try:
            return await self._connection.transfer(origin, base, self._key)
        except EngineError:
            await self._hang_up()
            raise

    async def _sleep(self) -> None:
        now = asyncio.get_running_loop().time()
        dues = [self._catalog_due, *(entry.due for entry in self.followed.values())]
        waits: list[asyncio.Task[Any]] = [asyncio.create_task(self._wake.wait())]
        if self._connection is not None:
            waits.append(asyncio.create_task(self._connection.gone()))
        try:
            await asyncio.wait(
                waits, timeout=max(0.0, min(dues) - now), return_when=asyncio.FIRST_COMPLETED
            )
            if self._connection is not None and waits[1].done():
                raise ConnectionResetError("it has hung up")
        finally:
            await _cancel(waits)
        self._wake.clear()

    async def _round(self) -> None:
        """Ask for all that is due. What a NOTIFY tells of goes first, also of those that come
        meanwhile: a round of thousands can take minutes while the manager is busy."""
        await self._follow_told()
        now = asyncio.get_running_loop().time() + _TOGETHER
        if now >= self._catalog_due:
            await self._follow_catalog()
        for origin in [name for name, entry in self.followed.items() if now >= entry.due]:
            await self._follow_told()
            entry = self.followed.get(origin)
            if entry is not None and now >= entry.due:
                await self._follow_zone(origin, entry)

    async def _follow_told(self) -> None:
        while self._told:
            origin = next(iter(self._told))
            del self._told[origin]
            if origin == self._catalog_name:
                await self._follow_catalog()
            elif (entry := self.followed.get(origin)) is not None:
                await self._follow_zone(origin, entry)

    async def _follow_catalog(self) -> None:
        received = await self._ask(self._catalog_name, self._catalog)
        self._catalog_due = asyncio.get_running_loop().time() + _CATALOG_POLL
        if received is not None and self._believes(received.zone):
            self._catalog = received.zone
            await self._keep(self._catalogs, self._catalog_name, received, int(time.time()))
        if self._catalog is None:
            return
        listed = members(self._catalog, self.block.bounds)
        for origin in [name for name in self.followed if name not in listed]:
            _log.info("zone %s left the catalog of block %s", origin, self.block.id)
            del self.followed[origin]
            self._withdraw(self.block.id, name_wire(origin))
            await asyncio.to_thread(self._zones.remove, origin)
        for origin in sorted(listed - self.followed.keys()):
            self.followed[origin] = Followed()

    def _believes(self, catalog: Zone) -> bool:
        """A catalog that can't be used does not replace one that can."""
        try:
            members(catalog, self.block.bounds)
        except CatalogError as error:
            _log.error("block %s: its catalog is refused: %s", self.block.id, error)
            return False
        return True

    async def _follow_zone(self, origin: str, entry: Followed) -> None:
        loop = asyncio.get_running_loop()
        before = entry.contact
        # Only the manager on this machine sends NOTIFY.
        told = len(self.followed) if isinstance(self._where, Path) else 1
        try:
            received = await self._ask(origin, entry.zone)
            entry.contact = int(time.time())
            current = entry.zone if received is None else received.zone
            if current is not None:
                self._show(origin, entry, current)
        except (EngineError, ValueError) as error:
            entry.contact = before
            # Of this zone alone.
            problem = str(error)
            if entry.zone is None and problem.endswith(_NO_VERSION):
                problem = "the manager has no version of it yet"
            if problem != entry.problem:
                entry.problem = problem
                # A zone that is new to the catalog may have to be signed first.
                level = logging.INFO if entry.zone is None else logging.WARNING
                _log.log(level, "zone %s of block %s: %s", origin, self.block.id, problem)
            entry.due = loop.time() + retry_interval(told)
            return
        entry.problem = None
        if received is not None:
            await self._keep(self._zones, origin, received, entry.contact)
            entry.contact_on_disk = entry.contact
            _log.info("zone %s serial %d is served", origin, received.zone.serial)
        elif entry.zone is not None:
            await self._keep_contact(origin, entry)
        expire = entry.timers.expire if entry.timers is not None else 0
        # The next question tells the manager that a new version is here, and steps wait for that.
        entry.due = loop.time() + poll_interval(expire, told if received is None else 1)

    def _show(self, origin: str, entry: Followed, zone: Zone) -> None:
        """Raises EngineError or ValueError; what was served is served on then."""
        timers, expiration = entry.timers, entry.expiration
        if entry.zone is not zone or timers is None:
            soa = zone.rrset(name_wire(origin), _SOA)
            if soa is None:
                raise ValueError(f"{origin} has no SOA record")
            timers, expiration = Timers.of(soa.rdatas[0]), zone.earliest_expiration()
        until = valid_until(entry.contact, timers.expire, expiration)
        self._publish(self.block.id, zone, until)
        entry.timers, entry.expiration = timers, expiration
        entry.zone, entry.valid_until = zone, until

    async def _keep(self, store: CopyStore, origin: str, received: Received, contact: int) -> None:
        try:
            await asyncio.to_thread(store.save, origin, received.zone, received.diffs, contact)
        except (EngineError, OSError) as error:
            _log.error(
                "zone %s: the copy can't be written, a restart would serve the one before: %s",
                origin,
                error,
            )

    async def _keep_contact(self, origin: str, entry: Followed) -> None:
        if entry.contact - entry.contact_on_disk < _CONTACT_GRAIN:
            return
        try:
            await asyncio.to_thread(self._zones.save_contact, origin, entry.contact)
        except OSError as error:
            _log.error("zone %s: the time of contact can't be written: %s", origin, error)
            return
        entry.contact_on_disk = entry.contact


async def _cancel(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def tsig_key(derived: LinkKey) -> TsigKey:
    return TsigKey(derived.name_wire, ALGORITHM, derived.secret)
