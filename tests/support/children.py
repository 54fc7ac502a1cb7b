"""BIND and Knot as children of a zone: they sign by themselves and publish CDS and CDNSKEY."""

import contextlib
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rdataclass
import dns.rdatatype
import dns.zone
from house import until

_ZONE = """$TTL 1
@ SOA ns hostmaster 1 3600 900 86400 1
@ NS ns
{servers}
ns A {address}
"""
_NAMED = """options {{
    directory "{directory}"; key-directory "{directory}"; session-keyfile "{directory}/session.key";
    listen-on port {port} {{ {address}; }}; listen-on-v6 {{ none; }}; pid-file none;
    recursion no; dnssec-validation no; allow-query {{ any; }}; allow-transfer {{ any; }};
    notify no;
}};
controls {{ }};
dnssec-policy "quick" {{
    keys {{ csk lifetime unlimited algorithm ecdsap256sha256; }};
    dnskey-ttl 1; max-zone-ttl 1; publish-safety 1; retire-safety 1; zone-propagation-delay 1;
    parent-ds-ttl 1; parent-propagation-delay 1;
}};
zone "{origin}" {{
    type primary; file "zone"; check-integrity no; dnssec-policy "quick"; inline-signing yes;
}};
"""
_KNOT = """server:
  rundir: {directory}
  listen: {address}@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: {directory}
log:
  - target: stderr
    any: info
acl:
  - id: all
    address: 127.0.0.0/8
    action: transfer
policy:
  - id: quick
    algorithm: ecdsap256sha256
    dnskey-ttl: 1
    zone-max-ttl: 1
    propagation-delay: 1
    cds-cdnskey-publish: always
zone:
  - domain: {origin}
    file: {directory}/zone
    zonefile-sync: -1
    zonefile-load: difference-no-serial
    journal-content: all
    dnssec-signing: on
    dnssec-policy: quick
    acl: all
"""


class SignedChild:
    """Runs until `ended`; `kind` is "bind" or "knot". `servers` are more NS lines."""

    def __init__(
        self, kind: str, directory: Path, at: tuple[str, int], origin: str, servers: str = ""
    ) -> None:
        directory.mkdir()
        self.directory, self.at, self.origin = directory, at, origin
        (directory / "zone").write_text(_ZONE.format(address=at[0], servers=servers))
        config = directory / "conf"
        text = _NAMED if kind == "bind" else _KNOT
        config.write_text(
            text.format(directory=directory, address=at[0], port=at[1], origin=origin)
        )
        command = ["named", "-g", "-n", "1"] if kind == "bind" else ["knotd"]
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen([*command, "-c", str(config)], stdout=log, stderr=log)

    def rdatas(self, rtype: str) -> frozenset[str]:
        """What it has at its apex; empty while it does not answer."""
        query = dns.message.make_query(self.origin, rtype)
        try:
            reply = dns.query.tcp(query, self.at[0], timeout=2, port=self.at[1])
        except (OSError, EOFError, dns.exception.DNSException):
            return frozenset()
        return frozenset(
            rdata.to_text(chunksize=0) if rtype != "SOA" else rdata.to_text()
            for rrset in reply.answer
            if rrset.rdtype == dns.rdatatype.from_text(rtype)
            for rdata in rrset
        )

    def has(self, rtype: str, seconds: float = 40) -> frozenset[str]:
        """Wait for it."""
        return until(lambda: self.rdatas(rtype), seconds, f"{rtype} of {self.origin}: {self.log}")

    def copy(self, path: Path) -> Path:
        """The version that it has now, as a zone file."""
        zone = dns.zone.Zone(self.origin, relativize=False)
        dns.query.inbound_xfr(self.at[0], zone, port=self.at[1])
        path.write_text(zone.to_text(relativize=False))
        return path

    def knotc(self, *words: str) -> None:
        done = subprocess.run(
            ["knotc", "-s", str(self.directory / "knot.sock"), *words],
            capture_output=True,
            text=True,
            timeout=30,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def end(self) -> None:
        self._process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(20)


@contextmanager
def child(
    kind: str, directory: Path, at: tuple[str, int], origin: str, servers: str = ""
) -> Iterator[SignedChild]:
    found = SignedChild(kind, directory, at, origin, servers)
    try:
        yield found
    finally:
        found.end()
