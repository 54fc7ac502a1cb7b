"""*auto*: every zone file of a directory whose name matches a pattern."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import re
from collections.abc import AsyncIterator, Mapping, Sequence
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
class Found:
    """What a directory holds: the zones, and a line for each file that was passed over."""

    zones: Mapping[dns.name.Name, Path]
    passed_over: tuple[str, ...]


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
        for path in self._files():
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
        return Found(zones, tuple(passed_over))

    async def changes(self, watch: DirectoryWatch) -> AsyncIterator[Hint]:
        """A hint when files may have come or gone, and every `reload`."""
        wake = asyncio.Event()
        while True:
            with contextlib.ExitStack() as stack:
                for directory in self._directories():
                    stack.enter_context(watch.subscribe(directory, wake.set))
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(wake.wait(), self.reload)
                wake.clear()
            yield Hint(str(self.directory))

    def _files(self) -> list[Path]:
        files: list[Path] = []

        def fail(error: OSError) -> None:
            raise SourceError(
                str(error.filename),
                f"can't be read: {error.strerror}",
                "create the directory and make it readable for the manager",
            )

        for directory, _, names in os.walk(self.directory, onerror=fail):
            files.extend(path for name in names if (path := Path(directory, name)).is_file())
        return sorted(files)

    def _directories(self) -> list[Path]:
        below = (Path(entry[0]) for entry in os.walk(self.directory))
        return [self.directory, *itertools.islice(below, _MOST_WATCHED)]


def _expand(template: str, match: re.Match[str]) -> str:
    """`template` with {N} replaced by the Nth group; by nothing where there is none."""
    groups = (match.group(0), *match.groups())

    def group(number: re.Match[str]) -> str:
        index = int(number[1])
        return (groups[index] or "") if index < len(groups) else ""

    return _GROUP.sub(group, template)
