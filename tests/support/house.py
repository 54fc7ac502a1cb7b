"""A running Zoneward for live tests: a directory, an address of its own, its processes."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype

PORT = 5300
T = TypeVar("T")

ZONE = """$TTL 300
@ SOA ns1 hostmaster 1 3600 900 86400 300
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
mail A 192.0.2.25
"""


def until(question: Callable[[], T | None], seconds: float, what: str) -> T:
    """Ask until the answer is true; fails with `what` when the time is over."""
    deadline = time.monotonic() + seconds
    while True:
        answer = question()
        if answer:
            return answer
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds} s: {what}")
        time.sleep(0.02)


class House:
    """`start` runs `zoneward run`, or another command, in `directory`; `stop` ends it."""

    def __init__(self, directory: Path, address: str) -> None:
        self.directory = directory
        self.address = address
        self.process: subprocess.Popen[bytes] | None = None
        self.environ = {
            name: os.environ[name] for name in ("PATH", "LANG", "HOME") if name in os.environ
        }

    # --- files --------------------------------------------------------------------------

    def write(self, name: str, text: str) -> Path:
        """A file, replaced in one step."""
        path = self.directory / name
        fresh = path.with_name(path.name + ".new")
        fresh.write_text(text)
        fresh.rename(path)
        return path

    def corefile(self, *blocks: str, options: str = "") -> Path:
        """A Corefile; @ADDRESS@ and @PORT@ stand for this house's own."""
        text = "{\n    state state\n" + options + "\n}\n" + "\n".join(blocks)
        text = text.replace("@ADDRESS@", self.address).replace("@PORT@", str(PORT))
        return self.write("Corefile", text)

    @property
    def log(self) -> str:
        return self._read("log")

    @property
    def out(self) -> str:
        return self._read("out")

    def _read(self, name: str) -> str:
        path = self.directory / name
        return path.read_text(errors="replace") if path.exists() else ""

    def lines(self, text: str) -> list[str]:
        """The log's lines that hold a text."""
        return [line for line in self.log.splitlines() if text in line]

    # --- processes ----------------------------------------------------------------------

    def command(self, *arguments: str, timeout: float = 30) -> subprocess.CompletedProcess[str]:
        """A command that ends, run to its end."""
        return subprocess.run(
            [sys.executable, "-P", "-m", "zoneward", *arguments],
            cwd=self.directory,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )

    def start(
        self, command: str = "run", *, limits: Callable[[], None] | None = None
    ) -> subprocess.Popen[bytes]:
        """Start, without waiting for anything. `limits` runs in the child before exec."""
        with (
            (self.directory / "out").open("ab") as out,
            (self.directory / "log").open("ab") as log,
        ):
            self.process = subprocess.Popen(
                [sys.executable, "-P", "-m", "zoneward", command, "-c", "Corefile"],
                cwd=self.directory,
                env=self.environ,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=log,
                preexec_fn=limits,
            )
        return self.process

    def ready(self, seconds: float = 30) -> None:
        """Wait until `run` says that it is ready."""
        before = self.out.count("Zoneward is ready.")

        def is_ready() -> bool:
            assert self.process is not None
            assert self.process.poll() is None, f"it ended:\n{self.log}"
            return self.out.count("Zoneward is ready.") > before

        until(is_ready, seconds, f"ready\n{self.log}")

    def run(self, seconds: float = 30) -> None:
        self.start()
        self.ready(seconds)

    def end(self, seconds: float = 30) -> int:
        """Wait until it ends by itself; its exit code."""
        assert self.process is not None
        return self.process.wait(seconds)

    def stop(self, number: signal.Signals = signal.SIGTERM, seconds: float = 30) -> int:
        assert self.process is not None
        self.process.send_signal(number)
        return self.end(seconds)

    def child(self, verb: str) -> int:
        """The process id of the manager ("manage") or the server ("serve")."""
        assert self.process is not None
        parent = self.process.pid

        def find() -> int | None:
            for pid, words in children(parent):
                if verb in words:
                    return pid
            return None

        return until(find, 10, f"a child that runs {verb}")

    def kill(self, verb: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Signal a child; its process id."""
        pid = self.child(verb)
        os.kill(pid, number)
        return pid

    def end_all(self) -> None:
        """Whatever still runs is killed: the supervisor and its children."""
        if self.process is None or self.process.poll() is not None:
            return
        pids = [pid for pid, _ in children(self.process.pid)]
        self.process.kill()
        self.process.wait()
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)

    # --- questions ----------------------------------------------------------------------

    def ask(
        self,
        name: str,
        rtype: str = "A",
        *,
        dnssec: bool = True,
        tcp: bool = False,
        timeout: float = 2,
    ) -> dns.message.Message:
        """One query to the server."""
        query = dns.message.make_query(name, rtype, want_dnssec=dnssec, payload=1232)
        if tcp:
            return dns.query.tcp(query, self.address, timeout=timeout, port=PORT)
        reply, _ = dns.query.udp_with_fallback(query, self.address, timeout=timeout, port=PORT)
        return reply

    def answer(self, name: str, rtype: str = "A", *, timeout: float = 0.3) -> list[str]:
        """The answer's records of a type, as text; empty when nobody answers."""
        try:
            reply = self.ask(name, rtype, timeout=timeout)
        except (OSError, dns.exception.DNSException):
            return []
        return sorted(
            rdata.to_text()
            for rrset in reply.answer
            if rrset.rdtype == dns.rdatatype.from_text(rtype)
            for rdata in rrset
        )

    def serial(self, zone: str) -> int | None:
        found = self.answer(zone, "SOA")
        return int(found[0].split()[2]) if found else None

    def everything(self, zone: str, names: Sequence[str]) -> list[str]:
        """All that the server says of some names, signatures included."""
        replies = [self.ask(name, rtype) for name in names for rtype in ("A", "SOA", "DNSKEY")]
        return [
            rrset.to_text()
            for reply in replies
            for section in (reply.answer, reply.authority)
            for rrset in section
        ]


def children(parent: int) -> Iterator[tuple[int, list[str]]]:
    """Process ids and command lines of a process's children."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdecimal():
            continue
        try:
            stat = (entry / "stat").read_text()
            words = (entry / "cmdline").read_bytes().decode(errors="replace").split("\0")
        except OSError:
            continue
        if int(stat.rpartition(")")[2].split()[1]) == parent:
            yield int(entry.name), words
