"""Whether what *forward* sends out comes back to this server: asked once, by a query whose name
nobody else knows. The engine counts how often it comes by."""

import asyncio
import secrets
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import partial

import attrs

from corefile.arguments import Endpoint
from corefile.names import name_wire
from corefile.place import Place
from server.compiled import Config, Loop

# As long as a query looks for an upstream that answers.
PATIENCE = 5.0
_LOOK_EVERY = 0.02
_RD, _HINFO, _IN = 0x0100, 13, 1

Seen = Callable[[], Mapping[str, int]]


@attrs.frozen
class Probe:
    """A query of type HINFO for `name`, to the block at `place` on its own address."""

    name: str
    zone: str
    to: Endpoint
    place: Place


class LoopError(Exception):
    """A loop; one line with place and remedy."""

    def __init__(self, probe: Probe) -> None:
        super().__init__(
            f"{probe.place}: a loop: what {probe.to} forwards of '{probe.zone}' comes back to it; "
            "forward to a server that does not forward to this one"
        )


def probes(config: Config, places: Mapping[str, tuple[str, Place]]) -> tuple[Probe, ...]:
    """One for each chain with *loop*; `places` are zone and place of the directive by chain."""
    found = []
    for chain in config.chains:
        for stage in chain.stages:
            listeners = [one.listener for one in config.routes if one.chain == chain.id]
            if isinstance(stage, Loop) and chain.id in places and listeners:
                listener = config.listeners[listeners[0]]
                zone, place = places[chain.id]
                to = Endpoint(_reachable(listener.address), listener.port)
                found.append(Probe(stage.probe, zone, to, place))
    return tuple(found)


def _reachable(address: str) -> str:
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)  # noqa: S104


async def look(sent: Sequence[Probe], seen: Seen) -> None:
    """Send the probes, and return when all are answered or the patience is over.
    Raises LoopError."""
    loop = asyncio.get_running_loop()
    waiting = dict.fromkeys(sent)
    transports = []
    try:
        for probe in sent:
            transport, _ = await loop.create_datagram_endpoint(
                partial(_Asker, probe, waiting),
                remote_addr=(probe.to.address, probe.to.port),
            )
            transports.append(transport)
            transport.sendto(_query(probe.name))
        until = loop.time() + PATIENCE
        while waiting and loop.time() < until:
            await asyncio.sleep(_LOOK_EVERY)
            _judge(sent, seen())
        _judge(sent, seen())
    finally:
        for transport in transports:
            transport.close()


def _query(name: str) -> bytes:
    """Written by hand: dnspython takes longer to load than the rest of the server."""
    header = struct.pack("!6H", secrets.randbits(16), _RD, 1, 0, 0, 0)
    return header + name_wire(name) + struct.pack("!2H", _HINFO, _IN)


def _judge(sent: Sequence[Probe], seen: Mapping[str, int]) -> None:
    for probe in sent:
        if seen.get(probe.name, 0) > 1:
            raise LoopError(probe)


class _Asker(asyncio.DatagramProtocol):
    """Takes a probe off those that wait when there is an answer."""

    def __init__(self, probe: Probe, waiting: dict[Probe, None]) -> None:
        self._probe, self._waiting = probe, waiting

    def datagram_received(self, data: bytes, addr: tuple[str | object, int]) -> None:
        self._waiting.pop(self._probe, None)

    def error_received(self, exc: Exception) -> None:
        self._waiting.pop(self._probe, None)
