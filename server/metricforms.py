"""Histograms in the shape that the Prometheus library wants."""

import math
from collections.abc import Sequence

from server.counters import Histogram


def buckets(histogram: Histogram, bounds: Sequence[float]) -> tuple[list[tuple[str, float]], float]:
    """Prometheus' buckets hold all that is at most their bound."""
    total = 0
    found: list[tuple[str, float]] = []
    for bound, count in zip((*bounds, math.inf), histogram.counts, strict=True):
        total += count
        found.append(("+Inf" if bound == math.inf else repr(float(bound)), total))
    return found, histogram.sum
