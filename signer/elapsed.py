"""Lived time: seconds that have certainly passed since the state database was made.

Waits are measured in it. Setting the wall clock, even by years, does not move it; a time in
which nobody can say how much has passed counts as little as is certain.
"""

import attrs


@attrs.frozen
class Reading:
    """Both clocks, read together. `synchronised`: a time source disciplines the wall clock."""

    wall: int
    boot: float
    boot_id: str
    synchronised: bool


@attrs.frozen
class Lived:
    """The last reading and the lived seconds until then. `jump` is how far the wall clock
    was moved against the boot clock since the reading before, in seconds."""

    reading: Reading
    seconds: float = 0.0
    jump: float = 0.0


def since(last: Lived | None, reading: Reading) -> Lived:
    """Go on from the last reading, of this process or of one before it."""
    if last is None:
        return Lived(reading)
    wall = reading.wall - last.reading.wall
    if reading.boot_id == last.reading.boot_id:
        passed = max(0.0, reading.boot - last.reading.boot)
        return Lived(reading, last.seconds + passed, wall - passed)
    # Another start of the machine: the wall clock is evidence where it was right both
    # times; without it, what has passed for certain is the time since that start.
    passed = max(0.0, reading.boot)
    if reading.synchronised and last.reading.synchronised:
        passed = max(passed, float(wall))
    return Lived(reading, last.seconds + passed)
