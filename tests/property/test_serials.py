"""Serials: whatever was taken, the next one is ahead of it."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from signer.serials import highest, next_serial
from zones.serial import newer

SERIAL = st.integers(0, 2**32 - 1)
# Serials that some servers may hold at one time lie within half the space.
STEPS = st.lists(st.integers(0, 2**30), max_size=6)


@given(SERIAL, SERIAL, STEPS)
def test_the_next_serial_is_newer_than_all_that_were_taken(
    source: int, first: int, steps: list[int]
) -> None:
    taken = [first, *((first + step) % 2**32 for step in steps)]
    found = next_serial(source, taken)
    assert all(newer(found, serial) for serial in taken)


@given(SERIAL)
def test_with_nothing_taken_the_sources_own_is_used(source: int) -> None:
    assert next_serial(source, []) == source


@given(SERIAL, st.integers(1, 2**31 - 2))
def test_a_source_that_is_ahead_keeps_its_number(taken: int, ahead: int) -> None:
    source = (taken + ahead) % 2**32
    assert next_serial(source, [taken]) == source


@given(SERIAL, st.integers(0, 2**31 - 1))
def test_a_source_that_is_behind_does_not_hold_us_back(taken: int, behind: int) -> None:
    assert next_serial((taken - behind) % 2**32, [taken]) == (taken + 1) % 2**32


@given(SERIAL, STEPS, st.randoms())
def test_the_highest_does_not_depend_on_the_order(
    first: int, steps: list[int], random: Random
) -> None:
    serials = [(first + step) % 2**32 for step in steps] or [first]
    shuffled = list(serials)
    random.shuffle(shuffled)
    assert highest(shuffled) == highest(serials)
