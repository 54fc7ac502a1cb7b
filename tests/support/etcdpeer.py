"""Debian's etcd, started on loopback addresses: one member or several, with TLS and users."""

import asyncio
import base64
import contextlib
import http.client
import json
import os
import shutil
import signal
import ssl
import subprocess
import time
import urllib.request
from collections.abc import Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from typing import TypeVar

import attrs
from eppcerts import Authority, Issued
from house import until

from zones.etcd import rpc_pb2 as rpc
from zones.etcd.client import Connection, Login, Tls

PORT, PEER_PORT = 2379, 2380
T = TypeVar("T")


@attrs.frozen
class Security:
    """Certificates of a cluster and of its clients."""

    authority: Path
    server: Issued
    client: Issued

    @staticmethod
    def made(directory: Path, address: str) -> "Security":
        authority = Authority(directory, "etcd-ca")
        return Security(
            authority.certificate,
            authority.server("etcd.test", address),
            authority.client("zoneward"),
        )


@attrs.define
class Etcd:
    """One member. `peers` are all members' names and peer URLs, its own included."""

    directory: Path
    address: str
    name: str = "one"
    peers: Mapping[str, str] = attrs.field(factory=dict)
    security: Security | None = None
    options: Sequence[str] = ()
    user: str | None = None
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def target(self) -> str:
        return f"{self.address}:{PORT}"

    @property
    def url(self) -> str:
        return f"{'http' if self.security is None else 'https'}://{self.target}"

    @property
    def log(self) -> str:
        return (self.directory / f"{self.name}.log").read_text(errors="replace")

    def start(self) -> None:
        """Start, and wait until it serves clients."""
        self.begin()
        until(self.healthy, 30, f"etcd {self.name} answers\n{self.log}")

    def begin(self) -> None:
        program = shutil.which("etcd")
        assert program, "etcd is missing: run `make peers`"
        own = f"http://{self.address}:{PEER_PORT}"
        peers = dict(self.peers) or {self.name: own}
        command = [program, "--name", self.name, "--data-dir", str(self.data)]
        command += ["--listen-client-urls", self.url, "--advertise-client-urls", self.url]
        command += ["--listen-peer-urls", own, "--initial-advertise-peer-urls", peers[self.name]]
        members = ",".join(f"{name}={url}" for name, url in peers.items())
        command += ["--initial-cluster", members, "--log-level", "warn", "--bcrypt-cost", "4"]
        if self.security is not None:
            command += ["--cert-file", str(self.security.server.certificate)]
            command += ["--key-file", str(self.security.server.key)]
            command += ["--trusted-ca-file", str(self.security.authority), "--client-cert-auth"]
        with (self.directory / f"{self.name}.log").open("ab") as log:
            self.process = subprocess.Popen(
                [*command, *self.options], cwd=self.directory, stdout=log, stderr=log
            )

    @property
    def data(self) -> Path:
        return self.directory / f"{self.name}.etcd"

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def kill(self) -> None:
        """As a crash does."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def healthy(self) -> bool:
        assert self.process is not None
        assert self.process.poll() is None, f"etcd ended:\n{self.log}"
        context = None
        if self.security is not None:
            context = ssl.create_default_context(cafile=str(self.security.authority))
            client = self.security.client
            context.load_cert_chain(client.certificate, client.key)
        with (
            contextlib.suppress(OSError, http.client.HTTPException),
            urllib.request.urlopen(f"{self.url}/health", timeout=1, context=context) as said,
        ):
            return b'"true"' in said.read()
        return False

    def ctl(self, *arguments: str, text: str = "") -> str:
        """What etcdctl prints."""
        done = self._ctl(arguments, text.encode())
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode()

    def _ctl(self, arguments: Sequence[str], text: bytes) -> "subprocess.CompletedProcess[bytes]":
        command = ["etcdctl", "--endpoints", self.url, "--command-timeout", "5s"]
        if self.security is not None:
            command += ["--cacert", str(self.security.authority)]
            command += ["--cert", str(self.security.client.certificate)]
            command += ["--key", str(self.security.client.key)]
        if self.user is not None:
            command += ["--user", self.user]
        environ = {"PATH": os.environ["PATH"], "ETCDCTL_API": "3"}
        return subprocess.run(
            [*command, *arguments], input=text, capture_output=True, check=False, env=environ
        )

    # --- what is in it ----------------------------------------------------------------------

    def put(self, key: str, value: object) -> None:
        """A key with JSON, or with text as it is."""
        text = value if isinstance(value, str) else json.dumps(value)
        self.ctl("put", key, text=text)

    def delete(self, key: str) -> None:
        self.ctl("del", key)

    def protect(self, *users: tuple[str, str]) -> None:
        """Turn authentication on: root, and users that may read all keys."""
        self.ctl("user", "add", "root:root-password")
        self.ctl("user", "grant-role", "root", "root")
        self.ctl("role", "add", "reader")
        self.ctl("role", "grant-permission", "reader", "read", "--prefix", "/")
        for name, password in users:
            self.ctl("user", "add", f"{name}:{password}")
            self.ctl("user", "grant-role", name, "reader")
        self.ctl("auth", "enable")
        self.user = "root:root-password"

    def connected(self, work: Callable[[Connection], Coroutine[object, object, T]]) -> T:
        """Do something over a connection of ours, which is faster than etcdctl."""

        async def run() -> T:
            connection = self.connection()
            try:
                return await work(connection)
            finally:
                await connection.close()

        return asyncio.run(run())

    def connection(self) -> Connection:
        tls = None
        if self.security is not None:
            tls = Tls(
                self.security.authority.read_bytes(),
                self.security.client.certificate.read_bytes(),
                self.security.client.key.read_bytes(),
            )
        login = None if self.user is None else Login(*self.user.split(":", 1))
        return Connection(self.target, tls, login)

    def put_all(self, values: Mapping[str, object]) -> None:
        """Many keys, a hundred a transaction."""
        items = list(values.items())

        async def work(connection: Connection) -> None:
            for start in range(0, len(items), 100):
                await connection.write(
                    *(
                        rpc.PutRequest(key=key.encode(), value=json.dumps(value).encode())
                        for key, value in items[start : start + 100]
                    )
                )

        self.connected(work)

    def listing(self, prefix: str) -> dict[bytes, bytes]:
        """All keys below a prefix now, as etcdctl shows them."""
        found = json.loads(self.ctl("get", "--prefix", prefix, "-w", "json"))
        return {
            base64.b64decode(item["key"]): base64.b64decode(item.get("value", ""))
            for item in found.get("kvs", ())
        }

    def compact(self) -> None:
        """All history goes."""
        status = json.loads(self.ctl("endpoint", "status", "-w", "json"))
        self.ctl("compaction", str(status[0]["Status"]["header"]["revision"]))


def wait_for_all(members: Sequence[Etcd], seconds: float = 30) -> None:
    """Until each member of a cluster answers."""
    deadline = time.monotonic() + seconds
    for member in members:
        until(member.healthy, deadline - time.monotonic(), f"etcd {member.name}")
