"""What *prometheus* shows of decisions by rules: *acl*, *firewall*, *local*, *rpz*, *rrl*."""

from collections.abc import Iterator, Sequence

from prometheus_client.core import CounterMetricFamily, Metric

from server.counters import RuleHits, Series

_ACL = {
    "allowed": "Queries that acl let through.",
    "blocked": "Queries that acl refused.",
    "filtered": "Queries that acl gave an empty answer.",
    "dropped": "Queries that acl did not answer.",
}


def decisions(series: Sequence[Series]) -> Iterator[Metric]:
    """Named as CoreDNS names them; `zone` is that of the server block."""
    for mark, text in _ACL.items():
        family = CounterMetricFamily(
            f"zoneward_acl_{mark}_requests", text, labels=("server", "zone", "view")
        )
        for one in series:
            if one.marks.get(mark):
                family.add_metric((one.server, one.zone, one.view), one.marks[mark])
        yield family
    yield CounterMetricFamily(
        "zoneward_local_localhost_requests",
        "Queries for names that begin with localhost.",
        value=sum(one.marks.get("localhost", 0) for one in series),
    )


def hits(all_hits: Sequence[RuleHits]) -> Iterator[Metric]:
    """Of each line of *firewall*, each feed of *rpz*, each kind of *rrl*. `block` is the server
    block's id; a dry hit changed nothing."""
    lines = CounterMetricFamily(
        "zoneward_firewall_hits",
        "Queries that a line of firewall fitted.",
        labels=("block", "line", "dry"),
    )
    feeds = CounterMetricFamily(
        "zoneward_rpz_hits",
        "Queries that a feed of rpz spoke of.",
        labels=("block", "feed", "trigger", "action", "dry"),
    )
    limits = CounterMetricFamily(
        "zoneward_rrl_hits",
        "Replies that were too many.",
        labels=("block", "kind", "action", "dry"),
    )
    for one in all_hits:
        dry = str(one.dry).lower()
        if one.plugin == "firewall":
            lines.add_metric((one.chain, one.rule, dry), one.count)
        elif one.plugin == "rrl":
            limits.add_metric((one.chain, one.rule, one.action, dry), one.count)
        else:
            feeds.add_metric((one.chain, one.rule, one.trigger, one.action, dry), one.count)
    yield from (lines, feeds, limits)
