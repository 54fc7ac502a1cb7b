"""Queries a second and CPU a query, one core for the server and the other for dnsperf."""

import contextlib
import re
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs

from bench.figures import compared
from bench.servers import LOAD_CORE, Running, start, usage

SERVERS = ("zoneward", "nsd", "knot", "bind", "echo")
# Of its core, from which on the server was the limit.
BUSY = 0.85


@attrs.frozen
class Load:
    """What one server did in one round; times in microseconds an answer."""

    rate: float
    own: float
    kernel: float
    busy: float  # share of its core that the server used


def load(server: Running, queries: Path, seconds: float) -> Load:
    """As many queries as dnsperf can send for `seconds`."""
    before, began = usage(server.pid), time.monotonic()
    completed = answered(dnsperf(server, queries, seconds), server.name)
    spent, elapsed = usage(server.pid).since(before), time.monotonic() - began
    return Load(
        rate=completed / seconds,
        own=spent.user / completed * 1e6,
        kernel=spent.system / completed * 1e6,
        busy=(spent.user + spent.system) / elapsed,
    )


def dnsperf(server: Running, queries: Path, seconds: float, *options: str) -> str:
    """What it prints."""
    command = ["taskset", "-c", str(LOAD_CORE), "dnsperf", "-s", "127.0.0.1"]
    command += ["-p", str(server.port), "-d", str(queries), "-l", str(seconds), "-D", "-e"]
    command += ["-q", "500", "-b", "4096", "-t", "1", *options]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def answered(printed: str, name: str) -> int:
    """How many queries were; none is an error."""
    match = re.search(r"Queries completed:\s+(\d+)", printed)
    if match is None or match[1] == "0":
        raise SystemExit(f"bench: {name} answered no query")
    return int(match[1])


def run(zone: Path, queries: Path, folder: Path, rounds: int, seconds: float) -> str:
    results: dict[str, list[Load]] = {name: [] for name in SERVERS}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(start(name, zone, folder / name)) for name in SERVERS]
        for server in servers:
            load(server, queries, 1)
        for number in range(rounds):
            for server in servers:
                results[server.name].append(load(server, queries, seconds))
            print(f"queries: round {number + 1} of {rounds}", file=sys.stderr)
    return "\n".join([rates("Queries a second, one core", results), *_costs(results)])


def rates(what: str, results: Mapping[str, Sequence[Load]]) -> str:
    """Rates mean something only where the server's core was the limit: a round in which one
    of them was not busy is void, for all of them."""
    rounds = list(zip(*results.values(), strict=True))
    valid = [loads for loads in rounds if all(load.busy >= BUSY for load in loads)]
    title = f"{what} ({len(valid)} of {len(rounds)} rounds valid)"
    if not valid:
        least = {name: min(load.busy for load in loads) for name, loads in results.items()}
        shown = ", ".join(f"{name} {busy:.0%}" for name, busy in least.items())
        return f"\n{title}: something else was the limit; least share of the core used: {shown}"
    return compared(
        title,
        "q/s",
        {name: [loads[i].rate for loads in valid] for i, name in enumerate(results)},
    )


def _costs(results: Mapping[str, Sequence[Load]]) -> list[str]:
    # The echo does next to nothing of its own: a ratio to it would say nothing.
    own = {name: [load.own for load in loads] for name, loads in results.items() if name != "echo"}
    whole = {name: [load.own + load.kernel for load in loads] for name, loads in results.items()}
    return [
        compared("Own CPU a query", "µs", own),
        compared("Own and kernel CPU a query", "µs", whole),
    ]
