"""The lived time of a state database, read by all of its zones."""

import sqlite3

from signer import tables
from signer.clock import Clock
from signer.elapsed import Lived, Reading, since, witnessed
from signer.state import StateDatabase

# How old what is written down may get, in seconds: so much of it a crash of the machine loses.
# Then a wait lasts longer, never shorter.
_GRAIN = 1.0


class LivedTime:
    """One for each database, so that thousands of zones write it down once a second and not
    each for itself."""

    def __init__(self, database: StateDatabase, clock: Clock) -> None:
        self._database = database
        self._clock = clock
        self._written: Lived | None = None

    def reading(self) -> Reading:
        clock = self._clock
        return Reading(clock.wall(), clock.boot(), clock.boot_id(), clock.synchronised())

    async def now(self, witness: int | None = None) -> Lived:
        """Now, after what is in the database; written down, so that the next start goes on
        from here. `witness` is a moment that has passed for certain, in Unix seconds. Raises
        StateError."""
        reading = self.reading()
        written = self._written
        if written is not None and written.reading.boot_id == reading.boot_id:
            age = reading.boot - written.reading.boot
            if 0 <= age < _GRAIN and (witness is None or witnessed(written, witness) == written):
                return since(written, reading)

        def step(db: sqlite3.Connection) -> Lived:
            found = since(tables.load_lived(db), reading)
            if witness is not None:
                found = witnessed(found, witness)
            tables.save_lived(db, found)
            return found

        self._written = await self._database.run(step)
        return self._written
