"""Lived time: what moves it, and what does not."""

import pytest

from signer.elapsed import Lived, Reading, since

YEAR = 365 * 86400
START = Reading(wall=1_700_000_000, boot=1000.0, boot_id="a", synchronised=True)


@pytest.mark.parametrize(
    ("scenario", "now", "lived", "jump"),
    [
        ("an hour goes by", Reading(START.wall + 3600, 4600.0, "a", True), 3600, 0),
        (
            "someone sets the clock ahead",
            Reading(START.wall + YEAR, 1060.0, "a", True),
            60,
            YEAR - 60,
        ),
        ("someone sets it back", Reading(START.wall - YEAR, 1060.0, "a", True), 60, -YEAR - 60),
        ("the machine was restarted", Reading(START.wall + 7200, 30.0, "b", True), 7200, 0),
        ("restarted, and no time source yet", Reading(START.wall + YEAR, 30.0, "b", False), 30, 0),
        ("restarted, its clock behind", Reading(START.wall - YEAR, 30.0, "b", True), 30, 0),
    ],
)
def test_since_the_last_reading(scenario: str, now: Reading, lived: float, jump: float) -> None:
    found = since(Lived(START), now)
    assert (found.seconds, found.jump) == (lived, jump), scenario


def test_it_starts_at_nothing() -> None:
    assert since(None, START) == Lived(START, 0.0, 0.0)


def test_an_undisciplined_clock_before_the_restart_is_no_evidence_either() -> None:
    before = Reading(0, 10.0, "a", False)
    assert since(Lived(before, 50.0), Reading(START.wall, 20.0, "b", True)).seconds == 70.0
