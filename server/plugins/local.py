"""*local*: names that never leave the machine (RFC 6303, RFC 6761 section 6.3)."""

import struct
from ipaddress import ip_address

from corefile.arguments import plain
from corefile.directive import Directive
from corefile.names import name_wire
from server.compiled import Rules
from server.compiledrules import IN, NXDOMAIN, Mark, Record, Reply, Rule, Type
from server.parts import Context, Parts

_TTL = 604800
_REVERSE = ("0.in-addr.arpa.", "127.in-addr.arpa.", "255.in-addr.arpa.")
_LOCALHOST = name_wire("localhost.")


def _record(kind: Type, rdata: bytes, owner: str | None = None) -> Record:
    return Record(rtype=kind, ttl=_TTL, rdata=rdata.hex(), owner=owner)


def _soa(owner: str | None = None) -> Record:
    numbers = struct.pack("!5I", 1, 0, 0, 0, _TTL)
    return _record(Type.SOA, _LOCALHOST + name_wire("root.localhost.") + numbers, owner)


_A = _record(Type.A, ip_address("127.0.0.1").packed)
_AAAA = _record(Type.AAAA, ip_address("::1").packed)
_NS = _record(Type.NS, _LOCALHOST)
_PTR = _record(Type.PTR, _LOCALHOST)


def _rule(
    *records: Record,
    authority: Record,
    rcode: int = 0,
    first: tuple[str, ...] = (),
    names: tuple[str, ...] = (),
    below: tuple[str, ...] = (),
    mark: Mark | None = None,
) -> Rule:
    return Rule(
        classes=(IN,),
        first=first,
        names=names,
        below=below,
        action=Reply(rcode=rcode, records=records, authority=(authority,)),
        signed="pass",
        mark=mark,
    )


RULES = (
    # Search lists make localhost.example.org of it.
    _rule(_A, _AAAA, authority=_soa(), first=("localhost",), mark="localhost"),
    _rule(_A, _AAAA, _soa(), _NS, authority=_soa(), names=("localhost.",)),
    _rule(_soa(), _NS, authority=_soa(), names=_REVERSE),
    _rule(_PTR, authority=_soa("127.in-addr.arpa."), names=("1.0.0.127.in-addr.arpa.",)),
    *(
        _rule(authority=_soa(zone), rcode=NXDOMAIN, below=(zone,))
        for zone in ("localhost.", *_REVERSE)
    ),
)


def setup(directive: Directive, context: Context) -> Parts:
    plain(directive, 0, 0, "local")
    return Parts(stage=Rules(plugin="local", rules=RULES))
