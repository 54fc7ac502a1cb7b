"""Transfers with the servers of others: they pull from us, by TSIG, and we from them."""

import asyncio
import base64
import re
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import cast

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import pytest
from ports import free_port

import engine

ORIGIN = dns.name.from_text("example.org.").to_wire()
SECRET = b"a secret of thirty-two octets ok"
KEY_NAME = "transfer.example."
KEY = engine.TsigKey(dns.name.from_text(KEY_NAME).to_wire(), "hmac-sha256", SECRET)
SECRET_TEXT = base64.b64encode(SECRET).decode()
ADDRESS = "127.77.3.1"
# BIND listens on what interfaces have, and the loopback one has this.
NAMED_ADDRESS = "127.0.0.1"

pytestmark = pytest.mark.peers


def zone(serial: int, *lines: str) -> engine.Zone:
    text = f"@ 3600 SOA ns hostmaster {serial} 3600 600 86400 300\n@ 3600 NS ns\n"
    rest = [f"host{number} 60 TXT {'x' * 150} {number}" for number in range(1000)]
    rest += ["UPPER 60 MX 10 Mail.Upper", "ns 60 A 192.0.2.1", "*.wild 60 SRV 1 2 3 Target.x"]
    return engine.scan_text((text + "\n".join([*rest, *lines]) + "\n").encode(), ORIGIN)


VERSIONS = [
    zone(1, "www 60 A 192.0.2.1", "mixed 60 CNAME Www.Example.ORG."),
    zone(2, "www 60 A 192.0.2.2", "mixed 60 CNAME other"),
    zone(3, "www 120 A 192.0.2.2", "www 120 A 192.0.2.3", "sub NS ns.sub", "ns.sub A 192.0.2.4"),
]
DIFFS = [VERSIONS[0].difference(VERSIONS[1]), VERSIONS[1].difference(VERSIONS[2])]


class Primary:
    """TransferServer on sockets: TCP, and UDP for SOA queries. Keyed requests only."""

    def __init__(self) -> None:
        self.port = free_port(ADDRESS)
        self.asked: list[str] = []
        self.version = 0
        self._server = engine.TransferServer([KEY])
        self._loop = asyncio.new_event_loop()
        self._ready = threading.Event()
        self._stop = asyncio.Event()
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._run(),))

    def __enter__(self) -> "Primary":
        self._thread.start()
        assert self._ready.wait(10)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    async def _run(self) -> None:
        primary = self

        class Datagrams(asyncio.DatagramProtocol):
            def connection_made(self, transport: asyncio.BaseTransport) -> None:
                self.transport = cast("asyncio.DatagramTransport", transport)

            def datagram_received(self, data: bytes, peer: tuple[str, int]) -> None:
                for reply in primary.replies(data):
                    self.transport.sendto(reply, peer)

        server = await asyncio.start_server(self._serve, ADDRESS, self.port)
        udp, _ = await self._loop.create_datagram_endpoint(
            Datagrams, local_addr=(ADDRESS, self.port)
        )
        self._ready.set()
        await self._stop.wait()
        udp.close()
        server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                (length,) = struct.unpack("!H", await reader.readexactly(2))
                for reply in self.replies(await reader.readexactly(length)):
                    writer.write(struct.pack("!H", len(reply)) + reply)
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    def replies(self, message: bytes) -> Iterator[bytes]:
        now = int(time.time())
        try:
            request = self._server.parse(message, now)
        except engine.EngineError as error:
            reply = getattr(error, "reply", None)
            if reply is not None:
                yield reply
            return
        if request.key is None:
            yield self._server.refuse(request, dns.rcode.REFUSED, now)
            return
        self.asked.append(request.kind)
        history = None
        if request.serial is not None and request.serial <= self.version:
            history = DIFFS[request.serial - 1 : self.version]
        yield from self._server.answer(request, VERSIONS[self.version], history, now)


@pytest.fixture
def primary() -> Iterator[Primary]:
    with Primary() as serving:
        yield serving


def transfer(peer: tuple[str, int], base: engine.Zone | None) -> engine.TransferClient:
    client = engine.TransferClient(ORIGIN, base, KEY)
    with socket.create_connection(peer, timeout=10) as connection:
        now = int(time.time())
        request = client.request(4711, now)
        connection.sendall(struct.pack("!H", len(request)) + request)
        with connection.makefile("rb") as stream:
            done = False
            while not done:
                (length,) = struct.unpack("!H", stream.read(2))
                done = client.feed(stream.read(length), now)
    return client


def same(one: engine.Zone | None, other: engine.Zone) -> bool:
    return one is not None and one.digest() == other.digest()


def wait_for(what: str, ready: Callable[[], bool]) -> None:
    end, last = time.monotonic() + 20, "it answers"
    while time.monotonic() < end:
        try:
            if ready():
                return
        except (OSError, dns.exception.Timeout) as error:
            last = repr(error)
        time.sleep(0.1)
    pytest.fail(f"waited in vain for {what}: {last}")


def serial_at(peer: tuple[str, int]) -> int | None:
    address, port = peer
    reply = dns.query.udp(dns.message.make_query("example.org.", "SOA"), address, 1, port)
    return reply.answer[0][0].serial if reply.answer else None


# --- tools that ask ------------------------------------------------------------------------


