"""The servers that are measured: how each is configured and started on one core."""

import contextlib
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from bench.work import ORIGIN

SERVER_CORE, LOAD_CORE = 0, 1


@attrs.frozen
class Running:
    """A server under way; `pid` is the process that answers queries."""

    name: str
    pid: int
    port: int


@attrs.frozen
class Usage:
    """CPU seconds that a process has used."""

    user: float
    system: float

    @property
    def whole(self) -> float:
        return self.user + self.system

    def since(self, before: "Usage") -> "Usage":
        return Usage(self.user - before.user, self.system - before.system)


def family(pid: int) -> list[int]:
    """The process and its descendants: NSD answers in a child."""
    parents = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                fields = (entry / "stat").read_text().rpartition(")")[2].split()
                parents[int(entry.name)] = int(fields[1])
    found = [pid]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found


def usage(pid: int) -> Usage:
    """Of the whole family."""
    tick = os.sysconf("SC_CLK_TCK")
    user = system = 0
    for one in family(pid):
        fields = Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split()
        user += int(fields[11])
        system += int(fields[12])
    return Usage(user / tick, system / tick)


@attrs.frozen
class Threads:
    """CPU seconds of a server of ours, user's and kernel's, finer than `usage`."""

    queries: float  # of the threads that answer queries
    whole: float

    def since(self, before: "Threads") -> "Threads":
        return Threads(self.queries - before.queries, self.whole - before.whole)


def threads(pid: int) -> Threads:
    queries = whole = 0
    for thread in Path(f"/proc/{pid}/task").iterdir():
        spent = int((thread / "schedstat").read_text().split()[0])
        whole += spent
        if (thread / "comm").read_text().startswith("zoneward-udp"):
            queries += spent
    return Threads(queries / 1e9, whole / 1e9)


def settled(
    pid: int, *, window: float = 3.0, share: float = 0.03, patience: float = 1800.0
) -> float:
    """Wait until a process has used less than `share` of a core for `window` seconds; the
    moment at which that began, on the monotonic clock."""
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        began, before = time.monotonic(), usage(pid).whole
        time.sleep(window)
        if usage(pid).whole - before < window * share:
            return began
    raise SystemExit(f"bench: process {pid} was never at rest within {patience:.0f} s")


def resident_bytes(pid: int) -> int:
    """Of the largest in the family: the others share its pages."""
    page = os.sysconf("SC_PAGE_SIZE")
    sizes = [int(Path(f"/proc/{one}/statm").read_text().split()[1]) for one in family(pid)]
    return max(sizes) * page


def free_port() -> int:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def lasting_port() -> int:
    """One below those that the kernel gives to connections, for a server that comes back."""
    for port in random.sample(range(20_000, 30_000), 100):
        with (
            contextlib.suppress(OSError),
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
        ):
            tcp.bind(("127.0.0.1", port))
            udp.bind(("127.0.0.1", port))
            return port
    raise SystemExit("bench: no port is free")


def is_answering(port: int) -> bool:
    labels = ORIGIN.rstrip(".").split(".")
    name = b"".join(bytes([len(label)]) + label.encode() for label in labels) + b"\0"
    query = struct.pack(">6H", 4711, 0x0100, 1, 0, 0, 0) + name + struct.pack(">2H", 6, 1)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
        client.settimeout(0.2)
        client.connect(("127.0.0.1", port))
        try:
            client.send(query)
            reply = client.recv(4096)
        except OSError:
            return False
    return len(reply) >= 12 and reply[3] & 15 == 0


def _wait(port: int, process: "subprocess.Popen[bytes]", name: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemExit(f"bench: {name} ended with status {process.returncode}")
        if is_answering(port):
            return
        time.sleep(0.1)
    raise SystemExit(f"bench: {name} did not answer within two minutes")


def pin(pid: int, core: int = SERVER_CORE) -> None:
    """All threads of the family to one core."""
    for one in family(pid):
        for task in Path(f"/proc/{one}/task").iterdir():
            os.sched_setaffinity(int(task.name), {core})


def child_that(verb: str, supervisor: int) -> int:
    """The child of `zoneward run` that serves or manages."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        with contextlib.suppress(OSError):
            arguments = (entry / "cmdline").read_bytes().split(b"\0")
            parent = (entry / "stat").read_text().rpartition(")")[2].split()[1]
            if verb.encode() in arguments and int(parent) == supervisor:
                return int(entry.name)
    raise SystemExit(f"bench: zoneward run has no child that is to {verb}")


@contextlib.contextmanager
def _started(name: str, command: list[str], folder: Path, port: int) -> Iterator[Running]:
    with (folder / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            ["taskset", "-c", str(SERVER_CORE), *command], cwd=folder, stdout=log, stderr=log
        )
        try:
            if name != "echo":
                _wait(port, process, name)
            else:
                time.sleep(0.5)
            serving = child_that("serve", process.pid) if name == "zoneward" else process.pid
            pin(serving)
            yield Running(name, serving, port)
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def start(name: str, zone: Path, folder: Path) -> contextlib.AbstractContextManager[Running]:
    """Start the server called `name` on the signed `zone`, on one core."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = {
        "zoneward": _zoneward,
        "knot": _knot,
        "nsd": _nsd,
        "bind": _bind,
        "echo": _echo,
    }[name](zone, folder, port)
    return _started(name, command, folder, port)


