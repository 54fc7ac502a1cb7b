"""The manager's state as one file, and back.

What is in it: the database, copied through SQLite's backup API; the encrypted keys; the
zones' versions; a generated passphrase, where there is one, without which the keys would be
worth nothing. Snapshots are replaced by renaming and journals only grow, and a journal's torn
end is cut off when it is read, so that copying them while the manager runs is safe.
"""

from __future__ import annotations

import io
import os
import shutil
import sqlite3
import tarfile
import tempfile
from pathlib import Path, PurePosixPath

from zoneward.refusal import Refusal, one_line
from zoneward.state import LAYOUT, ManagerLock, StateDirectory

# The first member: what this is, and the layout of what follows.
_LABEL = "zoneward-backup"
_LEFT_OUT = frozenset({"lock", "state.db", "state.db-wal", "state.db-shm", "layout", "restored"})


def write(state: StateDirectory, file: Path) -> list[str]:
    """Write a backup. Raises Refusal: FILE exists, the state can't be read, the disk is full."""
    if not state.database.exists():
        raise Refusal(f"{state.root}: there is no state of a manager to back up")
    try:
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except FileExistsError:
        raise Refusal(f"{file}: exists, and is not overwritten; name another file") from None
    except OSError as error:
        raise Refusal(f"{file}: {error.strerror}") from error
    try:
        with os.fdopen(descriptor, "wb") as out:
            _pack(state, out)
            out.flush()
            os.fsync(out.fileno())
    except (OSError, sqlite3.Error, tarfile.TarError) as error:
        file.unlink(missing_ok=True)
        raise Refusal(f"{file}: no backup was made: {_reason(error)}") from error
    lines = [f"{file}: {file.stat().st_size} octets"]
    if (state.manager / "passphrase").exists():
        lines.append("it holds the keystore's generated passphrase: keep it as safe as the keys")
    return lines


def restore(state: StateDirectory, file: Path, *, force: bool) -> list[str]:
    """Put a backup back. Raises Refusal: a manager runs there, state is there already (unless
    `force`), or the file is no backup. What was there stays until all of it is unpacked."""
    if not file.exists():
        raise Refusal(f"{file}: there is no such file")
    state.prepare()
    with ManagerLock(state):
        if state.database.exists() and not force:
            raise Refusal(
                f"{state.root}: holds state already; name another with `state`, or say --force "
                "to replace it"
            )
        fresh = state.root / "manager.restored"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        try:
            _unpack(file, fresh)
            _swap(state, fresh)
        except (OSError, tarfile.TarError, EOFError) as error:
            raise Refusal(f"{file}: can't be restored: {_reason(error)}") from error
        finally:
            shutil.rmtree(fresh, ignore_errors=True)
    return [f"{state.root}: restored from {file}; the next start compares it with what is served"]


def _pack(state: StateDirectory, out: io.BufferedWriter) -> None:
    with tarfile.open(fileobj=out, mode="w") as tar, tempfile.TemporaryDirectory() as scratch:
        _add(tar, _LABEL, LAYOUT.encode())
        copy = Path(scratch, "state.db")
        source = sqlite3.connect(f"file:{state.database}?mode=ro", uri=True)
        target = sqlite3.connect(copy)
        try:
            source.backup(target)
        finally:
            target.close()
            source.close()
        tar.add(copy, "state.db")
        for path in sorted(state.manager.rglob("*")):
            name = path.relative_to(state.manager)
            if name.parts[0] in _LEFT_OUT or path.is_symlink() or not path.is_file():
                continue
            tar.add(path, str(name), recursive=False)


def _add(tar: tarfile.TarFile, name: str, data: bytes) -> None:
    member = tarfile.TarInfo(name)
    member.size, member.mode = len(data), 0o600
    tar.addfile(member, io.BytesIO(data))


def _unpack(file: Path, directory: Path) -> None:
    with tarfile.open(file, mode="r:") as tar:
        first = tar.next()
        label = None if first is None else tar.extractfile(first)
        if first is None or first.name != _LABEL or label is None:
            raise Refusal(f"{file}: is no backup of Zoneward")
        layout = label.read(32).decode("ascii", "replace")
        if layout != LAYOUT:
            raise Refusal(
                f"{file}: is of layout {layout!r}, this version knows {LAYOUT}; restore it with "
                "the version that wrote it"
            )
        while (member := tar.next()) is not None:
            _extract(tar, member, directory)


def _extract(tar: tarfile.TarFile, member: tarfile.TarInfo, directory: Path) -> None:
    """One regular file, with a mode of ours, below the directory: the archive says nothing
    about where else, links or owners."""
    name = PurePosixPath(member.name)
    content = tar.extractfile(member) if member.isreg() else None
    if content is None or name.is_absolute() or ".." in name.parts or not name.parts:
        raise Refusal(f"the archive has the odd member {member.name!r}; it is not restored")
    target = directory / name
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as out:
        shutil.copyfileobj(content, out)
        out.flush()
        os.fsync(out.fileno())


def _swap(state: StateDirectory, fresh: Path) -> None:
    """Put what was unpacked in the place of what is there, by renaming. The lock is the same
    file in both, so that nobody starts in between."""
    owner = state.manager.stat()
    os.link(state.lock, fresh / state.lock.name)
    shutil.copyfile(state.layout, fresh / state.layout.name)
    (fresh / state.restored.name).touch(mode=0o600)
    if os.geteuid() == 0:
        for path in (fresh, *fresh.rglob("*")):
            os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
    shutil.rmtree(state.replaced, ignore_errors=True)
    state.manager.rename(state.replaced)
    fresh.rename(state.manager)
    shutil.rmtree(state.replaced, ignore_errors=True)
    # The server's half of the link is written anew at the next start.
    state.server_link.unlink(missing_ok=True)


def _reason(error: Exception) -> str:
    """The error without advice: SQLite's and tar's have no place of their own."""
    return one_line(error) if isinstance(error, OSError) else " ".join(str(error).split())
