"""Our server with stages that have upstreams behind them, and questions to it."""

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import dns.message
import dns.query
import dns.rdatatype
from ours import configuration
from upstream import Upstream

import engine

ADDRESS = "127.61.8.9"


def stage(*upstreams: Upstream, **changes: Any) -> dict[str, Any]:
    found = {
        "kind": "forward",
        "from": ".",
        "except": [],
        "upstreams": [one.config for one in upstreams],
        "policy": "sequential",
        "force_tcp": False,
        "prefer_udp": False,
        "expire_ms": 10_000,
        "max_fails": 2,
        "max_connect_attempts": 0,
        "failfast": False,
        "health_interval_ms": 50,
        "health_recursion": True,
        "health_domain": ".",
        "max_concurrent": 0,
        "next": [],
        "failover": [],
    }
    return found | changes


class Asker:
    """Our server with these stages, and questions to it."""

    def __init__(self, server: engine.Server, port: int) -> None:
        self.server, self.port = server, port

    def ask(
        self,
        name: str = "wWw.example.org.",
        *,
        tcp: bool = False,
        flags: int = 0,
        timeout: float = 8,
        rtype: str = "A",
        **changes: Any,
    ) -> dns.message.Message:
        query = dns.message.make_query(name, rtype, **changes)
        query.flags |= flags
        ask = dns.query.tcp if tcp else dns.query.udp
        return ask(query, ADDRESS, port=self.port, timeout=timeout)

    def send(self, name: str) -> socket.socket:
        """Ask, and read later."""
        own = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        own.settimeout(8)
        own.connect((ADDRESS, self.port))
        own.send(dns.message.make_query(name, "A").to_wire())
        return own

    def counted(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.server.stats())["forward"]
        return found

    def foreign(self) -> int:
        return sum(one["foreign"] for one in self.counted()["upstreams"])


@contextmanager
def forwarding(*stages: dict[str, Any], threads: int = 1) -> Iterator[Asker]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((ADDRESS, 0))
        port = probe.getsockname()[1]
    server = engine.Server()
    server.bind(configuration(ADDRESS, port, ["."], list(stages), threads=threads))
    server.start()
    try:
        yield Asker(server, port)
    finally:
        server.close()


def addresses(reply: dns.message.Message) -> list[str]:
    return [
        rdata.address
        for rrset in reply.answer
        if rrset.rdtype == dns.rdatatype.A
        for rdata in rrset
    ]


def named(reply: dns.message.Message) -> str:
    """The question's name as it is spelled."""
    return reply.question[0].name.to_text()
