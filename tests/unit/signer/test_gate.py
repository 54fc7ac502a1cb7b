"""The gate: what is let through, with an alarm or without, and what is not."""

import pytest

from signer.gate import Content, Fault, Findings, Passed, Stopped, compare, guard

APEX = b"\x07example\x03org\x00"
BAD_A = Fault(APEX, 1, "bad-signature", "the signature by key 1 does not verify")
BAD_MX = Fault(APEX, 15, "expired", "expired at 2026-01-01")


def found(*faults: Fault, more: int = 0) -> Findings:
    return Findings(frozenset(faults), len(faults) + more)


@pytest.mark.parametrize(
    ("served", "candidate", "expected"),
    [
        (found(), found(), Passed()),
        (found(BAD_A), found(), Passed()),
        (found(BAD_A), found(BAD_A), Passed((str(BAD_A),))),
        (found(), found(BAD_A), Stopped((str(BAD_A),), 1)),
        (found(BAD_A), found(BAD_A, BAD_MX), Stopped((str(BAD_MX),), 1)),
        (found(BAD_A), found(BAD_MX), Stopped((str(BAD_MX),), 1)),
    ],
    ids=["clean", "mends", "as before", "first fault", "one more", "one for another"],
)
def test_a_version_may_not_add_a_fault(
    served: Findings, candidate: Findings, expected: Passed | Stopped
) -> None:
    assert compare(served, candidate) == expected


def test_faults_that_were_not_told_count_as_new() -> None:
    verdict = compare(found(BAD_A, more=5000), found(BAD_A, more=5000))
    assert isinstance(verdict, Stopped)
    assert verdict.count == 5000


def test_the_words_of_a_fault_do_not_make_it_another() -> None:
    reworded = Fault(APEX, 1, "bad-signature", "by key 2")
    assert isinstance(compare(found(BAD_A), found(reworded)), Passed)


def test_a_fault_reads_as_owner_type_code_and_words() -> None:
    assert str(BAD_MX) == "example.org. MX: expired: expired at 2026-01-01"
    assert str(Fault(b"\xff", 65280, "structure", "x")) == "ff TYPE65280: structure: x"


@pytest.mark.parametrize(
    ("before", "after", "says"),
    [
        (Content(100, True), Content(90, True), None),
        (Content(100, True), Content(89, True), "11 % are gone"),
        (Content(100, True), Content(200, True), None),
        (Content(3, True), Content(2, True), None),
        (Content(100, True), Content(100, False), "no NS records at its apex"),
        (Content(100, False), Content(100, False), None),
        (Content(100, True), Content(0, True), "100 % are gone"),
    ],
)
def test_the_content_guard(before: Content, after: Content, says: str | None) -> None:
    reason = guard(before, after, 10)
    assert (reason is None) if says is None else says in str(reason)
