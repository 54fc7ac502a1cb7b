"""*auto*: every zone file of a directory whose name matches a pattern."""

from __future__ import annotations

import asyncio
import contextlib
import os
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from pathlib import Path

import attrs
import dns.exception
import dns.name

from zones.source import Hint, SourceError
from zones.watch import DirectoryWatch

# CoreDNS's defaults: db.example.org holds example.org.
DEFAULT_PATTERN = r"db\.(.*)"
DEFAULT_TEMPLATE = "{1}"

# Larger trees than this are polled only; each watch costs a kernel object.
_MOST_WATCHED = 1000

_GROUP = re.compile(r"\{(\d+)\}")


@attrs.frozen
class Listing:
    """The paths of the files of a directory tree, and of its directories."""

    files: tuple[str, ...]
    directories: tuple[str, ...]


@attrs.frozen
class Found:
    """What a directory holds: the zones, and a line for each file that was passed over; and
    the listing that this was read from."""

    zones: Mapping[dns.name.Name, Path]
    passed_over: tuple[str, ...]
    listing: Listing


@attrs.frozen
class AutoDirectory:
    """A directory tree with zone files. `origins` are the names that zones must be at or
    below; `reload` is the polling interval in seconds, None polls never."""

    directory: Path
    pattern: re.Pattern[str]
    template: str
    origins: Sequence[dns.name.Name]
    reload: float | None

    def find(self) -> Found:
        """Look now. Raises SourceError when the directory can't be read."""
        zones: dict[dns.name.Name, Path] = {}
        passed_over: list[str] = []
        listing = self.listing()
        for path in map(Path, listing.files):
            # Not anchored, as in CoreDNS.
            match = self.pattern.search(path.name)
            if match is None:
                continue
            text = _expand(self.template, match)
            try:
                origin = dns.name.from_text(text).canonicalize()
            except dns.exception.DNSException as error:
                passed_over.append(f"{path}: {text!r} is no zone name: {error}")
                continue
            if not any(origin.is_subdomain(name) for name in self.origins):
                names = " ".join(name.to_text() for name in self.origins)
                passed_over.append(f"{path}: {origin} is not at or below {names}")
            elif origin in zones:
                passed_over.append(f"{path}: {origin} is already loaded from {zones[origin]}")
            else:
                zones[origin] = path
        return Found(zones, tuple(passed_over), listing)

    async def changes(
        self, watch: DirectoryWatch, known: Callable[[], Listing | None]
    ) -> AsyncIterator[Hint]:
        """A hint when files have come or gone since what is `known`, or while nothing is. Looked
        at when the directory changed, and every `reload`."""
        wake = asyncio.Event()
        while True:
            directories = self._to_watch(known())
            with contextlib.ExitStack() as stack:
                for directory in directories:
                    stack.enter_context(watch.subscribe(Path(directory), wake.set))
                # A watch that is given up and taken up again would itself be a change.
                while directories == self._to_watch(known()):
                    with contextlib.suppress(TimeoutError):
                        await asyncio.wait_for(wake.wait(), self.reload)
                    wake.clear()
                    there = await asyncio.to_thread(self._listing_or_none)
                    if there is None or there != known():
                        yield Hint(str(self.directory))

    def _to_watch(self, listing: Listing | None) -> tuple[str, ...]:
        if listing is None:
            return (str(self.directory),)
        return listing.directories[:_MOST_WATCHED]

    def _listing_or_none(self) -> Listing | None:
        try:
            return self.listing()
        except SourceError:
            return None

    def listing(self) -> Listing:
        """Look now. Raises SourceError when a directory can't be read."""
        files: list[str] = []
        directories = [str(self.directory)]
        # It grows while it is gone through.
        for directory in directories:
            try:
                with os.scandir(directory) as entries:
                    for entry in entries:
                        if entry.is_dir(follow_symlinks=False):
                            directories.append(entry.path)
                        elif entry.is_file():
                            files.append(entry.path)
            except OSError as error:
                raise SourceError(
                    str(error.filename),
                    f"can't be read: {error.strerror}",
                    "create the directory and make it readable for the manager",
                ) from error
        return Listing(tuple(sorted(files)), tuple(directories))


def _expand(template: str, match: re.Match[str]) -> str:
    """`template` with {N} replaced by the Nth group; by nothing where there is none."""
    groups = (match.group(0), *match.groups())

    def group(number: re.Match[str]) -> str:
        index = int(number[1])
        return (groups[index] or "") if index < len(groups) else ""

    return _GROUP.sub(group, template)
