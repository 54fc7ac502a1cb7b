"""Asks a validating resolver many times a second, and takes note of what it should not say."""

import itertools
import random
import socket
import struct
import threading
import time
from collections import Counter

import attrs
import dns.edns
import dns.exception
import dns.message
import dns.rcode
import dns.rdatatype
from validator import Validator

ZONE = """$TTL {ttl}
@ SOA ns hostmaster {serial} 3600 900 86400 {ttl}
@ NS ns
@ MX 10 www
@ CAA 0 issue "ca.example"
ns A {address}
www A 192.0.2.80
www AAAA 2001:db8::80
alias CNAME www
*.wild A 192.0.2.99
a.b.c TXT "below two empty non-terminals"
edited TXT "{serial}"
"""

# Kind, name (N is another number each time), type, rcode, whether there is an answer: None
# where that depends on the zone being signed.
QUESTIONS = (
    ("data", "www", "A", "NOERROR", True),
    ("data", "www", "AAAA", "NOERROR", True),
    ("data", "edited", "TXT", "NOERROR", True),
    ("data", "@", "MX", "NOERROR", True),
    ("CNAME", "alias", "A", "NOERROR", True),
    ("no such name", "nxN", "A", "NXDOMAIN", False),
    ("no such name", "nx.www", "A", "NXDOMAIN", False),
    ("no data", "www", "TXT", "NOERROR", False),
    ("no data", "b.c", "A", "NOERROR", False),
    ("wildcard", "xN.wild", "A", "NOERROR", True),
    ("wildcard", "same.wild", "A", "NOERROR", True),
    ("wildcard, no data", "xN.wild", "TXT", "NOERROR", False),
    ("SOA", "@", "SOA", "NOERROR", True),
    ("DNSKEY", "@", "DNSKEY", "NOERROR", None),
    ("DS", "@", "DS", "NOERROR", None),
)
KINDS = tuple(dict.fromkeys(kind for kind, *_ in QUESTIONS))

_RD, _AD, _DO = 0x0100, 0x0020, 0x8000
_PATIENCE = 10


@attrs.frozen
class Wrong:
    """An answer that should have been another. `at` in Unix seconds."""

    at: float
    resolver: str
    phase: str
    question: str
    said: str

    def __str__(self) -> str:
        return f"{self.at:.2f} {self.resolver} ({self.phase}) {self.question}: {self.said}"


@attrs.define
class Expectations:
    """Shared by all who ask: which phase of the rollover it is, and whether answers have to be
    authenticated (True), must not be (False), or may be (None)."""

    phase: str = "before"
    authenticated: bool | None = None


class Watcher:
    """One thread, one resolver. With `forgetful`, its caches are emptied in part every now and
    then, so that answers of many ages meet."""

    def __init__(
        self,
        zone: str,
        resolver: Validator,
        expects: Expectations,
        *,
        forgetful: bool = False,
        pause: float = 0.006,
    ) -> None:
        """`zone` without the final dot; `pause` is between two questions, in seconds."""
        self._zone = zone
        self._resolver = resolver
        self._expects = expects
        self._random = random.Random(zone + resolver.name)
        self._forgetful = forgetful
        self._pause = pause
        self._numbers = itertools.count(1)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)
        self.asked: Counter[tuple[str, str]] = Counter()
        self.rcodes: Counter[str] = Counter()
        self.authenticated = 0
        self.forgotten = 0
        self.wrong: list[Wrong] = []
        self.fault: BaseException | None = None

    def start(self) -> None:
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(2 * _PATIENCE)

    def _run(self) -> None:
        try:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as door:
                door.settimeout(_PATIENCE)
                door.connect((self._resolver.address, self._resolver.port))
                forget_at = time.monotonic() + 1
                while not self._stop.wait(self._pause):
                    self._ask(door)
                    if self._forgetful and time.monotonic() > forget_at:
                        self._forget()
                        forget_at = time.monotonic() + self._random.uniform(0.1, 1)
        except Exception as error:
            self.fault = error
            raise

    def _ask(self, door: socket.socket) -> None:
        number = next(self._numbers)
        kind, name, rtype, rcode, answered = self._random.choice(QUESTIONS)
        label = name.replace("N", str(number))
        owner = self._zone if label == "@" else f"{label}.{self._zone}"
        query = _query(self._random.getrandbits(16), owner, rtype)
        # What is expected is what was true when the question was put, and still is.
        phase, secure = self._expects.phase, self._expects.authenticated
        wire = _exchange(door, query)
        if self._expects.authenticated is not secure:
            secure = None
        flags, _, answers = struct.unpack("!HHH", wire[2:8])
        said = dns.rcode.to_text(dns.rcode.Rcode(flags & 15))
        self.asked[phase, kind] += 1
        self.rcodes[said] += 1
        authenticated = bool(flags & _AD)
        self.authenticated += authenticated
        # The parent is signed, whatever becomes of the child.
        wanted = True if rtype == "DS" else secure
        problem = None
        if said != rcode:
            problem = f"{said}, not {rcode}{_explained(wire)}"
        elif answered is not None and bool(answers) is not answered:
            problem = f"{answers} records in the answer"
        elif wanted is not None and authenticated is not wanted:
            problem = "authenticated" if authenticated else "not authenticated"
        if problem is not None:
            question = f"{owner} {rtype}"
            self.wrong.append(Wrong(time.time(), self._resolver.name, phase, question, problem))

    def _forget(self) -> None:
        zone, parent = self._zone, self._zone.partition(".")[2]
        line = self._random.choice(
            (
                f"flush_zone {zone}",
                f"flush_zone {parent}",
                f"flush_type {zone} DNSKEY",
                f"flush_type {zone} DS",
                f"flush_type {zone} SOA",
                f"flush_type {parent} DNSKEY",
                f"flush www.{zone}",
            )
        )
        said = self._resolver.command(line)
        assert said.startswith("ok"), said
        self.forgotten += 1


def _query(number: int, owner: str, rtype: str) -> bytes:
    """With DO, and room for 4096 octets: written by hand, as there are many."""
    opt = struct.pack("!BHHIH", 0, dns.rdatatype.OPT, 4096, _DO, 0)
    labels = b"".join(bytes((len(label),)) + label.encode() for label in owner.split("."))
    kind = struct.pack("!BHH", 0, dns.rdatatype.from_text(rtype), 1)
    return struct.pack("!6H", number, _RD, 1, 0, 0, 1) + labels + kind + opt


def _exchange(door: socket.socket, query: bytes) -> bytes:
    door.send(query)
    while True:
        wire = door.recv(65_535)
        if wire[:2] == query[:2]:
            return wire


def _explained(wire: bytes) -> str:
    """What the resolver says of it (RFC 8914)."""
    try:
        options = dns.message.from_wire(wire).options
    except dns.exception.DNSException as error:
        return f" ({error})"
    return "".join(
        f" ({option.to_text()})" for option in options if isinstance(option, dns.edns.EDEOption)
    )
