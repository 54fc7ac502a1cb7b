"""PowerDNS from Debian, with its HTTP API, as a parent that signs its zone."""

import json
import sqlite3
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import dns.flags
import dns.message
import dns.name
import dns.query
import dns.rdatatype

SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
KEY = "api-key-0123456789"
PORT, API_PORT = 5300, 8081


@attrs.frozen
class Parent:
    address: str

    @property
    def endpoint(self) -> str:
        return f"http://{self.address}:{API_PORT}"

    def api(self, method: str, path: str, body: Any = None) -> Any:
        request = urllib.request.Request(
            f"{self.endpoint}/api/v1/servers/localhost{path}",
            json.dumps(body).encode() if body is not None else None,
            {"X-API-Key": KEY, "Content-Type": "application/json"},
            method=method,
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            content = answer.read()
        return json.loads(content) if content else None

    def add_zone(self, name: str) -> None:
        """Signed, with a delegation of child.NAME."""
        zone = {"name": name, "kind": "Native", "nameservers": [f"ns.{name}"], "dnssec": True}
        self.api("POST", "/zones", zone)
        delegation = {
            "name": f"child.{name}",
            "type": "NS",
            "ttl": 3600,
            "changetype": "REPLACE",
            "records": [{"content": f"ns.child.{name}", "disabled": False}],
        }
        self.api("PATCH", f"/zones/{name}", {"rrsets": [delegation]})

    def ds(self, name: dns.name.Name) -> tuple[set[bytes], bool]:
        """The DS that it serves, and whether they are signed."""
        query = dns.message.make_query(name, dns.rdatatype.DS, want_dnssec=True)
        query.flags &= ~dns.flags.RD
        answer = dns.query.tcp(query, self.address, 5, PORT).answer
        found = {
            rdata.to_wire()
            for rrset in answer
            if rrset.rdtype == dns.rdatatype.DS
            for rdata in rrset
        }
        return found, any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in answer)


@contextmanager
def running(directory: Path, address: str) -> Iterator[Parent]:
    directory.mkdir(parents=True)
    database = sqlite3.connect(directory / "db")
    database.executescript(SCHEMA.read_text())
    database.close()
    (directory / "pdns.conf").write_text(
        f"launch=gsqlite3\ngsqlite3-database={directory}/db\ngsqlite3-dnssec=yes\n"
        f"local-address={address}\nlocal-port={PORT}\nsocket-dir={directory}\n"
        f"api=yes\napi-key={KEY}\nwebserver=yes\nwebserver-address={address}\n"
        f"webserver-port={API_PORT}\nwebserver-allow-from=127.0.0.0/8\n"
        # Answers and lists as of now.
        "cache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\nzone-cache-refresh-interval=0\n"
        "distributor-threads=1\nreceiver-threads=1\nsecurity-poll-suffix=\n"
    )
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            ["pdns_server", f"--config-dir={directory}", "--daemon=no", "--guardian=no"],
            stdout=output,
            stderr=output,
        )
    parent = Parent(address)
    try:
        until = time.monotonic() + 20
        while True:
            try:
                parent.api("GET", "")
                break
            except urllib.error.URLError:
                if process.poll() is not None or time.monotonic() > until:
                    raise RuntimeError(f"PowerDNS does not start: {log.read_text()}") from None
            time.sleep(0.05)
        yield parent
    finally:
        process.terminate()
        process.wait(20)
