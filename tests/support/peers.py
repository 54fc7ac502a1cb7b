"""Knot, NSD and BIND started on loopback addresses, and many questions put to a server."""

import contextlib
import random
import socket
import struct
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.message
import dns.name

WINDOW = 64

Zones = Sequence[tuple[str, Path]]


def knot(directory: Path, address: str, port: int, zones: Zones) -> list[str]:
    config = directory / "knot.conf"
    lines = [
        f"server:\n  rundir: {directory}\n  listen: {address}@{port}\n  tcp-workers: 1\n"
        "  udp-workers: 1\n  background-workers: 1",
        f"database:\n  storage: {directory}",
        "log:\n  - target: stderr\n    any: warning",
        "template:\n  - id: default\n    zonefile-sync: -1\n    journal-content: none\n"
        "    zonefile-load: whole\n    semantic-checks: off",
        "zone:",
        *(f"  - domain: {origin}\n    file: {path}" for origin, path in zones),
    ]
    config.write_text("\n".join([*lines, ""]))
    return ["knotd", "-c", str(config)]


def nsd(directory: Path, address: str, port: int, zones: Zones) -> list[str]:
    config = directory / "nsd.conf"
    lines = [
        f'server:\n  ip-address: {address}\n  port: {port}\n  username: ""\n  zonesdir: ""\n'
        f'  pidfile: ""\n  xfrdfile: "{directory}/xfrd.state"\n  xfrdir: "{directory}"\n'
        f'  zonelistfile: "{directory}/zone.list"\n  server-count: 1\n  rrl-ratelimit: 0\n'
        '  cookie-secret-file: ""\n  reuseport: no\n  verbosity: 0\n  minimal-responses: yes\n'
        "  tcp-query-count: 0\n",
        "remote-control:\n  control-enable: no",
        *(f'zone:\n  name: "{origin}"\n  zonefile: "{path}"' for origin, path in zones),
    ]
    config.write_text("\n".join([*lines, ""]))
    return ["nsd", "-d", "-c", str(config)]


def bind(directory: Path, address: str, port: int, zones: Zones) -> list[str]:
    config = directory / "named.conf"
    lines = [
        f'options {{ directory "{directory}"; listen-on port {port} {{ {address}; }};'
        " listen-on-v6 { none; }; recursion no; dnssec-validation no; allow-query { any; };"
        f' pid-file none; session-keyfile "{directory}/session.key"; notify no;'
        " minimal-responses no-auth; zero-no-soa-ttl no; check-names primary ignore; };",
        "controls { };",
        *(
            f'zone "{origin}" {{ type primary; file "{path}"; check-integrity no; }};'
            for origin, path in zones
        ),
    ]
    config.write_text("\n".join([*lines, ""]))
    return ["named", "-g", "-c", str(config)]


PEERS: dict[str, Callable[[Path, str, int, Zones], list[str]]] = {
    "knot": knot,
    "nsd": nsd,
    "bind": bind,
}


def door(peer: str, address: str) -> tuple[str, int]:
    """Where a peer can listen. BIND takes addresses of interfaces only, so that it has to be
    127.0.0.1, and some port that is free: below those that the kernel gives to whoever
    connects, and over both transports."""
    chosen = "127.0.0.1" if peer == "bind" else address
    while True:
        port = random.randrange(10_000, 32_000)
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as streams,
        ):
            datagrams.bind((chosen, port))
            streams.bind((chosen, port))
            return chosen, port


@contextmanager
def running(
    peer: str, directory: Path, address: str, port: int, zones: Zones
) -> Iterator["subprocess.Popen[bytes]"]:
    """Start a peer and wait until it answers for every zone."""
    directory.mkdir(parents=True)
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            PEERS[peer](directory, address, port, zones), stdout=output, stderr=output
        )
    try:
        until = time.monotonic() + 15
        for origin, _ in zones:
            while not _answers(address, port, origin):
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"{peer} does not answer for {origin}: {log.read_text()}")
                time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def _answers(address: str, port: int, origin: str) -> bool:
    query = dns.message.make_query(dns.name.from_text(origin), "SOA")
    try:
        replies = ask(address, port, [query.to_wire()])
    except OSError:
        return False
    return bool(dns.message.from_wire(replies[0]).answer)


def ask(address: str, port: int, queries: Sequence[bytes]) -> list[bytes]:
    """Replies over TCP, pipelined, in the order of the queries, whose IDs are set here."""
    replies: list[bytes] = []
    with socket.create_connection((address, port), timeout=10) as connection:
        stream = connection.makefile("rb")
        for start in range(0, len(queries), WINDOW):
            window = queries[start : start + WINDOW]
            connection.sendall(
                b"".join(
                    struct.pack("!HH", len(query), number) + query[2:]
                    for number, query in enumerate(window)
                )
            )
            found: dict[int, bytes] = {}
            while len(found) < len(window):
                head = stream.read(2)
                if len(head) < 2:
                    raise ConnectionError("the server closed the connection")
                reply = stream.read(int.from_bytes(head))
                found[int.from_bytes(reply[:2])] = reply
            replies += (found[number] for number in range(len(window)))
    return replies


def ask_udp(address: str, port: int, query: bytes) -> bytes:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(1)
        own.connect((address, port))
        for _ in range(5):
            own.send(query)
            try:
                return own.recv(65_535)
            except TimeoutError:
                continue
    raise TimeoutError(f"no reply from {address}:{port}")
