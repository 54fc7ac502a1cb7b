"""Who is due when, of many."""

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from zoneward.duetimes import DueTimes

EPOCH = datetime(2030, 1, 1, tzinfo=UTC)


def at(minutes: int) -> datetime:
    return EPOCH + timedelta(minutes=minutes)


def test_the_earliest_is_told_and_whoever_is_due_is_taken_once() -> None:
    due = DueTimes[str]()
    due.set("a", at(3))
    due.set("b", at(1))
    due.set("c", at(2))
    assert due.earliest() == at(1)
    assert due.take(at(2)) == ["b", "c"]
    assert due.take(at(2)) == []
    assert due.earliest() == at(3)


def test_the_last_word_counts_and_none_is_never() -> None:
    due = DueTimes[str]()
    due.set("a", at(1))
    due.set("a", at(5))
    due.set("b", at(2))
    due.set("b", None)
    assert due.earliest() == at(5)
    due.set("a", at(4))
    assert due.take(at(4)) == ["a"]
    assert due.earliest() is None


@given(
    st.lists(
        st.tuples(st.integers(0, 5), st.one_of(st.none(), st.integers(0, 20)), st.booleans()),
        max_size=400,
    )
)
def test_it_agrees_with_looking_at_all_of_them(steps: list[tuple[int, int | None, bool]]) -> None:
    due, model = DueTimes[int](), dict[int, datetime]()
    for key, minutes, take in steps:
        if take:
            now = at(minutes or 0)
            expected = {one for one, when in model.items() if when <= now}
            taken = due.take(now)
            assert set(taken) == expected
            assert len(taken) == len(expected)
            for one in expected:
                del model[one]
            continue
        due.set(key, None if minutes is None else at(minutes))
        if minutes is None:
            model.pop(key, None)
        else:
            model[key] = at(minutes)
        assert due.earliest() == min(model.values(), default=None)
