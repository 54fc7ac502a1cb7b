"""Many small zones in one manager: start-up, memory, CPU at rest, what a step costs.

The zones are signed, then their ages are spread over the lifetime of their ZSK in the state
database, so that at any moment some hundreds of ten thousand are in a rollover, each in a phase
of its own. Knot with automatic signing gets the same zones.
"""

import contextlib
import random
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import attrs

from bench.figures import table
from bench.manyknot import knot
from bench.servers import child_that, lasting_port, resident_bytes, settled, usage
from bench.work import SEED
from zoneward.api import Lines, RollAsk, ZoneRoll
from zoneward.client import AdminClient
from zoneward.readiness import answered

APEX = "many.test"
DAY = 86_400
# A rollover of a ZSK lasts some ten days with the defaults: an eighth of this.
LIFETIME = 90 * DAY
# Of keys rolled by hand, to see what a step costs.
ROLLED = 200
# A start of this many seconds has failed.
PATIENCE = 1800.0


@attrs.frozen
class Start:
    """Seconds until every zone was answered and until the manager rested, and the CPU seconds
    that the manager had used by then."""

    answered: float
    rested: float
    cpu: float


@attrs.frozen
class Rest:
    """Of a manager with nothing due: per cent of a core, octets written to disk a second,
    versions made and key states moved."""

    manager: float
    server: float
    written: float
    versions: int
    moves: int


@attrs.define
class House:
    """`zoneward run` over one directory."""

    folder: Path
    zones: int
    port: int = attrs.field(factory=lasting_port)
    supervisor: "subprocess.Popen[bytes] | None" = None
    manager: int = 0
    server: int = 0

    @property
    def database(self) -> Path:
        return self.folder / "state/manager/state.db"

    def write(self) -> None:
        zones = self.folder / "zones"
        zones.mkdir(parents=True)
        for number in range(self.zones):
            (zones / f"db.{name(number)}").write_text(zone_text(number), encoding="ascii")
        (self.folder / "Corefile").write_text(f"""\
{{
    state {self.folder}/state
    threads 1
    admin {self.folder}/admin.sock
}}
{APEX}:{self.port} {{
    bind 127.0.0.1
    auto {{
        directory {zones}
    }}
    sign {{
        keys ksk+zsk
        zsk-lifetime {LIFETIME}s
        parent none
        observe own
    }}
}}
""")

    @contextlib.contextmanager
    def running(self) -> Iterator[Start]:
        """Start, wait until all is answered and the manager rests; stop at the end."""
        command = [str(Path(sys.executable).parent / "zoneward"), "run"]
        began = time.monotonic()
        with (self.folder / "log").open("ab") as log:
            self.supervisor = subprocess.Popen(
                [*command, "-c", str(self.folder / "Corefile")], stdout=log, stderr=log
            )
        try:
            self._wait(self.supervisor)
            took = time.monotonic() - began
            self.manager = child_that("manage", self.supervisor.pid)
            self.server = child_that("serve", self.supervisor.pid)
            rested = settled(self.manager) - began
            yield Start(took, rested, usage(self.manager).whole)
        finally:
            self.supervisor.send_signal(signal.SIGTERM)
            try:
                self.supervisor.wait(120)
            except subprocess.TimeoutExpired:
                self.supervisor.kill()
                self.supervisor.wait()

    def _wait(self, process: "subprocess.Popen[bytes]") -> None:
        """Until the server says that it answers every zone."""
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            if process.poll() is not None:
                raise SystemExit(
                    f"bench: zoneward ended with status {process.returncode}; see {self.folder}/log"
                )
            there = answered(self.folder / "state/run/answering.sock")
            if there is not None and len(there) == self.zones:
                return
            time.sleep(0.5)
        raise SystemExit(f"bench: not every zone was answered; see {self.folder}/log")

    def count(self, query: str) -> int:
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            return int(db.execute(query).fetchone()[0])

    def in_rollover(self) -> int:
        """Zones of which a key is on its way in or out."""
        return self.count(
            "SELECT count(DISTINCT zone) FROM key_records "
            "WHERE state IN ('rumoured', 'unretentive') AND record <> 'DS'"
        )

    def _resting(self, count: int) -> list[str]:
        """So many zones that have one KSK and one ZSK, neither on its way."""
        with contextlib.closing(sqlite3.connect(f"file:{self.database}?mode=ro", uri=True)) as db:
            rows = db.execute(
                "SELECT zone FROM keys WHERE zone NOT IN (SELECT zone FROM key_records "
                "WHERE state IN ('rumoured', 'unretentive')) "
                "GROUP BY zone HAVING count(*) = 2 LIMIT ?",
                (count,),
            )
            return [str(zone) for (zone,) in rows]

    def age(self, longest: int, seed: int) -> None:
        """Make every zone older by a time of its own: all that its rows date in lived seconds
        is moved back. No manager runs."""
        chance = random.Random(seed)
        with contextlib.closing(sqlite3.connect(self.database)) as db, db:
            db.execute("PRAGMA foreign_keys = OFF")
            for (zone,) in db.execute("SELECT zone FROM zones").fetchall():
                by = chance.uniform(0, longest)
                for table_name, columns in (
                    ("keys", ("active_since", "removed_since")),
                    ("key_records", ("since",)),
                    ("denials", ("since",)),
                    ("observations", ("since",)),
                ):
                    sets = ", ".join(f"{column} = {column} - :by" for column in columns)
                    db.execute(
                        f"UPDATE {table_name} SET {sets} WHERE zone = :zone",
                        {"by": by, "zone": zone},
                    )

    def rest(self, seconds: float) -> Rest:
        """Watch it do nothing."""
        versions, moves = self._versions(), self._moves()
        processes = (self.manager, self.server)
        before, written = [usage(pid).whole for pid in processes], _written(self.manager)
        began = time.monotonic()
        time.sleep(seconds)
        took = time.monotonic() - began
        used = [usage(pid).whole - old for pid, old in zip(processes, before, strict=True)]
        return Rest(
            100 * used[0] / took,
            100 * used[1] / took,
            (_written(self.manager) - written) / took,
            self._versions() - versions,
            self._moves() - moves,
        )

    def roll(self, count: int) -> tuple[float, int]:
        """CPU seconds that the manager takes for rolling the ZSK of so many zones, up to the
        version with the new key at the server; and how many versions that were."""
        versions, before = self._versions(), usage(self.manager).whole
        client = AdminClient(self.folder / "admin.sock")
        ask = RollAsk(roles=("zsk",))
        for zone in self._resting(count):
            client.post("/keys/roll", Lines, ZoneRoll(zone, ask))
        client.close()
        settled(self.manager)
        return usage(self.manager).whole - before, self._versions() - versions

    def _versions(self) -> int:
        return self.count("SELECT count(*) FROM versions")

    def _moves(self) -> int:
        return self.count("SELECT count(*) FROM audit WHERE action = 'advance'")


