"""BIND with response policy zones in front of an upstream, feeds of chance, and many questions
over UDP."""

import random
import socket
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype

_BATCH = 50
HOSTS, ALIASES, DEEP, WALLED = 160, 60, 60, 40
ORIGIN = "test."
Told = tuple[str, bool, frozenset[tuple[str, str, str]]] | None


def upstream_zone(chance: random.Random) -> str:
    """Hosts with addresses, aliases of them, aliases of aliases, names below names."""
    lines = ["$TTL 300", "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS ns", "ns A 192.0.2.53"]
    for number in range(HOSTS):
        lines.append(f"h{number} A 10.{chance.randrange(4)}.{chance.randrange(4)}.{number}")
        # Where two addresses fit, BIND goes by how their owners are spelled, and not always.
        if chance.random() < 0.5:
            lines.append(f"h{number} A 172.16.0.{number}")
        if chance.random() < 0.5:
            lines.append(f"h{number} AAAA 2001:db8:{chance.randrange(1, 5)}::{number:x}")
        lines.append(f'h{number} TXT "{number}"')
    for number in range(ALIASES):
        lines.append(f"c{number} CNAME h{chance.randrange(HOSTS)}")
        lines.append(f"cc{number} CNAME c{chance.randrange(ALIASES)}")
    lines += [f"d{number}.e{number % 7}.f{number % 3} A 10.0.0.{number}" for number in range(DEEP)]
    lines += [f"w{number} A 10.9.9.{number}" for number in range(WALLED)]
    lines += ["garden A 192.0.2.80", "*.garden A 192.0.2.81", '*.garden TXT "walled"']
    return "\n".join([*lines, ""])


def feed(chance: random.Random, share: float) -> str:
    """Triggers of all kinds for a `share` of the names."""
    lines = ["$TTL 60", "@ SOA ns hostmaster 1 3600 600 86400 60", "@ NS localhost."]
    plain = (
        *("CNAME .", "CNAME *.", "CNAME rpz-passthru.", "CNAME rpz-tcp-only."),
        *("A 192.0.2.99", 'TXT "policy"', "AAAA 2001:db8::99"),
    )

    def say(owner: str, what: Sequence[str] = plain) -> None:
        if chance.random() < share:
            lines.append(f"{owner} {chance.choice(what)}")

    for number in range(HOSTS):
        say(f"h{number}.test")
        say(f"*.h{number}.test")
    for number in range(ALIASES):
        say(f"c{number}.test")
        say(f"cc{number}.test")
    for number in range(DEEP):
        say(f"d{number}.e{number % 7}.f{number % 3}.test")
    for owner in (f"{star}e{one}.f{two}.test" for star in ("", "*.") for one in range(7)
                  for two in range(3)):  # fmt: skip
        say(owner)
    for two in range(3):
        say(f"*.f{two}.test")
    for number in range(WALLED):
        say(f"w{number}.test", ("CNAME garden.test.", "CNAME *.garden.test."))
    say("h1.test", ("CNAME rpz-drop.",))
    for three in range(4):
        for four in range(4):
            say(f"24.0.{four}.{three}.10.rpz-ip")
        say(f"48.zz.{three + 1}.db8.2001.rpz-ip")
        say(f"16.0.0.{three}.10.rpz-ip")
    for number in range(HOSTS):
        say(f"32.{number}.{chance.randrange(4)}.{chance.randrange(4)}.10.rpz-ip")
    say("32.9.0.0.127.rpz-client-ip", ("CNAME rpz-passthru.", "CNAME *."))
    # Of one owner only one record: an alias beside other data is no zone.
    kept = {line.split()[0]: line for line in lines[3:]}
    return "\n".join([*lines[:3], *kept.values(), ""])


