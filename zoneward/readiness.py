"""Whether the whole is up: the manager says which zones there are, the server which it has.

Both are asked on their sockets: no query of ours stands among the clients' in log and metrics.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import attrs
import dns.name
import httpx
import msgspec

from server.compile import Compiled
from zoneward.api import Delegation, Overview, ZoneBrief
from zoneward.client import AdminClient
from zoneward.refusal import Refusal

# For one question to a process on this machine, in seconds.
_PATIENCE = 2.0
# More zones than these are not told of one by one.
FEW = 20
_EVERY_ADDRESS = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104

# Block and zone.
Answered = frozenset[tuple[str, dns.name.Name]]


@attrs.frozen
class Door:
    """An address where a block's zones are answered."""

    address: str
    port: int

    def dig(self, zone: str) -> str:
        """A command line that shows a signed answer; the SOA is what every zone has."""
        port = "" if self.port == 53 else f" -p {self.port}"
        return f"dig @{self.address}{port} +dnssec {zone} SOA"

    def __str__(self) -> str:
        host = f"[{self.address}]" if ":" in self.address else self.address
        return f"{host}:{self.port}"


@attrs.frozen
class Report:
    """What is there for a newcomer to see, and what is not there yet. Of many zones there are
    no delegations: a newcomer has few. `serves` is whether the server answers at all."""

    overview: Overview
    delegations: Sequence[Delegation]
    doors: dict[str, Door]
    missing: tuple[ZoneBrief, ...]
    serves: bool


def doors(compiled: Compiled) -> dict[str, Door]:
    """The first address of each block."""
    found: dict[str, Door] = {}
    for route in compiled.config.routes:
        listener = compiled.config.listeners[route.listener]
        address = _EVERY_ADDRESS.get(listener.address, listener.address)
        found.setdefault(route.chain, Door(address, listener.port))
    return found


def look(client: AdminClient, answering: Path, compiled: Compiled) -> Report | None:
    """None while the manager does not answer or has not had its first pass over each zone.
    `answering` is the server's socket."""
    try:
        overview = client.get("/overview", Overview)
        if not overview.settled:
            return None
        few = len(overview.zones) <= FEW
        delegations = client.get("/ds", list[Delegation]) if few else []
    except Refusal:
        return None
    there = answered(answering)
    missing = tuple(
        row
        for row in overview.zones
        if row.serial is None or (row.block, dns.name.from_text(row.zone)) not in (there or ())
    )
    return Report(overview, delegations, doors(compiled), missing, there is not None)


def answered(socket: Path) -> Answered | None:
    """The zones that the server behind a socket answers; None while it does not listen."""
    try:
        with httpx.Client(
            transport=httpx.HTTPTransport(uds=str(socket)), timeout=_PATIENCE
        ) as client:
            reply = client.get("http://server/zones")
            found = msgspec.json.decode(reply.content, type=list[tuple[str, str]])
    except (httpx.HTTPError, msgspec.DecodeError):
        return None
    return frozenset((block, dns.name.from_text(zone)) for block, zone in found)
