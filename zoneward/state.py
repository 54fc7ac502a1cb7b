"""The state directory: what lies where, who owns it, and the lock that keeps managers apart."""

from __future__ import annotations

import fcntl
import os
import secrets
from pathlib import Path
from typing import Self

import attrs

from corefile.link import LINK_OCTETS, parse_link
from zoneward.process import Account
from zoneward.refusal import Refusal, one_line

# The layout of the directories below; the database and the zone stores carry their own.
LAYOUT = "1"


@attrs.frozen
class StateDirectory:
    """Paths under the directory that the option `state` names."""

    root: Path

    @property
    def manager(self) -> Path:
        return self.root / "manager"

    @property
    def replaced(self) -> Path:
        """What a restore puts aside while it puts the backup in its place."""
        return self.root / "manager.replaced"

    @property
    def restored(self) -> Path:
        """Is there from a restore until a manager has stopped with no zone held: what servers
        hold may be newer than what is here."""
        return self.manager / "restored"

    @property
    def server(self) -> Path:
        return self.root / "server"

    @property
    def run(self) -> Path:
        """Sockets; gone after a stop."""
        return self.root / "run"

    @property
    def database(self) -> Path:
        return self.manager / "state.db"

    @property
    def keys(self) -> Path:
        return self.manager / "keys"

    @property
    def lock(self) -> Path:
        return self.manager / "lock"

    @property
    def layout(self) -> Path:
        return self.manager / "layout"

    @property
    def link(self) -> Path:
        return self.manager / "link.key"

    @property
    def server_link(self) -> Path:
        return self.server / "link.key"

    @property
    def transfer_socket(self) -> Path:
        return self.run / "manager.sock"

    @property
    def notify_socket(self) -> Path:
        return self.run / "server.sock"

    @property
    def answering_socket(self) -> Path:
        """Where the server says which zones it answers."""
        return self.run / "answering.sock"

    def zone(self, block: str, directory: str) -> Path:
        """A zone's versions; `directory` is what `corefile.names.directory_name` gives."""
        return self.manager / "zones" / block / directory

    def etcd_copy(self, block: str, directory: str) -> Path:
        """What was taken from etcd for a zone, and of which revision."""
        return self.manager / "etcd" / block / directory

    def memory(self, directory: str) -> Path:
        """The signatures of a zone that verified once."""
        return self.manager / "verified" / directory

    def prepare(self, manager: Account | None = None, server: Account | None = None) -> None:
        """Create what is missing; with accounts (as root) give it to them. Raises Refusal."""
        try:
            self._prepare(manager, server)
        except OSError as error:
            raise Refusal(
                f"state directory {one_line(error)}; make it writable for this user, or name "
                "another with the global option `state`"
            ) from error

    def read_link(self) -> bytes:
        """The octets that manager and server share. Raises Refusal."""
        try:
            return parse_link(self.link.read_text(encoding="ascii"))
        except (OSError, ValueError) as error:
            raise Refusal(
                f"{self.link}: {error}; remove it and server/link.key, they are made anew"
            ) from error

    def _prepare(self, manager: Account | None, server: Account | None) -> None:
        self.root.mkdir(mode=0o755, parents=True, exist_ok=True)
        if not self.manager.exists() and self.replaced.exists():
            # A restore was cut off between its two renamings: nothing was restored.
            self.replaced.rename(self.manager)
        for path, owner in ((self.manager, manager), (self.server, server)):
            path.mkdir(mode=0o700, exist_ok=True)
            path.chmod(0o700)
            _give(path, owner)
        self.run.mkdir(exist_ok=True)
        if manager is None or server is None or manager.uid == server.uid:
            self.run.chmod(0o700)
            _give(self.run, manager)
        else:
            # Both make sockets here; the sticky bit keeps the server from removing the
            # manager's.
            os.chown(self.run, manager.uid, server.gid)
            self.run.chmod(0o1770)
        if not self.layout.exists():
            _write(self.layout, LAYOUT + "\n", manager)
        found = self.layout.read_text(encoding="utf-8", errors="replace").strip()
        if found != LAYOUT:
            raise Refusal(
                f"{self.root}: the state directory has layout {found!r}, this version of "
                f"Zoneward knows {LAYOUT}; use the version that wrote it, or another `state`"
            )
        if not self.link.exists():
            _write(self.link, secrets.token_bytes(LINK_OCTETS).hex() + "\n", manager)
        link = self.link.read_text(encoding="ascii")
        if not self.server_link.exists() or self.server_link.read_text(encoding="ascii") != link:
            _write(self.server_link, link, server)


class ManagerLock:
    """One manager a state directory: flock(2) on a file, which ends with the process."""

    def __init__(self, state: StateDirectory) -> None:
        """Take the lock. Raises Refusal when another manager has it."""
        self._descriptor = os.open(state.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.read(self._descriptor, 32).decode("ascii", "replace").strip()
            os.close(self._descriptor)
            raise Refusal(
                f"{state.root}: the state directory is in use by the manager with process id "
                f"{holder or 'unknown'}; stop that one, or name another with `state`"
            ) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        os.close(self._descriptor)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _give(path: Path, owner: Account | None) -> None:
    if owner is not None:
        os.chown(path, owner.uid, owner.gid)


def _write(path: Path, text: str, owner: Account | None) -> None:
    """Write a small file whole, 0600, or not at all."""
    temporary = path.with_name(path.name + ".new")
    temporary.unlink(missing_ok=True)
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
        if owner is not None:
            # By descriptor: the directory may belong to the one who would swap the name.
            os.fchown(file.fileno(), owner.uid, owner.gid)
    temporary.rename(path)
