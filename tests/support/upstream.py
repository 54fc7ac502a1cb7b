"""An upstream in this process that answers as a test says, over UDP and TCP."""

import contextlib
import random
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import attrs
import dns.message
import dns.rrset


@attrs.frozen
class Heard:
    """A query as it came."""

    wire: bytes
    transport: str
    client: tuple[str, int]

    @property
    def message(self) -> dns.message.Message:
        return dns.message.from_wire(self.wire)

    @property
    def name(self) -> str:
        """As it was spelled."""
        return self.message.question[0].name.to_text()


Answer = Callable[[Heard], bytes | list[bytes] | None]


class Upstream:
    """`answer` gives what is sent back: a message, several, or nothing. The query's `client` is
    where a forger would have to send to."""

    def __init__(self, address: str, answer: Answer, *, udp: bool = True, tcp: bool = True) -> None:
        self.address, self.answer = address, answer
        self.heard: list[Heard] = []
        self.connections = 0
        self._open = True
        self._streams: list[socket.socket] = []
        self.udp, self.tcp, self.port = _sockets(address)
        if udp:
            threading.Thread(target=self._datagrams, daemon=True).start()
        else:
            self.udp.close()
        if tcp:
            self.tcp.listen(16)
            threading.Thread(target=self._accept, daemon=True).start()
        else:
            self.tcp.close()

    @property
    def config(self) -> dict[str, object]:
        return {"address": self.address, "port": self.port}

    def close(self) -> None:
        """Its port is closed after that: who asks is told so at once."""
        self._open = False
        # What waits in a system call is only woken by this.
        for one in (self.udp, self.tcp):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self.hang_up()

    def hang_up(self) -> None:
        """Close the connections that there are."""
        for one in self._streams:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
            one.close()
        self._streams.clear()

    def _replies(self, wire: bytes, transport: str, client: tuple[str, int]) -> list[bytes]:
        heard = Heard(wire, transport, client)
        self.heard.append(heard)
        found = self.answer(heard)
        if found is None:
            return []
        return found if isinstance(found, list) else [found]

    def _datagrams(self) -> None:
        with contextlib.suppress(OSError):
            while self._open:
                wire, client = self.udp.recvfrom(4096)
                if not wire:
                    continue
                for reply in self._replies(wire, "udp", client):
                    self.udp.sendto(reply, client)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while self._open:
                stream, client = self.tcp.accept()
                self.connections += 1
                self._streams.append(stream)
                threading.Thread(target=self._converse, args=(stream, client), daemon=True).start()

    def _converse(self, stream: socket.socket, client: tuple[str, int]) -> None:
        with contextlib.suppress(OSError, ValueError):
            source = stream.makefile("rb")
            while length := source.read(2):
                wire = source.read(int.from_bytes(length))
                for reply in self._replies(wire, "tcp", client):
                    stream.sendall(len(reply).to_bytes(2) + reply)


def _sockets(address: str) -> tuple[socket.socket, socket.socket, int]:
    """A port that both transports have free, below those that the kernel gives away."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        port = random.randrange(10_000, 32_000)
        udp = socket.socket(family, socket.SOCK_DGRAM)
        tcp = socket.socket(family, socket.SOCK_STREAM)
        tcp.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            udp.bind((address, port))
            tcp.bind((address, port))
        except OSError:
            udp.close()
            tcp.close()
            continue
        return udp, tcp, port


@contextmanager
def upstream(
    address: str, answer: Answer, *, udp: bool = True, tcp: bool = True
) -> Iterator[Upstream]:
    one = Upstream(address, answer, udp=udp, tcp=tcp)
    try:
        yield one
    finally:
        one.close()


def reply_to(heard: Heard, *records: str, rcode: int = 0, flags: int = 0) -> dns.message.Message:
    """A reply with these records in the answer section: "NAME TTL IN TYPE RDATA"."""
    reply = dns.message.make_response(heard.message, recursion_available=True)
    reply.flags |= flags
    reply.set_rcode(rcode)
    reply.answer = [dns.rrset.from_text(*record.split(" ", 4)) for record in records]
    return reply


def address_of(heard: Heard, address: str = "192.0.2.1", ttl: int = 60) -> bytes:
    """The usual answer: one address."""
    return reply_to(heard, f"{heard.name} {ttl} IN A {address}").to_wire()
