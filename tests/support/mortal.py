"""A manager that dies by SIGKILL: it lives through a rollover in a process of its own and kills
itself at a step that was persisted. What it leaves on disk is what its next life finds.

    DIRECTORY/manager   state.db  keys/  zone/        what a manager has
    DIRECTORY/world     scene.json  served/           clock, parent and server, which nobody kills

Run as a program it reads one life a line from standard input, forks, and says how that ended:
nothing has to be imported anew, and each life is a process.
"""

import asyncio
import contextlib
import hashlib
import json
import os
import re
import signal
import sqlite3
import sys
import traceback
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar

import attrs
from rollworld import ORIGIN, CrashingDatabase, World

import engine
from signer import tables
from signer.keyset import Role
from signer.outcome import Held, Outcome, Published
from signer.policy import DAY, HOUR, MINUTE, DsMode, KeyLayout, Policy
from signer.requests import Request, Roll, RollAlgorithm, words
from signer.state import StateDatabase
from zones import versions
from zones.versions import VersionKeeper

T = TypeVar("T")

# Waits of two hours, so that little but the rollover happens; the key that was replaced is
# purged before the end.
_QUICK = {"max_zone_ttl": HOUR, "purge": HOUR, "parent_ds_ttl": DAY}
SINGLE = Policy(**_QUICK)  # type: ignore[arg-type]
SPLIT = attrs.evolve(SINGLE, keys=KeyLayout.KSK_ZSK)
DOUBLE_DS = attrs.evolve(SINGLE, ds=DsMode.DOUBLE_DS)

#: What a life is about: the policy, what is asked for (nothing: the first keys), how many keys
#: are new at its end.
KINDS: dict[str, tuple[Policy, Request | None, int]] = {
    "first": (SPLIT, None, 2),
    "zsk": (SPLIT, Roll(frozenset({Role.ZSK})), 1),
    "ksk": (SPLIT, Roll(frozenset({Role.KSK})), 1),
    "csk": (SINGLE, Roll(), 1),
    "double ds": (DOUBLE_DS, Roll(), 1),
    "algorithm": (SINGLE, RollAlgorithm(15), 1),
}
# How long a manager is away when it has died, in seconds.
_AWAY = 3


@attrs.frozen
class Life:
    """`at`: the persisted step to die at, from 1; `within`: the transaction to die in, before
    its commit. Without either it goes on to the end of the rollover. `set_up`: only as far as
    where the rollover begins. `marks`: note what is on disk at each step."""

    directory: str
    kind: str
    at: int | None = None
    within: int | None = None
    set_up: bool = False
    marks: bool = False


@attrs.define
class Steps:
    """Everything that is on disk when it was counted: its name, and a digest of all that is on
    disk then but the clock's reading."""

    life: Life
    names: list[str] = attrs.field(factory=list)
    marks: list[str] = attrs.field(factory=list)
    transactions: int = 0

    def take(self, name: str) -> None:
        self.names.append(name)
        if self.life.marks:
            self.marks.append(on_disk(Path(self.life.directory, "manager")))
        if len(self.names) == self.life.at:
            _die()


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def dump(db: sqlite3.Connection) -> list[str]:
    """All that a database says, a line each row."""
    return list(db.iterdump())


def on_disk(manager: Path) -> str:
    """A digest of what a manager has there, apart from the row that says when it last looked
    at the clock."""
    digest = hashlib.sha256()
    with contextlib.closing(sqlite3.connect(manager / "state.db")) as db:
        for line in dump(db):
            if not line.startswith('INSERT INTO "clock"'):
                digest.update(line.encode())
    for path in sorted(manager.rglob("*")):
        if path.is_file() and not path.name.startswith("state.db"):
            digest.update(path.name.encode() + path.read_bytes())
    return digest.hexdigest()


@attrs.frozen
class CountedDatabase:
    inner: StateDatabase
    steps: Steps
    before: Path

    async def run(self, step: Callable[[sqlite3.Connection], T]) -> T:
        def counted(db: sqlite3.Connection) -> T:
            self.steps.transactions += 1
            if self.steps.transactions != self.steps.life.within:
                return step(db)
            self.before.write_text("\n".join(dump(db)))
            step(db)
            _die()
            raise AssertionError("dead")

        result = await self.inner.run(counted)
        self.steps.take("commit")
        return result


