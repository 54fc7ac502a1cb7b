"""Real parents that take DS by dynamic update and sign them: BIND, Knot and PowerDNS."""

import base64
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rdatatype

SECRET = base64.b64encode(b"a secret of thirty-two octets ok").decode()
KEY_NAME = "updates."
ZONE = "parent.test."
CHILD = "child.parent.test."
_SCHEMA = Path("/usr/share/pdns-backend-sqlite3/schema/schema.sqlite3.sql")
_TEXT = """$TTL 5
@ SOA ns.parent.test. hostmaster.parent.test. 1 3600 900 86400 5
@ NS ns.parent.test.
ns A 127.0.0.1
child NS ns.child
ns.child A 127.0.0.1
"""
API_KEY = "an-api-key-of-the-tests"


@attrs.frozen
class Parent:
    """One that runs. `http` is where PowerDNS has its API."""

    kind: str
    address: str
    port: int
    http: str = ""

    def ds(self, name: str = CHILD) -> list[str]:
        """The DS as it serves them, in order."""
        return self.records(name, "DS")

    def records(self, name: str, rtype: str, *, dnssec: bool = False) -> list[str]:
        query = dns.message.make_query(name, rtype, want_dnssec=dnssec)
        reply = dns.query.tcp(query, self.address, timeout=3, port=self.port)
        return sorted(rdata.to_text() for rrset in reply.answer for rdata in rrset)


def _bind(directory: Path, address: str, port: int, http: int) -> list[str]:
    (directory / "named.conf").write_text(
        f"""options {{ directory "{directory}"; listen-on port {port} {{ {address}; }};
listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; allow-query {{ any; }};
pid-file none; session-keyfile "{directory}/session.key"; notify no; }};
controls {{ }};
key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
zone "{ZONE}" {{ type primary; file "parent.db"; dnssec-policy default;
update-policy {{ grant {KEY_NAME} name {CHILD} DS; }}; }};
"""
    )
    return ["named", "-g", "-c", str(directory / "named.conf")]


def _knot(directory: Path, address: str, port: int, http: int) -> list[str]:
    (directory / "knot.conf").write_text(
        f"""server:
  rundir: {directory}
  listen: {address}@{port}
  tcp-workers: 1
  udp-workers: 1
  background-workers: 1
database:
  storage: {directory}
log:
  - target: stderr
    any: warning
key:
  - id: {KEY_NAME}
    algorithm: hmac-sha256
    secret: {SECRET}
acl:
  - id: updates
    key: {KEY_NAME}
    action: update
    update-type: [DS]
    update-owner: name
    update-owner-match: equal
    update-owner-name: [{CHILD}]
zone:
  - domain: {ZONE}
    file: {directory}/parent.db
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: on
    acl: updates
"""
    )
    return ["knotd", "-c", str(directory / "knot.conf")]


def _powerdns(directory: Path, address: str, port: int, http: int) -> list[str]:
    database = directory / "pdns.db"
    with sqlite3.connect(database) as db:
        db.executescript(_SCHEMA.read_text())
    db.close()
    (directory / "pdns.conf").write_text(
        f"""launch=gsqlite3
gsqlite3-database={database}
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
local-address={address}
local-port={port}
socket-dir={directory}
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
api=yes
api-key={API_KEY}
webserver=yes
webserver-address={address}
webserver-port={http}
webserver-allow-from=127.0.0.0/8
cache-ttl=0
query-cache-ttl=0
negquery-cache-ttl=0
zone-cache-refresh-interval=0
security-poll-suffix=
guardian=no
daemon=no
"""
    )
    for words in (
        ["load-zone", ZONE, str(directory / "parent.db")],
        ["import-tsig-key", KEY_NAME, "hmac-sha256", SECRET],
        ["set-meta", ZONE, "TSIG-ALLOW-DNSUPDATE", KEY_NAME],
        ["secure-zone", ZONE],
        ["rectify-zone", ZONE],
    ):
        subprocess.run(
            ["pdnsutil", "--config-dir", str(directory), *words], check=True, capture_output=True
        )
    return ["pdns_server", f"--config-dir={directory}"]


_STARTS: dict[str, Callable[[Path, str, int, int], list[str]]] = {
    "bind": _bind,
    "knot": _knot,
    "powerdns": _powerdns,
}
KINDS = tuple(_STARTS)


@contextmanager
def running(kind: str, directory: Path, address: str, port: int, http: int = 0) -> Iterator[Parent]:
    """Start one and wait until it signs. BIND listens on addresses of interfaces alone, so
    that it has to be 127.0.0.1."""
    directory.mkdir(parents=True)
    (directory / "parent.db").write_text(f"$ORIGIN {ZONE}\n{_TEXT}")
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _STARTS[kind](directory, address, port, http), stdout=output, stderr=output
        )
    parent = Parent(kind, address, port, f"http://{address}:{http}" if http else "")
    try:
        until = time.monotonic() + 20
        while not _signs(parent):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{kind} does not sign {ZONE}: {log.read_text()}")
            time.sleep(0.1)
        yield parent
    finally:
        process.terminate()
        process.wait(20)


def _signs(parent: Parent) -> bool:
    try:
        return any("RRSIG" in one or " 13 " in one for one in _soa(parent))
    except (OSError, EOFError, dns.exception.DNSException):
        return False


def _soa(parent: Parent) -> list[str]:
    query = dns.message.make_query(ZONE, "SOA", want_dnssec=True)
    reply = dns.query.tcp(query, parent.address, timeout=1, port=parent.port)
    return [
        rrset.to_text() for rrset in reply.answer if rrset.rdtype == dns.rdatatype.RRSIG
    ] * bool(reply.flags & dns.flags.AA)
