"""What a Corefile becomes for the engine: the schema of the JSON that `engine.Server.bind` and
`configure` take. The engine's side of it is engine/core/src/server/config.rs.

Names are absolute, lower-case presentation text ("example.org."); the engine refuses a config
with a field that it does not know. Everything here is decided: the engine sorts nothing,
defaults nothing and reads no Corefile.
"""

from typing import Literal

import msgspec

from server.compiledrewrites import RewriteRule
from server.compiledrules import Rule
from server.compiledtaps import Tap
from server.compiledtests import Step


class Timeouts(msgspec.Struct, frozen=True, kw_only=True):
    """Of TCP connections: for the rest of a query that has begun, for a peer to take a reply,
    for a query to begin."""

    read_ms: int
    write_ms: int
    idle_ms: int


class Listener(msgspec.Struct, frozen=True, kw_only=True):
    """One address and port. IPv6 sockets take IPv6 only (IPV6_V6ONLY), so that "0.0.0.0" and
    "::" stand side by side. `server` is the label that metrics carry ("dns://127.0.0.1:5300",
    "dns://:53" when bound to all addresses)."""

    server: str
    address: str
    port: int
    udp: bool = True
    tcp: bool = True
    timeouts: Timeouts | msgspec.UnsetType = msgspec.UNSET


class Metrics(msgspec.Struct, frozen=True, tag_field="kind", tag="metrics"):
    """*prometheus*: count this chain's queries in the series of `server/counters.py`."""


class Errors(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="errors"):
    """*errors*: each SERVFAIL's reason goes to the log ring at level 40 as
    `{prefix}{rcode} {name} {type}: {reason}`."""

    prefix: str


class Log(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="log"):
    """*log*: a line at level 20 into the log ring for each reply under one of `names` whose
    class is among `classes`.

    Classes, as CoreDNS has them: "all"; "success" (NOERROR with data, referrals and delegations
    included); "denial" (NXDOMAIN, and NOERROR without data); "error" (SERVFAIL, NOTIMP, REFUSED and
    every other rcode). `format` is literal text with replacements in braces, all of them known
    (`server/plugins/log.py` lists them); a value that a query doesn't have is "-"."""

    names: tuple[str, ...]
    classes: tuple[Literal["all", "success", "denial", "error"], ...]
    format: str


class Python(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="python"):
    """A plugin written in Python: the query is parked and handed out by `Server.take`.

    `types` (numbers), `zones` (the query name is at or below one) and `networks` (CIDR text, of
    the client's address) are its prefilter: all that aren't empty have to match, else the stage
    is passed over. `plugin` is unique for the process's life, also over `configure`. When nothing
    came back after `deadline_ms`, or `ParkedQuery.fail` is called, "servfail" answers SERVFAIL
    and "pass" goes on with the next stage. A reply that it gives is labelled `name` in metrics.
    With `unsigned_only` it is passed over in zones that are signed here."""

    plugin: int
    name: str
    types: tuple[int, ...] = ()
    zones: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    deadline_ms: int
    on_failure: Literal["servfail", "pass"]
    unsigned_only: bool = False


class Whoami(msgspec.Struct, frozen=True, tag_field="kind", tag="whoami"):
    """*whoami*: an empty NOERROR answer with the client's address as A or AAAA and an SRV record
    `_udp.QNAME`/`_tcp.QNAME 0 IN SRV 0 0 PORT .` in the additional section."""


class Side(msgspec.Struct, frozen=True, kw_only=True):
    """Replies of one kind: how many are kept, for how many seconds at most and at least, and the
    names below which none are."""

    capacity: int
    most_ttl: int
    least_ttl: int
    disabled: tuple[str, ...] = ()


class Prefetch(msgspec.Struct, frozen=True, kw_only=True):
    """A reply that was asked for `amount` times, with no pause longer than the duration, is
    fetched anew when `percentage` of its lifetime is left. With 0, none is."""

    amount: int = 0
    duration_ms: int = 60_000
    percentage: int = 10


class Cache(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="cache"):
    """*cache*: replies to queries at or below one of `zones` are kept. Those of answer stages and
    of whoami are not. With `serve_stale_seconds`, what is too old is given out for that long: with
    TTL 0 while a newer one is fetched, or, with `serve_stale_verify`, when there is none."""

    zones: tuple[str, ...]
    success: Side
    denial: Side
    servfail_seconds: int = 5
    prefetch: Prefetch = Prefetch()
    serve_stale_seconds: int = 0
    serve_stale_verify: bool = False
    keep_ttl: bool = False


class Upstream(msgspec.Struct, frozen=True, kw_only=True):
    """A server that *forward* asks, over UDP and TCP."""

    address: str
    port: int


class Forward(
    msgspec.Struct,
    frozen=True,
    kw_only=True,
    tag_field="kind",
    tag="forward",
    rename={"origin": "from", "excepted": "except"},
):
    """*forward*: queries at or below `origin`, those below one of `excepted` left out, are parked
    until one of the upstreams (15 at most) has answered; the others go on to the next stage, as
    do transfers and signed queries. Numbers that are 0 set no limit; with `max_fails` 0 no
    upstream is ever down. `next` and `failover` are rcodes."""

    origin: str
    excepted: tuple[str, ...] = ()
    upstreams: tuple[Upstream, ...]
    policy: Literal["random", "round_robin", "sequential"] = "random"
    force_tcp: bool = False
    prefer_udp: bool = False
    expire_ms: int = 10_000
    max_fails: int = 2
    max_connect_attempts: int = 0
    failfast: bool = False
    health_interval_ms: int = 500
    health_recursion: bool = True
    health_domain: str = "."
    max_concurrent: int = 0
    next: tuple[int, ...] = ()
    failover: tuple[int, ...] = ()


