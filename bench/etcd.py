"""A zone in etcd: from a put to the signed answer, what a steady stream of changes costs, and
queries a second beside a file zone of the same content."""

import asyncio
import contextlib
import json
import os
import random
import signal
import socket
import statistics
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path

import attrs
import dns.message
import httpx

from bench.figures import compared, table
from bench.queries import load
from bench.servers import Running, child_that, is_answering, lasting_port, pin, program, usage
from bench.work import ORIGIN, SEED
from zones.etcd import rpc_pb2 as rpc
from zones.etcd import skydns
from zones.etcd.client import Connection, range_end
from zones.etcd.rrsets import zone_text
from zones.etcd.tree import Tree

RATES = (10, 100, 1000)
_PREFIX = b"/skydns/test/bench/"
_GROUPS = 2000
# Answers looked for a second, at most: the others are only written.
_SAMPLES = 50
_PATIENCE = 60.0


@attrs.frozen
class Latency:
    """Seconds from the beginning of a put to the signed answer, of a sample; and to the event at a
    watch of the benchmark's own, which is what etcd and the machine leave to nobody."""

    rate: int
    found: Sequence[float]
    events: Sequence[float]
    cpu: float  # of the manager, seconds a change
    serials: int


@attrs.frozen
class Stream:
    """A minute of changes. CPU seconds of manager and server; octets on disk."""

    changes: int
    seconds: float
    manager: float
    server: float
    journal: int
    lost: int


@attrs.define
class Scene:
    """etcd, and `zoneward run` over a zone in it, which is signed."""

    folder: Path
    port: int = attrs.field(factory=lasting_port)
    client: int = attrs.field(factory=lasting_port)
    peer: int = attrs.field(factory=lasting_port)
    manager: int = 0
    server: int = 0

    @property
    def target(self) -> str:
        return f"127.0.0.1:{self.client}"

    @contextlib.contextmanager
    def etcd(self) -> Iterator[None]:
        own, peer = f"http://{self.target}", f"http://127.0.0.1:{self.peer}"
        command = [program("etcd"), "--data-dir", str(self.folder / "etcd")]
        command += ["--listen-client-urls", own, "--advertise-client-urls", own]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", f"default={peer}", "--log-level", "error"]
        with _process(command, self.folder / "etcd.log") as process:
            _wait(lambda: _is_healthy(own), process, self.folder / "etcd.log")
            yield

    @contextlib.contextmanager
    def zoneward(self, source: str) -> Iterator[None]:
        self.folder.joinpath("Corefile").write_text(
            f"{{\n    state {self.folder}/state\n    threads 1\n}}\n"
            f"{ORIGIN}:{self.port} {{\n    bind 127.0.0.1\n    {source}\n"
            "    sign {\n        parent none\n        observe own\n    }\n}\n"
        )
        command = [str(Path(sys.executable).parent / "zoneward"), "run", "-c"]
        with _process([*command, str(self.folder / "Corefile")], self.folder / "log") as process:
            _wait(lambda: is_answering(self.port), process, self.folder / "log")
            self.manager = child_that("manage", process.pid)
            self.server = child_that("serve", process.pid)
            yield

    def serial(self) -> int:
        reply = _ask(self.port, ORIGIN, "SOA")
        return int(reply.answer[0][0].serial) if reply.answer else 0

    def stored(self) -> int:
        """Octets of the manager's versions."""
        zones = self.folder / "state/manager/zones"
        return sum(path.stat().st_size for path in zones.rglob("*") if path.is_file())


def run(folder: Path, services: int, rounds: int, seconds: float, minute: float) -> str:
    """`minute` is how many seconds of changes there are at the highest rate."""
    folder.mkdir()
    scene = Scene(folder)
    values = {_key(number): _value(number, 0) for number in range(services)}
    with scene.etcd():
        asyncio.run(_fill(scene.target, values))
        with scene.zoneward(f"etcd {{\n        endpoint http://{scene.target}\n    }}"):
            _await_all(scene, values)
            latencies = [
                asyncio.run(_latency(scene, services, rate, max(seconds, 5.0))) for rate in RATES
            ]
            stream = asyncio.run(_stream(scene, services, RATES[-1], minute))
            queries = _queries(scene, folder, services, rounds, seconds)
    return "\n".join([_shown(services, latencies), _streamed(services, stream), queries])


