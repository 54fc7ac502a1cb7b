"""What one directive of a block compiles to."""

import re
from collections.abc import Callable
from pathlib import Path

import attrs

import engine
from corefile.arguments import Endpoint, SecretReference
from corefile.directive import Block, Directive
from corefile.place import CorefileWarning
from server.api import Plugin
from server.compiled import Answer, Stage
from server.compiledtests import Step


@attrs.frozen
class PrometheusService:
    """Metrics over HTTP, path /metrics."""

    endpoint: Endpoint


@attrs.frozen
class HealthService:
    """Liveness over HTTP, path /health. `lameduck` in seconds: how long the process goes on
    answering after it was told to stop."""

    endpoint: Endpoint
    lameduck: float = 0.0


@attrs.frozen
class ReadyService:
    """Readiness over HTTP, path /ready."""

    endpoint: Endpoint


Service = PrometheusService | HealthService | ReadyService


@attrs.frozen
class Consolidation:
    """Errors of a chain that match `pattern` are logged as one line for each `period` seconds,
    at `level` (logging's number)."""

    pattern: re.Pattern[str]
    period: float
    level: int


FileState = tuple[int, int, int]


@attrs.frozen
class Refill:
    """What the engine has of a file, put there again when the file changes; looked at `every` so
    many seconds, with 0 never. `name` is of what is put; two that have the same are one. What is
    `early` has to be there before the first query; of the rest, `seen` is the file's state when
    the configuration was made of it."""

    name: str
    path: Path
    every: float
    put: Callable[[engine.Server], str]
    """Gives what is told of it. Raises OSError or EngineError."""
    seen: FileState | None = None
    early: bool = False

    @staticmethod
    def state(path: Path) -> FileState | None:
        """What changes when a file does; None where there is none."""
        try:
            found = path.stat()
        except OSError:
            return None
        return found.st_ino, found.st_mtime_ns, found.st_size


@attrs.frozen
class KeyReference:
    """A TSIG key (RFC 8945): its name, its algorithm as text, where its secret is, in base64."""

    name: str
    algorithm: str
    secret: SecretReference


@attrs.frozen
class FeedTransfer:
    """A feed by transfer: what the engine knows it by, its zone, who is asked in their order."""

    feed: str
    zone: str
    primaries: tuple[Endpoint, ...]
    key: KeyReference | None = None


@attrs.frozen
class Parts:
    """A stage of the chain, native or a `plugin` of Python, services of the process, or neither.
    `udp_size`, `any_class` and `when` are of the chain (`server.compiled.Chain`); `debug` is of
    the process."""

    stage: Stage | None = None
    plugin: Plugin | None = None
    service: Service | None = None
    consolidations: tuple[Consolidation, ...] = ()
    warnings: tuple[CorefileWarning, ...] = ()
    udp_size: int | None = None
    any_class: bool = False
    debug: bool = False
    refills: tuple[Refill, ...] = ()
    transfers: tuple[FeedTransfer, ...] = ()
    when: tuple[Step, ...] = ()


@attrs.frozen
class Context:
    """What a directive may know of its surroundings. `chain` is the block's id, `directory` the
    Corefile's."""

    block: Block
    chain: str
    directory: Path


def answer(directive: Directive, context: Context) -> Parts:
    """What a directive gives that says where the block's zones come from. Its arguments are the
    manager's; here its presence alone counts. The content comes by transfer."""
    one_for_any = context.block.directive("any") is not None
    return Parts(stage=Answer(plugin=directive.name, one_for_any=one_for_any))


def untouched_where_signed(directive: Directive, block: Block) -> tuple[CorefileWarning, ...]:
    """What is said of a directive that changes answers, in a block that signs."""
    if block.directive("sign") is None:
        return ()
    return (
        CorefileWarning(
            directive.place,
            f"'{directive.name}' changes no answer of a zone that is signed here: it would be "
            "bogus",
        ),
    )