def start_resolver(
    name: str, upstream: int, folder: Path
) -> contextlib.AbstractContextManager[Running]:
    """Start the cache called `name` before the server on the port `upstream`, on one core."""
    folder.mkdir(parents=True, exist_ok=True)
    port = free_port()
    command = {"zoneward": _zoneward_cache, "unbound": _unbound, "dnsdist": _dnsdist}[name]
    return _started(name, command(upstream, folder, port), folder, port)


def start_blocks(
    blocks: str, folder: Path, port: int, python: Path
) -> contextlib.AbstractContextManager[Running]:
    """Start Zoneward with server blocks, one of them on `port`, on one core."""
    config = folder / "Corefile"
    config.write_text(f"{{\n    state {folder}/state\n    threads 1\n}}\n{blocks}")
    command = [str(python), "-P", "-m", "zoneward", "run", "-c", str(config)]
    return _started("zoneward", command, folder, port)


def _zoneward_cache(upstream: int, folder: Path, port: int) -> list[str]:
    config = folder / "Corefile"
    config.write_text(
        f"{{\n    state {folder}/state\n    threads 1\n}}\n"
        f".:{port} {{\n    bind 127.0.0.1\n    cache {{\n        success 50000\n"
        f"        denial 50000\n    }}\n    forward . 127.0.0.1:{upstream}\n}}\n"
    )
    return [str(Path(sys.executable).parent / "zoneward"), "run", "-c", str(config)]


def _unbound(upstream: int, folder: Path, port: int) -> list[str]:
    (folder / "unbound.conf").write_text(f"""\
server:
    interface: 127.0.0.1@{port}
    access-control: 127.0.0.0/8 allow
    directory: "{folder}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    do-daemonize: no
    do-not-query-localhost: no
    num-threads: 1
    module-config: "iterator"
    msg-cache-size: 64m
    rrset-cache-size: 128m
    outgoing-range: 4096
    num-queries-per-thread: 2048
    use-caps-for-id: yes
    aggressive-nsec: no
    local-zone: test. transparent
remote-control:
    control-enable: no
forward-zone:
    name: "."
    forward-addr: 127.0.0.1@{upstream}
""")
    return [program("unbound"), "-d", "-p", "-c", str(folder / "unbound.conf")]


def _dnsdist(upstream: int, folder: Path, port: int) -> list[str]:
    (folder / "dnsdist.conf").write_text(f"""\
setLocal("127.0.0.1:{port}")
newServer("127.0.0.1:{upstream}")
getPool(""):setCache(newPacketCache(100000))
""")
    return [program("dnsdist"), "--supervised", "-C", str(folder / "dnsdist.conf")]


def _zoneward(zone: Path, folder: Path, port: int) -> list[str]:
    config = folder / "Corefile"
    config.write_text(
        f"{{\n    state {folder}/state\n    threads 1\n}}\n"
        f"{ORIGIN}:{port} {{\n    bind 127.0.0.1\n    file {zone}\n}}\n"
    )
    return [str(Path(sys.executable).parent / "zoneward"), "run", "-c", str(config)]


def _knot(zone: Path, folder: Path, port: int) -> list[str]:
    (folder / "run").mkdir(exist_ok=True)
    (folder / "knot.conf").write_text(f"""\
server:
    rundir: "{folder}/run"
    listen: 127.0.0.1@{port}
    udp-workers: 1
    tcp-workers: 1
    background-workers: 1
database:
    storage: "{folder}"
zone:
  - domain: {ORIGIN}
    file: "{zone}"
    zonefile-sync: -1
    journal-content: none
""")
    return [program("knotd"), "-c", str(folder / "knot.conf")]


def _nsd(zone: Path, folder: Path, port: int) -> list[str]:
    (folder / "nsd.conf").write_text(f"""\
server:
    ip-address: 127.0.0.1@{port}
    server-count: 1
    username: ""
    chroot: ""
    zonesdir: "{folder}"
    database: ""
    pidfile: "{folder}/nsd.pid"
    xfrdfile: "{folder}/xfrd.state"
    zonelistfile: "{folder}/zone.list"
    rrl-ratelimit: 0
    rrl-whitelist-ratelimit: 0
remote-control:
    control-enable: no
zone:
    name: {ORIGIN}
    zonefile: "{zone}"
""")
    return [program("nsd"), "-d", "-c", str(folder / "nsd.conf")]


def _bind(zone: Path, folder: Path, port: int) -> list[str]:
    (folder / "named.conf").write_text(f"""\
options {{
    directory "{folder}";
    pid-file "{folder}/named.pid";
    session-keyfile "{folder}/session.key";
    lock-file none;
    listen-on port {port} {{ 127.0.0.1; }};
    listen-on-v6 {{ none; }};
    recursion no;
    minimal-responses no;
}};
controls {{ }};
zone "{ORIGIN}" {{ type primary; file "{zone}"; notify no; }};
""")
    return [program("named"), "-f", "-n", "1", "-c", str(folder / "named.conf")]


def _echo(_zone: Path, _folder: Path, port: int) -> list[str]:
    binary = Path(__file__).parent.parent / "engine/target/release/examples/udp_echo"
    return [str(binary), f"127.0.0.1:{port}"]


def program(program: str) -> str:
    found = shutil.which(program, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if found is None:
        raise SystemExit(f"bench: {program} is missing: run `make peers`")
    return found
