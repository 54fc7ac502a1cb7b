"""One manager for a state directory."""

import fcntl
import os
from pathlib import Path

from keystore.durable import private_directory
from signer.state import StateError


class StateLock:
    """Held until `release`, or until the process ends however it ends."""

    def __init__(self, directory: Path) -> None:
        """`directory` is STATE/manager. Raises StateError when another manager has it."""
        path = directory / "lock"
        try:
            private_directory(directory)
            self._descriptor: int | None = os.open(
                path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600
            )
        except OSError as error:
            raise StateError(
                str(path), f"can't be made ({error.strerror})", "see to disk and rights"
            ) from error
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            holder = os.pread(self._descriptor, 32, 0).decode("ascii", "replace").strip()
            self.release()
            raise StateError(
                str(directory),
                f"is in use by another manager (process {holder or 'unknown'})",
                "stop that one, or give this one another state directory",
            ) from error
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode("ascii"), 0)

    def release(self) -> None:
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def __enter__(self) -> "StateLock":
        return self

    def __exit__(self, *_: object) -> None:
        self.release()
