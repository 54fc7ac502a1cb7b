"""The entries of one zone as SkyDNS answers from them, turned into RRsets. No I/O.

SkyDNS answers a name from everything below it, or from its own key where nothing is below. Here
each name that has keys at or below it gets the RRsets that such an answer would have, so that
they can be signed beforehand. A change of one key touches its name and those above it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from corefile.names import encloses, name_labels, zone_name
from zones.etcd.rrsets import Builder, Records
from zones.etcd.skydns import TTL, WEIGHT, Entry, LeaseTimes, name_octets, text_strings

#: A name with more entries than this below it answers for none of them: its RRsets would not
#: fit into a message, and each change would sign them all again.
MOST_BELOW = 500
# SkyDNS's own limit for a chain of names.
_LONGEST_CHAIN = 8
_ANY = "any"
_APEX, _NS = "dns/apex", "dns/ns"
# CoreDNS's for a zone in etcd: the timers of the SOA, and its TTL, which is the negative one.
_TIMERS, _SOA_TTL = "7200 1800 86400 30", 30


class Tree:
    """The entries of a zone. Paths are as in `Entry`; "" is the apex."""

    def __init__(self, zone: str, times: LeaseTimes | None = None) -> None:
        """`zone` as `zone_name` gives it."""
        self.zone = zone
        self.room = 255 - name_octets(zone)
        self._times = times or LeaseTimes()
        self._reverse = encloses("in-addr.arpa.", zone) or encloses("ip6.arpa.", zone)
        self._entries: dict[bytes, Entry] = {}
        self._granted: dict[int, int] = {}
        self._at: dict[str, tuple[Entry, ...]] = {}
        self._children: dict[str, set[str]] = {}
        self._below: dict[str, int] = {}
        #: Paths that have too many entries below them to answer for.
        self.crowded: set[str] = set()
        # Names whose addresses are copied to other names, and to which.
        self._users: dict[str, set[str]] = {}
        self._used: dict[str, frozenset[str]] = {}

    # --- entries --------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._entries)

    def granted(self, lease: int, seconds: int | None) -> None:
        """How long a lease was granted for; None forgets it."""
        if seconds is None:
            self._granted.pop(lease, None)
        else:
            self._granted[lease] = seconds

    def granted_for(self, lease: int) -> int | None:
        return self._granted.get(lease)

    def knows(self, lease: int) -> bool:
        return lease in self._granted

    def forget_leases(self) -> None:
        """Those that no entry has any more."""
        held = {entry.lease for entry in self._entries.values()}
        self._granted = {lease: ttl for lease, ttl in self._granted.items() if lease in held}

    @property
    def leases(self) -> int:
        return len(self._granted)

    def put(self, entry: Entry) -> set[str]:
        """Add an entry, or replace that of its key; the paths whose records may have changed."""
        touched = self.remove(entry.key)
        self._entries[entry.key] = entry
        path = entry.path
        self._at[path] = (*self._at.get(path, ()), entry)
        while path:
            parent = path.rpartition("/")[0]
            self._children.setdefault(parent, set()).add(path)
            self._below[parent] = below = self._below.get(parent, 0) + 1
            if below > MOST_BELOW and parent:
                self.crowded.add(parent)
            path = parent
        return touched | self._touched(entry.path)

    def remove(self, key: bytes) -> set[str]:
        """Take an entry out, if it is there; the paths whose records may have changed."""
        entry = self._entries.pop(key, None)
        if entry is None:
            return set()
        path = entry.path
        left = tuple(other for other in self._at[path] if other.key != key)
        if left:
            self._at[path] = left
        else:
            del self._at[path]
        touched = self._touched(path)
        while path:
            parent = path.rpartition("/")[0]
            self._below[parent] = below = self._below[parent] - 1
            if below <= MOST_BELOW:
                self.crowded.discard(parent)
            if not below:
                del self._below[parent]
            if path not in self._at and path not in self._children:
                siblings = self._children[parent]
                siblings.discard(path)
                if not siblings:
                    del self._children[parent]
            path = parent
        return touched

    def _touched(self, path: str) -> set[str]:
        """A path, those above it, their `any`, and names that copy addresses of any of them."""
        found: set[str] = set()
        at = path
        while at:
            found.add(at)
            found.add(f"{at}/{_ANY}")
            at = at.rpartition("/")[0]
        if path == "dns" or path.startswith("dns/"):
            found.add("")
        again = [name for one in found if (name := self._users.get(one))]
        while again:
            for user in again.pop() - found:
                found.add(user)
                if further := self._users.get(user):
                    again.append(further)
        return found

    # --- records --------------------------------------------------------------------------

    def name(self, path: str) -> str:
        """A path's name in presentation form."""
        if not path:
            return self.zone
        labels = path.split("/")
        labels.reverse()
        if not _PLAIN_PATH.fullmatch(path):
            labels = [_escaped(label) for label in labels]
        below = ".".join(labels) + "."
        return below if self.zone == "." else below + self.zone

    def path(self, name: str) -> str | None:
        """The path of a name of the zone; None outside of it, or where no key can be."""
        if not _encloses(self.zone, name):
            return None
        labels = name_labels(name)
        own = labels[: len(labels) - len(name_labels(self.zone))]
        try:
            texts = [label.decode("ascii") for label in own]
        except UnicodeDecodeError:
            return None
        return None if any("/" in text for text in texts) else "/".join(reversed(texts))

    @property
    def path_count(self) -> int:
        """About how many paths have records."""
        return len(self._at) + 2 * len(self._children)

    def paths(self) -> Iterator[str]:
        """All that may have records, each once."""
        yield ""
        for path in self._at.keys() | self._children.keys():
            if path:
                yield path
        for path in () if self._reverse else self._children:
            if path and not self._is_taken(alias := f"{path}/{_ANY}"):
                yield alias

    def records(self, path: str) -> Records:
        """The RRsets at a path; none where the name does not exist or is an empty non-terminal."""
        if not path:
            return self._apex()
        if self._is_taken(path):
            return self._build(path, self.entries(path))
        self._uses(path, frozenset())
        parent, _, label = path.rpartition("/")
        if label == _ANY and parent and parent in self._children and not self._reverse:
            name = f"{_ANY}.{self.name(parent)}"
            if len(name) < 255:
                return {"CNAME": (min(TTL, self._times.most), (self.name(parent),))}
        return {}

    def entries(self, path: str) -> list[Entry]:
        """What SkyDNS answers a path from, the group of the shortest keys chosen."""
        if path not in self._children:
            return grouped(self._at.get(path, ()))
        if path in self.crowded:
            return []
        found: list[Entry] = []
        again = [path]
        while again:
            for child in sorted(self._children.get(again.pop(), ())):
                found += self._at.get(child, ())
                again.append(child)
        return grouped(found)

    def _is_taken(self, path: str) -> bool:
        return path in self._at or path in self._children

    def _apex(self) -> Records:
        builder = Builder()
        hosts = [entry for entry in self.entries(_NS) if entry.address is not None]
        for entry in hosts:
            target = self._own_target(entry)
            builder.add("NS", self._ttl(entry), target, len(target) + 1)
        under = "" if self.zone == "." else self.zone
        if not hosts:
            builder.add("NS", min(TTL, self._times.most), f"ns.dns.{under}", 0)
        if self._is_taken(_APEX):
            self._fill(builder, "", self.entries(_APEX))
        soa = f"ns.dns.{under} hostmaster.{under} 1 {_TIMERS}"
        return {"SOA": (min(_SOA_TTL, self._times.most), (soa,)), **builder.records()}

    def _build(self, path: str, entries: list[Entry]) -> Records:
        if self._reverse:
            return self._reversed(path)
        alias = self._alias(path, entries)
        if alias is not None:
            self._uses(path, frozenset())
            return {"CNAME": alias}
        builder = Builder()
        self._fill(builder, path, entries)
        return builder.records()

    def _reversed(self, path: str) -> Records:
        """In a reverse zone a host is where the address points, and only its own key counts."""
        builder = Builder()
        for entry in self._at.get(path, ()):
            if entry.target is not None:
                builder.add("PTR", self._ttl(entry), entry.target, len(entry.target) + 1)
            if entry.text:
                self._add_text(builder, self._ttl(entry), entry.text)
        return builder.records()

    def _alias(self, path: str, entries: list[Entry]) -> tuple[int, tuple[str, ...]] | None:
        """A CNAME where all hosts are one name and ask for nothing else: no other data can stand
        beside it (RFC 1034 section 3.6.2)."""
        hosts = [entry for entry in entries if entry.address or entry.target]
        targets = {entry.target for entry in hosts}
        plain = all(not entry.port and not entry.mail for entry in hosts)
        if len(targets) != 1 or not plain:
            return None
        target = targets.pop()
        if target is None or _encloses(self.name(path), target):
            return None
        return min(map(self._ttl, hosts)), (target,)

    def _fill(self, builder: Builder, path: str, entries: list[Entry]) -> None:
        """All data of a name that is no alias."""
        used: set[str] = set()
        weights: dict[int, int] = {}
        for entry in entries:
            if entry.port and (entry.address or entry.target):
                weights[entry.priority] = weights.get(entry.priority, 0) + entry.weight
        own = self.name(path or _APEX)
        for entry in entries:
            ttl = self._ttl(entry)
            if entry.text:
                self._add_text(builder, ttl, entry.text)
            target = entry.target
            if entry.address is not None:
                self._add_address(builder, ttl, entry.address)
                target = self._own_target(entry) if entry.port or entry.mail else None
            elif target is not None and not _encloses(own, target):
                self._copy_addresses(builder, ttl, target, used)
            if target is None:
                continue
            octets = len(target) + 7
            if entry.port:
                weight = max(1, WEIGHT * entry.weight // weights[entry.priority])
                srv = f"{entry.priority} {weight} {entry.port} {target}"
                builder.add("SRV", ttl, srv, octets)
            if entry.mail:
                builder.add("MX", ttl, f"{entry.priority} {target}", octets)
        self._uses(path, frozenset(used))

    def _copy_addresses(self, builder: Builder, ttl: int, target: str, used: set[str]) -> None:
        """The addresses that a name of this zone leads to, where a CNAME can't stand."""
        again = [(target, ttl, 0)]
        seen: set[str] = set()
        while again:
            name, ttl, steps = again.pop()
            path = self.path(name)
            if path is None or path in seen or steps >= _LONGEST_CHAIN:
                continue
            path = path or _APEX
            seen.add(path)
            used.add(path)
            for entry in self.entries(path):
                least = min(ttl, self._ttl(entry))
                if entry.address is not None:
                    self._add_address(builder, least, entry.address)
                elif entry.target is not None:
                    again.append((entry.target, least, steps + 1))

    def _add_address(self, builder: Builder, ttl: int, address: str) -> None:
        builder.add("AAAA" if ":" in address else "A", ttl, address, 16)

    def _add_text(self, builder: Builder, ttl: int, text: bytes) -> None:
        wire = b"".join(bytes([len(one)]) + one for one in text_strings(text))
        builder.add("TXT", ttl, f"\\# {len(wire)} {wire.hex()}", len(wire))

    def _own_target(self, entry: Entry) -> str:
        """The name of an entry's key, less the labels that it wants stripped."""
        if not entry.strip:
            return self.name(entry.path)
        segments = entry.path.split("/")
        # Above the zone there is nothing of ours; SkyDNS then strips nothing either.
        kept = len(segments) - entry.strip if entry.strip <= len(segments) else len(segments)
        return self.name("/".join(segments[:kept]))

    def _ttl(self, entry: Entry) -> int:
        return self._times.ttl(entry, self._granted.get(entry.lease))

    def _uses(self, path: str, names: frozenset[str]) -> None:
        before = self._used.pop(path, frozenset())
        if names:
            self._used[path] = names
        for name in before - names:
            self._users[name].discard(path)
            if not self._users[name]:
                del self._users[name]
        for name in names - before:
            self._users.setdefault(name, set()).add(path)


def grouped(entries: Iterable[Entry]) -> list[Entry]:
    """The group of the shortest keys that have one wins; what has none always counts. Where the
    shortest disagree, all count."""
    found = list(entries)
    named = [entry for entry in found if entry.group]
    if not named:
        return found
    least = min(entry.depth for entry in named)
    groups = {entry.group for entry in named if entry.depth == least}
    if len(groups) > 1:
        return found
    return [entry for entry in found if not entry.group or entry.group in groups]


def _encloses(ancestor: str, name: str) -> bool:
    """As `corefile.names.encloses`, quickly where no octet is escaped."""
    if "\\" in name:
        return encloses(ancestor, name)
    return name == ancestor or ancestor == "." or name.endswith(f".{ancestor}")


def _escaped(label: str) -> str:
    """A label of a key in presentation form."""
    if _PLAIN.fullmatch(label):
        return label
    return zone_name(label.replace("\\", "\\\\"))[:-1]


_PLAIN = re.compile(r"[-_*a-z0-9]+", re.ASCII)
_PLAIN_PATH = re.compile(r"[-_*a-z0-9/]+", re.ASCII)
