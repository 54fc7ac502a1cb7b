"""Lived time: what moves it, and what does not."""

import pytest

from signer.elapsed import Lived, Reading, Sure, since, witnessed

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
    found = since(since(None, START), now)
    assert (found.seconds, found.jump) == (lived, jump), scenario


def test_it_starts_at_nothing() -> None:
    assert since(None, START) == Lived(START, 0.0, 0.0, Sure(START.wall, 0.0, "a"))


def test_an_undisciplined_clock_before_the_restart_is_no_evidence_either() -> None:
    before = Reading(0, 10.0, "a", False)
    assert since(Lived(before, 50.0), Reading(START.wall, 20.0, "b", True)).seconds == 70.0


def restarted(*, down: int, synchronised: bool, up: float = 30.0) -> Reading:
    return Reading(START.wall + down, up, "b", synchronised)


def test_a_time_source_that_is_reached_some_time_after_the_restart() -> None:
    at_first = since(since(None, START), restarted(down=7200, synchronised=False))
    assert at_first.seconds == 30.0
    later = since(at_first, restarted(down=7290, synchronised=True, up=120.0))
    assert later.seconds == 7290.0
    assert since(later, restarted(down=7300, synchronised=True, up=130.0)).seconds == 7300.0


def test_two_restarts_before_a_time_source_is_reached() -> None:
    lived = since(since(None, START), restarted(down=100, synchronised=False))
    lived = since(lived, Reading(START.wall + 500, 10.0, "c", True))
    assert lived.seconds == 500.0


def test_a_signature_of_the_parent_is_evidence_of_what_passed_while_the_machine_was_down() -> None:
    lived = since(since(None, START), restarted(down=YEAR, synchronised=False))
    assert witnessed(lived, START.wall + 86400).seconds == 86400.0
    assert witnessed(lived, START.wall - 86400) == lived, "a signature from before says nothing"
    assert witnessed(lived, START.wall + 10) == lived, "the boot clock has said more"


@pytest.mark.parametrize(
    ("scenario", "lived"),
    [
        ("the machine was not restarted", since(None, START)),
        ("no clock was ever right", since(None, Reading(0, 10.0, "a", False))),
    ],
)
def test_a_signature_is_no_evidence(scenario: str, lived: Lived) -> None:
    assert witnessed(lived, START.wall + YEAR) == lived, scenario


def test_a_clock_set_ahead_while_the_machine_runs_is_not_counted_later_either() -> None:
    ahead = since(since(None, START), Reading(START.wall + YEAR, 1060.0, "a", True))
    again = since(ahead, Reading(START.wall + 3600, 30.0, "b", True))
    assert again.seconds == 90.0