@pytest.mark.parametrize("tool", ["dig", "kdig"])
@pytest.mark.parametrize("what", ["AXFR", "IXFR=1", "IXFR=3"])
def test_tools_read_our_transfers(primary: Primary, tool: str, what: str) -> None:
    primary.version = 2
    command = [tool, f"@{ADDRESS}", "-p", str(primary.port), "example.org.", "+tcp", "-t", what]
    key = f"hmac-sha256:{KEY_NAME}:{SECRET_TEXT}"
    done = subprocess.run(
        [*command, "-y", key], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    output = done.stdout + done.stderr
    assert not re.search(r"fail|error|warning|bad", output.lower().replace("noerror", "")), output
    lines = [line for line in output.splitlines() if line and not line.startswith(";")]
    records = [line for line in lines if "TSIG" not in line.split()]
    expected = {
        "AXFR": VERSIONS[2].record_count + 1,
        "IXFR=1": 2 + sum(diff.removed_count + diff.added_count for diff in DIFFS),
        "IXFR=3": 1,
    }
    assert len(records) == expected[what]
    assert primary.asked == [what[:4].lower()]


def test_without_the_key_nothing_is_told(primary: Primary) -> None:
    done = subprocess.run(
        ["dig", f"@{ADDRESS}", "-p", str(primary.port), "example.org.", "AXFR"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert "Transfer failed" in done.stdout


# --- servers that pull, and that we pull from ----------------------------------------------


NAMED = """
options {{
  directory "{directory}"; pid-file none; session-keyfile none;
  listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }};
  recursion no; dnssec-validation no; notify no;
}};
controls {{ }};
key "{key}" {{ algorithm hmac-sha256; secret "{secret}"; }};
zone "example.org" {{ type secondary; file "zone"; masterfile-format text;
  primaries {{ {us} port {primary} key "{key}"; }}; allow-notify {{ key "{key}"; }};
  allow-transfer {{ key "{key}"; }}; }};
"""

KNOT = """
server:
  rundir: "{directory}"
  listen: "{address}@{port}"
log:
  - target: stderr
    any: info
database:
  storage: "{directory}"
key:
  - id: "{key}"
    algorithm: hmac-sha256
    secret: "{secret}"
remote:
  - id: us
    address: "{us}@{primary}"
    key: "{key}"
acl:
  - id: keyed
    key: "{key}"
    action: [transfer, notify]
zone:
  - domain: example.org
    storage: "{directory}"
    master: us
    acl: keyed
"""

NSD = """
server:
  ip-address: {address}@{port}
  zonesdir: "{directory}"
  username: ""
  chroot: ""
  pidfile: "{directory}/pid"
  xfrdfile: "{directory}/xfrd.state"
  xfrdir: "{directory}"
  database: ""
  zonelistfile: "{directory}/zone.list"
remote-control:
  control-enable: no
key:
  name: "{key}"
  algorithm: hmac-sha256
  secret: "{secret}"
zone:
  name: example.org
  zonefile: "{directory}/zone"
  request-xfr: {us}@{primary} {key}
  allow-notify: 127.0.0.0/8 {key}
  provide-xfr: 127.0.0.0/8 {key}
"""

SERVERS = {
    "named": (NAMED, ["named", "-g", "-c"], NAMED_ADDRESS),
    "knotd": (KNOT, ["knotd", "-c"], ADDRESS),
    "nsd": (NSD, ["nsd", "-d", "-c"], ADDRESS),
}


@pytest.fixture(params=SERVERS)
def secondary(
    request: pytest.FixtureRequest, primary: Primary, tmp_path: Path
) -> Iterator[tuple[str, tuple[str, int]]]:
    template, command, address = SERVERS[request.param]
    port = free_port(address)
    config = tmp_path / "config"
    config.write_text(
        template.format(
            directory=tmp_path,
            address=address,
            port=port,
            us=ADDRESS,
            primary=primary.port,
            key=KEY_NAME,
            secret=SECRET_TEXT,
        )
    )
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen([*command, str(config)], stdout=log, stderr=log)
    try:
        yield request.param, (address, port)
    finally:
        process.terminate()
        process.wait(20)
        print((tmp_path / "log").read_text()[-4000:])


def test_others_follow_us_and_we_follow_them(
    primary: Primary, secondary: tuple[str, tuple[str, int]]
) -> None:
    """First the whole, then on NOTIFY the differences; and all of it back again."""
    who, peer = secondary
    wait_for(f"{who} to have serial 1", lambda: serial_at(peer) == 1)
    assert same(transfer(peer, None).zone(), VERSIONS[0])
    for version in (1, 2):
        primary.version = version
        primary.asked.clear()
        wire = engine.notify_message(ORIGIN, version + 1, KEY, 99, int(time.time()))
        with socket.socket(type=socket.SOCK_DGRAM) as udp:
            udp.settimeout(5)
            udp.sendto(wire, peer)
            reply = dns.message.from_wire(udp.recv(4096), keyring=False)
        assert reply.rcode() == dns.rcode.NOERROR
        wait_for(f"{who} to follow", lambda: serial_at(peer) == version + 1)  # noqa: B023
        assert "ixfr" in primary.asked
        assert "axfr" not in primary.asked
    assert same(transfer(peer, None).zone(), VERSIONS[2])
    by_difference = transfer(peer, VERSIONS[0])
    assert same(by_difference.zone(), VERSIONS[2])
    if who != "nsd":  # NSD 4.6 keeps differences only when told to; then AXFR answers
        diffs = by_difference.diffs()
        assert diffs is not None
        assert [diff.to_serial for diff in diffs][-1] == 3
    assert transfer(peer, VERSIONS[2]).zone() is None