class MortalWorld(World):
    """A world that is kept in files, round a manager that dies."""

    steps: Steps
    keeper: VersionKeeper
    scene: Path
    asked: bool
    old: list[str]
    begun: int

    def __init__(self, life: Life, executor: ThreadPoolExecutor) -> None:
        root = Path(life.directory)
        self.steps = Steps(life)
        self.scene = root / "world"
        self.asked, self.old, self.begun = False, [], 0
        (self.scene / "served").mkdir(parents=True, exist_ok=True)
        policy, _, _ = KINDS[life.kind]
        super().__init__(root / "manager", executor, policy)
        self.parent_delay, self.ds_ttl = 4 * MINUTE, 2 * HOUR
        self._recall()
        self.keeper = VersionKeeper(self.directory / "zone")
        self.zone = self.keeper.open()
        if self.zone is not None:
            self._visible(self.zone)

    def open(self) -> None:
        self.database = StateDatabase(self.directory / "state.db")
        counted = CountedDatabase(self.database, self.steps, self.scene / "before.sql")
        self.crashing = CrashingDatabase(counted)  # type: ignore[arg-type]

    # --- what outlives the manager --------------------------------------------------------

    def _recall(self) -> None:
        path = self.scene / "scene.json"
        if path.exists():
            found = json.loads(path.read_text())
            self.clock.now = found["now"] + _AWAY
            self.ds, self.cds = _rdatas(found["ds"]), _rdatas(found["cds"])
            self.cached = {_rdatas(ds): until for ds, until in found["cached"]}
            self.cds_since, self.asked = found["cds_since"], found["asked"]
            self.old, self.begun = found["old"], found["begun"]
            self.versions = found["versions"]
            self.contents = {
                int(serial): bytes.fromhex(digest) for serial, digest in found["contents"].items()
            }
        self.served = engine.ZoneStore(str(self.scene / "served")).load()

    def keep(self) -> None:
        """The world as it is now, for the next life."""
        scene = {
            "now": self.clock.now,
            "ds": _hex(self.ds),
            "cds": _hex(self.cds),
            "cached": [(_hex(ds), until) for ds, until in self.cached.items()],
            "cds_since": self.cds_since,
            "asked": self.asked,
            "old": self.old,
            "begun": self.begun,
            "versions": self.versions,
            "contents": {serial: digest.hex() for serial, digest in self.contents.items()},
        }
        (self.scene / "scene.json").write_text(json.dumps(scene))

    def later(self, seconds: float) -> None:
        super().later(seconds)
        self.keep()

    def parent_reads(self) -> None:
        super().parent_reads()
        self.keep()

    def serve(self, zone: engine.Zone) -> None:
        if self.served is None or self.served.serial != zone.serial:
            engine.ZoneStore(str(self.scene / "served")).replace(zone)
        super().serve(zone)
        self.keep()

    # --- versions on disk -----------------------------------------------------------------

    def write(self, version: Published) -> None:
        """As `zoneward.zonetask` does it."""
        self.steps.take("version made")
        self.keeper.write(version.zone, version.diff)
        self.steps.take("version written")
        self.zone = version.zone
        self._visible(version.zone)

    def _visible(self, zone: engine.Zone) -> None:
        """A version is on disk: whoever asks may get it from now on."""
        digest = zone.digest()
        assert self.contents.setdefault(zone.serial, digest) == digest, "a serial has two contents"
        last = self.versions[-1] if self.versions else None
        if zone.serial != last:
            assert last is None or zone.serial > last, f"serial {zone.serial} after {last}"
            self.versions.append(zone.serial)
            self.keep()
        self._verify(zone)

    def verify(self) -> None:
        for zone in (self.zone, self.served):
            if zone is not None:
                self._verify(zone)

    def _verify(self, zone: engine.Zone) -> None:
        report = engine.verify(zone, at=self.clock.wall(), ds=self.cached_ds())
        assert report.failure_count == 0, [failure.message for failure in report.failures]

    async def sign(self, scope: str) -> Outcome:
        outcome = await super().sign(scope)
        assert not isinstance(outcome, Held), outcome
        if isinstance(outcome, Published) and self.keeper.fold():
            self.steps.take("journal folded")
        return outcome

    # --- the story --------------------------------------------------------------------------

    async def live(self) -> None:
        """Begin, or go on, and come to the end."""
        _, wanted, count = KINDS[self.steps.life.kind]
        await self.start()
        if wanted is not None and not self.asked:
            await self._ask(wanted)
        await self.until(lambda: self._over(count), days=20)
        assert self.zone is not None
        (self.scene / "end.json").write_text(json.dumps(await self._told()))

    async def _ask(self, wanted: Request) -> None:
        """Who asked and was told nothing looks into the audit trail first."""
        action, _ = words(wanted)
        entries = await self.signer.audit()
        if not any(entry.action == action for entry in entries[self.begun :]):
            await self.signer.request(wanted)
            await self.sign("all")
        self.asked = True
        self.keep()

    def _over(self, count: int) -> bool:
        now = self.in_use()
        new = set(now) - set(self.old)
        return (
            self.everywhere()
            and len(new) == count
            and len(self.signer.keyset.keys) == len(now) == (len(self.old) or count)
        )

    async def _told(self) -> dict[str, Any]:
        """How it ended, the same for each life that went well: keys by what they are for."""
        entries = (await self.signer.audit())[self.begun :]
        names = {key.fingerprint: "old" for key in self.signer.keyset.keys}
        tags: dict[str, str] = {}
        names |= dict.fromkeys(self.old, "old")
        for entry in entries:
            if entry.action in ("generate", "adopt"):
                _, tag, _, algorithm, fingerprint = entry.detail.split()
                names[fingerprint] = tags[tag] = f"new of {algorithm}"

        def plain(detail: str) -> str:
            detail = re.sub(r"[0-9a-f]{64}", lambda found: names.get(found[0], "?"), detail)
            return re.sub(
                r"(key|CSK|KSK|ZSK) (\d+)",
                lambda found: f"{found[1]} {tags.get(found[2], 'old')}",
                detail,
            )

        keys = [
            f"{key.role.value} {names[key.fingerprint]} {key.letters()} {key.goal.value}"
            for key in self.signer.keyset.keys
        ]
        begun = await self.database.run(lambda db: tables.all_begun(db, ORIGIN))
        return {
            "keys": sorted(keys),
            "audit": Counter(
                f"{entry.actor}: {entry.action}: {plain(entry.detail)}" for entry in entries
            ),
            "ds": len(self.ds),
            "tags used": len(self.signer.keyset.tags_used),
            "begun and not ended": begun,
            "in the keystore and not ours": sorted(
                {path.name for path in (self.directory / "keys").glob("*/*")}
                - {f"{key.fingerprint}.json" for key in self.signer.keyset.keys}
            ),
            "steps": self.steps.names,
            "marks": self.steps.marks,
            "transactions": self.steps.transactions,
            "versions": len(self.versions),
        }


