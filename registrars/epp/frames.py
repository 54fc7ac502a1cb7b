"""Data units on TCP: four octets with the length of the whole, then XML (RFC 5734 section 4)."""

from collections.abc import Callable

_HEADER = 4
# A domain with all its hosts takes some few KiB.
LARGEST = 1 << 20


class FrameError(Exception):
    """What came is no data unit."""


def pack(payload: bytes) -> bytes:
    return (len(payload) + _HEADER).to_bytes(_HEADER, "big") + payload


def read(receive: Callable[[int], bytes]) -> bytes:
    """One unit's XML. `receive` gives at most so many octets, and none when the other side has
    closed. Raises FrameError, and what `receive` raises."""
    length = int.from_bytes(_exactly(receive, _HEADER, "before an answer"), "big")
    if length <= _HEADER:
        raise FrameError(f"a frame says it has {length} octets")
    if length > LARGEST:
        raise FrameError(f"a frame says it has {length} octets, more than {LARGEST}")
    return _exactly(receive, length - _HEADER, "within a frame")


def _exactly(receive: Callable[[int], bytes], length: int, where: str) -> bytes:
    parts = []
    while length:
        part = receive(min(length, 65536))
        if not part:
            raise FrameError(f"the connection was closed {where}")
        parts.append(part)
        length -= len(part)
    return b"".join(parts)
