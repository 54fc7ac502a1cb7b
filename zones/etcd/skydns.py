"""SkyDNS's layout: what a key and its value in etcd say of a name. No I/O.

`/skydns/local/skydns/staging/db` is db.staging.skydns.local; its value is JSON with host, port,
priority, weight, text, mail, ttl, targetstrip and group, all of them optional.
"""

from __future__ import annotations

import contextlib
import ipaddress
import re
from collections.abc import Mapping

import attrs
import dns.name
import msgspec

from corefile.names import name_labels, name_wire, zone_name

#: What SkyDNS and CoreDNS take where a value says nothing; the TTL in seconds.
TTL, PRIORITY, WEIGHT = 300, 10, 100
#: A value of more octets is left out.
LONGEST_VALUE = 32 * 1024
_LONGEST_STRING = 255
_MOST_TTL = (1 << 31) - 1
_SHOWN = 60

_LABEL = re.compile(r"[!-\-0-~]{1,63}", re.ASCII)
_PATH = re.compile(rf"{_LABEL.pattern}(?:/{_LABEL.pattern})*", re.ASCII)
_OCTET = r"(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)"
_IPV4 = re.compile(rf"{_OCTET}(?:\.{_OCTET}){{3}}", re.ASCII)


class Refused(Exception):
    """An entry that is left out; the message says why."""


@attrs.frozen(slots=True, eq=False)
class Entry:
    """One key. `path` is the name below the zone, as the key has it: "staging/db" is
    db.staging; in lower case. `address` or `target` is the host; `ttl` is None where the value
    has none; `lease` is 0 where there is none."""

    key: bytes
    path: str
    address: str | None
    target: str | None
    port: int
    priority: int
    weight: int
    text: bytes
    mail: bool
    ttl: int | None
    strip: int
    group: str
    lease: int

    @property
    def depth(self) -> int:
        return self.path.count("/")


@attrs.frozen
class LeaseTimes:
    """The bounds of a TTL that comes of a lease, in seconds; no other is above `most` either."""

    least: int = 30
    most: int = 24 * 3600

    def ttl(self, entry: Entry, granted: int | None) -> int:
        """The lesser of the value's TTL and the time that the entry's lease was granted for.
        Not the time that remains of it: every name would be signed anew as the clock runs, and
        a lease that is kept alive never ends. `granted` is None where nobody knows the lease
        any more: it has ended, and its keys are about to go."""
        own = min(TTL if entry.ttl is None else entry.ttl, self.most)
        if not entry.lease:
            return own
        bound = min(max(granted or 0, self.least), self.most)
        return bound if entry.ttl is None else min(own, bound)


def zone_path(origin: dns.name.Name) -> str:
    """The part of a key that stands for a zone: "org/example" for example.org."""
    labels = name_labels(zone_name(str(origin)))
    return "/".join(_segment(label) for label in reversed(labels))


def prefix(path: str, origin: dns.name.Name) -> bytes:
    """What the keys of a zone begin with, with a "/" at the end. `path` is the directive's."""
    parts = [path.strip("/"), zone_path(origin)]
    return ("/" + "".join(f"{part}/" for part in parts if part)).encode()


def read(key: bytes, value: bytes, lease: int, below: bytes, room: int) -> Entry:
    """A key below a zone's prefix. `room` is how many octets of a name are left beside the
    zone's own (RFC 1035 section 3.1). Raises Refused."""
    path = read_path(key[len(below) :], room)
    if len(value) > LONGEST_VALUE:
        raise Refused(f"the value has {len(value)} octets; at most {LONGEST_VALUE} are taken")
    try:
        found = msgspec.json.decode(value, type=dict[str, object])
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Refused(f"the value is no JSON object: {error}") from None
    # Go, in which SkyDNS's readers and writers are written, does not look at the case.
    fields = {name.lower(): content for name, content in found.items() if content is not None}
    address, target = _host(_string(fields, "host"))
    text = _string(fields, "text")
    if address is None and target is None and not text:
        raise Refused("it has neither host nor text")
    mail = fields.get("mail", False)
    if not isinstance(mail, bool):
        raise Refused("mail is neither true nor false")
    return Entry(
        key=key,
        path=path,
        address=address,
        target=target,
        port=_number(fields, "port", 0, 65535),
        priority=_number(fields, "priority", 0, 65535) or PRIORITY,
        weight=_number(fields, "weight", 0, 65535) or WEIGHT,
        text=text.encode("utf-8", "surrogateescape"),
        mail=mail,
        ttl=_number(fields, "ttl", 0, _MOST_TTL) or None,
        strip=_number(fields, "targetstrip", 0, 127),
        group=_string(fields, "group"),
        lease=lease,
    )


def read_path(rest: bytes, room: int) -> str:
    """A key's part below the zone, in lower case. Raises Refused when it is no name."""
    try:
        path = rest.decode("ascii").lower()
    except UnicodeDecodeError:
        raise Refused("the key is not ASCII; an internationalised name is written xn--…") from None
    if not _PATH.fullmatch(path):
        label = next(one for one in path.split("/") if not _LABEL.fullmatch(one))
        raise Refused(f"the key is no name: {_shown(label)} is no label")
    # A length in the place of each "/", and one before the first label.
    if len(path) + 1 > room:
        raise Refused("the key is no name: it takes more than 255 octets")
    return path


def shown(key: bytes) -> str:
    """A key, for a log: one line, and not a long one."""
    return _shown(key.decode("utf-8", "backslashreplace"))


def _shown(text: str) -> str:
    plain = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in text)
    return f"'{plain[:_SHOWN]}{'…' if len(plain) > _SHOWN else ''}'"


def _string(fields: Mapping[str, object], name: str) -> str:
    value = fields.get(name, "")
    if not isinstance(value, str):
        raise Refused(f"{name} is no string")
    return value


def _number(fields: Mapping[str, object], name: str, least: int, most: int) -> int:
    value = fields.get(name, 0)
    if isinstance(value, bool) or not isinstance(value, int):
        raise Refused(f"{name} is no whole number")
    if not least <= value <= most:
        raise Refused(f"{name} is {value}; from {least} to {most} is right")
    return value


def _host(text: str) -> tuple[str | None, str | None]:
    """An address in canonical text, or a name as `zone_name` gives it."""
    if not text:
        return None, None
    if _IPV4.fullmatch(text):
        return text, None
    if "%" not in text:
        with contextlib.suppress(ValueError):
            return str(ipaddress.ip_address(text)), None
    try:
        name = zone_name(text)
    except ValueError:
        name = "."
    # What is all digits and dots, or has a colon, was meant to be an address.
    if name == "." or ":" in name or not name.strip(".0123456789"):
        raise Refused(f"host {_shown(text)} is neither an address nor a name")
    return None, name


def _segment(label: bytes) -> str:
    return label.decode("ascii", "backslashreplace")


def text_strings(text: bytes) -> list[bytes]:
    """A text in the character-strings of a TXT record (RFC 1035 section 3.3.14)."""
    cuts = range(0, max(len(text), 1), _LONGEST_STRING)
    return [text[cut : cut + _LONGEST_STRING] for cut in cuts]


def name_octets(name: str) -> int:
    """How long a name is in wire form."""
    return len(name_wire(name))
