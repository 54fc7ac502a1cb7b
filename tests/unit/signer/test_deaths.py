"""`kill -9` at every persisted step of a rollover: no key is lost, no state repeated, and what is
on disk is a zone that validates.

Each life is a process that kills itself at the step (see `mortal.py`, which also verifies every
version that becomes visible, against each DS RRset that a cache may hold). The next life finds
what is on disk, and its end has to be that of a life without a death.
"""

import contextlib
import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import attrs
import mortal
import pytest

KINDS = ("first", "zsk", "ksk", "csk", "algorithm")
PARTS = 2
ROOT = Path(__file__).parents[3]


@attrs.frozen(eq=False)
class Lives:
    """Where lives are lived. `begin` is where all of a kind begin, `undisturbed` how the one
    without a death ends."""

    root: Path
    starter: subprocess.Popen[str]

    def live(self, directory: Path, kind: str, **how: object) -> int:
        """The exit code of a life; negative: the signal that ended it."""
        assert self.starter.stdin is not None
        assert self.starter.stdout is not None
        self.starter.stdin.write(json.dumps({"directory": str(directory), "kind": kind, **how}))
        self.starter.stdin.write("\n")
        self.starter.stdin.flush()
        return int(self.starter.stdout.readline())

    @cache  # noqa: B019 - as long as the tests of this module
    def begin(self, kind: str) -> Path:
        directory = self.root / f"{kind} begins"
        directory.mkdir()
        if kind != "first":
            assert self.live(directory, kind, set_up=True) == 0
        return directory

    def fresh(self, kind: str, name: object) -> Path:
        return Path(shutil.copytree(self.begin(kind), self.root / f"{kind} {name}"))

    @cache  # noqa: B019
    def undisturbed(self, kind: str) -> dict[str, Any]:
        directory = self.fresh(kind, "undisturbed")
        assert self.live(directory, kind, marks=True) == 0
        return end(directory)

    def tried(self, kind: str) -> list[int]:
        """The steps, from 1, that leave something else on disk than the step before, if only
        that the clock was read."""
        marks = [None, *self.undisturbed(kind)["marks"]]
        return [at for at in range(1, len(marks)) if marks[at] != marks[at - 1]]


@pytest.fixture(scope="module")
def lives() -> Iterator[Lives]:
    # In memory where there is such a place: a killed process loses nothing that it has
    # written, synced or not.
    memory = Path("/dev/shm")
    place = memory if memory.is_dir() and os.access(memory, os.W_OK) else None
    with (
        tempfile.TemporaryDirectory(dir=place) as root,
        subprocess.Popen(
            [sys.executable, mortal.__file__],
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        ) as starter,
    ):
        yield Lives(Path(root), starter)
        assert starter.stdin is not None
        starter.stdin.close()


def end(directory: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((directory / "world" / "end.json").read_text())
    return found


def outcome(told: dict[str, Any]) -> dict[str, Any]:
    """What has to be the same whatever happened on the way."""
    return {name: told[name] for name in told.keys() - {"steps", "marks", "transactions"}}


def is_as_undisturbed(lives: Lives, kind: str, directory: Path) -> None:
    assert outcome(end(directory)) == outcome(lives.undisturbed(kind))


@pytest.mark.parametrize("kind", KINDS)
def test_a_life_has_many_persisted_steps(lives: Lives, kind: str) -> None:
    undisturbed = lives.undisturbed(kind)
    assert len(undisturbed["steps"]) > 60
    assert len(lives.tried(kind)) > 25
    assert set(undisturbed["steps"]) == {
        *("commit", "keystore fsync", "version made", "version written", "journal folded")
    }
    assert undisturbed["begun and not ended"] == {}
    assert undisturbed["in the keystore and not ours"] == []
    new = [line for line in undisturbed["audit"] if "generate" in line]
    assert new, "keys were made"
    repeated = {line for line, count in undisturbed["audit"].items() if count > 1}
    assert repeated <= set(new), "nothing else happens twice"


@pytest.mark.parametrize("part", range(PARTS))
@pytest.mark.parametrize("kind", KINDS)
def test_a_death_at_any_step_changes_nothing(
    lives: Lives, kind: str, part: int, request: pytest.FixtureRequest
) -> None:
    """At each step that changes what is on disk; with `--every-death` also at those that only
    note the clock's reading."""
    steps = lives.undisturbed(kind)["steps"]
    every = request.config.getoption("--every-death")
    tried = list(range(1, len(steps) + 1)) if every else lives.tried(kind)
    for at in tried[part::PARTS]:
        directory = lives.fresh(kind, at)
        assert lives.live(directory, kind, at=at) == -signal.SIGKILL
        assert lives.live(directory, kind) == 0, f"after a death at step {at}, {steps[at - 1]}"
        is_as_undisturbed(lives, kind, directory)
        shutil.rmtree(directory)


@pytest.mark.parametrize("kind", [*KINDS, "double ds"])
def test_who_dies_coming_up_again_comes_up_all_the_same(lives: Lives, kind: str) -> None:
    """A second death soon after the first, and a third."""
    for number, at in enumerate(lives.tried(kind)[1::8]):
        directory = lives.fresh(kind, f"{at} twice")
        assert lives.live(directory, kind, at=at) == -signal.SIGKILL
        for soon in (1 + 5 * number % 23, 1 + 3 * number % 11):
            assert lives.live(directory, kind, at=soon) in (-signal.SIGKILL, 0)
        assert lives.live(directory, kind) == 0
        is_as_undisturbed(lives, kind, directory)
        shutil.rmtree(directory)


@pytest.mark.parametrize("kind", KINDS)
def test_a_death_within_a_transaction_leaves_what_was_before_it(lives: Lives, kind: str) -> None:
    undisturbed = lives.undisturbed(kind)
    numbers = [
        undisturbed["steps"][:at].count("commit")
        for at in lives.tried(kind)
        if undisturbed["steps"][at - 1] == "commit"
    ]
    assert len(numbers) > 15
    for number in numbers[::3]:
        directory = lives.fresh(kind, f"within {number}")
        assert lives.live(directory, kind, within=number) == -signal.SIGKILL
        with contextlib.closing(sqlite3.connect(directory / "manager" / "state.db")) as db:
            found = mortal.dump(db)
        assert "\n".join(found) == (directory / "world" / "before.sql").read_text()
        shutil.rmtree(directory)
