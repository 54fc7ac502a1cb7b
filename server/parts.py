"""What one directive of a block compiles to."""

import re

import attrs

from corefile.arguments import Endpoint
from corefile.directive import Block
from corefile.place import CorefileWarning
from server.compiled import Stage


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


@attrs.frozen
class Parts:
    """A stage of the chain, services of the process, or neither."""

    stage: Stage | None = None
    service: Service | None = None
    consolidations: tuple[Consolidation, ...] = ()
    warnings: tuple[CorefileWarning, ...] = ()


@attrs.frozen
class Context:
    """What a directive may know of its surroundings. `chain` is the block's id."""

    block: Block
    chain: str
