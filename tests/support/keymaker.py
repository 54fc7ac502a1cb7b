"""Keys and plans for tests that sign."""

import functools
from collections.abc import Callable, Sequence
from typing import Any

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

import engine

ALGORITHMS = {
    8: "RSASHA256",
    10: "RSASHA512",
    13: "ECDSAP256SHA256",
    14: "ECDSAP384SHA384",
    15: "ED25519",
    16: "ED448",
}

IN = dns.rdataclass.IN
NOW = 1_800_000_000
DAY = 86_400

_GENERATE: dict[int, Callable[[], Any]] = {
    8: lambda: rsa.generate_private_key(65537, 2048),
    10: lambda: rsa.generate_private_key(65537, 2048),
    13: lambda: ec.generate_private_key(ec.SECP256R1()),
    14: lambda: ec.generate_private_key(ec.SECP384R1()),
    15: ed25519.Ed25519PrivateKey.generate,
    16: ed448.Ed448PrivateKey.generate,
}


def new_pair(algorithm: int, flags: int = 257) -> tuple[bytes, Any]:
    """DNSKEY rdata and the private key, freshly generated."""
    private = _GENERATE[algorithm]()
    dnskey = dns.dnssec.make_dnskey(private.public_key(), algorithm, flags)
    return dnskey.to_wire(), private


def pkcs8(private: Any) -> bytearray:
    return bytearray(private.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption()))


def new_key(algorithm: int, flags: int = 257) -> engine.SigningKey:
    dnskey, private = new_pair(algorithm, flags)
    if algorithm == 16:
        return engine.SigningKey.external(dnskey, lambda messages: [*map(private.sign, messages)])
    return engine.SigningKey(dnskey, pkcs8(private))


@functools.cache
def key(algorithm: int = 13, flags: int = 257, number: int = 0) -> engine.SigningKey:
    """The same one each time in one run of the tests; `number` tells several apart."""
    return new_key(algorithm, flags)


def plan(
    *keys: engine.SigningKey,
    serial: int = 2,
    now: int = NOW,
    **changes: Any,
) -> engine.SignPlan:
    """Keys that do everything, signatures for two weeks; `changes` are arguments as they are."""
    keys = keys or (key(),)
    arguments: dict[str, Any] = {
        "keys": [(one, engine.SIGNS_KEYS | engine.SIGNS_ZONE) for one in keys],
        "dnskeys": [one.dnskey for one in keys],
        "dnskey_ttl": 3600,
        "serial": serial,
        "inception": now - 3600,
        "expiration": now + 14 * DAY,
        "refresh_before": now + 5 * DAY,
    }
    return engine.SignPlan(**arguments | changes)


def sign_new(zone: engine.Zone, plan: engine.SignPlan) -> engine.Signed:
    return engine.sign(None, engine.source_changes(None, zone), plan)


def wires(rrsets: Sequence[engine.RRset]) -> list[tuple[bytes, int, int, list[bytes]]]:
    """RRsets without their signatures, as values that compare."""
    return [(one.owner, one.rtype, one.ttl, one.rdatas) for one in rrsets]


def validate(zone: engine.Zone, now: int = NOW) -> int:
    """Every signature of a zone by dnspython, which shares no code with ours; how many.

    Raises dns.dnssec.ValidationFailure.
    """
    origin, _ = dns.name.from_wire(zone.origin, 0)
    apex = zone.rrset(zone.origin, dns.rdatatype.DNSKEY)
    assert apex is not None
    keys = {origin: to_dnspython(apex)[1]}
    count = 0
    for rrset in zone:
        owner, rdataset = to_dnspython(rrset)
        for signature in rrset.signatures:
            rrsig = dns.rdata.from_wire(IN, dns.rdatatype.RRSIG, signature, 0, len(signature))
            dns.dnssec.validate_rrsig((owner, rdataset), rrsig, keys, now=now)
            count += 1
    return count


def to_dnspython(rrset: engine.RRset) -> tuple[dns.name.Name, dns.rdataset.Rdataset]:
    owner, _ = dns.name.from_wire(rrset.owner, 0)
    rdatas = [dns.rdata.from_wire(IN, rrset.rtype, one, 0, len(one)) for one in rrset.rdatas]
    return owner, dns.rdataset.from_rdata_list(rrset.ttl, rdatas)
