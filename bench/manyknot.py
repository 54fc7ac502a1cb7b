"""Knot with many zones that it signs by itself, for bench.manyzones."""

import contextlib
import signal
import socket
import struct
import subprocess
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import attrs

from bench.servers import lasting_port, program, resident_bytes, settled, usage

# A start of this many seconds has failed.
PATIENCE = 1800.0
_DNSKEY = 48


@attrs.frozen
class Peer:
    """Seconds until all was answered, signed, of a first and a second start; resident octets;
    per cent of a core at rest."""

    cold: float
    warm: float
    resident: int
    rest: float


def knot(folder: Path, zones: Sequence[tuple[str, str]], seconds: float) -> Peer:
    """`zones` are names and zone files' texts; `seconds` is how long it is watched at rest."""
    port = lasting_port()
    _write(folder, zones, port)
    names = [name for name, _ in zones]
    with _running(folder, names, port) as (_, cold):
        pass
    with _running(folder, names, port) as (pid, warm):
        settled(pid)
        before, began = usage(pid).whole, time.monotonic()
        time.sleep(seconds)
        rest = 100 * (usage(pid).whole - before) / (time.monotonic() - began)
        return Peer(cold, warm, resident_bytes(pid), rest)


def _write(folder: Path, zones: Sequence[tuple[str, str]], port: int) -> None:
    files = folder / "zones"
    files.mkdir(parents=True)
    for name, text in zones:
        (files / f"{name}.zone").write_text(text, encoding="ascii")
    domains = "".join(f"  - domain: {name}\n" for name, _ in zones)
    (folder / "knot.conf").write_text(f"""\
server:
    rundir: "{folder}"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
database:
    storage: "{folder}"
    kasp-db-max-size: 2G
    journal-db-max-size: 4G
policy:
  - id: default
    algorithm: ecdsap256sha256
    zsk-lifetime: 90d
template:
  - id: default
    storage: "{files}"
    file: "%s.zone"
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: on
    dnssec-policy: default
zone:
{domains}""")


@contextlib.contextmanager
def _running(folder: Path, names: Sequence[str], port: int) -> Iterator[tuple[int, float]]:
    with (folder / "log").open("ab") as log:
        began = time.monotonic()
        process = subprocess.Popen(
            [program("knotd"), "-c", str(folder / "knot.conf")], stdout=log, stderr=log
        )
    try:
        _wait(process, names, port, folder / "log")
        yield process.pid, time.monotonic() - began
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(process: "subprocess.Popen[bytes]", names: Sequence[str], port: int, log: Path) -> None:
    """Until each zone has shown a DNSKEY. Those that have are not asked again."""
    deadline = time.monotonic() + PATIENCE
    waiting = list(names)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(1.0)
        client.connect(("127.0.0.1", port))
        while waiting and time.monotonic() < deadline:
            if process.poll() is not None:
                raise SystemExit(f"bench: knotd ended with status {process.returncode}; see {log}")
            while waiting and _has_dnskey(client, waiting[-1]):
                waiting.pop()
            time.sleep(0.2)
    if waiting:
        raise SystemExit(f"bench: {len(waiting)} zones of knotd were not answered; see {log}")


def _has_dnskey(client: socket.socket, name: str) -> bool:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    query = struct.pack(">6H", 4711, 0, 1, 0, 0, 0) + labels + struct.pack(">BHH", 0, _DNSKEY, 1)
    try:
        client.send(query)
        reply = client.recv(4096)
    except OSError:
        return False
    return len(reply) >= 12 and reply[3] & 15 == 0 and reply[6:8] != b"\0\0"
