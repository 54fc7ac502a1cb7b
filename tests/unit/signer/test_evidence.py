"""What the parent's signatures say of the time that passed while the machine was down."""

import asyncio
from pathlib import Path

import attrs
import dns.name
import pytest

from signer.evidence import Evidence
from signer.keyset import KeySet
from signer.parent import Seen, Trust
from signer.state import StateDatabase

ORIGIN = dns.name.from_text("example.org.")
START = 1_800_000_000
DAY = 86_400


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
    before = Evidence(ORIGIN, database, StoppedClock(START, 500.0, "a", True))
    after = Evidence(ORIGIN, database, StoppedClock(START + 4 * DAY, 60.0, "b", False))
    seen = Seen(
        frozenset(), frozenset(), 0, ("ns.org.",), trust=Trust.VALIDATED, made_after=made_after
    )

    async def run() -> None:
        assert await before.lived() == 0.0
        assert await after.lived() == 60.0
        await after.parent(KeySet(ORIGIN), seen)

    try:
        asyncio.run(run())
        assert after.now() == lived, scenario
    finally:
        database.close()
