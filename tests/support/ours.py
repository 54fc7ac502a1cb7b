"""Our server on a loopback address, without the rooms around it."""

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import dns.name

import engine

FOREVER = 2**40


def configuration(
    address: str,
    port: int,
    origins: Sequence[str],
    stages: Sequence[Mapping[str, Any]] = ({"kind": "answer", "plugin": "file"},),
    threads: int = 1,
) -> bytes:
    """One listener, one chain called "test", a route for each origin."""
    listener = {"server": f"dns://{address}:{port}", "address": address, "port": port}
    chain = {"id": "test", "origins": [*origins], "stages": [*stages]}
    routes = [{"listener": 0, "origin": origin, "chain": "test"} for origin in origins]
    config = {"threads": threads, "listeners": [listener], "chains": [chain], "routes": routes}
    return json.dumps(config).encode()


@contextmanager
def serving(
    address: str, port: int, zones: Sequence[engine.Zone], **changes: Any
) -> Iterator[engine.Server]:
    origins = [dns.name.from_wire(zone.origin, 0)[0].to_text() for zone in zones]
    server = engine.Server()
    server.bind(configuration(address, port, origins, **changes))
    server.start()
    try:
        for zone in zones:
            server.publish("test", zone, int(time.time()) + FOREVER)
        yield server
    finally:
        server.close()
