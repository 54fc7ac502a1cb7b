"""The state directory: made right, kept to one manager, saved and put back."""

import io
import os
import sqlite3
import stat
import tarfile
from pathlib import Path

import pytest

from zoneward import backup
from zoneward.refusal import Refusal
from zoneward.state import ManagerLock, StateDirectory


@pytest.fixture
def state(tmp_path: Path) -> StateDirectory:
    found = StateDirectory(tmp_path / "state")
    found.prepare()
    return found


def filled(state: StateDirectory) -> StateDirectory:
    with sqlite3.connect(state.database) as database:
        database.execute("CREATE TABLE keys (tag INTEGER)")
        database.execute("INSERT INTO keys VALUES (12345)")
    database.close()
    state.keys.mkdir()
    (state.keys / "one.json").write_text("sealed")
    (state.zone("block", "example.org")).mkdir(parents=True)
    (state.zone("block", "example.org") / "snapshot").write_bytes(b"\x00\x01")
    return state


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_only_the_owner_may_look(state: StateDirectory) -> None:
    assert mode(state.manager) == mode(state.server) == mode(state.run) == 0o700
    assert mode(state.link) == mode(state.server_link) == 0o600


def test_both_sides_hold_the_same_link_and_keep_it(state: StateDirectory) -> None:
    link = state.read_link()
    assert len(link) == 32
    state.prepare()
    assert state.read_link() == link
    assert state.link.read_text() == state.server_link.read_text()


def test_a_server_with_another_link_is_given_the_managers(state: StateDirectory) -> None:
    state.server_link.write_text("00" * 32)
    state.prepare()
    assert state.link.read_text() == state.server_link.read_text()


def test_another_layout_is_refused_with_what_to_do(state: StateDirectory) -> None:
    state.layout.write_text("9\n")
    with pytest.raises(Refusal, match="has layout '9', this version of Zoneward knows 1; use"):
        state.prepare()


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Refusal, match="name another with the global option `state`"):
        StateDirectory(tmp_path / "file" / "state").prepare()


def test_one_manager_a_state_directory(state: StateDirectory) -> None:
    with ManagerLock(state), pytest.raises(Refusal, match=f"process id {os.getpid()}; stop"):
        ManagerLock(state)
    ManagerLock(state).release()


def test_a_backup_comes_back_whole(state: StateDirectory, tmp_path: Path) -> None:
    filled(state)
    file = tmp_path / "backup.tar"
    backup.write(state, file)
    assert mode(file) == 0o600
    other = StateDirectory(tmp_path / "other")
    backup.restore(other, file, force=False)
    with sqlite3.connect(other.database) as database:
        assert database.execute("SELECT tag FROM keys").fetchall() == [(12345,)]
    database.close()
    assert (other.keys / "one.json").read_text() == "sealed"
    assert (other.zone("block", "example.org") / "snapshot").read_bytes() == b"\x00\x01"
    assert other.read_link() == state.read_link()
    other.prepare()
    assert other.link.read_text() == other.server_link.read_text()
    ManagerLock(other).release()


def test_a_backup_overwrites_nothing(state: StateDirectory, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    file.write_text("precious")
    with pytest.raises(Refusal, match="not overwritten"):
        backup.write(filled(state), file)
    assert file.read_text() == "precious"


def test_nothing_is_restored_over_state_without_force(
    state: StateDirectory, tmp_path: Path
) -> None:
    file = tmp_path / "backup.tar"
    backup.write(filled(state), file)
    (state.keys / "newer.json").write_text("sealed too")
    with pytest.raises(Refusal, match="--force"):
        backup.restore(state, file, force=False)
    assert (state.keys / "newer.json").exists()
    backup.restore(state, file, force=True)
    assert not (state.keys / "newer.json").exists()


def test_nothing_is_restored_under_a_running_manager(state: StateDirectory, tmp_path: Path) -> None:
    file = tmp_path / "backup.tar"
    backup.write(filled(state), file)
    with ManagerLock(state), pytest.raises(Refusal, match="in use by the manager"):
        backup.restore(state, file, force=True)


@pytest.mark.parametrize("name", ["../escape", "/etc/escape", "keys/../../escape"])
def test_a_hostile_archive_writes_nowhere_else(
    state: StateDirectory, tmp_path: Path, name: str
) -> None:
    file = tmp_path / "evil.tar"
    with tarfile.open(file, "w") as tar:
        for member, data in (("zoneward-backup", b"1"), (name, b"evil")):
            info = tarfile.TarInfo(member)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    with pytest.raises(Refusal, match="odd member"):
        backup.restore(state, file, force=False)
    assert not (tmp_path / "escape").exists()
    assert state.link.exists()


def test_what_is_no_backup_is_refused(state: StateDirectory, tmp_path: Path) -> None:
    file = tmp_path / "noise"
    file.write_bytes(os.urandom(4096))
    with pytest.raises(Refusal):
        backup.restore(state, file, force=False)
    assert state.link.exists()


def test_a_restore_that_is_cut_off_leaves_what_was_there(
    state: StateDirectory, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The next start must not take the gap between two renamings for a first start."""
    file = tmp_path / "backup.tar"
    backup.write(filled(state), file)
    (state.keys / "two.json").write_text("made after the backup")
    rename = Path.rename

    class Killed(BaseException):
        pass

    def killed(self: Path, target: Path) -> Path:
        if target == state.manager:
            raise Killed
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", killed)
    with pytest.raises(Killed):
        backup.restore(state, file, force=True)
    monkeypatch.undo()
    assert not state.manager.exists()
    state.prepare()
    assert (state.keys / "two.json").exists()
    backup.restore(state, file, force=True)
    assert not (state.keys / "two.json").exists()
    assert (state.keys / "one.json").exists()