def _shown(services: int, latencies: Sequence[Latency]) -> str:
    rows = []
    for one in latencies:
        ordered = sorted(one.found)
        last = ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]
        rows.append(
            [
                str(one.rate),
                f"{statistics.median(ordered) * 1e3:.1f} ms",
                f"{last * 1e3:.1f} ms",
                f"{statistics.median(one.events) * 1e3:.1f} ms",
                str(len(ordered)),
                f"{one.cpu * 1e6:.0f} µs",
                str(one.serials),
            ]
        )
    header = ["changes/s", "median", "99th percentile", "event, median", "sampled"]
    header += ["manager CPU/change", "versions"]
    load_now = os.getloadavg()[0]
    title = f"etcd, {services} services: put to signed answer (load of the machine {load_now:.1f})"
    return table(title, header, rows)


def _streamed(services: int, stream: Stream) -> str:
    header = ["changes", "seconds", "manager CPU", "server CPU", "on disk", "lost"]
    row = [
        str(stream.changes),
        f"{stream.seconds:.0f}",
        f"{stream.manager / stream.seconds:.0%} of a core",
        f"{stream.server / stream.seconds:.0%}",
        f"{stream.journal / 1e6:.1f} MB",
        str(stream.lost),
    ]
    return table(f"etcd, {services} services: a stream of changes", header, [row])


# --- changes --------------------------------------------------------------------------------


def _key(number: int) -> bytes:
    return _PREFIX + f"svc{number % _GROUPS}/n{number}".encode()


def _name(number: int) -> str:
    return f"n{number}.svc{number % _GROUPS}.{ORIGIN}"


def _address(number: int, turn: int) -> str:
    return f"10.{turn & 255}.{number >> 8 & 255}.{number & 255}"


def _value(number: int, turn: int) -> bytes:
    return json.dumps({"host": _address(number, turn), "port": 80, "ttl": 30}).encode()


async def _fill(target: str, values: Mapping[bytes, bytes]) -> None:
    connection = Connection(target, None, None)
    items = list(values.items())
    for start in range(0, len(items), 100):
        some = items[start : start + 100]
        await connection.write(*(rpc.PutRequest(key=key, value=value) for key, value in some))
    await connection.close()


def _await_all(scene: Scene, values: Mapping[bytes, bytes]) -> None:
    deadline = time.monotonic() + _PATIENCE
    while _addresses(scene.port, _name(len(values) - 1)) == []:
        if time.monotonic() > deadline:
            raise SystemExit("bench: the zone in etcd is not served")
        time.sleep(0.1)


