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


class Rule(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A rule fits when all fit that it says: `classes`, `types`, `networks` (CIDR text, of the
    client) and `transports`, each for any when empty; and one of the names, where it has some:
    `names` as they are, `below` those and all below them, `first` the leftmost label of names
    that have several.

    `signed` is what is done in zones that are signed here, and in those that have not arrived:
    "same" for an action that forges nothing, "pass" as if the stage were not there, "refuse"
    REFUSED with the action's extended error. `mark` is what the decision is counted as."""

    classes: tuple[int, ...] = ()
    types: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
    transports: tuple[Literal["udp", "tcp"], ...] = ()
    names: tuple[str, ...] = ()
    below: tuple[str, ...] = ()
    first: tuple[str, ...] = ()
    action: Pass | Drop | Truncate | Reply
    signed: Literal["same", "pass", "refuse"] = "same"
    mark: Mark | None = None


def encode(rules: tuple[Rule, ...]) -> bytes:
    """As `engine.Server.refill` takes them."""
    return msgspec.json.encode(rules)