def questions(chance: random.Random, number: int) -> list[tuple[str, str]]:
    names = [
        *(f"h{one}" for one in range(HOSTS)),
        *(f"x.h{one}" for one in range(0, HOSTS, 3)),
        *(f"c{one}" for one in range(ALIASES)),
        *(f"cc{one}" for one in range(ALIASES)),
        *(f"d{one}.e{one % 7}.f{one % 3}" for one in range(DEEP)),
        *(f"y.e{one}.f{two}" for one in range(7) for two in range(3)),
        *(f"e{one}.f{two}" for one in range(7) for two in range(3)),
        *(f"f{two}" for two in range(3)),
        *(f"w{one}" for one in range(WALLED)),
    ]
    types = ("A", "A", "A", "AAAA", "TXT", "MX")
    return [(f"{chance.choice(names)}.{ORIGIN}", chance.choice(types)) for _ in range(number)]


@contextmanager
def bind(
    directory: Path, port: int, above: tuple[str, int], feeds: Sequence[tuple[str, Path]]
) -> Iterator["subprocess.Popen[bytes]"]:
    """On 127.0.0.1, forwarding to `above`."""
    policies = " ".join(f'zone "{origin}" policy given;' for origin, _ in feeds)
    config = directory / "named.conf"
    config.write_text(
        f'options {{ directory "{directory}"; listen-on port {port} {{ 127.0.0.1; }};'
        " listen-on-v6 { none; }; recursion yes; dnssec-validation no; allow-query { any; };"
        " allow-recursion { any; }; forward only;"
        f" forwarders {{ {above[0]} port {above[1]}; }}; pid-file none; notify no;"
        f' session-keyfile "{directory}/session.key"; empty-zones-enable no;'
        f" response-policy {{ {policies} }} break-dnssec yes qname-wait-recurse no"
        " nsip-enable no nsdname-enable no; };\ncontrols { };\n"
        + "".join(
            f'zone "{origin}" {{ type primary; file "{path}"; check-integrity no;'
            " check-names ignore; };\n"
            for origin, path in feeds
        )
    )
    log = directory / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(["named", "-g", "-c", str(config)], stdout=output, stderr=output)
    try:
        until = time.monotonic() + 15
        while log.read_text().count(": reload done: success") < len(feeds):
            if process.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"named does not start: {log.read_text()}")
            time.sleep(0.05)
        yield process
    finally:
        process.terminate()
        process.wait(20)


def ask(address: str, port: int, asked: Sequence[tuple[str, str]], source: str) -> list[Told]:
    """What is said to each: rcode, whether it is cut, the answer's records without TTL; None is
    silence, twice."""
    wires = [dns.message.make_query(name, rtype, id=number).to_wire()
             for number, (name, rtype) in enumerate(asked)]  # fmt: skip
    found: dict[int, bytes] = {}
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as own:
        own.bind((source, 0))
        own.connect((address, port))
        own.settimeout(0.05)
        for patience in (0.2, 0.7):
            left = [number for number in range(len(wires)) if number not in found]
            for start in range(0, len(left), _BATCH):
                for number in left[start : start + _BATCH]:
                    own.send(wires[number])
                _receive(own, found, left[start : start + _BATCH], 0.06)
            _receive(own, found, left, patience)
    return [_meaning(found.get(number)) for number in range(len(wires))]


def _receive(
    own: socket.socket, found: dict[int, bytes], wanted: Sequence[int], patience: float
) -> None:
    missing = {number for number in wanted if number not in found}
    until = time.monotonic() + patience
    while missing and time.monotonic() < until:
        try:
            wire = own.recv(65_535)
        except TimeoutError:
            continue
        number = int.from_bytes(wire[:2])
        found[number] = wire
        missing.discard(number)


def _meaning(wire: bytes | None) -> Told:
    if wire is None:
        return None
    reply = dns.message.from_wire(wire)
    records = frozenset(
        (rrset.name.to_text().lower(), dns.rdatatype.to_text(rrset.rdtype), rdata.to_text().lower())
        for rrset in reply.answer
        for rdata in rrset
    )
    return dns.rcode.to_text(reply.rcode()), bool(reply.flags & dns.flags.TC), records