def name(number: int) -> str:
    return f"z{number:05}.{APEX}"


def zone_text(number: int) -> str:
    hosts = "".join(f"host{host} A 10.{number >> 8}.{number & 255}.{host}\n" for host in range(8))
    return (
        f"$ORIGIN {name(number)}.\n$TTL 3600\n"
        "@ SOA ns1 hostmaster 1 7200 900 1209600 300\n@ NS ns1\n@ MX 10 host1\n"
        f"ns1 A 127.0.0.1\n{hosts}"
    )


def run(folder: Path, zones: int, seconds: float) -> str:
    """`seconds` is how long each is watched at rest."""
    quarter, few = House(folder / "few", max(1, zones // 4)), 0
    quarter.write()
    with quarter.running() as started:
        _say(f"{quarter.zones} zones, cold", started)
    with quarter.running() as started:
        _say(f"{quarter.zones} zones, warm", started)
        few = resident_bytes(quarter.manager)
    house = House(folder / "many", zones)
    house.write()
    with house.running() as cold:
        _say(f"{zones} zones, cold", cold)
    # Twice: first some come of age and begin, then each of those is somewhere on its way.
    for turn, longest in enumerate((LIFETIME * 9 // 8, LIFETIME // 8)):
        house.age(longest, SEED + turn)
        with house.running() as started:
            _say(f"{zones} zones aged, {house.in_rollover()} in a rollover", started)
    with house.running() as warm:
        _say(f"{zones} zones, warm", warm)
        rolling = house.in_rollover()
        many = resident_bytes(house.manager)
        rest = house.rest(seconds)
        cpu, versions = house.roll(min(ROLLED, zones))
    slope = (many - few) / max(1, zones - quarter.zones)
    theirs = knot(folder / "knot", [(name(n), zone_text(n)) for n in range(zones)], seconds)
    rows = [
        ["cold start, seconds until answered", f"{cold.answered:.1f}", f"{theirs.cold:.1f}"],
        ["warm start, seconds until answered", f"{warm.answered:.1f}", f"{theirs.warm:.1f}"],
        ["  and until at rest", f"{warm.rested:.1f}", ""],
        ["  CPU milliseconds a zone", f"{1000 * warm.cpu / zones:.2f}", ""],
        ["resident KiB a zone", f"{slope / 1024:.1f}", f"{theirs.resident / zones / 1024:.1f}"],
        ["CPU at rest, % of a core", f"{rest.manager:.2f}", f"{theirs.rest:.2f}"],
        ["  of the server beside it", f"{rest.server:.2f}", ""],
        ["  KiB written a second", f"{rest.written / 1024:.2f}", ""],
        ["  versions made, key states moved", f"{rest.versions}, {rest.moves}", ""],
        [f"a step (of {versions}), CPU milliseconds", f"{1000 * cpu / max(1, versions):.1f}", ""],
    ]
    title = f"{zones} zones, {rolling} in a rollover, {seconds:.0f} s at rest"
    return table(title, ["", "manager", "knot"], rows)


def _written(pid: int) -> int:
    """Octets that a process has caused to be written to disk (proc(5))."""
    for line in Path(f"/proc/{pid}/io").read_text(encoding="ascii").splitlines():
        if line.startswith("write_bytes:"):
            return int(line.split()[1])
    raise SystemExit(f"bench: /proc/{pid}/io does not say what was written")


def _say(what: str, start: Start) -> None:
    print(
        f"{what}: answered after {start.answered:.1f} s, at rest after {start.rested:.1f} s, "
        f"{start.cpu:.1f} s of CPU",
        file=sys.stderr,
    )
