"""What *rewrite* becomes for the engine. The engine's side of it is
engine/core/src/server/rewrite/config.rs.

Texts are of names as they are written, absolute and in lower case ("example.org."); what a
prefix, a suffix or a substring is compared with, and what a pattern is matched against, is
such a text too. In `to` of a pattern, {N} is what its group N matched.
"""

import msgspec


class Exact(msgspec.Struct, frozen=True, kw_only=True, tag_field="match", tag="exact"):
    name: str


class Prefix(msgspec.Struct, frozen=True, kw_only=True, tag_field="match", tag="prefix"):
    text: str


class Suffix(msgspec.Struct, frozen=True, kw_only=True, tag_field="match", tag="suffix"):
    text: str


class Substring(msgspec.Struct, frozen=True, kw_only=True, tag_field="match", tag="substring"):
    text: str


class Regex(msgspec.Struct, frozen=True, kw_only=True, tag_field="match", tag="regex"):
    """`pattern` is one that `engine.Pattern` takes; it may match anywhere in a name."""

    pattern: str


Names = Exact | Prefix | Suffix | Substring | Regex


class Auto(msgspec.Struct, frozen=True, tag_field="do", tag="auto"):
    """The name that was put into the question, and those below it, become what was there."""


class SuffixBack(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="suffix"):
    """Names that end in `origin` end in `to`."""

    origin: str = msgspec.field(name="from")
    to: str


class Owner(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="name"):
    """Owners of records that `pattern` matches become `to`."""

    pattern: str
    to: str


class Value(msgspec.Struct, frozen=True, kw_only=True, tag_field="do", tag="value"):
    """Names that records lead to, as `Owner`: of CNAME, DNAME, MX, NAPTR, NS, PTR, SOA, SRV."""

    pattern: str
    to: str


Answer = Auto | SuffixBack | Owner | Value


class Name(msgspec.Struct, frozen=True, kw_only=True, tag_field="of", tag="name"):
    """The question's name: what `names` found in it is `to`, the whole of it for an exact name
    and a pattern. `answers` are undone from the last to the first."""

    names: Names
    to: str
    answers: tuple[Answer, ...] = ()


class Type(msgspec.Struct, frozen=True, kw_only=True, tag_field="of", tag="type"):
    """The question's type."""

    origin: int = msgspec.field(name="from")
    to: int


class Class(msgspec.Struct, frozen=True, kw_only=True, tag_field="of", tag="class"):
    """The question's class."""

    origin: int = msgspec.field(name="from")
    to: int


class Ttl(msgspec.Struct, frozen=True, kw_only=True, tag_field="of", tag="ttl"):
    """The TTLs of the reply's records are brought within bounds, in seconds."""

    names: Names
    least: int
    most: int


class Rcode(msgspec.Struct, frozen=True, kw_only=True, tag_field="of", tag="rcode"):
    """The reply's rcode, where it is `origin`."""

    names: Names
    origin: int = msgspec.field(name="from")
    to: int


Field = Name | Type | Class | Ttl | Rcode


class RewriteRule(msgspec.Struct, frozen=True, kw_only=True):
    """Rules are followed in their order, each on what those before it made, up to the first
    that fits and does not go on."""

    field: Field
    goes_on: bool = False
