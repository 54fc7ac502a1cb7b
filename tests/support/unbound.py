"""Unbound as a validating resolver that has nothing but DS records to go by."""

import shutil
import subprocess
from collections.abc import Collection
from pathlib import Path

import dns.message
import dns.query
from house import PORT, until

_PORT = 5301


class Unbound:
    """Asks the server at `address` for the `stubs`; listens there too."""

    def __init__(
        self,
        directory: Path,
        address: str,
        anchors: Collection[str],
        stubs: Collection[str],
        *,
        options: str = "",
    ) -> None:
        self.address = address
        forwarded = "".join(
            f'stub-zone:\n  name: "{origin}"\n  stub-addr: {address}@{PORT}\n' for origin in stubs
        )
        trust = "".join(f'  trust-anchor: "{anchor}"\n' for anchor in anchors)
        config = directory / "unbound.conf"
        config.write_text(
            f"server:\n  interface: {address}@{_PORT}\n  access-control: 127.0.0.0/8 allow\n"
            f'  directory: "{directory}"\n  chroot: ""\n  username: ""\n  pidfile: ""\n'
            "  use-syslog: no\n  verbosity: 1\n  val-log-level: 2\n  do-daemonize: no\n"
            "  do-not-query-localhost: no\n  num-threads: 1\n"
            '  module-config: "validator iterator"\n'
            "  aggressive-nsec: no\n  qname-minimisation: no\n  do-ip6: no\n"
            f"{trust}{options}{forwarded}remote-control:\n  control-enable: no\n"
        )
        self.log = directory / "unbound.log"
        program = shutil.which("unbound", path="/usr/sbin:/usr/bin:/usr/local/sbin")
        assert program, "unbound is missing: run `make peers`"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [program, "-d", "-p", "-c", str(config)], stdout=log, stderr=log
            )
        until(self.answers, 10, "Unbound answers")

    def ask(self, name: str, rtype: str) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, want_dnssec=True)
        return dns.query.tcp(query, self.address, port=_PORT, timeout=10)

    def answers(self) -> bool:
        try:
            self.ask("localhost.", "A")
        except (OSError, EOFError):
            return False
        return True

    def end(self) -> None:
        self.process.terminate()
        self.process.wait(10)
