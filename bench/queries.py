"""Queries a second and CPU a query, one core for the server and the other for dnsperf."""

import contextlib
import re
import subprocess
import sys
import time
from pathlib import Path

from bench.figures import compared
from bench.servers import LOAD_CORE, Running, start, usage

SERVERS = ("zoneward", "nsd", "knot", "bind", "echo")


def load(server: Running, queries: Path, seconds: float) -> tuple[float, float, float]:
    """Full load for `seconds`: answers a second, own and kernel microseconds an answer.
    Raises ValueError when the server's core was not busy: then the load was the limit."""
    before, began = usage(server.pid), time.monotonic()
    command = ["taskset", "-c", str(LOAD_CORE), "dnsperf", "-s", "127.0.0.1"]
    command += ["-p", str(server.port), "-d", str(queries), "-l", str(seconds), "-D", "-e"]
    command += ["-q", "500", "-b", "4096", "-t", "1"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    spent, elapsed = usage(server.pid).since(before), time.monotonic() - began
    match = re.search(r"Queries completed:\s+(\d+)", done.stdout)
    completed = int(match[1]) if match else 0
    busy = (spent.user + spent.system) / elapsed
    if completed == 0:
        raise ValueError(f"{server.name}: no query was answered")
    if busy < 0.85:
        raise ValueError(f"{server.name}: its core was busy for {busy:.0%} only")
    rate = float(completed) / seconds
    return rate, spent.user / completed * 1e6, spent.system / completed * 1e6


def run(zone: Path, queries: Path, folder: Path, rounds: int, seconds: float) -> str:
    rate: dict[str, list[float]] = {name: [] for name in SERVERS}
    own: dict[str, list[float]] = {name: [] for name in SERVERS}
    kernel: dict[str, list[float]] = {name: [] for name in SERVERS}
    with contextlib.ExitStack() as stack:
        servers = [stack.enter_context(start(name, zone, folder / name)) for name in SERVERS]
        for server in servers:
            with contextlib.suppress(ValueError):
                load(server, queries, 1)
        done = tries = 0
        while done < rounds:
            tries += 1
            if tries > rounds * 3:
                raise SystemExit("bench: the server's core was never busy: the load is too weak")
            try:
                measured = {server.name: load(server, queries, seconds) for server in servers}
            except ValueError as why:
                print(f"round void: {why}", file=sys.stderr)
                continue
            done += 1
            for name, (a, b, c) in measured.items():
                rate[name].append(a)
                own[name].append(b)
                kernel[name].append(c)
            print(f"queries: round {done} of {rounds}", file=sys.stderr)
    return "\n".join(
        [
            compared("Queries a second (one core)", "q/s", rate),
            compared("Own CPU a query", "µs", own),
            compared("Kernel CPU a query", "µs", kernel),
        ]
    )
