"""Whether an RRset is signed by a zone's keys (RFC 4035 section 5.3), by dnspython. Pure."""

from collections.abc import Iterable, Iterator, Sequence

import attrs
import cryptography.exceptions
import dns.dnssec
import dns.exception
import dns.name
import dns.node
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.RRSIG
import dns.rdtypes.dnskeybase
import dns.rrset

from signer.trust import Bogus, ZoneKeys

#: What is validated; the rest is insecure (RFC 8624 section 3.1; RFC 9905 for SHA-1).
ALGORITHMS = frozenset({8, 10, 13, 14, 15, 16})

# Signatures tried for one RRset: keys that share a tag must not cost more (CVE-2023-50387).
_MOST_TRIES = 8

RRSIG = dns.rdtypes.ANY.RRSIG.RRSIG
DNSKEY = dns.rdtypes.ANY.DNSKEY.DNSKEY
_Flag = dns.rdtypes.dnskeybase.Flag


@attrs.frozen
class Signed:
    """Of the signatures that verify now: the highest original TTL, in seconds, and the window
    of the newest, in Unix seconds."""

    original_ttl: int
    inception: int
    expiration: int


def find(
    rrsets: Iterable[dns.rrset.RRset], owner: dns.name.Name, rtype: dns.rdatatype.RdataType
) -> dns.rrset.RRset | None:
    for one in rrsets:
        if one.name == owner and one.rdtype == rtype and one.rdclass == dns.rdataclass.IN:
            return one
    return None


def check(
    rrset: dns.rrset.RRset, rrsets: Sequence[dns.rrset.RRset], keys: ZoneKeys, now: int
) -> Signed | Bogus:
    """`rrsets` is the whole answer, which holds the signatures; `now` in Unix seconds."""
    what = f"{dns.rdatatype.to_text(rrset.rdtype)} of {rrset.name}"
    signatures = [*_signatures(rrset, rrsets)]
    if not signatures:
        return Bogus(f"{what} carries no signature")
    found: list[RRSIG] = []
    faults: list[str] = []
    tries = _MOST_TRIES
    for signature in signatures:
        fault = _fault(rrset, signature, keys, now)
        candidates = [key for key in keys.dnskeys if _may_have_made(key, signature)]
        if fault is None and not candidates:
            fault = f"the DNSKEY RRset of {keys.zone} has no key {signature.key_tag}"
        if fault is None:
            tries -= len(candidates)
            if tries < 0:
                return Bogus(f"{what} carries too many signatures")
            if any(_verifies(rrset, signature, key, now) for key in candidates):
                found.append(signature)
                continue
            fault = f"the signature of key {signature.key_tag} does not verify"
        faults.append(fault)
    if not found:
        return Bogus(f"{what}: {'; '.join(dict.fromkeys(faults[:3]))}")
    newest = max(found, key=lambda one: one.inception)
    highest = max(one.original_ttl for one in found)
    return Signed(highest, newest.inception, newest.expiration)


def _signatures(rrset: dns.rrset.RRset, rrsets: Iterable[dns.rrset.RRset]) -> Iterator[RRSIG]:
    for one in rrsets:
        if one.name == rrset.name and one.rdtype == dns.rdatatype.RRSIG:
            for rdata in one:
                if isinstance(rdata, RRSIG) and rdata.type_covered == rrset.rdtype:
                    yield rdata


def _fault(rrset: dns.rrset.RRset, signature: RRSIG, keys: ZoneKeys, now: int) -> str | None:
    """What is wrong with a signature without any arithmetic (RFC 4035 section 5.3.1)."""
    if signature.signer != keys.zone:
        return f"it is signed by {signature.signer}, not by {keys.zone}"
    if not rrset.name.is_subdomain(keys.zone):
        return f"it is not in {keys.zone}"
    labels = len(rrset.name) - 1 - (1 if rrset.name.is_wild() else 0)
    if signature.labels != labels:
        # Neither a DS nor what denies one is made from a wildcard (RFC 4592 section 4.6).
        return "it is made from a wildcard"
    if signature.expiration < now:
        return f"the signature of key {signature.key_tag} has expired"
    if signature.inception > now:
        return f"the signature of key {signature.key_tag} is not yet valid"
    return None


def _may_have_made(key: DNSKEY, signature: RRSIG) -> bool:
    """RFC 4034 section 2.1; a revoked key signs only its own set (RFC 5011 section 2.1)."""
    return (
        key.algorithm == signature.algorithm
        and key.algorithm in ALGORITHMS
        and key.protocol == 3
        and bool(key.flags & _Flag.ZONE)
        and not key.flags & _Flag.REVOKE
        and dns.dnssec.key_id(key) == signature.key_tag
    )


def _verifies(rrset: dns.rrset.RRset, signature: RRSIG, key: DNSKEY, now: int) -> bool:
    keys: dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset] = {
        signature.signer: dns.rdataset.from_rdata(0, key)
    }
    try:
        dns.dnssec.validate_rrsig(rrset, signature, keys, now=now)
    except (
        dns.exception.DNSException,
        cryptography.exceptions.InvalidSignature,
        cryptography.exceptions.UnsupportedAlgorithm,
        ValueError,
    ):
        return False
    return True
