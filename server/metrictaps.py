"""What *prometheus* shows of *dnstap* and *mirror*."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from server.counters import TapCounts

_PLUGINS = ("dnstap", "mirror")


def taps(counts: Sequence[TapCounts]) -> Iterator[Metric]:
    """`to` is the target as the Corefile has it, paths absolute."""
    for plugin in _PLUGINS:
        yield from _copies(plugin, [one for one in counts if one.plugin == plugin])
    compared = CounterMetricFamily(
        "zoneward_mirror_compared",
        "Answers of another server beside ours: how they were.",
        labels=["to", "result"],
    )
    for one in counts:
        for result, number in one.compared.items():
            compared.add_metric([one.to, result], number)
    yield compared


def _copies(plugin: str, counts: Sequence[TapCounts]) -> Iterator[Metric]:
    sent = CounterMetricFamily(f"zoneward_{plugin}_sent", "Messages given away.", labels=["to"])
    dropped = CounterMetricFamily(
        f"zoneward_{plugin}_dropped",
        "Messages dropped because their receiver was too slow or not there.",
        labels=["to"],
    )
    connections = CounterMetricFamily(
        f"zoneward_{plugin}_connections", "Connections made to a receiver.", labels=["to"]
    )
    connected = GaugeMetricFamily(
        f"zoneward_{plugin}_connected", "1 while it can be given copies.", labels=["to"]
    )
    for one in counts:
        sent.add_metric([one.to], one.sent)
        dropped.add_metric([one.to], one.dropped)
        connections.add_metric([one.to], one.connections)
        connected.add_metric([one.to], int(one.is_connected))
    yield from (sent, dropped, connections, connected)
