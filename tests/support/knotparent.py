"""Knot as the parent of a zone: it has the DS by dynamic update (RFC 2136), as CDS asks for it."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

import dns.exception
import dns.message
import dns.name
import dns.query
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.update
from house import House, until

PARENT = dns.name.from_text("example.net.")
PORT = 5302

_CONFIG = """server:
  rundir: {directory}
  listen: {address}@{port}
  udp-workers: 1
  tcp-workers: 1
  background-workers: 1
database:
  storage: {directory}
log:
  - target: stderr
    any: warning
acl:
  - id: helper
    address: 127.0.0.0/8
    action: update
zone:
  - domain: {origin}
    file: {directory}/db.parent
    zonefile-sync: -1
    acl: helper
"""
_ZONE = """$ORIGIN {origin}
$TTL 1
@ SOA ns hostmaster 1 3600 900 86400 1
@ NS ns
ns A {address}
{child} NS ns.{child}
ns.{child} A {address}
"""


class KnotParent:
    """A delegation without DS at first; all TTLs are a second."""

    def __init__(self, directory: Path, address: str, child: dns.name.Name) -> None:
        self.address = address
        self.child = child
        directory.mkdir()
        text = {"directory": directory, "address": address, "port": PORT, "origin": PARENT}
        (directory / "knot.conf").write_text(_CONFIG.format(**text))
        (directory / "db.parent").write_text(_ZONE.format(**text, child=child))
        self.log = directory / "log"
        with self.log.open("wb") as log:
            self._process = subprocess.Popen(
                ["knotd", "-c", str(directory / "knot.conf")], stdout=log, stderr=log
            )
        until(self._answers, 15, f"a parent: see {self.log}")

    def _answers(self) -> bool:
        try:
            self.records()
        except (OSError, EOFError, dns.exception.DNSException):
            return False
        return True

    def records(self) -> frozenset[dns.rdata.Rdata]:
        """The DS RRset as it is now."""
        query = dns.message.make_query(self.child, dns.rdatatype.DS)
        reply = dns.query.tcp(query, self.address, timeout=5, port=PORT)
        found = reply.get_rrset(reply.answer, self.child, dns.rdataclass.IN, dns.rdatatype.DS)
        return frozenset() if found is None else frozenset(found)

    def ds(self) -> list[bytes]:
        """The same in wire form."""
        return sorted(rdata.to_digestable() for rdata in self.records())

    def replace(self, wanted: Iterable[dns.rdata.Rdata]) -> None:
        """In one update."""
        update = dns.update.UpdateMessage(PARENT)
        update.delete(self.child, dns.rdatatype.DS)
        for rdata in wanted:
            update.add(self.child, 1, rdata)
        reply = dns.query.tcp(update, self.address, timeout=5, port=PORT)
        assert reply.rcode() == dns.rcode.NOERROR, dns.rcode.to_text(reply.rcode())

    def read_cds(self, house: House) -> None:
        """Take the DS over that the zone's CDS asks for (RFC 7344 section 4)."""
        wanted = frozenset(
            dns.rdata.from_text(dns.rdataclass.IN, dns.rdatatype.DS, text)
            for text in house.answer(str(self.child), "CDS")
        )
        if wanted and wanted != self.records():
            self.replace(wanted)

    def end(self) -> None:
        self._process.terminate()
        self._process.wait(20)
