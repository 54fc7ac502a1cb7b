"""Cache hits, and misses that an upstream answers: what they cost beside Unbound, and beside
dnsdist where it is installed. NSD with the signed zone is everybody's upstream; it shares a core
with dnsperf, so that of misses the CPU a query is what counts."""

import contextlib
import random
import shutil
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from bench import servers
from bench.figures import compared
from bench.queries import Load, load, rates
from bench.servers import Running
from bench.work import ORIGIN, SEED

# Few enough that all are kept, many enough that none is a favourite.
NAMES = 5000
QUERIES = 100_000
# Names of a round that nobody has asked for before.
UNKNOWN = 400_000


def resolvers() -> tuple[str, ...]:
    found = shutil.which("dnsdist", path="/usr/bin:/usr/sbin:/usr/local/bin")
    return ("zoneward", "unbound", *(("dnsdist",) if found else ()))


def run(zone: Path, folder: Path, rounds: int, seconds: float) -> str:
    folder.mkdir(parents=True)
    known = folder / "known"
    _write_known(known)
    hits: dict[str, list[Load]] = {name: [] for name in resolvers()}
    misses: dict[str, list[Load]] = {name: [] for name in resolvers()}
    with contextlib.ExitStack() as stack:
        upstream = stack.enter_context(servers.start("nsd", zone, folder / "upstream"))
        servers.pin(upstream.pid, servers.LOAD_CORE)
        running = [
            stack.enter_context(servers.start_resolver(name, upstream.port, folder / name))
            for name in resolvers()
        ]
        for server in running:
            load(server, known, 3)
        for number in range(rounds):
            for server in running:
                hits[server.name].append(load(server, known, seconds))
            for server in running:
                misses[server.name].append(_miss(server, folder, number, seconds))
            print(f"cache: round {number + 1} of {rounds}", file=sys.stderr)
    return "\n".join(
        [
            rates("Cache hits a second, one core", hits),
            *_costs("a cache hit", hits),
            *_costs("a miss, its upstream's left out", misses),
        ]
    )


def _miss(server: Running, folder: Path, number: int, seconds: float) -> Load:
    unknown = folder / "unknown"
    chance = random.Random(f"{SEED} {server.name} {number}")
    with unknown.open("w", encoding="ascii") as out:
        for _ in range(UNKNOWN):
            out.write(f"no{chance.randrange(10**12)}.{ORIGIN} A\n")
    return load(server, unknown, seconds)


def _write_known(path: Path) -> None:
    """75 % A, 20 % AAAA, 5 % apex MX; three quarters of the AAAA are NODATA."""
    chance = random.Random(SEED)
    with path.open("w", encoding="ascii") as out:
        for _ in range(QUERIES):
            kind = chance.random()
            if kind < 0.75:
                line = f"host{chance.randrange(NAMES)}.{ORIGIN} A"
            elif kind < 0.95:
                line = f"host{chance.randrange(NAMES)}.{ORIGIN} AAAA"
            else:
                line = f"{ORIGIN} MX"
            out.write(line + "\n")


def _costs(what: str, results: Mapping[str, Sequence[Load]]) -> list[str]:
    own = {name: [one.own for one in loads] for name, loads in results.items()}
    whole = {name: [one.own + one.kernel for one in loads] for name, loads in results.items()}
    return [
        compared(f"Own CPU of {what}", "µs", own),
        compared(f"Own and kernel CPU of {what}", "µs", whole),
    ]
