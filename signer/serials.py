"""Which serial a version gets (RFC 1982): never one that was used, whatever was lost."""

from collections.abc import Iterable

from zones.serial import following, newer


def highest(serials: Iterable[int]) -> int | None:
    """The newest of some serials; where two are not in order, the one met first stays."""
    found: int | None = None
    for serial in serials:
        if found is None or newer(serial, found):
            found = serial
    return found


def next_serial(source: int, taken: Iterable[int]) -> int:
    """The serial of the next version. `taken` are all that must stay below it: of the
    version before, of what our servers hold, of the last reservation. The source's own is
    used where it is ahead of them, so that a person finds the number again."""
    floor = highest(taken)
    if floor is None:
        return source
    return following(floor, at_least=source)
