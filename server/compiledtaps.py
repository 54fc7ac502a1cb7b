"""Copies of queries and replies for the engine: of which, and where to. The engine's side of it
is engine/core/src/server/tap/config.rs.

Taps with equal sinks share one, with its queue and its connection.
"""

from typing import Literal

import msgspec

ALL = 1_000_000
"""A sample that is everything."""


class Unix(msgspec.Struct, frozen=True, kw_only=True, tag_field="over", tag="unix"):
    """A socket of this machine."""

    path: str


class Tcp(msgspec.Struct, frozen=True, kw_only=True, tag_field="over", tag="tcp"):
    """HOST:PORT; a name is looked up whenever a connection is made."""

    place: str


class Dnstap(msgspec.Struct, frozen=True, kw_only=True, tag_field="to", tag="dnstap"):
    """A receiver of dnstap over Frame Streams. `identity` and `version` are hexadecimal; `types`
    are dnstap's numbers, of which the engine has CLIENT_QUERY (5) to FORWARDER_RESPONSE (8).
    `full`: with the DNS messages themselves. `write_buffer` in octets, 0 for the kernel's."""

    endpoint: Unix | Tcp
    full: bool
    identity: str
    version: str
    types: tuple[int, ...]
    write_buffer: int = 0


class Rotated(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A file; `answers`: with the replies. When it would be longer than `most_octets` it is renamed
    to PATH.1 and so on, of which `keep` are kept; 0: never."""

    path: str
    answers: bool
    most_octets: int = 0
    keep: int = 0


class Json(Rotated, frozen=True, kw_only=True, tag_field="to", tag="json"):
    """A line of JSON for each copy."""


class Pcap(Rotated, frozen=True, kw_only=True, tag_field="to", tag="pcap"):
    """A packet for each query and each reply."""


class Server(msgspec.Struct, frozen=True, kw_only=True, tag_field="to", tag="server"):
    """Another server, whose answers over UDP are compared with ours."""

    address: str
    port: int


Target = Dnstap | Json | Pcap | Server


class Prefix(msgspec.Struct, frozen=True, kw_only=True, tag_field="by", tag="prefix"):
    """Of clients' addresses so many bits stay."""

    ipv4: int
    ipv6: int


class Hash(msgspec.Struct, frozen=True, kw_only=True, tag_field="by", tag="hash"):
    """Clients' addresses become others of their family, by this key (hexadecimal)."""

    key: str


class Sink(msgspec.Struct, frozen=True, kw_only=True):
    """`capacity` copies may wait; further ones are dropped and counted."""

    plugin: Literal["dnstap", "mirror"]
    target: Target
    capacity: int = 10_000
    anonymous: Prefix | Hash | None = None


class Tap(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", tag="tap"):
    """*dnstap*, *mirror*: when a reply is sent, a copy goes to `sink`, if the name is at or below
    one of `names` and so on; each is for all when it is empty. `sample` is out of a million.
    `extra` is a format as *log* has it."""

    sink: Sink
    names: tuple[str, ...] = ()
    types: tuple[int, ...] = ()
    networks: tuple[str, ...] = ()
    rcodes: tuple[int, ...] = ()
    sample: int = ALL
    extra: str = ""
