"""Conditions for the engine: tests of a query, and the way from each to the next. The engine's
side of it is engine/core/src/server/predicate/config.rs.
"""

from typing import Literal

import msgspec

NumberOf = Literal[
    "type", "class", "protocol", "port", "server_port", "size", "bufsize", "id", "opcode", "do"
]
How = Literal["equals", "starts", "ends", "contains", "matches"]

TCP, UDP = 6, 17


class Number(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="number"):
    """A number of the query within one of `ranges`, both ends included. "protocol" is `TCP` or
    `UDP`; "port" the client's, "server_port" ours; "size" and "bufsize" are octets of the query,
    and of what the client takes: 512 to 65535, over TCP 65535; "do" is 1 with the DO bit
    (RFC 3225)."""

    of: NumberOf
    ranges: tuple[tuple[int, int], ...]


class Address(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="address"):
    """The client's address, or ours, within one of `networks` (CIDR text)."""

    of: Literal["client", "server"]
    networks: tuple[str, ...]


class Name(msgspec.Struct, frozen=True, kw_only=True, tag_field="is", tag="name"):
    """The name asked for, as absolute lower-case text, fits one of `texts`; with "matches" they
    are regular expressions in RE2's syntax."""

    how: How
    texts: tuple[str, ...]


Test = Number | Address | Name


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """A test, and where it goes on for either outcome: the index of a later step, or, behind the
    last one, the number of steps where the condition holds, and one more where it doesn't."""

    test: Test
    yes: int
    no: int
