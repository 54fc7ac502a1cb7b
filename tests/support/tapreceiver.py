"""A receiver of dnstap in this process that reads as a test says, and what it was sent."""

import contextlib
import socket
import threading
from collections.abc import Iterator
from pathlib import Path

import attrs

CONTENT_TYPE = b"protobuf:dnstap.Dnstap"
ACCEPT, START, STOP, READY, FINISH = range(1, 6)
NAMES = {5: "CLIENT_QUERY", 6: "CLIENT_RESPONSE", 7: "FORWARDER_QUERY", 8: "FORWARDER_RESPONSE"}


def control(kind: int, *content_types: bytes) -> bytes:
    body = kind.to_bytes(4)
    for value in content_types:
        body += (1).to_bytes(4) + len(value).to_bytes(4) + value
    return bytes(4) + len(body).to_bytes(4) + body


def fields(octets: bytes) -> dict[int, int | bytes]:
    """A protobuf message by its fields' numbers."""

    def varint() -> int:
        nonlocal at
        value = shift = 0
        while True:
            octet = octets[at]
            at += 1
            value |= (octet & 127) << shift
            shift += 7
            if octet < 128:
                return value

    found: dict[int, int | bytes] = {}
    at = 0
    while at < len(octets):
        number, kind = divmod(varint(), 8)
        if kind == 0:
            found[number] = varint()
        else:
            length = varint() if kind == 2 else 4
            found[number] = octets[at : at + length]
            at += length
    return found


@attrs.frozen
class Tapped:
    """A dnstap message: its own fields and those around it."""

    outer: dict[int, int | bytes]
    inner: dict[int, int | bytes]

    @classmethod
    def of(cls, frame: bytes) -> "Tapped":
        outer = fields(frame)
        inner = outer[14]
        assert isinstance(inner, bytes)
        return cls(outer, fields(inner))

    @property
    def kind(self) -> str:
        number = self.inner[1]
        assert isinstance(number, int)
        return NAMES[number]

    @property
    def content(self) -> bytes:
        """The DNS message; empty without."""
        found = self.inner.get(10, self.inner.get(14, b""))
        assert isinstance(found, bytes)
        return found


class Receiver:
    """Listens on a Unix socket. `reads`: whether it takes frames once it has let a sender in."""

    def __init__(self, path: Path, *, reads: bool = True) -> None:
        self.path, self.reads = path, reads
        self.frames: list[bytes] = []
        self.ends = 0
        self.greeted = 0
        self._streams: list[socket.socket] = []
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._listener.bind(str(path))
        self._listener.listen(4)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def messages(self) -> list[Tapped]:
        return [Tapped.of(frame) for frame in self.frames]

    def close(self) -> None:
        """Nobody listens after that, and what is connected is cut off."""
        for one in (self._listener, *self._streams):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.path.unlink(missing_ok=True)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                stream, _ = self._listener.accept()
                self._streams.append(stream)
                threading.Thread(target=self._converse, args=(stream,), daemon=True).start()

    def _converse(self, stream: socket.socket) -> None:
        with contextlib.suppress(OSError, ValueError):
            source = stream.makefile("rb")
            assert source.read(42) == control(READY, CONTENT_TYPE)
            stream.sendall(control(ACCEPT, CONTENT_TYPE))
            assert source.read(42) == control(START, CONTENT_TYPE)
            self.greeted += 1
            while self.reads and (length := source.read(4)):
                if length == bytes(4):
                    assert source.read(8) == control(STOP)[4:]
                    stream.sendall(control(FINISH))
                    self.ends += 1
                    return
                frame = source.read(int.from_bytes(length))
                if len(frame) == int.from_bytes(length):
                    self.frames.append(frame)


@contextlib.contextmanager
def receiving(path: Path, *, reads: bool = True) -> Iterator[Receiver]:
    found = Receiver(path, reads=reads)
    try:
        yield found
    finally:
        found.close()
