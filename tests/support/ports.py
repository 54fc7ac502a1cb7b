"""Ports for servers of the tests."""

import contextlib
import random
import socket

# Hypothesis sets the seed of the common one, alike in all processes of a run.
_chance = random.SystemRandom()


def free_port(address: str) -> int:
    """Of no use to UDP and TCP now, and below those that connections get by themselves."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    while True:
        port = _chance.randrange(20_000, 32_000)
        with (
            socket.socket(family, socket.SOCK_DGRAM) as udp,
            socket.socket(family, socket.SOCK_STREAM) as tcp,
            contextlib.suppress(OSError),
        ):
            udp.bind((address, port))
            tcp.bind((address, port))
            return port
