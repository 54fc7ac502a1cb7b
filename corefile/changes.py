"""*reload*: when to look at a Corefile again, and whether it says something else."""

import random
from collections.abc import Callable, Mapping

import attrs

from corefile.arguments import duration, plain
from corefile.directive import Corefile, Directive
from corefile.ids import digest
from corefile.parser import load
from corefile.place import CorefileError

# Seconds; CoreDNS's defaults and bounds.
_INTERVAL, _JITTER = 30.0, 15.0
_LEAST_INTERVAL, _LEAST_JITTER = 2.0, 1.0


@attrs.frozen
class Pace:
    """A look each `interval` seconds, give or take `jitter`."""

    interval: float
    jitter: float


def read_reload(directive: Directive) -> Pace:
    """Raises CorefileError."""
    plain(directive, 0, 2, "reload [INTERVAL] [JITTER]")
    args = directive.args
    interval = duration(args[0], least=_LEAST_INTERVAL) if args else _INTERVAL
    jitter = duration(args[1], least=_LEAST_JITTER) if len(args) > 1 else _JITTER
    return Pace(interval, min(jitter, interval / 2))


def pace(corefile: Corefile) -> Pace | None:
    """That of the first *reload*; it is for the whole process, whatever block it is in.
    Raises CorefileError."""
    lines = (line for block in corefile.blocks for line in block.all("reload"))
    first = next(lines, None)
    return read_reload(first) if first is not None else None


class Watch:
    """Looks at a Corefile now and then. A text that can't be read counts as one of its own, so
    that it is told of once. `chance` gives numbers from 0 up to 1."""

    def __init__(
        self,
        path: str,
        dns_port: int,
        environ: Mapping[str, str],
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._path = path
        self._dns_port = dns_port
        self._environ = environ
        self._chance = chance
        self._wait = 0.0
        self._said = ""
        self.due: float | None = None

    def follow(self, corefile: Corefile, now: float) -> None:
        """This one is in use from `now` (seconds of any clock) on."""
        found = pace(corefile)
        self._said = digest(corefile)
        self.due = None
        if found is not None:
            self._wait = found.interval + found.jitter * (2 * self._chance() - 1)
            self.due = now + self._wait

    def changed(self, now: float) -> bool:
        """Whether it was time to look, and something else was there than at the last look."""
        if self.due is None or now < self.due:
            return False
        self.due = now + self._wait
        try:
            said = digest(load(self._path, dns_port=self._dns_port, environ=self._environ))
        except CorefileError as error:
            said = str(error)
        before, self._said = self._said, said
        return said != before
