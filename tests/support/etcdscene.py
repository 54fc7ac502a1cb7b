"""A signed zone from etcd, alive: Zoneward, etcd, a validating Unbound, and clients that ask all
the time and take note of what they should not get."""

import contextlib
import itertools
import socket
import threading
import time
from collections.abc import Mapping
from pathlib import Path

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import dns.zone
import httpx
from etcdpeer import Etcd
from house import PORT, House, until
from unbound import Unbound

from zones.etcd import skydns
from zones.etcd.rrsets import zone_text
from zones.etcd.skydns import Refused
from zones.etcd.tree import Tree

ZONE = "example.org."
PREFIX = "/skydns/org/example/"
METRICS = 9154
# Of what a signer makes.
_OURS = {"RRSIG", "NSEC", "NSEC3", "NSEC3PARAM", "DNSKEY", "CDS", "CDNSKEY", "SOA"}

BLOCK = """
example.org:@PORT@ {
    bind @ADDRESS@
    etcd {
        @ETCD@
    }
    sign {
        parent none
    }
    errors
}
"""


def block(*lines: str, text: str = BLOCK) -> str:
    return text.replace("@ETCD@", "\n        ".join(lines))


@attrs.define
class Clients:
    """Two who ask without pause: one our server, one the resolver, each for a name that is there
    all the time and for names that never were."""

    house: House
    resolver: Unbound | None
    wrong: list[str] = attrs.field(factory=list)
    asked: int = 0
    _end: threading.Event = attrs.field(factory=threading.Event)
    _threads: list[threading.Thread] = attrs.field(factory=list)

    def start(self) -> None:
        doors = [(self.house.address, PORT, False)]
        if self.resolver is not None:
            doors.append((self.resolver.address, 5301, True))
        for door in doors:
            thread = threading.Thread(target=self._ask_all, args=door, daemon=True)
            thread.start()
            self._threads.append(thread)

    def stop(self) -> None:
        self._end.set()
        for thread in self._threads:
            thread.join(20)

    def _ask_all(self, address: str, port: int, validated: bool) -> None:
        for number in itertools.count():
            for name, rcode in (("stable", "NOERROR"), (f"nx{number}", "NXDOMAIN")):
                if self._end.is_set():
                    return
                self._ask(address, port, f"{name}.{ZONE}", rcode, validated)
            time.sleep(0.02)

    def _ask(self, address: str, port: int, name: str, rcode: str, validated: bool) -> None:
        query = dns.message.make_query(name, "A", want_dnssec=True)
        query.flags |= dns.flags.RD
        self.asked += 1
        for attempt in range(3):
            with contextlib.suppress(dns.exception.Timeout, OSError):
                reply = dns.query.udp(query, address, port=port, timeout=2 + 2 * attempt)
                said = dns.rcode.to_text(reply.rcode())
                if said != rcode:
                    self.wrong.append(f"{name} at {address}:{port}: {said}")
                elif validated and not reply.flags & dns.flags.AD:
                    self.wrong.append(f"{name} at {address}:{port}: not authenticated")
                return
        self.wrong.append(f"{name} at {address}:{port}: no answer")


