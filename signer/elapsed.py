"""Lived time: seconds that have certainly passed since the state database was made.

Waits are measured in it. Setting the wall clock, even by years, does not move it; a time in
which nobody can say how much has passed counts as little as is certain. What passed while the
machine was down counts once there is evidence of it: a disciplined clock, or a signature that
the parent cannot have made before.
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
class Sure:
    """When the wall clock was last disciplined: Unix seconds and lived seconds of one moment."""

    wall: int
    seconds: float
    boot_id: str


@attrs.frozen
class Lived:
    """The last reading and the lived seconds until then. `jump` is how far the wall clock
    was moved against the boot clock since the reading before, in seconds."""

    reading: Reading
    seconds: float = 0.0
    jump: float = 0.0
    sure: Sure | None = None


def since(last: Lived | None, reading: Reading) -> Lived:
    """Go on from the last reading, of this process or of one before it."""
    if last is None:
        found = Lived(reading)
    elif reading.boot_id == last.reading.boot_id:
        passed = max(0.0, reading.boot - last.reading.boot)
        jump = reading.wall - last.reading.wall - passed
        found = Lived(reading, last.seconds + passed, jump, last.sure)
    else:
        # Another start of the machine: what has passed for certain is the time since then.
        found = Lived(reading, last.seconds + max(0.0, reading.boot), sure=last.sure)
    if not reading.synchronised:
        return found
    # The wall clock is evidence where it was right both times, in two starts of the machine.
    found = witnessed(found, reading.wall)
    sure = Sure(reading.wall, found.seconds, reading.boot_id)
    return attrs.evolve(found, sure=sure)


def witnessed(lived: Lived, moment: int) -> Lived:
    """It is certain that `moment`, in Unix seconds, has passed. Within one start of the machine
    the boot clock knows better."""
    sure = lived.sure
    if sure is None or sure.boot_id == lived.reading.boot_id:
        return lived
    return attrs.evolve(lived, seconds=max(lived.seconds, sure.seconds + moment - sure.wall))
