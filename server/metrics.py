"""What *prometheus* shows: the engine's counters, the plugins', the zones', as one collector.

Imported at the first scrape: the library takes longer to load than the rest of the server.
"""

import platform
from collections.abc import Callable, Iterator, Mapping, Sequence

import attrs
from prometheus_client import CollectorRegistry
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector

from server.counters import DURATION_BUCKETS, SIZE_BUCKETS, Series, Stats
from server.http import Response
from server.metriccaches import CachePlace, caches
from server.metricforms import buckets
from server.metricrules import decisions, hits
from server.metrictaps import taps
from server.metricupstreams import upstreams
from server.runtime import Tally

_ROUTE = ("server", "zone", "view")


@attrs.frozen
class ZoneTimes:
    """A zone that is followed. Times are Unix seconds; 0 is never."""

    chain: str
    zone: str
    contact: int
    valid_until: int
    present: bool


@attrs.frozen
class Snapshot:
    """All that one scrape shows. `enabled` are (server, zone, view, directive); `caches` are by
    chain."""

    stats: Stats
    plugins: Mapping[str, Tally]
    zones: Sequence[ZoneTimes]
    enabled: Sequence[tuple[str, str, str, str]]
    caches: Mapping[str, CachePlace]
    version: str
    reloads: int
    reload_failures: int


def render(snapshot: Snapshot) -> Response:
    """The metrics as text (Prometheus' exposition format)."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(ServerCollector(lambda: snapshot))
    return Response(200, generate_latest(registry), CONTENT_TYPE_LATEST)


class ServerCollector(Collector):
    """Metrics named as CoreDNS names them, `zoneward_` for `coredns_`."""

    def __init__(self, take: Callable[[], Snapshot]) -> None:
        self._take = take

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        snapshot = self._take()
        yield from _queries(snapshot.stats.series)
        yield from decisions(snapshot.stats.series)
        yield from hits(snapshot.stats.hits)
        yield from _process(snapshot)
        yield from _python_plugins(snapshot.plugins)
        yield from upstreams(snapshot.stats.forward)
        yield from caches(snapshot.stats.caches, snapshot.caches)
        yield from taps(snapshot.stats.taps)
        yield from _zones(snapshot)


def _queries(series: Sequence[Series]) -> Iterator[Metric]:
    requests = CounterMetricFamily(
        "zoneward_dns_requests",
        "Queries received.",
        labels=(*_ROUTE, "proto", "family", "type"),
    )
    dnssec_ok = CounterMetricFamily(
        "zoneward_dns_do_requests", "Queries with the DO bit set.", labels=_ROUTE
    )
    responses = CounterMetricFamily(
        "zoneward_dns_responses", "Replies sent.", labels=(*_ROUTE, "rcode", "plugin")
    )
    durations = HistogramMetricFamily(
        "zoneward_dns_request_duration_seconds",
        "From a query's arrival to its reply's departure.",
        labels=_ROUTE,
    )
    asked = HistogramMetricFamily(
        "zoneward_dns_request_size_bytes", "Octets of a query.", labels=(*_ROUTE, "proto")
    )
    replied = HistogramMetricFamily(
        "zoneward_dns_response_size_bytes", "Octets of a reply.", labels=(*_ROUTE, "proto")
    )
    for one in series:
        route = (one.server, one.zone, one.view)
        for request in one.requests:
            requests.add_metric(
                (*route, request.proto, str(request.family), request.type), request.count
            )
        dnssec_ok.add_metric(route, one.dnssec_ok)
        for reply in one.responses:
            responses.add_metric((*route, reply.rcode, reply.plugin), reply.count)
        durations.add_metric(route, *buckets(one.duration, DURATION_BUCKETS))
        for sizes in one.request_size:
            asked.add_metric((*route, sizes.proto), *buckets(sizes.histogram, SIZE_BUCKETS))
        for sizes in one.response_size:
            replied.add_metric((*route, sizes.proto), *buckets(sizes.histogram, SIZE_BUCKETS))
    yield from (requests, dnssec_ok, responses, durations, asked, replied)


def _process(snapshot: Snapshot) -> Iterator[Metric]:
    yield CounterMetricFamily(
        "zoneward_panics", "Bugs in the engine that a query ran into.", value=snapshot.stats.panics
    )
    yield CounterMetricFamily(
        "zoneward_log_dropped",
        "Log lines dropped because the log was too slow.",
        value=snapshot.stats.log_dropped,
    )
    yield CounterMetricFamily(
        "zoneward_reload", "Corefiles taken in while running.", value=snapshot.reloads
    )
    yield CounterMetricFamily(
        "zoneward_reload_failed",
        "Corefiles refused while running.",
        value=snapshot.reload_failures,
    )
    enabled = GaugeMetricFamily(
        "zoneward_plugin_enabled", "Directives in use.", labels=(*_ROUTE, "name")
    )
    for labels in snapshot.enabled:
        enabled.add_metric(labels, 1)
    yield enabled
    build = GaugeMetricFamily(
        "zoneward_build_info", "What is running.", labels=("version", "python")
    )
    build.add_metric((snapshot.version, platform.python_version()), 1)
    yield build


_TALLIES = {
    "handled": "Queries that a Python plugin was given.",
    "failed": "Queries that failed in a Python plugin, those past their deadline included.",
    "dropped": "Queries that a Python plugin dropped.",
    "expired": "Queries for which a Python plugin gave no reply in time.",
    "stalled": "Times that a Python plugin blocked the plugins' loop.",
}


def _python_plugins(tallies: Mapping[str, Tally]) -> Iterator[Metric]:
    for field, text in _TALLIES.items():
        family = CounterMetricFamily(f"zoneward_plugin_{field}", text, labels=("name",))
        for name, tally in tallies.items():
            family.add_metric((name,), getattr(tally, field))
        yield family


def _zones(snapshot: Snapshot) -> Iterator[Metric]:
    labels = ("block", "zone")
    serial = GaugeMetricFamily("zoneward_zone_serial", "SOA serial served.", labels=labels)
    records = GaugeMetricFamily(
        "zoneward_zone_records", "Records served, signatures included.", labels=labels
    )
    for zone in snapshot.stats.zones:
        serial.add_metric((zone.chain, zone.origin), zone.serial)
        records.add_metric((zone.chain, zone.origin), zone.records)
    contact = GaugeMetricFamily(
        "zoneward_zone_last_contact_timestamp_seconds",
        "When the manager last said that the copy is current.",
        labels=labels,
    )
    until = GaugeMetricFamily(
        "zoneward_zone_valid_until_timestamp_seconds",
        "When the copy ends: SOA EXPIRE after the last contact, or its first signature's end.",
        labels=labels,
    )
    present = GaugeMetricFamily(
        "zoneward_zone_present", "1 when there is a copy, 0 while it is awaited.", labels=labels
    )
    for times in snapshot.zones:
        present.add_metric((times.chain, times.zone), int(times.present))
        if times.present:
            contact.add_metric((times.chain, times.zone), times.contact)
            until.add_metric((times.chain, times.zone), times.valid_until)
    yield from (serial, records, contact, until, present)
