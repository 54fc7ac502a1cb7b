"""What each stage costs a query: the CPU of a chain with it beside that of the plain chain, which
answers from a signed zone. And what a plugin in Python does, and one that is not woken.

All chains are of one process, so that nothing else differs between them."""

import statistics
import sys
import sysconfig
import time
import venv
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import attrs

import zoneward
from bench import servers, work
from bench.figures import table
from bench.queries import answered, dnsperf
from bench.servers import Running
from bench.work import ORIGIN

# So few that a copy for each chain is small, and what is asked for stays in the processor's caches.
NAMES = 5000
MANY, VERY_MANY = 10_000, 1_000_000

# A server has done all, lines of a log included, that uses less of a core than this share, for so
# many seconds; and how long that may take.
_IDLE, _REST, _PATIENCE = 0.02, 0.2, 60.0
# Of the rate that the plugin in Python reaches, at which latencies are measured.
_EASY = 0.5

_ELSEWHERE = "Python, prefiltered away"
_PLUGINS = """
import dns.message
import dns.rrset

from server.api import Next, Plugin, Query


class Answers(Plugin):
    async def handle(self, query: Query, next: Next) -> dns.message.Message:
        reply = dns.message.make_response(query.message())
        reply.answer.append(dns.rrset.from_text(query.name, 60, "IN", "A", "192.0.2.1"))
        return reply


class Elsewhere(Answers):
    zones = ("elsewhere.test.",)
"""
_ENTRIES = (
    "[zoneward.plugins]\n"
    "bench_answers = benchplugins:Answers\n"
    "bench_elsewhere = benchplugins:Elsewhere\n"
)


@attrs.frozen
class Cost:
    """Microseconds of CPU an answer: of the thread that answers, and of all threads."""

    queries: float
    whole: float


#: With a stage, and without it, one right after the other.
Pair = tuple[Cost, Cost]


@attrs.frozen
class Stage:
    """A stage by itself: its lines in the server block, and what queries need to have for it."""

    name: str
    lines: str
    options: Sequence[str] = ()


def stages(folder: Path) -> list[Stage]:
    """Files that they need are put into `folder`. None answers any of the queries."""
    others, blocked = folder / "hosts", folder / "blocked"
    others.write_text("".join(f"192.0.2.1 other{n}.{ORIGIN}\n" for n in range(MANY)))
    blocked.write_text("".join(f"blocked{n}.test\n" for n in range(VERY_MANY)))
    return [
        Stage("acl, 10,000 networks", f"acl {{\n block net {' '.join(networks())}\n}}"),
        Stage("firewall, 1 million names", f"firewall {{\n refuse suffixes {blocked}\n}}"),
        Stage("firewall, a rate", "firewall {\n refuse rate 1000000\n}"),
        Stage("rrl", "rrl {\n responses-per-second 1000000\n}"),
        Stage("hosts, 10,000 names", f"hosts {others} {{\n fallthrough\n}}"),
        Stage("local", "local"),
        Stage("any", "any"),
        Stage("chaos", "chaos"),
        Stage("bufsize", "bufsize 1232"),
        Stage("cancel", "cancel 1s"),
        Stage("header", "header {\n response set ra\n}"),
        Stage("minimal", "minimal"),
        Stage("loadbalance", "loadbalance"),
        Stage("nsid, not asked for", "nsid bench"),
        Stage("nsid, asked for", "nsid bench", ("-E", "3:00")),
        Stage("errors", "errors"),
        Stage("log", "log"),
        Stage("log, class error", "log {\n class error\n}"),
        Stage("mirror, lines in a file", f"mirror json {folder}/lines {{\n rotate 64MiB 1\n}}"),
        Stage("mirror, packets in a file", f"mirror pcap {folder}/packets {{\n rotate 64MiB 1\n}}"),
        Stage("prometheus", f"prometheus 127.0.0.1:{servers.lasting_port()}"),
        Stage(_ELSEWHERE, "bench_elsewhere"),
    ]


def networks() -> Iterator[str]:
    return (f"10.{n >> 8}.{n & 255}.0/24" for n in range(MANY))


def run(zone: Path, folder: Path, rounds: int, seconds: float) -> str:
    """A third of `seconds` of load for each chain and round: short, so that a chain and the plain
    one beside it meet the same machine."""
    folder.mkdir(parents=True)
    queries = folder / "queries"
    work.write_queries(queries, NAMES)
    measured = stages(folder)
    plain, answering, *ports = _ports(len(measured) + 2)
    chains = {plain: "", answering: "bench_answers"}
    chains |= {port: stage.lines for port, stage in zip(ports, measured, strict=True)}
    named = {stage.name: port for port, stage in zip(ports, measured, strict=True)}
    blocks = "".join(
        f"{ORIGIN}:{port} {{\n bind 127.0.0.1\n file {zone}\n{lines}\n}}\n"
        for port, lines in chains.items()
    )
    python = _with_plugins(folder / "python")
    costs: dict[str, list[Pair]] = {stage.name: [] for stage in measured}
    with servers.start_blocks(blocks, folder, plain, python) as server:
        doors = {port: attrs.evolve(server, port=port) for port in chains}
        for door in doors.values():
            _wait(door)
            _cost(door, queries, seconds / 6, ())
        for number in range(rounds):
            for port, stage in zip(ports, measured, strict=True):
                # Whichever comes first is not always the same.
                turns = (plain, port) if number % 2 else (port, plain)
                found = {
                    turn: _cost(doors[turn], queries, seconds / 3, stage.options) for turn in turns
                }
                costs[stage.name].append((found[port], found[plain]))
            print(f"stages: round {number + 1} of {rounds}", file=sys.stderr)
        chosen = {
            "plain": doors[plain],
            "prefiltered away": doors[named[_ELSEWHERE]],
            "answers": doors[answering],
        }
        return "\n".join([_shares(costs), _plugins(chosen, queries, rounds, seconds / 3)])


