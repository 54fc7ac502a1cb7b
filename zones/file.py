"""*file*: a zone from a zone file (RFC 1035 section 5), watched and polled."""

from __future__ import annotations

import asyncio
import os
import re
import time
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from pathlib import Path

import attrs
import dns.name

import engine
from corefile.names import name_wire
from zones import foreign
from zones.source import Hint, SourceError
from zones.watch import DirectoryWatch

# A file must not change for this long, in seconds, before it is read: editors and copies
# write in pieces.
QUIET = 0.1
# One that has an error and is younger than this may still be being written.
YOUNG = 1.0
# A file that never rests is given up until the next hint.
RESTLESS = 30.0

_INCLUDE = re.compile(
    rb'^\s*\$INCLUDE\s+(?:"([^"\r\n]+)"|([^\s;"]+))', re.IGNORECASE | re.MULTILINE
)


@attrs.frozen
class Stamp:
    """What `stat` says of a file and of those that it includes; None where one is missing."""

    entries: tuple[tuple[str, int, int, int] | None, ...]

    @property
    def complete(self) -> bool:
        return None not in self.entries

    @property
    def youngest(self) -> float:
        """The newest change, in Unix seconds."""
        return max((entry[1] / 1e9 for entry in self.entries if entry), default=0.0)


class FileSource:
    """One zone file. `reload` is the polling interval in seconds; None polls never."""

    def __init__(
        self,
        origin: dns.name.Name,
        path: Path,
        *,
        reload: float | None,
        watch: DirectoryWatch,
        executor: Executor,
    ) -> None:
        self._origin = origin
        self.path = path
        self._reload = reload
        self._watch = watch
        self._executor = executor
        self._included: tuple[Path, ...] = ()
        self._read: Stamp | None = None

    @property
    def origin(self) -> dns.name.Name:
        return self._origin

    async def load(self) -> engine.Zone:
        """Read the file once it rests. A file that changes while it is read is read again."""
        loop = asyncio.get_running_loop()
        deadline = loop.time() + RESTLESS
        while True:
            before = await self._rest(deadline)
            self._read = before
            failure: SourceError | None = None
            try:
                zone, included = await loop.run_in_executor(
                    self._executor, read_zone, self.path, self._origin
                )
                if included != self._included:
                    self._included = included
                    before = self._read = await self._rest(deadline)
            except SourceError as error:
                failure = error
            if self._stamp() == before:
                if failure is None:
                    return zone
                if not 0 <= time.time() - before.youngest < YOUNG:
                    raise failure
            if loop.time() > deadline:
                raise failure or self._restless()
            await asyncio.sleep(QUIET)

    async def changes(self) -> AsyncIterator[Hint]:
        """A hint when the file's or an included file's size, time or inode differ from those
        that were read last."""
        wake = asyncio.Event()
        with self._watch.follow(self.path, self._differs, wake.set, self._reload):
            while True:
                await wake.wait()
                wake.clear()
                if self._differs():
                    yield Hint(str(self.path))

    def _differs(self) -> bool:
        return self._stamp() != self._read

    async def _rest(self, deadline: float) -> Stamp:
        """Wait until two looks, QUIET apart, see the same."""
        stamp = self._stamp()
        while True:
            await asyncio.sleep(QUIET)
            again = self._stamp()
            if again == stamp:
                return again
            if asyncio.get_running_loop().time() > deadline:
                raise self._restless()
            stamp = again

    def _restless(self) -> SourceError:
        return SourceError(
            str(self.path),
            f"kept changing for {RESTLESS:.0f} s and was never at rest",
            "write to another name and rename it over this one",
        )

    def _stamp(self) -> Stamp:
        entries: list[tuple[str, int, int, int] | None] = []
        for path in (self.path, *self._included):
            try:
                status = os.stat(path)  # noqa: PTH116 - of every file, each minute
            except OSError:
                entries.append(None)
            else:
                entries.append((str(path), status.st_mtime_ns, status.st_size, status.st_ino))
        return Stamp(tuple(entries))


def read_zone(path: Path, origin: dns.name.Name) -> tuple[engine.Zone, tuple[Path, ...]]:
    """Scan a zone file; also the files it includes directly. Raises SourceError."""
    try:
        zone = engine.scan(str(path), name_wire(str(origin)), foreign=foreign.read)
        included = _included(path)
    except engine.ScanError as error:
        raise SourceError(*scan_problem(error, str(path))) from error
    except engine.EngineError as error:
        raise SourceError(*unreadable(path, error)) from error
    except OSError as error:
        raise SourceError(*unreadable(path, error)) from error
    return zone, included


def scan_problem(error: engine.ScanError, path: str) -> tuple[str, str, str]:
    """Place, problem and remedy of a zone file with errors: the first, and how many more."""
    if not error.problems:
        return path, error.message or str(error), "correct the file"
    first = error.problems[0]
    more = len(error.problems) - 1
    remedy = "correct the file"
    if more:
        plural = "s" if more > 1 else ""
        remedy += f" ({more} more error{plural}; `zoneward verify {path}` lists them)"
    return f"{first.file}:{first.line}:{first.column}", first.message, remedy


def unreadable(path: Path, error: Exception) -> tuple[str, str, str]:
    """Place, problem and remedy of a file that can't be read."""
    if not path.exists():
        return str(path), "there is no such file", "put it back; what was read before stays served"
    if path.is_dir():
        return str(path), "is a directory", "name the zone file"
    if isinstance(error, OSError):
        return str(path), f"can't be read: {error.strerror}", "make it readable for the manager"
    message = error.message if isinstance(error, engine.EngineError) else str(error)
    return str(path), f"can't be read: {message}", "make it readable for the manager"


def _included(path: Path) -> tuple[Path, ...]:
    data = path.read_bytes()
    if b"$" not in data:
        return ()
    names = [quoted or bare for quoted, bare in _INCLUDE.findall(data)]
    return tuple(sorted({path.parent / name.decode("utf-8", "surrogateescape") for name in names}))
