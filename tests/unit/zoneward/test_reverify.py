"""Verifying again what is served: when, and what is said when it fails."""

import asyncio
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.name
import pytest

import engine
from zones.versions import VersionKeeper
from zoneward.group import REVERIFY_SPREAD, first_reverification
from zoneward.zonetask import ZoneTask

ORIGIN = dns.name.from_text("example.org.")


class Source:
    origin = ORIGIN


def test_zones_are_spread_over_the_hour_after_a_start_and_keep_their_place() -> None:
    names = [dns.name.from_text(f"z{number}.test.") for number in range(1000)]
    waits = [first_reverification(name) for name in names]
    assert waits == [first_reverification(name) for name in names]
    assert all(0 <= wait < REVERIFY_SPREAD for wait in waits)
    quarters = [sum(1 for wait in waits if int(wait * 4 / REVERIFY_SPREAD) == q) for q in range(4)]
    assert min(quarters) > 200
    assert first_reverification(dns.name.from_text("Z1.TEST.")) == waits[1]


@pytest.mark.parametrize("good", [True, False])
def test_a_fault_in_what_is_served_is_counted_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, good: bool
) -> None:
    signature = "" if good else "@ 300 RRSIG SOA 13 2 300 20300101000000 20200101000000 1 @ AAAA\n"
    text = "@ 300 SOA ns h 1 3600 900 86400 300\n@ 300 NS ns.example.net.\n" + signature
    keeper = VersionKeeper(tmp_path / "zone")
    keeper.open()
    keeper.write(engine.scan_text(text.encode(), ORIGIN.to_wire()), None)
    with ThreadPoolExecutor(1) as executor:
        task = ZoneTask("a", Source(), "db", keeper, None, executor, lambda _: None)  # type: ignore[arg-type]
        asyncio.run(task.reverify())
    if good:
        # Without a signature there is nothing to verify.
        assert (task.reverified_at, task.reverify_faults) == (None, 0)
    else:
        assert task.reverified_at is not None
        assert abs(task.reverified_at - time.time()) < 60
        assert task.reverify_faults > 0
