"""The manager's metrics, read from its state at each scrape."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from prometheus_client.registry import Collector
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from signer.metrics import SignerCollector
from zoneward import __version__
from zoneward.manager import Manager
from zoneward.zonetask import ZoneTask

_LABELS = ("zone", "block")


class _Zones(Collector):
    def __init__(self, manager: Manager) -> None:
        self._manager = manager

    def collect(self) -> Iterator[Metric]:
        tasks = list(self._manager.tasks())
        build = GaugeMetricFamily("zoneward_build_info", "Always 1.", labels=["version"])
        build.add_metric([__version__], 1)
        yield build
        yield _gauge(tasks, "zoneward_zone_serial", "SOA serial of the current version.", _serial)
        yield _gauge(tasks, "zoneward_zone_records", "Records of the current version.", _records)
        yield _gauge(
            tasks,
            "zoneward_zone_problem",
            "1 while what is served may not be what the source has; the log says why.",
            lambda task: float(task.problem is not None),
        )
        yield _gauge(
            tasks,
            "zoneward_zone_held",
            "1 while the zone's automation is held for a person.",
            lambda task: float(task.signer is not None and task.signer.held is not None),
        )
        yield _gauge(
            tasks,
            "zoneward_zone_signature_validity_seconds",
            "Until the zone's earliest RRSIG expires.",
            _validity,
        )
        yield _gauge(
            tasks,
            "zoneward_zone_reverified_timestamp_seconds",
            "When the whole version was last verified again, which is daily.",
            lambda task: task.reverified_at,
        )
        yield _gauge(
            tasks,
            "zoneward_zone_reverify_faults",
            "Faults that verifying it again found, 20 at most; the log says which.",
            lambda task: float(task.reverify_faults),
        )
        yield from _followed(tasks)
        yield _counter(
            tasks, "zoneward_zone_signed_rrsets", "RRsets signed.", lambda t: t.signed_rrsets
        )
        yield _counter(
            tasks,
            "zoneward_zone_refused_versions",
            "Versions that the gate refused.",
            lambda task: task.refusals,
        )
        yield _counter(
            tasks,
            "zoneward_zone_source_errors",
            "Readings of the source that failed.",
            lambda task: task.source_errors,
        )


def application(manager: Manager) -> Starlette:
    """The ASGI application: GET /metrics."""
    registry = CollectorRegistry()
    registry.register(_Zones(manager))
    registry.register(
        SignerCollector(
            lambda: [
                group.signer.status()
                for group in manager.groups.values()
                if group.signer is not None
            ]
        )
    )

    async def scrape(_: Request) -> Response:
        return Response(generate_latest(registry), media_type=CONTENT_TYPE_LATEST)

    return Starlette(routes=[Route("/metrics", scrape, methods=["GET"])])


def _serial(task: ZoneTask) -> float | None:
    zone = task.keeper.current
    return None if zone is None else zone.serial


def _records(task: ZoneTask) -> float | None:
    zone = task.keeper.current
    return None if zone is None else zone.record_count


def _validity(task: ZoneTask) -> float | None:
    expiration = task.keeper.earliest_expiration()
    return None if expiration is None else expiration - time.time()


def _followed(tasks: list[ZoneTask]) -> Iterator[Metric]:
    """Of zones from etcd."""
    found = {task: standing for task in tasks if (standing := task.standing()) is not None}
    followed = list(found)
    yield _gauge(
        followed,
        "zoneward_zone_source_revision",
        "Revision of etcd that the zone stands at.",
        lambda task: found[task].revision,
    )
    yield _gauge(
        followed,
        "zoneward_zone_source_behind_seconds",
        "How old what is served may be, beside the source.",
        lambda task: found[task].behind,
    )
    yield _gauge(
        followed,
        "zoneward_zone_source_lost",
        "1 while the source can't be followed; the log says why.",
        lambda task: float(found[task].problem is not None),
    )
    yield _gauge(
        followed,
        "zoneward_zone_source_entries",
        "Entries of the source that are taken.",
        lambda task: found[task].entries,
    )
    yield _gauge(
        followed,
        "zoneward_zone_source_left_out",
        "Entries of the source that are left out; status names some.",
        lambda task: found[task].left_out,
    )


def _gauge(
    tasks: list[ZoneTask], name: str, text: str, value: Callable[[ZoneTask], float | None]
) -> Metric:
    family = GaugeMetricFamily(name, text, labels=_LABELS)
    for task in tasks:
        found = value(task)
        if found is not None:
            family.add_metric([str(task.origin), task.block], found)
    return family


def _counter(
    tasks: list[ZoneTask], name: str, text: str, value: Callable[[ZoneTask], float]
) -> Metric:
    family = CounterMetricFamily(name, text, labels=_LABELS)
    for task in tasks:
        family.add_metric([str(task.origin), task.block], value(task))
    return family