class Scene:
    """`start` with etcd running and holding `stable`."""

    def __init__(self, house: House, *members: Etcd, lines: tuple[str, ...] = ()) -> None:
        self.house = house
        self.members = members
        self.lines = lines or (f"endpoint {' '.join(member.url for member in members)}",)
        self.unbound: Unbound | None = None
        self.clients: Clients | None = None

    @property
    def etcd(self) -> Etcd:
        return self.members[0]

    def start(self) -> None:
        metrics = f"    metrics {self.house.address}:{METRICS}"
        self.house.corefile(block(*self.lines), options=metrics)
        self.house.run(60)
        anchor = self.house.command("ds", "show").stdout.strip()
        self.unbound = Unbound(
            self.house.directory,
            self.house.address,
            [anchor],
            [ZONE],
            options="  cache-max-ttl: 1\n  cache-max-negative-ttl: 1\n",
        )
        self.clients = Clients(self.house, self.unbound)
        self.clients.start()

    def end(self) -> None:
        if self.clients is not None:
            self.clients.stop()
        if self.unbound is not None:
            self.unbound.end()
        for member in self.members:
            member.kill()

    # --- what is asked of it ------------------------------------------------------------------

    def followed(self) -> dict[str, object]:
        """How far the source has come, as `status` says."""
        path = self.house.directory / "state" / "run" / "admin.sock"
        with httpx.Client(transport=httpx.HTTPTransport(uds=str(path))) as client:
            (zone,) = client.get("http://admin/v1/status").json()["zones"]
        found: dict[str, object] = zone["followed"]
        return found

    def metric(self, name: str) -> float:
        """One of the manager's, of the zone."""
        text = httpx.get(f"http://{self.house.address}:{METRICS}/metrics").text
        (line,) = (one for one in text.splitlines() if one.startswith(f"{name}{{"))
        return float(line.rpartition(" ")[2])

    def shows(self, name: str, *addresses: str, seconds: float = 20) -> None:
        """Until our server answers with these addresses."""
        wanted = sorted(addresses)
        until(
            lambda: self.house.answer(f"{name}.{ZONE}") == wanted,
            seconds,
            f"{name} is {wanted}, not {self.house.answer(f'{name}.{ZONE}')}\n{self.house.log}",
        )

    def denies(self, name: str, seconds: float = 20) -> None:
        """Until our server, and after its TTL the resolver, say that a name does not exist."""
        assert self.unbound is not None
        until(
            lambda: self.house.ask(f"{name}.{ZONE}").rcode() == dns.rcode.NXDOMAIN,
            seconds,
            f"{name} does not exist\n{self.house.log}",
        )
        until(lambda: self.validated(name) == "NXDOMAIN", 10, f"the resolver denies {name}")

    def validated(self, name: str, rtype: str = "A") -> str:
        """What the resolver says; it has to be authenticated."""
        assert self.unbound is not None
        reply = self.unbound.ask(f"{name}.{ZONE}", rtype)
        said = dns.rcode.to_text(reply.rcode())
        assert reply.flags & dns.flags.AD, f"{name}: {said}, not authenticated"
        return said

    def equals_a_fresh_listing(self, seconds: float = 30) -> None:
        """Until what the server has is what etcd has; and nobody had got a wrong answer."""
        until(
            lambda: self.served() == self.listed(),
            seconds,
            f"the served zone is the listed one:\n{self._difference()}\n{self.house.log}",
        )
        assert self.clients is not None
        assert not self.clients.wrong, self.clients.wrong[:5]
        assert self.clients.asked > 10

    def _difference(self) -> str:
        served, listed = self.served(), self.listed()
        return (
            f"only served {sorted(served - listed)[:9]}, only listed {sorted(listed - served)[:9]}"
        )

    def served(self) -> set[str]:
        """All that the server has, by a walk along the zone's NSEC chain."""
        found: set[str] = set()
        name = ZONE
        while True:
            (nsec,) = self._rrset(name, "NSEC")
            for rtype in _types(nsec) - _OURS:
                rrset = self._rrset(name, rtype)
                found |= {f"{name} {rrset.ttl} {rtype} {rdata}" for rdata in rrset}
            name = nsec.next.to_text()
            if name == ZONE:
                return found

    def _rrset(self, name: str, rtype: str) -> dns.rrset.RRset:
        reply = self.house.ask(name, rtype)
        (rrset,) = (one for one in reply.answer if dns.rdatatype.to_text(one.rdtype) == rtype)
        return rrset

    def listed(self) -> set[str]:
        """What etcd holds, read from nothing."""
        tree = Tree(ZONE)
        below = PREFIX.encode()
        member = next(one for one in self.members if one.process is not None)
        for key, value in member.listing(PREFIX).items():
            with contextlib.suppress(Refused):
                tree.put(skydns.read(key, value, 0, below, tree.room))
        text = "".join(zone_text(tree.name(path), tree.records(path)) for path in tree.paths())
        return _records(dns.zone.from_text(text, ZONE, relativize=False, check_origin=False))


def _types(nsec: dns.rdata.Rdata) -> set[str]:
    """What an NSEC record says is at its name."""
    return set(nsec.to_text().split()[1:])


def _records(zone: dns.zone.Zone) -> set[str]:
    return {
        f"{name} {ttl} {dns.rdatatype.to_text(rdata.rdtype)} {rdata}"
        for name, ttl, rdata in zone.iterate_rdatas()
        if dns.rdatatype.to_text(rdata.rdtype) not in _OURS
    }


def services(count: int, *, first: int = 0, net: int = 10) -> Mapping[str, object]:
    """Keys and values of many services."""
    return {
        f"{PREFIX}svc{number % 20}/n{number}": {
            "host": f"{net}.{number >> 16 & 255}.{number >> 8 & 255}.{number & 255}",
            "port": 80,
            "ttl": 1,
        }
        for number in range(first, first + count)
    }


class Cutter:
    """A TCP relay that can be cut: what goes through ends, and nothing more comes through."""

    def __init__(self, address: str, port: int, target: tuple[str, int]) -> None:
        self._target = target
        self._listener = socket.create_server((address, port))
        self._lock = threading.Lock()
        self._links: list[tuple[socket.socket, socket.socket, bytes]] = []
        self._cut: bytes | None = None
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self, mark: bytes = b"") -> None:
        """Those whose first octets hold `mark`; all when it is empty."""
        with self._lock:
            self._cut = mark
            for ours, theirs, first in self._links:
                if mark in first:
                    for end in (ours, theirs):
                        with contextlib.suppress(OSError):
                            end.shutdown(socket.SHUT_RDWR)

    def mend(self) -> None:
        with self._lock:
            self._cut = None

    def close(self) -> None:
        self.cut()
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                ours, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._relay, args=(ours,), daemon=True).start()

    def _relay(self, ours: socket.socket) -> None:
        with contextlib.suppress(OSError), ours:
            first = ours.recv(65536)
            with self._lock:
                if not first or (self._cut is not None and self._cut in first):
                    return
            with socket.create_connection(self._target, 5) as theirs:
                theirs.settimeout(None)
                with self._lock:
                    self._links.append((ours, theirs, first))
                theirs.sendall(first)
                back = threading.Thread(target=_pump, args=(theirs, ours), daemon=True)
                back.start()
                _pump(ours, theirs)
                back.join()


def _pump(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while octets := source.recv(65536):
            target.sendall(octets)
    with contextlib.suppress(OSError):
        target.shutdown(socket.SHUT_RDWR)


def state(directory: Path) -> Path:
    """Where an etcd of a test keeps its things."""
    found = directory / "etcd"
    found.mkdir()
    return found
