"""Many questions, one behind the other, each answered before the next but for a few."""

import socket
from collections.abc import Iterable

import dns.message

_AT_ONCE = 16


def ask_all(address: str, port: int, names: Iterable[str], *, patience: float = 10.0) -> int:
    """How many of the queries were answered: A, over UDP."""
    answered = 0
    template = dns.message.make_query("x.", "A", id=0).to_wire()[:12]
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(patience)
        own.connect((address, port))
        waiting: set[int] = set()

        def read_one() -> None:
            nonlocal answered
            waiting.remove(int.from_bytes(own.recv(4096)[:2]))
            answered += 1

        for number, name in enumerate(names):
            labels = [label.encode() for label in name.rstrip(".").split(".")]
            question = b"".join(bytes([len(label)]) + label for label in labels)
            own.send(
                (number & 65535).to_bytes(2) + template[2:] + question + bytes((0, 0, 1, 0, 1))
            )
            waiting.add(number & 65535)
            if len(waiting) >= _AT_ONCE:
                read_one()
        while waiting:
            read_one()
    return answered
