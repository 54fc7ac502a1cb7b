"""What is left out of a zone: counted, and named in the log without flooding it."""

from __future__ import annotations

import logging
import time
from collections.abc import Collection

from zones.etcd.skydns import shown

# Lines in so many seconds.
_LINES, _SECONDS = 10, 60.0

_log = logging.getLogger("zoneward.etcd")


class Refusals:
    """The entries of one zone, or what is not taken of one."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._reasons: dict[bytes, str] = {}
        self._since = -_SECONDS
        self._lines = 0

    def __len__(self) -> int:
        return len(self._reasons)

    def add(self, key: bytes, reason: str) -> None:
        if self._reasons.get(key) == reason:
            return
        self._reasons[key] = reason
        now = time.monotonic()
        if now - self._since > _SECONDS:
            self._since, self._lines = now, 0
        self._lines += 1
        if self._lines <= _LINES:
            _log.warning("%s: left out %s: %s", self._name, shown(key), reason)
        elif self._lines == _LINES + 1:
            _log.warning("%s: more is left out; `zoneward status` counts it", self._name)

    def drop(self, key: bytes) -> None:
        """The key is gone, or is taken now."""
        self._reasons.pop(key, None)

    def keep(self, keys: Collection[bytes]) -> None:
        """All others are gone."""
        for key in [key for key in self._reasons if key not in keys]:
            del self._reasons[key]

    def examples(self, most: int = 3) -> tuple[str, ...]:
        return tuple(
            f"{shown(key)}: {reason}" for key, reason in list(self._reasons.items())[:most]
        )
