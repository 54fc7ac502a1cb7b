"""The state database: one SQLite file, written by one thread, on disk when a call returns."""

import asyncio
import sqlite3
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Protocol, TypeVar

import attrs

from keystore.durable import private_directory
from signer import schema

T = TypeVar("T")
# Steps that one transaction takes along, and its fsync: what waits meanwhile is the next one's.
_MOST_TOGETHER = 500


class StateError(Exception):
    """The state directory can't be used: where, what, and what to do about it."""

    def __init__(self, place: str, message: str, remedy: str) -> None:
        super().__init__(place, message, remedy)
        self.place = place
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.message}; {self.remedy}"


class _Waiter(Protocol):
    """A future, of asyncio or of threads."""

    def done(self) -> bool: ...
    def set_result(self, result: Any, /) -> None: ...
    def set_exception(self, exception: BaseException, /) -> None: ...


@attrs.frozen(eq=False)
class _Step:
    """What somebody waits for, on a loop or (None) in a thread."""

    function: Callable[[sqlite3.Connection], Any]
    waiter: _Waiter
    loop: asyncio.AbstractEventLoop | None


@attrs.frozen(eq=False)
class _Done:
    """What came of a step."""

    step: _Step
    value: Any = None
    failure: BaseException | None = None

    def tell(self) -> None:
        if self.step.waiter.done():
            # Whoever waited was cancelled.
            return
        if self.failure is None:
            self.step.waiter.set_result(self.value)
        else:
            self.step.waiter.set_exception(self.failure)


