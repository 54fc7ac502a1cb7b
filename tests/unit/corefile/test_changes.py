"""*reload*: when a Corefile is looked at again, and what counts as a change."""

from pathlib import Path

import pytest

import corefile
from corefile.changes import Pace, Watch, pace
from corefile.place import CorefileError


def parse(line: str) -> corefile.Corefile:
    text = ". {\n" + line + "\n}"
    return corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("log", None),
        ("reload", Pace(30, 15)),
        ("reload 10s", Pace(10, 5)),
        ("reload 2s 1s", Pace(2, 1)),
        ("reload 1m 2s", Pace(60, 2)),
        ("reload 10s 9s", Pace(10, 5)),
    ],
)
def test_pace(line: str, expected: Pace | None) -> None:
    assert pace(parse(line)) == expected


@pytest.mark.parametrize(
    ("line", "error"),
    [
        ("reload 1s", "2:8: 1s is out of range; it has to be at least 2s"),
        ("reload 10s 0.5s", "2:12: 0.5s is out of range; it has to be at least 1s"),
        ("reload 10", "2:8: '10' found where a duration"),
        ("reload 10s 5s 1s", "2:15: reload: '1s' is one argument too many"),
        ("reload {\n}", "2:1: reload takes no block in braces"),
    ],
)
def test_what_is_wrong_is_said_with_its_place(line: str, error: str) -> None:
    with pytest.raises(CorefileError) as raised:
        pace(parse(line))
    assert str(raised.value).startswith(f"Corefile:{error}")


def test_what_the_words_say_decides(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_text(". {\n reload 10s 4s\n import extra\n}\n")
    (tmp_path / "extra").write_text("log\n")
    watch = Watch(str(path), 53, {}, chance=lambda: 0.75)
    watch.follow(corefile.load(str(path), dns_port=53, environ={}), 100.0)
    assert watch.due == 112.0
    (tmp_path / "extra").write_text("log\nerrors\n")
    assert not watch.changed(111.9)
    assert watch.changed(112.0)
    assert watch.due == 124.0
    assert not watch.changed(124.0), "it was told already"
    (tmp_path / "extra").write_text("# a comment\n  log\nerrors\n")
    assert not watch.changed(136.0)
    path.write_text(". {\n")
    assert watch.changed(148.0), "who takes it in says what is wrong"
    assert not watch.changed(160.0)


def test_without_reload_nobody_looks(tmp_path: Path) -> None:
    path = tmp_path / "Corefile"
    path.write_text(". {\n log\n}\n")
    watch = Watch(str(path), 53, {})
    watch.follow(corefile.load(str(path), dns_port=53, environ={}), 0.0)
    path.write_text(". {\n errors\n}\n")
    assert watch.due is None
    assert not watch.changed(1e9)