def _hex(rdatas: frozenset[bytes]) -> list[str]:
    return sorted(rdata.hex() for rdata in rdatas)


def _rdatas(text: list[str]) -> frozenset[bytes]:
    return frozenset(bytes.fromhex(rdata) for rdata in text)


async def _set_up(world: MortalWorld) -> None:
    """A zone whose keys are everywhere, about to be rolled."""
    await world.start()
    await world.until(world.everywhere)
    world.old = world.in_use()
    world.begun = len(await world.signer.audit())
    world.keep()


def live(life: Life) -> None:
    """One life, in this process."""
    # So that the journal is folded at each version: that writes too.
    versions._JOURNAL_LEAST = versions._JOURNAL_PER_RECORD = 0
    with ThreadPoolExecutor(2) as executor:
        world = MortalWorld(life, executor)
        _count_fsync(world.steps)
        asyncio.run(asyncio.wait_for(_set_up(world) if life.set_up else world.live(), 120))
        world.database.close()


def _count_fsync(steps: Steps) -> None:
    """The keystore's files and directories: on disk, and not yet what the database says."""
    fsync = os.fsync

    def counted(descriptor: int) -> None:
        fsync(descriptor)
        steps.take("keystore fsync")

    os.fsync = counted  # type: ignore[assignment]


def main() -> None:
    """Lives, one after the other; the answer to each is its wait status."""
    for line in sys.stdin:
        life = Life(**json.loads(line))
        child = os.fork()
        if child == 0:
            code = 1
            try:
                live(life)
                code = 0
            finally:
                if code:
                    traceback.print_exc()
                os._exit(code)
        _, status = os.waitpid(child, 0)
        print(os.waitstatus_to_exitcode(status), flush=True)


if __name__ == "__main__":
    main()
