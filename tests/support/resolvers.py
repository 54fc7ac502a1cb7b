"""Unbound and BIND as resolvers for a few zones, on addresses of their own."""

import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import attrs
import dns.message
import dns.query
from house import until


@attrs.frozen
class Resolver:
    address: str
    port: int
    process: "subprocess.Popen[bytes]"

    @property
    def upstream(self) -> str:
        return f"{self.address}:{self.port}"


@attrs.frozen
class Stub:
    """A zone, and the server that has it."""

    origin: str
    address: str
    port: int


@contextmanager
def unbound(
    directory: Path,
    address: str,
    port: int,
    stubs: Sequence[Stub],
    anchors: Sequence[str] = (),
) -> Iterator[Resolver]:
    """It validates where there are `anchors`, and forwards nothing else."""
    directory.mkdir(parents=True)
    forwarded = "".join(
        f'{"forward" if stub.origin == "." else "stub"}-zone:\n  name: "{stub.origin}"\n'
        f"  {'forward' if stub.origin == '.' else 'stub'}-addr: {stub.address}@{stub.port}\n"
        for stub in stubs
    )
    trust = "".join(f'  trust-anchor: "{anchor}"\n' for anchor in anchors)
    (directory / "unbound.conf").write_text(
        f"server:\n  interface: {address}@{port}\n  access-control: 127.0.0.0/8 allow\n"
        f'  directory: "{directory}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n'
        "  use-syslog: no\n  verbosity: 1\n  do-daemonize: no\n  ede: yes\n"
        "  do-not-query-localhost: no\n  num-threads: 1\n  do-ip6: no\n"
        f'  module-config: "{"validator " if anchors else ""}iterator"\n'
        "  local-zone: test. transparent\n"
        f"{trust}remote-control:\n  control-enable: no\n{forwarded}"
    )
    program = shutil.which("unbound", path="/usr/sbin:/usr/bin:/usr/local/sbin")
    assert program, "unbound is missing: run `make peers`"
    with (directory / "log").open("wb") as log:
        process = subprocess.Popen(
            [program, "-d", "-p", "-c", str(directory / "unbound.conf")], stdout=log, stderr=log
        )

    def answers() -> bool:
        assert process.poll() is None, (directory / "log").read_text()
        query = dns.message.make_query("localhost.", "A")
        try:
            dns.query.udp(query, address, port=port, timeout=1)
        except (OSError, dns.exception.Timeout):
            return False
        return True

    try:
        until(answers, 10, "Unbound answers")
        yield Resolver(address, port, process)
    finally:
        process.terminate()
        process.wait(10)