async def _latency(scene: Scene, services: int, rate: int, seconds: float) -> Latency:
    connection = Connection(scene.target, None, None)
    found: list[float] = []
    events: list[float] = []
    begun: dict[bytes, float] = {}
    every = max(1, rate // _SAMPLES)
    chance = random.Random(SEED)

    async def change(turn: int) -> None:
        number, began = chance.randrange(services), time.perf_counter()
        # Sampled are numbers of their own, so that nobody else changes them meanwhile.
        sampled = turn % every == 0
        if sampled:
            number = services + turn
            begun[_key(number)] = began
        await connection.put(_key(number), _value(number, rate + turn))
        if sampled:
            await _answered(scene.port, _name(number), _address(number, rate + turn))
            found.append(time.perf_counter() - began)

    async def listen() -> None:
        revision = (await connection.beat(_PREFIX)).revision + 1
        watch = connection.watch(_PREFIX, range_end(_PREFIX), revision, asyncio.Event())
        async with contextlib.aclosing(watch):
            async for batch in watch:
                now = time.perf_counter()
                keys = [event.kv.key for event in batch.events]
                events.extend(now - begun.pop(key) for key in keys if key in begun)

    listening = asyncio.create_task(listen())
    cpu, serial = usage(scene.manager).whole, scene.serial()
    count = await _paced(rate, seconds, change)
    spent = usage(scene.manager).whole - cpu
    listening.cancel()
    await asyncio.gather(listening, return_exceptions=True)
    await connection.close()
    return Latency(rate, found, events, spent / count, scene.serial() - serial)


async def _stream(scene: Scene, services: int, rate: int, seconds: float) -> Stream:
    connection = Connection(scene.target, None, None)
    last: dict[int, int] = {}
    chance = random.Random(SEED)

    async def change(turn: int) -> None:
        number = chance.randrange(services)
        while number in busy:
            number = chance.randrange(services)
        busy.add(number)
        await connection.put(_key(number), _value(number, turn))
        last[number] = turn
        busy.discard(number)

    busy: set[int] = set()
    manager, server = usage(scene.manager).whole, usage(scene.server).whole
    began = time.monotonic()
    count = await _paced(rate, seconds, change)
    took = time.monotonic() - began
    spent = usage(scene.manager).whole - manager, usage(scene.server).whole - server
    await connection.close()
    return Stream(count, took, *spent, scene.stored(), _lost(scene, last))


async def _paced(rate: int, seconds: float, change: Callable[[int], Awaitable[None]]) -> int:
    loop = asyncio.get_running_loop()
    began, tasks = loop.time(), []
    count = int(rate * seconds)
    for turn in range(count):
        await asyncio.sleep(max(0.0, began + turn / rate - loop.time()))
        tasks.append(asyncio.ensure_future(change(turn)))
    await asyncio.gather(*tasks)
    return count


def _lost(scene: Scene, last: Mapping[int, int]) -> int:
    """How many of the names do not have what was put last, when all has come to rest."""
    deadline = time.monotonic() + _PATIENCE
    missing = dict(last)
    while missing and time.monotonic() < deadline:
        missing = {
            number: turn
            for number, turn in missing.items()
            if _addresses(scene.port, _name(number)) != [_address(number, turn)]
        }
    return len(missing)


async def _answered(port: int, name: str, address: str) -> None:
    """Until the answer has the address, and a signature."""
    loop = asyncio.get_running_loop()
    query = dns.message.make_query(name, "A", want_dnssec=True).to_wire()
    wanted = socket.inet_aton(address)
    async with asyncio.timeout(_PATIENCE):
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
            own.setblocking(False)
            own.connect(("127.0.0.1", port))
            while True:
                await loop.sock_sendall(own, query)
                reply = await loop.sock_recv(own, 4096)
                # The answers are an A and its RRSIG.
                if wanted in reply and int.from_bytes(reply[6:8]) == 2:
                    return
                await asyncio.sleep(0.0005)


# --- queries --------------------------------------------------------------------------------


def _queries(scene: Scene, folder: Path, services: int, rounds: int, seconds: float) -> str:
    """The same content from a file, and both asked in turn."""
    other = Scene(folder / "file")
    other.folder.mkdir()
    text = other.folder / "zone"
    text.write_text(asyncio.run(_as_zone_file(scene.target)), encoding="ascii")
    asked = folder / "queries"
    chance = random.Random(SEED)
    asked.write_text(
        "".join(
            f"{_name(chance.randrange(services))} {chance.choice(('A', 'SRV'))}\n"
            if chance.random() < 0.9
            else f"no{chance.randrange(10**9)}.{ORIGIN} A\n"
            for _ in range(100_000)
        )
    )
    rates: dict[str, list[float]] = {"etcd": [], "file": []}
    costs: dict[str, list[float]] = {"etcd": [], "file": []}
    with other.zoneward(f"file {text}"):
        for server in (scene.server, other.server):
            pin(server)
        for _ in range(rounds):
            for name, one in (("etcd", scene), ("file", other)):
                found = load(Running(name, one.server, one.port), asked, seconds)
                rates[name].append(found.rate)
                costs[name].append(found.own + found.kernel)
    return "\n".join(
        [
            compared("A zone from etcd beside one from a file", "q/s", rates, ours="etcd"),
            compared("CPU a query", "µs", costs, ours="etcd"),
        ]
    )


async def _as_zone_file(target: str) -> str:
    connection = Connection(target, None, None)
    tree = Tree(ORIGIN)
    start, last = _PREFIX, False
    while not last:
        page = await connection.page(start, range_end(_PREFIX), 0)
        for item in page.items:
            tree.put(skydns.read(item.key, item.value, 0, _PREFIX, tree.room))
        start, last = page.items[-1].key + b"\0", page.last
    await connection.close()
    return "".join(zone_text(tree.name(path), tree.records(path)) for path in tree.paths())


# --- processes ------------------------------------------------------------------------------


def _ask(port: int, name: str, rtype: str) -> dns.message.Message:
    query = dns.message.make_query(name, rtype)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.settimeout(2)
        own.connect(("127.0.0.1", port))
        own.send(query.to_wire())
        return dns.message.from_wire(own.recv(65_535))


def _is_healthy(url: str) -> bool:
    try:
        return bool(httpx.get(f"{url}/health", timeout=1).json()["health"] == "true")
    except (httpx.HTTPError, ValueError):
        return False


def _addresses(port: int, name: str) -> list[str]:
    with contextlib.suppress(TimeoutError):
        return [rdata.to_text() for rrset in _ask(port, name, "A").answer for rdata in rrset]
    return []


def _wait(done: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not done():
        if process.poll() is not None or time.monotonic() > deadline:
            raise SystemExit(f"bench: it does not answer; see {log}")
        time.sleep(0.1)


@contextlib.contextmanager
def _process(command: Sequence[str], log: Path) -> "Iterator[subprocess.Popen[bytes]]":
    with log.open("ab") as out:
        process = subprocess.Popen(command, stdout=out, stderr=out)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
