"""Our engine with a Corefile on a loopback address, and questions to it."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import attrs
import dns.edns
import dns.exception
import dns.message
import dns.query
import dns.rcode

import corefile
import engine
from server.compile import Compiled, compile_corefile
from server.counters import Series, decode
from server.refills import Refills
from server.registry import Registry

# For how long a server has to be quiet, in seconds; a busy machine answers later than an idle one.
SILENCE = 1.5

LATER = 2**31


@attrs.frozen
class Answering:
    address: str
    port: int
    server: engine.Server
    compiled: Compiled

    def publish(self, zone: engine.Zone) -> None:
        """In the first block."""
        self.server.publish(self.compiled.config.chains[0].id, zone, LATER)

    def ask(
        self,
        name: str,
        rtype: str = "A",
        *,
        tcp: bool = False,
        timeout: float = 4.0,
        source: str | None = None,
        **more: Any,
    ) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, use_edns=more.pop("edns", 0), **more)
        how = dns.query.tcp if tcp else dns.query.udp
        return how(query, self.address, timeout=timeout, port=self.port, source=source)

    def series(self, of: str = ".") -> Series:
        (found,) = [one for one in decode(self.server.stats()).series if one.zone == of]
        return found


@contextmanager
def answering(address: str, body: str, zone: str = ".") -> Iterator[Answering]:
    """One block for `zone` with the lines of `body`."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((address, 0))
        port = probe.getsockname()[1]
    text = f"{{\nthreads 1\n}}\n{zone}:{port} {{\nbind {address}\n{body}\n}}"
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    compiled = compile_corefile(parsed, Registry.of({}))
    server = engine.Server()
    Refills(server).begin(compiled.refills)
    server.bind(compiled.config.encode())
    server.start()
    try:
        yield Answering(address, port, server, compiled)
    finally:
        server.close()


def rcode(reply: dns.message.Message) -> str:
    return dns.rcode.to_text(reply.rcode())


def extended_errors(reply: dns.message.Message) -> list[int]:
    return [int(one.code) for one in reply.options if isinstance(one, dns.edns.EDEOption)]


def shown(reply: dns.message.Message) -> list[str]:
    """The answer section's records, an item each, as zone-file text without their owner."""
    return [
        f"{rrset.ttl} {dns.rdatatype.to_text(rrset.rdtype)} {rdata.to_text()}"
        for rrset in reply.answer
        for rdata in rrset
    ]


def told(running: Answering, name: str, rtype: str = "A", **how: object) -> object:
    """What is said: rcode, extended errors, answer; or silence."""
    try:
        reply = running.ask(name, rtype, timeout=SILENCE, **how)  # type: ignore[arg-type]
    except dns.exception.Timeout:
        return "silence"
    return rcode(reply), extended_errors(reply), shown(reply)
