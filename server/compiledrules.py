"""Rules for the engine: of whom, for what, over what; and what is done. The engine's side of it
is engine/core/src/server/rules/config.rs.

The first rule that fits decides; what fits none goes on to the next stage. However many rules
and networks there are, the engine looks only at those that may speak of a query.
"""

from enum import IntEnum
from typing import Literal

import msgspec

IN, CH = 1, 3
NOERROR, SERVFAIL, NXDOMAIN, REFUSED = 0, 2, 3, 5


class Type(IntEnum):
    """Types of the records that rules make. The server starts without dnspython, which knows
    them all."""

    A = 1
    NS = 2
    CNAME = 5
    SOA = 6
    PTR = 12
    HINFO = 13
    TXT = 16
    AAAA = 28
    ANY = 255


Mark = Literal["allowed", "blocked", "filtered", "dropped", "localhost"]


class Record(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A record of a reply; without `owner` it is the name asked for. `rdata` is uncompressed
    wire in hexadecimal."""

    owner: str | None = None
    rtype: int
    ttl: int
    rdata: str


class Pass(msgspec.Struct, frozen=True, tag_field="do", tag="pass"):
    """On to the next stage, past the rules that follow."""


class Drop(msgspec.Struct, frozen=True, tag_field="do", tag="drop"):
    """No reply. Over TCP the connection is closed."""


class Truncate(msgspec.Struct, frozen=True, tag_field="do", tag="truncate"):
    """An empty reply with TC: the client comes back over TCP, where the rule means Pass."""


class Note(msgspec.Struct, frozen=True, tag_field="do", tag="note"):
    """Counted and logged, nothing else: the rules that follow are looked at."""


class Alias(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="alias", omit_defaults=True
):
    """A CNAME record to `target`, and behind it what the stages behind answer for that name; on
    the way back from them, the record alone."""

    target: str
    ttl: int
    extended: int | None = None


class Reply(
    msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="reply", omit_defaults=True
):
    """A reply. Its answer is those of `records` that have the type asked for, or all with
    `whole`; a reply without an answer has `authority`. `extended` is an extended error's code
    (RFC 8914)."""

    rcode: int = NOERROR
    extended: int | None = None
    authoritative: bool = False
    records: tuple[Record, ...] = ()
    whole: bool = False
    authority: tuple[Record, ...] = ()


class NameList(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A list by the name under which `engine.Server.fill_list` fills it; with `below`, its names
    mean all below them too."""

    list: str
    below: bool = False


class Rate(msgspec.Struct, frozen=True, kw_only=True):
    """Queries a second, and how many may come at once, of clients whose addresses have the same
    first `v4` or `v6` bits."""

    per_second: int
    burst: int
    v4: int
    v6: int


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule fits when all fit that it says: `classes`, `types`, `networks` (CIDR text, of the
    client) and `transports`, each for any when empty; and one of the names, where it has some:
    `names` as they are, `below` those and all below them, `first` the leftmost label of names
    that have several, `lists` those in one of them.

    A rule with a `rate` fits queries that exceed it; those within it are counted and go to the
    next rule. A rule with `answers` (CIDR text) is looked at on the way back, if no rule before
    it has let the query go on: it fits when an address of the answer is in one of them.

    `signed` is what is done in zones that are signed here, and in those that have not arrived:
    "same" for an action that forges nothing, "pass" as if the stage were not there, "refuse"
    REFUSED with the action's extended error. `mark` is what the decision is counted as, `label`
    the name of a counter of its own. With `log` there is a line for each decision. A `dry` rule
    is counted and logged, and the rules that follow are looked at."""

    classes: tuple[int, ...] = ()
    types: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
    transports: tuple[Literal["udp", "tcp"], ...] = ()
    names: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    lists: tuple[NameList, ...] = ()
    rate: Rate | None = None
    answers: tuple[str, ...] = ()
    action: Pass | Drop | Truncate | Note | Reply | Alias
    signed: Literal["same", "pass", "refuse"] = "same"
    mark: Mark | None = None
    label: str | None = None
    log: bool = False
    dry: bool = False


def encode(rules: tuple[Rule, ...]) -> bytes:
    """As `engine.Server.refill` takes them."""
    return msgspec.json.encode(rules)
