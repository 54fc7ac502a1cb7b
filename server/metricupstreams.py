"""What *prometheus* shows of *forward*."""

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, HistogramMetricFamily, Metric

from server.counters import DURATION_BUCKETS, ForwardCounts
from server.metricforms import buckets

_PROXY = "forward"


def upstreams(counts: ForwardCounts) -> Iterator[Metric]:
    """Named as CoreDNS names them: what is of an upstream is `proxy_*`."""
    durations = HistogramMetricFamily(
        "zoneward_proxy_request_duration_seconds",
        "From a query's departure to an upstream's reply.",
        labels=("proxy_name", "to", "rcode"),
    )
    failures = CounterMetricFamily(
        "zoneward_proxy_healthcheck_failures",
        "Probes of an upstream that were not answered.",
        labels=("proxy_name", "to"),
    )
    hits = CounterMetricFamily(
        "zoneward_proxy_conn_cache_hits",
        "Queries that went over a connection that was open.",
        labels=("proxy_name", "to", "proto"),
    )
    misses = CounterMetricFamily(
        "zoneward_proxy_conn_cache_misses",
        "Queries that opened a connection.",
        labels=("proxy_name", "to", "proto"),
    )
    foreign = CounterMetricFamily(
        "zoneward_proxy_foreign_replies",
        "Messages from an upstream's address that answer nothing it was asked.",
        labels=("proxy_name", "to"),
    )
    for one in counts.upstreams:
        for took in one.durations:
            durations.add_metric(
                (_PROXY, one.to, took.rcode), *buckets(took.histogram, DURATION_BUCKETS)
            )
        failures.add_metric((_PROXY, one.to), one.probe_failures)
        hits.add_metric((_PROXY, one.to, "tcp"), one.reused)
        misses.add_metric((_PROXY, one.to, "tcp"), one.opened)
        foreign.add_metric((_PROXY, one.to), one.foreign)
    yield from (durations, failures, hits, misses, foreign)
    yield CounterMetricFamily(
        "zoneward_forward_healthcheck_broken",
        "Times that every upstream of a forward was down.",
        value=counts.broken,
    )
    yield CounterMetricFamily(
        "zoneward_forward_max_concurrent_rejects",
        "Queries refused because max_concurrent were under way.",
        value=counts.rejected,
    )
