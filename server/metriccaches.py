"""What *prometheus* shows of *cache*."""

from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from server.compiled import Cache, Config
from server.counters import CacheCounts

_LABELS = ("server", "zones", "view")


@attrs.frozen
class CachePlace:
    """A chain's labels: its first server, the zones of its cache, its view."""

    server: str
    zones: str
    view: str


def cache_places(config: Config) -> dict[str, CachePlace]:
    """By chain, of those that have a cache."""
    servers: dict[str, str] = {}
    for route in config.routes:
        servers.setdefault(route.chain, config.listeners[route.listener].server)
    return {
        chain.id: CachePlace(servers.get(chain.id, ""), ",".join(stage.zones), chain.view)
        for chain in config.chains
        for stage in chain.stages
        if isinstance(stage, Cache)
    }


_COUNTERS: Mapping[str, tuple[str, Callable[[CacheCounts], int]]] = {
    "misses": ("Queries that the cache had no reply for.", lambda one: one.counts.misses),
    "prefetch": (
        "Replies fetched anew before their end.",
        lambda one: one.counts.prefetches,
    ),
    "drops": (
        "Replies not kept because they answered another question.",
        lambda one: one.counts.drops,
    ),
    "served_stale": ("Replies given out after their end.", lambda one: one.counts.served_stale),
    "requests": (
        "Queries that the cache was asked for.",
        lambda one: one.counts.success_hits + one.counts.denial_hits + one.counts.misses,
    ),
}


def caches(counts: Sequence[CacheCounts], places: Mapping[str, CachePlace]) -> Iterator[Metric]:
    """Named as CoreDNS names them. `places` by chain."""
    known = [(one, places[one.chain]) for one in counts if one.chain in places]
    entries = GaugeMetricFamily(
        "zoneward_cache_entries", "Replies kept.", labels=(*_LABELS, "type")
    )
    hits = CounterMetricFamily(
        "zoneward_cache_hits", "Queries answered from the cache.", labels=(*_LABELS, "type")
    )
    evictions = CounterMetricFamily(
        "zoneward_cache_evictions", "Replies that made room.", labels=(*_LABELS, "type")
    )
    for one, place in known:
        labels = (place.server, place.zones, place.view)
        entries.add_metric((*labels, "success"), one.success_entries)
        entries.add_metric((*labels, "denial"), one.denial_entries)
        hits.add_metric((*labels, "success"), one.counts.success_hits)
        hits.add_metric((*labels, "denial"), one.counts.denial_hits)
        evictions.add_metric((*labels, "success"), one.counts.success_evictions)
        evictions.add_metric((*labels, "denial"), one.counts.denial_evictions)
    yield from (entries, hits, evictions)
    for name, (text, value) in _COUNTERS.items():
        family = CounterMetricFamily(f"zoneward_cache_{name}", text, labels=_LABELS)
        for one, place in known:
            family.add_metric((place.server, place.zones, place.view), value(one))
        yield family
