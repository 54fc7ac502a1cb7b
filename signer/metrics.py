"""The signer's metrics, read when they are scraped: key states, ends of signatures, alarms.

What is counted a version (serials, signatures made, refusals, holds) is the zone tasks' own.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from signer.status import ZoneStatus


class SignerCollector(Collector):
    """`statuses` gives the zones as they are now; register it with a registry."""

    def __init__(self, statuses: Callable[[], Iterable[ZoneStatus]]) -> None:
        self._statuses = statuses

    def describe(self) -> Iterable[Metric]:
        return ()  # not asked at registration, when no zone is there yet

    def collect(self) -> Iterator[Metric]:
        expiration = GaugeMetricFamily(
            "zoneward_zone_earliest_rrsig_expiration_timestamp_seconds",
            "When the first signature of the version ends",
            labels=("zone", "variant"),
        )
        alarms = GaugeMetricFamily(
            "zoneward_zone_alarms", "Faults that a person should look at", labels=("zone",)
        )
        kinds = GaugeMetricFamily(
            "zoneward_zone_alarm", "Faults of a kind", labels=("zone", "kind")
        )
        keys = GaugeMetricFamily(
            "zoneward_key_record_state",
            "1 for the state in which a record of a key is",
            labels=("zone", "tag", "role", "algorithm", "record", "state"),
        )
        for zone in self._statuses():
            alarms.add_metric((zone.zone,), len(zone.alarms))
            for kind, count in Counter(zone.alarm_kinds).items():
                kinds.add_metric((zone.zone, kind), count)
            for one in zone.variants:
                if one.earliest_expiration is not None:
                    when = datetime.fromisoformat(one.earliest_expiration)
                    expiration.add_metric((zone.zone, one.variant), when.timestamp())
            for key in zone.keys:
                about = (zone.zone, str(key.tag), key.role, key.algorithm)
                for record in key.records:
                    keys.add_metric((*about, record.record, record.state), 1)
        yield from (expiration, alarms, kinds, keys)
