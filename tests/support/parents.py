"""Real parents that take DS by dynamic update and sign them: BIND, Knot and PowerDNS."""

import base64
import os
import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable, Iterable, Iterator
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
_TEXT = """$ORIGIN {origin}
$TTL {ttl}
@ SOA ns hostmaster 1 3600 900 86400 {ttl}
@ NS ns
ns A 127.0.0.1
"""
_DELEGATION = "{child} NS ns.{child}\nns.{child} A {server}\n"
API_KEY = "an-api-key-of-the-tests"


@attrs.frozen
class Delegating:
    """A zone with delegations without DS, whose servers are all at one address. The TTLs of its
    data, the negative one too, are `ttl` seconds."""

    origin: str = ZONE
    children: tuple[str, ...] = (CHILD,)
    server: str = "127.0.0.1"
    ttl: int = 5

    @property
    def text(self) -> str:
        delegations = (
            _DELEGATION.format(child=child, server=self.server) for child in self.children
        )
        return _TEXT.format(origin=self.origin, ttl=self.ttl) + "".join(delegations)


@attrs.frozen
class Parent:
    """One that runs. `http` is where PowerDNS has its API."""

    kind: str
    directory: Path
    address: str
    port: int
    http: str = ""
    zone: Delegating = Delegating()
    pid: int = 0

    def allow(self, children: Iterable[str]) -> None:
        """From now on, or a moment later, the key may change the DS of these alone. Not
        PowerDNS's, which knows no such limit."""
        assert self.kind != "powerdns"
        _STARTS[self.kind](self, children)
        os.kill(self.pid, signal.SIGHUP)

    def ds(self, name: str = CHILD) -> list[str]:
        """The DS as it serves them, in order."""
        return self.records(name, "DS")

    def records(self, name: str, rtype: str, *, dnssec: bool = False) -> list[str]:
        query = dns.message.make_query(name, rtype, want_dnssec=dnssec)
        reply = dns.query.tcp(query, self.address, timeout=3, port=self.port)
        return sorted(rdata.to_text() for rrset in reply.answer for rdata in rrset)

    @property
    def anchor(self) -> str:
        """The DNSKEY that vouches for the others, as zone-file text."""
        (key,) = (one for one in self.records(self.zone.origin, "DNSKEY") if one.startswith("257 "))
        return f"{self.zone.origin} {self.zone.ttl} IN DNSKEY {key}"


def _bind(parent: Parent, allowed: Iterable[str]) -> list[str]:
    directory, zone = parent.directory, parent.zone
    grants = " ".join(f"grant {KEY_NAME} name {child} DS;" for child in allowed)
    (directory / "named.conf").write_text(
        f"""options {{ directory "{directory}";
listen-on port {parent.port} {{ {parent.address}; }};
listen-on-v6 {{ none; }}; recursion no; dnssec-validation no; allow-query {{ any; }};
pid-file none; session-keyfile "{directory}/session.key"; notify no; }};
controls {{ }};
key "{KEY_NAME}" {{ algorithm hmac-sha256; secret "{SECRET}"; }};
zone "{zone.origin}" {{ type primary; file "parent.db"; dnssec-policy default;
update-policy {{ {grants} }}; }};
"""
    )
    return ["named", "-g", "-n", "1", "-c", str(directory / "named.conf")]


def _knot(parent: Parent, allowed: Iterable[str]) -> list[str]:
    directory, zone = parent.directory, parent.zone
    (directory / "knot.conf").write_text(
        f"""server:
  rundir: {directory}
  listen: {parent.address}@{parent.port}
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
    update-owner-name: [{", ".join(allowed)}]
zone:
  - domain: {zone.origin}
    file: {directory}/parent.db
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: on
    acl: updates
"""
    )
    return ["knotd", "-c", str(directory / "knot.conf")]


def _powerdns(parent: Parent, _: Iterable[str]) -> list[str]:
    directory, origin = parent.directory, parent.zone.origin
    database = directory / "pdns.db"
    with sqlite3.connect(database) as db:
        db.executescript(_SCHEMA.read_text())
    db.close()
    (directory / "pdns.conf").write_text(
        f"""launch=gsqlite3
gsqlite3-database={database}
gsqlite3-dnssec=yes
gsqlite3-pragma-synchronous=0
local-address={parent.address}
local-port={parent.port}
socket-dir={directory}
dnsupdate=yes
allow-dnsupdate-from=127.0.0.0/8
api=yes
api-key={API_KEY}
webserver=yes
webserver-address={parent.address}
webserver-port={parent.http.rpartition(":")[2]}
webserver-allow-from=127.0.0.0/8
distributor-threads=1
receiver-threads=1
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
        ["load-zone", origin, str(directory / "parent.db")],
        ["import-tsig-key", KEY_NAME, "hmac-sha256", SECRET],
        ["set-meta", origin, "TSIG-ALLOW-DNSUPDATE", KEY_NAME],
        ["secure-zone", origin],
        ["rectify-zone", origin],
    ):
        subprocess.run(
            ["pdnsutil", "--config-dir", str(directory), *words], check=True, capture_output=True
        )
    return ["pdns_server", f"--config-dir={directory}"]


_STARTS: dict[str, Callable[[Parent, Iterable[str]], list[str]]] = {
    "bind": _bind,
    "knot": _knot,
    "powerdns": _powerdns,
}
KINDS = tuple(_STARTS)


@contextmanager
def running(
    kind: str,
    directory: Path,
    address: str,
    port: int,
    http: int = 0,
    zone: Delegating = Delegating(),
) -> Iterator[Parent]:
    """Start one and wait until it signs. BIND listens on addresses of interfaces alone, so
    that it has to be 127.0.0.1."""
    directory.mkdir(parents=True)
    (directory / "parent.db").write_text(zone.text)
    where = f"http://{address}:{http}" if http else ""
    parent = Parent(kind, directory, address, port, where, zone)
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(
            _STARTS[kind](parent, zone.children), stdout=output, stderr=output
        )
    try:
        until = time.monotonic() + 20
        while not _signs(parent):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"{kind} does not sign {zone.origin}: {log.read_text()}")
            time.sleep(0.1)
        yield attrs.evolve(parent, pid=process.pid)
    finally:
        process.terminate()
        process.wait(20)


def _signs(parent: Parent) -> bool:
    try:
        return any("RRSIG" in one or " 13 " in one for one in _soa(parent))
    except (OSError, EOFError, dns.exception.DNSException):
        return False


def _soa(parent: Parent) -> list[str]:
    query = dns.message.make_query(parent.zone.origin, "SOA", want_dnssec=True)
    reply = dns.query.tcp(query, parent.address, timeout=1, port=parent.port)
    return [
        rrset.to_text() for rrset in reply.answer if rrset.rdtype == dns.rdatatype.RRSIG
    ] * bool(reply.flags & dns.flags.AA)