class Loop(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="loop"):
    """*loop*: counts queries of type HINFO for the name `probe`; from the second on they are
    answered SERVFAIL, since it was sent once."""

    probe: str


class Rules(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rules"):
    """*acl*, *any*, *chaos*, *firewall*, *hosts*, *local*: the first of `rules` that fits
    decides. `plugin` is the label of what they answer, and the name by which
    `engine.Server.refill` finds them."""

    plugin: str
    rules: tuple[Rule, ...]


Override = Literal["given", "disabled", "passthru", "drop", "nxdomain", "nodata", "tcp-only"]


class Cname(msgspec.Struct, frozen=True):
    """An override: all that a feed speaks of leads to this name."""

    cname: str


class Feed(msgspec.Struct, frozen=True, kw_only=True):
    """A response policy zone, under the name by which `engine.Server.fill_feed` fills it. `policy`
    is done in the place of what its records say, if not "given"; with "disabled" it is counted
    and logged only. Answers are kept for `most_ttl` seconds at most. `extended` is an extended
    error's code (RFC 8914) in the place of Blocked and Forged Answer."""

    feed: str
    zone: str
    policy: Override | Cname = "given"
    most_ttl: int = 5
    extended: int | None = None
    log: bool = False


class Rpz(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rpz"):
    """*rpz*: the first of `feeds` that speaks of a query decides: of the client, of a name, or of
    an address in the answer, looked at in this order."""

    feeds: tuple[Feed, ...]


class Limit(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="limit"):
    """*rrl*: replies of each kind a second to clients whose addresses have the same first `v4` or
    `v6` bits, and `requests` whatever the reply; 0 for no limit. Replies that `window` seconds
    may hold may come at once. Each `slip`-th reply that is too many is cut instead of dropped."""

    responses: int
    nodata: int
    nxdomains: int
    referrals: int
    errors: int
    requests: int
    window: int
    slip: int
    v4: int
    v6: int
    dry: bool = False


class Rewrite(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="rewrite"):
    """*rewrite*: the stages behind answer another question than the one that came, and their
    reply is made one to that. What is asked of a zone that is signed here passes untouched, as
    do transfers and signed queries. A reply with a name changed loses its signatures."""

    rules: tuple[RewriteRule, ...]


class Minimal(msgspec.Struct, frozen=True, tag_field="kind", tag="minimal"):
    """*minimal*: replies with an answer lose their other records, but for proofs of denial."""


class Header(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="header"):
    """*header*: bits of the second word of the reply's header (AA, RA, RD); replies from zones
    that are signed here pass untouched."""

    set: int
    clear: int


class Nsid(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="nsid"):
    """*nsid*: RFC 5001, for clients that ask and where there is room; hexadecimal."""

    data: str


class Shuffle(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="shuffle"):
    """*loadbalance*: A, AAAA and MX RRsets of a reply in an order of chance, addresses within
    `prefer` (CIDR text) first."""

    prefer: tuple[str, ...] = ()


class Answer(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="answer"):
    """*file*, *auto*, *etcd*, *sign*: answer from the zones published to this chain; the longest
    that encloses the query name. If the chain's `origins` hold a longer one that has not been
    published, SERVFAIL with EDE 14 (not ready). If neither holds one, the next stage.
    `plugin` is the label of these replies in metrics and the log. With `one_for_any`,
    queries for ANY get one RRset over TCP as they do over UDP (RFC 8482 section 4.1)."""

    plugin: str
    one_for_any: bool = False


Stage = (
    Metrics
    | Errors
    | Log
    | Python
    | Whoami
    | Forward
    | Cache
    | Loop
    | Rules
    | Tap
    | Rpz
    | Limit
    | Rewrite
    | Minimal
    | Header
    | Nsid
    | Shuffle
    | Answer
)


class Chain(msgspec.Struct, frozen=True, kw_only=True):
    """A server block. `id` is `corefile.block_id`, and what `publish` calls it. `origins` are the
    zones that the Corefile names (not those that *auto* finds). `stages` are in their order;
    a query that passes the last one unanswered is REFUSED. `udp_size` is how many octets a reply
    over UDP has at most; without `any_class`, queries of other classes than IN are REFUSED.
    `when` is its view's condition: other queries are not for it."""

    id: str
    view: str = ""
    origins: tuple[str, ...]
    udp_size: int | msgspec.UnsetType = msgspec.UNSET
    any_class: bool = False
    when: tuple[Step, ...] = ()
    stages: tuple[Stage, ...]


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """Queries on `listeners[listener]` whose name is at or below `origin`, and below no longer
    origin of that listener, go to the chain with the id `chain`, if that takes them; of several
    routes with the same origin the first that does counts. A DS query whose name is itself
    an origin goes to the parent's route where there is one with an answer stage. A query that no
    route takes is REFUSED. `origin` is the label `zone` of the metrics."""

    listener: int
    origin: str
    chain: str


class Config(msgspec.Struct, frozen=True, kw_only=True):
    """All of it. `threads` is the number of query threads; 0 means one a core."""

    threads: int
    listeners: tuple[Listener, ...]
    chains: tuple[Chain, ...]
    routes: tuple[Route, ...]

    def encode(self) -> bytes:
        return msgspec.json.encode(self)
