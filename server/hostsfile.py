"""Hosts files (hosts(5)), and the rules that they are for the engine."""

import ipaddress
from collections.abc import Iterable, Iterator, Mapping

import attrs

from corefile.names import encloses, name_wire, zone_name
from server.compiledrules import IN, SERVFAIL, Pass, Record, Reply, Rule, Type

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_TYPES = {4: Type.A, 6: Type.AAAA}
_PTR = Type.PTR


@attrs.frozen
class Entry:
    """An address and its names, absolute and in lower case."""

    address: Address
    names: tuple[str, ...]


@attrs.frozen
class Meaning:
    """How *hosts* was configured. `through` are the names under which a name without an
    address is left to the next stage."""

    origins: tuple[str, ...]
    ttl: int
    reverse: bool
    through: tuple[str, ...]


def entry(words: list[str]) -> Entry:
    """Raises ValueError with what is wrong."""
    text = words[0].partition("%")[0]
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise ValueError(f"'{words[0]}' found where an address should be") from None
    if len(words) < 2:
        raise ValueError(f"'{words[0]}' has no name")
    return Entry(address, tuple(zone_name(word) for word in words[1:]))


def entries(text: str) -> Iterator[Entry]:
    """What can be read of a file; other lines are passed over."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if words:
            try:
                yield entry(words)
            except ValueError:
                continue


def rules(found: Iterable[Entry], meaning: Meaning) -> tuple[Rule, ...]:
    """CoreDNS's meaning: a PTR query that no line answers goes on; so does a name outside of
    the origins; one within that has no address is SERVFAIL, as there is no SOA for a denial."""
    names: dict[str, dict[Address, None]] = {}
    reverse: dict[Address, dict[str, None]] = {}
    is_all = "." in meaning.origins
    for one in found:
        for name in one.names:
            if is_all or any(encloses(origin, name) for origin in meaning.origins):
                names.setdefault(name, {})[one.address] = None
                reverse.setdefault(one.address, {})[name] = None
    return (
        *(_pointers(reverse, meaning.ttl) if meaning.reverse else ()),
        Rule(types=(_PTR,), action=Pass()),
        *_addresses(names, meaning.ttl),
        *([Rule(below=meaning.through, action=Pass())] if meaning.through else ()),
        Rule(
            classes=(IN,),
            below=meaning.origins,
            action=Reply(rcode=SERVFAIL),
            signed="pass",
        ),
    )


def _pointers(reverse: Mapping[Address, Iterable[str]], ttl: int) -> Iterator[Rule]:
    for address, names in reverse.items():
        records = tuple(Record(rtype=_PTR, ttl=ttl, rdata=name_wire(name).hex()) for name in names)
        yield Rule(
            classes=(IN,),
            types=(_PTR,),
            names=(address.reverse_pointer + ".",),
            action=Reply(authoritative=True, records=records),
            signed="pass",
        )


def _addresses(names: Mapping[str, Iterable[Address]], ttl: int) -> Iterator[Rule]:
    for name, addresses in names.items():
        records = tuple(
            Record(rtype=_TYPES[one.version], ttl=ttl, rdata=one.packed.hex()) for one in addresses
        )
        yield Rule(
            classes=(IN,),
            names=(name,),
            action=Reply(authoritative=True, records=records),
            signed="pass",
        )
