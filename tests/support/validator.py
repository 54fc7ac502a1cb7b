"""Unbound as a validating resolver of a parent and its child, with caches that can be emptied."""

import shutil
import socket
import subprocess
from pathlib import Path
from typing import Protocol

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
from house import PORT, until
from parentzone import PARENT
from ports import free_port

# As strict as Unbound can be: no second try that would hide a mix of caches that does not
# validate, every algorithm of the DS RRset looked at.
_CONFIG = """server:
    interface: {address}@{port}
    access-control: 127.0.0.0/8 allow
    directory: "{directory}"
    chroot: ""
    username: ""
    pidfile: ""
    use-syslog: no
    verbosity: 1
    val-log-level: 2
    ede: yes
    do-daemonize: no
    do-not-query-localhost: no
    do-ip6: no
    num-threads: 1
    module-config: "validator iterator"
    trust-anchor: "{anchor}"
    val-max-restart: 0
    val-bogus-ttl: 1
    harden-algo-downgrade: yes
    harden-dnssec-stripped: yes
    harden-below-nxdomain: yes
    max-udp-size: 4096
    infra-host-ttl: 1
    infra-keep-probing: yes
{more}
stub-zone:
    name: "{parent_name}"
    stub-addr: {parent}
{children}
remote-control:
    control-enable: yes
    control-interface: "{control}"
    control-use-cert: no
"""

_CHILD = """stub-zone:
    name: "{name}"
    stub-addr: {address}@{port}"""

PLAIN = ("qname-minimisation: no", "aggressive-nsec: no", "prefetch: no")
EAGER = ("qname-minimisation: yes", "aggressive-nsec: yes", "prefetch: yes", "prefetch-key: yes")


class Trusted(Protocol):
    """A parent that signs. `anchor` is its DNSKEY as zone-file text."""

    @property
    def address(self) -> str: ...
    @property
    def port(self) -> int: ...
    @property
    def anchor(self) -> str: ...
    @property
    def children(self) -> tuple[dns.name.Name, ...]: ...


class Validator:
    """Listens on the child's address, on a port of its own."""

    def __init__(
        self,
        directory: Path,
        name: str,
        parent: Trusted,
        child_address: str,
        options: tuple[str, ...] = PLAIN,
    ) -> None:
        self.name = name
        self.address = child_address
        self.port = free_port(child_address)
        self._control = directory / f"{name}.control"
        config = directory / f"{name}.conf"
        config.write_text(
            _CONFIG.format(
                address=self.address,
                port=self.port,
                directory=directory,
                anchor=parent.anchor,
                more="".join(f"    {line}\n" for line in options),
                parent_name=PARENT.to_text(),
                parent=f"{parent.address}@{parent.port}",
                children="\n".join(
                    _CHILD.format(name=child.to_text(), address=child_address, port=PORT)
                    for child in parent.children
                ),
                control=self._control,
            )
        )
        self.log = directory / f"{name}.log"
        program = shutil.which("unbound", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert program, "unbound is missing: run `make peers`"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                [program, "-d", "-p", "-c", str(config)], stdout=log, stderr=log
            )
        try:
            until(self._answers, 10, f"{name} answers: see {self.log}")
        except AssertionError:
            self.end()
            raise

    def _answers(self) -> bool:
        try:
            return self.ask(PARENT.to_text(), "SOA").rcode() == dns.rcode.NOERROR
        except (OSError, EOFError, dns.exception.DNSException):
            return False

    def ask(self, name: str, rtype: str) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, want_dnssec=True)
        return dns.query.tcp(query, self.address, port=self.port, timeout=10)

    def command(self, line: str) -> str:
        """As by unbound-control."""
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as control:
            control.settimeout(10)
            control.connect(str(self._control))
            control.sendall(f"UBCT1 {line}\n".encode())
            return control.makefile().read()

    def complaints(self) -> list[str]:
        """What did not validate, and why."""
        lines = self.log.read_text(errors="replace").splitlines()
        return [line for line in lines if "validation failure" in line]

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(20)
