"""The signer's metrics, read when they are scraped; nothing is counted twice."""

from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from signer.status import ZoneStatus


class SignerCollector(Collector):
    """`statuses` gives the zones as they are now; register it with a registry."""

    def __init__(self, statuses: Callable[[], Iterable[ZoneStatus]]) -> None:
        self._statuses = statuses

    def describe(self) -> Iterable[Metric]:
        return ()  # not asked at registration, when no zone is there yet

    def collect(self) -> Iterator[Metric]:
        variant = ("zone", "variant")
        serial = GaugeMetricFamily(
            "zoneward_zone_serial", "SOA serial of the signed version", labels=variant
        )
        expiration = GaugeMetricFamily(
            "zoneward_zone_earliest_rrsig_expiration_timestamp_seconds",
            "When the first signature of the version ends",
            labels=variant,
        )
        made = CounterMetricFamily(
            "zoneward_signatures_made", "RRsets signed since the manager started", labels=variant
        )
        refusals = CounterMetricFamily(
            "zoneward_gate_refusals", "Versions that were not let through", labels=variant
        )
        held = GaugeMetricFamily(
            "zoneward_zone_held", "1 while the zone's automation is stopped", labels=("zone",)
        )
        alarms = GaugeMetricFamily(
            "zoneward_zone_alarms", "Faults that a person should look at", labels=("zone",)
        )
        keys = GaugeMetricFamily(
            "zoneward_key_record_state",
            "1 for the state in which a record of a key is",
            labels=("zone", "tag", "role", "algorithm", "record", "state"),
        )
        for zone in self._statuses():
            held.add_metric((zone.zone,), 1 if zone.hold is not None else 0)
            alarms.add_metric((zone.zone,), len(zone.alarms))
            for one in zone.variants:
                labels = (zone.zone, one.variant)
                serial.add_metric(labels, one.serial)
                made.add_metric(labels, one.signatures_made)
                refusals.add_metric(labels, one.gate_refusals)
                if one.earliest_expiration is not None:
                    when = datetime.fromisoformat(one.earliest_expiration)
                    expiration.add_metric(labels, when.timestamp())
            for key in zone.keys:
                about = (zone.zone, str(key.tag), key.role, key.algorithm)
                for record in key.records:
                    keys.add_metric((*about, record.record, record.state), 1)
        yield from (serial, expiration, made, refusals, held, alarms, keys)
