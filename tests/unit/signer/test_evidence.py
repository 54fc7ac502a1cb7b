"""What is kept of the parent's answers: the time that its signatures tell, and the DS RRsets that
caches may hold."""

import asyncio
from pathlib import Path

import attrs
import dns.name
import pytest

from signer.evidence import Evidence
from signer.keyset import Key, KeySet, Record, RecordKind, Role, State
from signer.livedtime import LivedTime
from signer.parent import Seen, Trust
from signer.policy import Policy
from signer.state import StateDatabase

DS = RecordKind.DS
ORIGIN = dns.name.from_text("example.org.")
START = 1_800_000_000
DAY = 86_400
WATCHED = 900.0


@attrs.frozen
class StoppedClock:
    """One moment of one start of the machine."""

    at: int
    since_boot: float
    start: str
    disciplined: bool

    def wall(self) -> int:
        return self.at

    def boot(self) -> float:
        return self.since_boot

    def boot_id(self) -> str:
        return self.start

    def synchronised(self) -> bool:
        return self.disciplined


def evidence(database: StateDatabase, clock: StoppedClock) -> Evidence:
    return Evidence(ORIGIN, database, clock, LivedTime(database, clock))


@pytest.mark.parametrize(
    ("scenario", "made_after", "lived"),
    [
        ("a signature from while it was down", START + 3 * DAY, 3.0 * DAY),
        ("a signature from before", START - DAY, 60.0),
        ("nothing that is anchored", None, 60.0),
    ],
)
def test_lived_time_after_a_restart_without_a_time_source(
    scenario: str, made_after: int | None, lived: float, tmp_path: Path
) -> None:
    database = StateDatabase(tmp_path / "state.db")
    before = evidence(database, StoppedClock(START, 500.0, "a", True))
    after = evidence(database, StoppedClock(START + 4 * DAY, 60.0, "b", False))
    seen = Seen(
        frozenset(), frozenset(), 0, ("ns.org.",), trust=Trust.VALIDATED, made_after=made_after
    )

    async def run() -> None:
        assert await before.lived() == 0.0
        assert await after.lived() == 60.0
        await after.parent(KeySet(ORIGIN), seen, WATCHED)

    try:
        asyncio.run(run())
        assert after.now() == lived, scenario
    finally:
        database.close()


OLD, BOTH, NEW = [b"old"], [b"new", b"old"], [b"new"]
TTL = 100


@pytest.mark.parametrize(
    ("scenario", "looks", "at", "cached"),
    [
        ("nobody has looked", [], 0, []),
        ("what was seen", [(0, OLD, OLD)], 10, [OLD]),
        ("the parent can't be asked since", [(0, OLD, OLD)], 10 * TTL, [OLD]),
        ("servers that differ", [(0, OLD, BOTH)], 10, [OLD, BOTH]),
        (
            "another, and the one before in caches",
            [(0, OLD, OLD), (50, BOTH, BOTH)],
            90,
            [OLD, BOTH],
        ),
        ("its TTL is over", [(0, OLD, OLD), (50, BOTH, BOTH)], 100, [BOTH]),
        ("seen again, so that its TTL is not", [(0, OLD, OLD), (50, OLD, BOTH)], 140, [OLD, BOTH]),
        ("withdrawn, and still in caches", [(0, OLD, OLD), (50, [], [])], 90, [OLD]),
        ("withdrawn and forgotten", [(0, OLD, OLD), (50, [], []), (60, [], [])], 100, []),
    ],
)
def test_ds_rrsets_that_caches_may_hold(
    scenario: str,
    looks: list[tuple[int, list[bytes], list[bytes]]],
    at: int,
    cached: list[list[bytes]],
    tmp_path: Path,
) -> None:
    database = StateDatabase(tmp_path / "state.db")

    def then(seconds: int) -> Evidence:
        clock = StoppedClock(START + seconds, 500.0 + seconds, "a", True)
        return evidence(database, clock)

    async def run() -> list[list[bytes]]:
        await then(0).lived()
        for seconds, common, found in looks:
            seen = Seen(frozenset(common), frozenset(found), TTL, ("ns.org.",))
            await then(seconds).parent(KeySet(ORIGIN), seen, WATCHED)
        return await then(at).cached_ds()

    try:
        assert sorted(asyncio.run(run())) == sorted(cached), scenario
    finally:
        database.close()


RUMOURED = Record().moved(State.RUMOURED, 0.0, DAY)
OMNIPRESENT = RUMOURED.moved(State.OMNIPRESENT, 0.0, DAY)


@pytest.mark.parametrize(
    ("scenario", "before", "looks", "since"),
    [
        ("watched all the time", RUMOURED, [0, 900, 1800], 0),
        ("nobody looked for an hour", RUMOURED, [0, 900, 4500, 4800], 4500),
        ("an hour, of one that all servers had", OMNIPRESENT, [0, 900, 4500], 0),
    ],
)
def test_a_ds_that_never_was_everywhere_is_gone_since_it_is_watched(
    scenario: str, before: Record, looks: list[int], since: int, tmp_path: Path
) -> None:
    """A parent that is late may show it for a while when nobody looks."""
    database = StateDatabase(tmp_path / "state.db")
    key = Key.hidden("0001", Role.CSK, b"\x01\x01\x03\x0d" + bytes(64), 0, 0.0)
    key = key.with_record(DS, before.moved(State.UNRETENTIVE, 0.0, DAY))
    keyset = KeySet(ORIGIN, (key,))
    none = Seen(frozenset(), frozenset(), 3600, ("ns.org.",))

    def then(seconds: int) -> Evidence:
        clock = StoppedClock(START + seconds, 500.0 + seconds, "a", True)
        return evidence(database, clock)

    async def run() -> float:
        for seconds in looks:
            await then(seconds).parent(keyset, none, WATCHED)
        seen = await then(looks[-1]).gather(keyset, Policy(), island=False)
        return seen.gone["0001", DS]

    try:
        assert asyncio.run(run()) == since, scenario
    finally:
        database.close()
