"""Debian's resolvers and name servers, started for one test and ended with it."""

import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.query


@contextmanager
def running(
    command: Sequence[str | Path], directory: Path, address: str, port: int
) -> Iterator[None]:
    """A name server in the foreground, once it answers something at an address. Fails with
    its output when it is not installed or does not come up."""
    program = shutil.which(str(command[0]), path="/usr/sbin:/usr/bin:/sbin:/bin")
    assert program is not None, f"{command[0]} is missing: run `make peers`"
    log = directory / f"{command[0]}.log"
    with log.open("wb") as out:
        process = subprocess.Popen([program, *command[1:]], cwd=directory, stdout=out, stderr=out)
    try:
        deadline = time.monotonic() + 20
        while not _answers(address, port):
            assert process.poll() is None, f"{command[0]} ended:\n{log.read_text()}"
            assert time.monotonic() < deadline, f"{command[0]} is silent:\n{log.read_text()}"
            time.sleep(0.05)
        yield
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


@contextmanager
def unbound(
    directory: Path, address: str, port: int, *, stubs: dict[str, tuple[str, int]], anchors: Path
) -> Iterator[None]:
    """A validating resolver that asks `stubs` for their zones and trusts the DS records in
    the file `anchors`, and nothing else."""
    lines = [
        "server:",
        f'    directory: "{directory}"',
        '    chroot: ""',
        '    username: ""',
        '    pidfile: ""',
        "    use-syslog: no",
        "    do-not-query-localhost: no",
        f"    interface: {address}@{port}",
        "    access-control: 127.0.0.0/8 allow",
        '    module-config: "validator iterator"',
        f'    trust-anchor-file: "{anchors}"',
        "    val-permissive-mode: no",
        "    cache-max-ttl: 0",
        "    num-threads: 1",
        "remote-control:",
        "    control-enable: no",
    ]
    for zone, (host, at) in stubs.items():
        lines += ["stub-zone:", f'    name: "{zone}"', f"    stub-addr: {host}@{at}"]
    config = directory / "unbound.conf"
    config.write_text("\n".join(lines) + "\n")
    with running(["unbound", "-d", "-d", "-c", config], directory, address, port):
        yield


def _answers(address: str, port: int) -> bool:
    try:
        dns.query.udp(
            dns.message.make_query("version.bind.", "TXT"), address, timeout=0.3, port=port
        )
    except (OSError, dns.exception.DNSException):
        return False
    return True
