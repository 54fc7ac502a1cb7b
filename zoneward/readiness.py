"""Whether the whole is up: the manager says which zones there are, the server answers them."""

from __future__ import annotations

import secrets
from collections.abc import Iterator, Sequence

import attrs
import dns.exception
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype

from server.compile import Compiled
from zoneward.api import Delegation, Status, ZoneRow
from zoneward.client import AdminClient
from zoneward.refusal import Refusal

# For one question to a server on this machine, in seconds.
_PATIENCE = 0.25
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104


@attrs.frozen
class Door:
    """An address where a block's zones are answered."""

    address: str
    port: int

    def dig(self, zone: str) -> str:
        """A command line that shows a signed answer."""
        return f"dig @{self.address} -p {self.port} +dnssec {zone} SOA"

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@attrs.frozen
class Report:
    """What is there for a newcomer to see, and what is not there yet."""

    status: Status
    delegations: Sequence[Delegation]
    doors: dict[str, Door]
    missing: tuple[ZoneRow, ...]


def doors(compiled: Compiled) -> dict[str, Door]:
    """The first address of each block."""
    found: dict[str, Door] = {}
    for route in compiled.config.routes:
        listener = compiled.config.listeners[route.listener]
        address = _EVERY_ADDRESS.get(listener.address, listener.address)
        found.setdefault(route.chain, Door(address, listener.port))
    return found


def look(client: AdminClient, compiled: Compiled) -> Report | None:
    """None while the manager does not answer or has not had its first pass over each zone."""
    try:
        status = client.get("/status", Status)
        if not status.settled:
            return None
        delegations = client.get("/ds", list[Delegation])
    except Refusal:
        return None
    at = doors(compiled)
    return Report(status, delegations, at, tuple(_missing(status, at)))


def _missing(status: Status, at: dict[str, Door]) -> Iterator[ZoneRow]:
    for row in status.zones:
        door = at.get(row.block)
        if door is None or row.serial is None or not answers(door, row.zone):
            yield row


def answers(door: Door, zone: str) -> bool:
    """Whether the server answers for the zone there, with authority."""
    query = dns.message.make_query(zone, dns.rdatatype.SOA, id=secrets.randbits(16))
    try:
        reply = dns.query.udp(query, door.address, timeout=_PATIENCE, port=door.port)
    except (OSError, dns.exception.DNSException):
        return False
    return reply.rcode() == dns.rcode.NOERROR and bool(reply.flags & dns.flags.AA)
