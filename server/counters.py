"""The engine's statistics (`engine.Server.stats`): their shape, and their way to Prometheus.

The names and labels are CoreDNS's with the prefix `zoneward_` for `coredns_`; buckets too, so
that its dashboards work after that one replacement.
"""

import msgspec

DURATION_BUCKETS = tuple(0.00025 * 2**power for power in range(16))
SIZE_BUCKETS = (
    *(0, 100, 200, 300, 400, 511, 1023, 2047, 4095, 8291),
    *(16000, 32000, 48000, 64000),
)


class Histogram(msgspec.Struct, frozen=True):
    """`counts[i]` observations were at most the i-th bound and above the one before; the last
    one counts those above all bounds. `sum` is in seconds or octets."""

    counts: list[int]
    sum: float


class Requests(msgspec.Struct, frozen=True):
    """`proto` "udp" or "tcp"; `family` 1 for IPv4, 2 for IPv6; `type` a mnemonic of the usual
    types, else "other"."""

    proto: str
    family: int
    type: str
    count: int


class Responses(msgspec.Struct, frozen=True):
    """`plugin` is who answered: the label of an answer stage, a Python plugin's name, "whoami",
    or empty when the server itself did (REFUSED, FORMERR, BADVERS)."""

    rcode: str
    plugin: str
    count: int


class Sizes(msgspec.Struct, frozen=True):
    proto: str
    histogram: Histogram


class Series(msgspec.Struct, frozen=True):
    """What one route counted. Queries that no route took are in a series of their listener whose
    `zone` is "dropped", if any chain of the listener counts at all. `marks` are decisions of rules
    by their mark (`server.compiledrules.Mark`)."""

    server: str
    zone: str
    view: str
    requests: list[Requests]
    dnssec_ok: int
    marks: dict[str, int]
    responses: list[Responses]
    duration: Histogram
    request_size: list[Sizes]
    response_size: list[Sizes]


class PluginCounts(msgspec.Struct, frozen=True):
    """A Python stage: queries parked for it, those now waiting, those whose deadline passed."""

    plugin: int
    parked: int
    waiting: int
    expired: int


class ZoneState(msgspec.Struct, frozen=True):
    """A published zone. `valid_until` is in Unix seconds."""

    chain: str
    origin: str
    serial: int
    records: int
    valid_until: int


class UpstreamDurations(msgspec.Struct, frozen=True):
    """From a query's departure to its reply's arrival."""

    rcode: str
    histogram: Histogram


class UpstreamCounts(msgspec.Struct, frozen=True):
    """An upstream of *forward*: ADDRESS:PORT. `reused` and `opened` are of connections; `foreign`
    are messages from its address that answer nothing that it was asked."""

    to: str
    durations: list[UpstreamDurations]
    probe_failures: int
    reused: int
    opened: int
    foreign: int


class ForwardCounts(msgspec.Struct, frozen=True):
    """All *forward*s together: times that every upstream was down, queries refused for
    `max_concurrent`."""

    upstreams: list[UpstreamCounts]
    broken: int
    rejected: int


class CacheTally(msgspec.Struct, frozen=True):
    """`drops` are replies that answered another question than was asked."""

    success_hits: int
    denial_hits: int
    misses: int
    served_stale: int
    prefetches: int
    drops: int
    success_evictions: int
    denial_evictions: int


class CacheCounts(msgspec.Struct, frozen=True):
    """The cache of a chain, and how many replies it holds."""

    chain: str
    counts: CacheTally
    success_entries: int
    denial_entries: int


class TapCounts(msgspec.Struct, frozen=True):
    """Copies of *dnstap* or *mirror* (`plugin`) for one target: messages that went out, messages
    dropped because it was too slow or not there. Connections are those made so far. `compared`: how
    the answers of another server were: "same", "rcode" or "answer" (which differed), "truncated",
    "malformed", "silence"."""

    plugin: str
    to: str
    sent: int
    dropped: int
    connections: int
    is_connected: bool
    compared: dict[str, int]


class LoopSeen(msgspec.Struct, frozen=True):
    """How often a probe of *loop* came by."""

    probe: str
    seen: int


class RuleHits(msgspec.Struct, frozen=True):
    """How often a rule decided: a line of *firewall*, or what a feed of *rpz* says. `trigger` and
    `action` are a feed's. With `dry`, it was not done."""

    chain: str
    plugin: str
    rule: str
    trigger: str
    action: str
    dry: bool
    count: int


class Stats(msgspec.Struct, frozen=True):
    """What `engine.Server.stats` gives, as JSON. Histograms have the bounds `DURATION_BUCKETS`
    and `SIZE_BUCKETS`. Counters never go back, also over `configure`."""

    series: list[Series]
    plugins: list[PluginCounts]
    zones: list[ZoneState]
    forward: ForwardCounts
    caches: list[CacheCounts]
    taps: list[TapCounts]
    loops: list[LoopSeen]
    hits: list[RuleHits]
    panics: int
    log_dropped: int


def decode(stats: bytes) -> Stats:
    """Raises msgspec.ValidationError when the engine and this module disagree."""
    return msgspec.json.decode(stats, type=Stats)