def _ports(count: int) -> list[int]:
    found: dict[int, None] = {}
    while len(found) < count:
        found[servers.lasting_port()] = None
    return list(islice(found, count))


def _with_plugins(folder: Path) -> Path:
    """An interpreter that has what this one has, and the plugins."""
    venv.create(folder, with_pip=False)
    (packages,) = folder.glob("lib/python3*/site-packages")
    beside = (str(Path(zoneward.__file__).parents[1]), sysconfig.get_path("purelib"))
    (packages / "beside.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in beside)
    )
    (packages / "benchplugins.py").write_text(_PLUGINS)
    about = packages / "benchplugins-1.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: benchplugins\nVersion: 1\n")
    (about / "entry_points.txt").write_text(_ENTRIES)
    return folder / "bin" / "python"


def _cost(server: Running, queries: Path, seconds: float, options: Sequence[str]) -> Cost:
    before = servers.threads(server.pid)
    count = answered(dnsperf(server, queries, seconds, *options), f"port {server.port}")
    _rested(server.pid)
    spent = servers.threads(server.pid).since(before)
    return Cost(spent.queries / count * 1e6, spent.whole / count * 1e6)


def _wait(door: Running) -> None:
    deadline = time.monotonic() + _PATIENCE
    while not servers.is_answering(door.port):
        if time.monotonic() > deadline:
            raise SystemExit(f"bench: port {door.port} did not answer within {_PATIENCE:.0f} s")
        time.sleep(0.1)


def _rested(pid: int) -> None:
    deadline = time.monotonic() + _PATIENCE
    while time.monotonic() < deadline:
        before = servers.threads(pid)
        time.sleep(_REST)
        if servers.threads(pid).since(before).whole < _REST * _IDLE:
            return
    raise SystemExit(f"bench: process {pid} was never at rest within {_PATIENCE:.0f} s")


def _shares(costs: Mapping[str, Sequence[Pair]]) -> str:
    rows = []
    for name, pairs in costs.items():
        more = statistics.median(own.queries - bare.queries for own, bare in pairs) * 1000
        shares = [own.queries / bare.queries - 1 for own, bare in pairs]
        all_shares = [own.whole / bare.whole - 1 for own, bare in pairs]
        rows.append([name, f"{more:.0f}", *_middle(shares), *_middle(all_shares)])
    bare = statistics.median(bare.queries for pairs in costs.values() for _, bare in pairs)
    return table(
        f"CPU that a stage adds to the plain chain's {bare:.2f} µs a query, the kernel's with it: "
        "of the thread that answers, and of all threads",
        ["", "ns", "share", "least to most", "of all", "least to most"],
        rows,
    )


def _middle(shares: Sequence[float]) -> tuple[str, str]:
    least, most = min(shares), max(shares)
    return f"{statistics.median(shares):+.1%}", f"{least:+.1%} to {most:+.1%}"


def _plugins(chains: Mapping[str, Running], queries: Path, rounds: int, seconds: float) -> str:
    rates: dict[str, list[float]] = {name: [] for name in chains}
    late: dict[str, list[float]] = {name: [] for name in chains}
    for _ in range(rounds):
        for name, door in chains.items():
            rates[name].append(answered(dnsperf(door, queries, seconds), name) / seconds)
    easy = int(statistics.median(rates["answers"]) * _EASY)
    for number in range(rounds):
        for name, door in chains.items():
            late[name].append(_late(door, queries, seconds, easy))
        print(f"stages: latencies, round {number + 1} of {rounds}", file=sys.stderr)
    rows = [
        [name, f"{statistics.median(rates[name]):.3g}", f"{statistics.median(late[name]):.3g}"]
        for name in chains
    ]
    title = f"A plugin in Python; latencies at {easy} queries a second"
    return table(title, ["", "q/s", "99th percentile, ms"], rows)


def _late(server: Running, queries: Path, seconds: float, rate: int) -> float:
    """Milliseconds, the 99th percentile of the latencies of queries at an even pace."""
    printed = dnsperf(server, queries, seconds, "-Q", str(rate), "-v")
    found = sorted(float(line.split()[-1]) for line in printed.splitlines() if line[:2] == "> ")
    if not found:
        raise SystemExit(f"bench: port {server.port} answered no query")
    return found[len(found) * 99 // 100] * 1000