class StateDatabase:
    """`run` and `run_blocking` take a function of the connection; it runs in the one thread
    that ever touches it, all of it or nothing. Steps that wait at the same time share a
    transaction, so that many zones share an fsync; one that fails is taken back alone. Raise
    StateError."""

    def __init__(self, path: Path) -> None:
        """Open, or create with mode 0600. Raises StateError."""
        self.path = path
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="state")
        self._lock = threading.Lock()
        self._waiting: deque[_Step] = deque()
        # Whether the thread has been asked to look at what waits.
        self._called = False
        try:
            self._connection = self._thread.submit(self._open).result()
        except BaseException:
            self._thread.shutdown()
            raise

    def _open(self) -> sqlite3.Connection:
        try:
            private_directory(self.path.parent)
            self.path.touch(mode=0o600)
            connection = sqlite3.connect(self.path, isolation_level=None)
        except (OSError, sqlite3.Error) as error:
            raise self._error(error) from error
        try:
            self._prepare(connection)
        except BaseException as error:
            connection.close()
            if isinstance(error, sqlite3.Error):
                raise self._error(error) from error
            raise
        return connection

    def _prepare(self, connection: sqlite3.Connection) -> None:
        connection.execute("PRAGMA busy_timeout = 5000")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version not in (0, schema.VERSION, *schema.MIGRATIONS):
            raise StateError(
                str(self.path),
                f"the database has version {version}, this program knows {schema.VERSION}",
                "run the version of zoneward that wrote it, or restore a backup of this one's",
            )
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA foreign_keys = ON")
        if version == 0:
            if connection.execute("SELECT count(*) FROM sqlite_schema").fetchone() != (0,):
                raise StateError(
                    str(self.path), "is another program's database", "name another directory"
                )
            connection.executescript(
                f"BEGIN IMMEDIATE;{schema.TABLES}PRAGMA user_version = {schema.VERSION};COMMIT;"
            )
        elif version != schema.VERSION:
            # All of it or nothing: a crash leaves the old version, which is then tried again.
            steps = "".join(
                part for step in range(version, schema.VERSION) for part in schema.MIGRATIONS[step]
            )
            try:
                connection.executescript(
                    f"BEGIN IMMEDIATE;{steps}PRAGMA user_version = {schema.VERSION};COMMIT;"
                )
            except sqlite3.Error:
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
                raise

    def _error(self, error: Exception) -> StateError:
        if isinstance(error, sqlite3.DatabaseError) and "malformed" in str(error):
            return StateError(str(self.path), "the database is damaged", "restore a backup")
        if isinstance(error, sqlite3.DatabaseError) and "not a database" in str(error):
            return StateError(str(self.path), "is no database", "restore a backup")
        reason = error.strerror if isinstance(error, OSError) else str(error)
        return StateError(str(self.path), f"can't be used ({reason})", "see to disk and rights")

    def _submit(self, step: _Step) -> None:
        with self._lock:
            self._waiting.append(step)
            call, self._called = not self._called, True
        if call:
            self._thread.submit(self._work)

    def _work(self) -> None:
        with self._lock:
            together = min(len(self._waiting), _MOST_TOGETHER)
            steps = [self._waiting.popleft() for _ in range(together)]
            call = self._called = bool(self._waiting)
        if call:
            self._thread.submit(self._work)
        # Whose task was cancelled wants nothing any more.
        steps = [step for step in steps if not step.waiter.done()]
        if steps:
            _tell(self._together(steps))

    def _together(self, steps: list[_Step]) -> list[_Done]:
        try:
            try:
                return self._attempt(steps)
            except sqlite3.OperationalError as error:
                if not _no_room(error):
                    raise
                # The log of changes can't grow. What is in it fits into the database, most of
                # whose pages are there already; then the log begins anew.
                self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
                return self._attempt(steps)
        except BaseException as error:  # noqa: BLE001 - it is for those who wait
            return [_Done(step, failure=self._told(error)) for step in steps]

    def _attempt(self, steps: list[_Step]) -> list[_Done]:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            done = [self._one(step) for step in steps]
            connection.execute("COMMIT")
        except BaseException:
            if connection.in_transaction:
                connection.execute("ROLLBACK")
            raise
        return done

    def _one(self, step: _Step) -> _Done:
        """What came of one step, or why it was taken back. Raises what ends the transaction."""
        connection = self._connection
        connection.execute("SAVEPOINT step")
        try:
            value = step.function(connection)
        except Exception as error:
            if not connection.in_transaction or (
                isinstance(error, sqlite3.Error) and _no_room(error)
            ):
                # SQLite may have rolled all of it back (a full disk, for one).
                raise
            connection.execute("ROLLBACK TO step")
            connection.execute("RELEASE step")
            return _Done(step, failure=self._told(error))
        connection.execute("RELEASE step")
        return _Done(step, value)

    def _told(self, error: BaseException) -> BaseException:
        if not isinstance(error, sqlite3.Error):
            return error
        told = self._error(error)
        told.__cause__ = error
        return told

    async def run(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """All of it on disk when this returns, or none of it."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[T] = loop.create_future()
        self._submit(_Step(step, waiter, loop))
        return await waiter

    def run_blocking(self, step: Callable[[sqlite3.Connection], T]) -> T:
        """The same for callers without an event loop."""
        waiter: Future[T] = Future()
        self._submit(_Step(step, waiter, None))
        return waiter.result()

    def copy_to(self, path: Path) -> None:
        """A consistent copy, for a backup, while this one is in use. Raises StateError."""

        def copy() -> None:
            path.touch(mode=0o600)
            target = sqlite3.connect(path)
            try:
                self._connection.backup(target)
            finally:
                target.close()

        try:
            self._thread.submit(copy).result()
        except (OSError, sqlite3.Error) as error:
            raise StateError(str(path), f"no copy ({error})", "see to disk and rights") from error

    def close(self) -> None:
        """Finish what is under way and close. Calling it again does nothing."""
        try:
            self._thread.submit(self._connection.close).result()
        except RuntimeError:
            return  # the thread has been shut down before
        self._thread.shutdown()


def _no_room(error: sqlite3.Error) -> bool:
    """A full disk, a quota, a limit on a file's size."""
    # Extended codes have the primary one in their low octet (sqlite.org/rescode.html).
    return error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR)


def _tell(done: list[_Done]) -> None:
    """One call into a loop for all who wait there: each of them wakes it up."""
    loops: dict[asyncio.AbstractEventLoop, list[_Done]] = {}
    for one in done:
        if one.step.loop is None:
            one.tell()
        else:
            loops.setdefault(one.step.loop, []).append(one)
    for loop, theirs in loops.items():
        if not loop.is_closed():
            loop.call_soon_threadsafe(_tell_all, theirs)


def _tell_all(done: list[_Done]) -> None:
    for one in done:
        one.tell()
