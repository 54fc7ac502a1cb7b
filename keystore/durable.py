"""Files that are there after a power failure, or are not there at all."""

import contextlib
import os
import re
import secrets
from pathlib import Path

# What `_write` names a file before it has its own name.
_UNFINISHED = re.compile(r"\..+\.[0-9a-f]{12}\Z")


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def private_directory(path: Path) -> None:
    """Make a directory that only its owner can enter; its entry is fsynced."""
    if not path.is_dir():
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        _sync_directory(path.parent)


def _write(path: Path, content: bytes | bytearray, mode: int = 0o600) -> Path:
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(6)}")
    descriptor = os.open(
        temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600
    )
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fchmod(file.fileno(), mode)
            os.fsync(file.fileno())
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    return temporary


def write(path: Path, content: bytes | bytearray, mode: int = 0o600) -> None:
    """Put `content` at `path`, all of it or none. Raises OSError."""
    temporary = _write(path, content, mode)
    try:
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    _sync_directory(path.parent)


def create_exclusively(path: Path, content: bytes | bytearray) -> None:
    """The same for a file that must not be there yet. Raises FileExistsError, OSError."""
    temporary = _write(path, content)
    try:
        os.link(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_directory(path.parent)


def remove(path: Path) -> None:
    """Unlink; the directory is fsynced. Raises OSError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    _sync_directory(path.parent)


def remove_unfinished(directory: Path) -> None:
    """Unlink what a crash left before it had its name, here and one level below. For the one
    process that writes there, before it writes. Raises OSError."""
    for pattern in (".*", "*/.*"):
        for path in directory.glob(pattern):
            if _UNFINISHED.match(path.name):
                path.unlink(missing_ok=True)
