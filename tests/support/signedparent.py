"""A parent zone signed by the engine, and the answers that its servers give: RRsets with their
signatures, and what proves that there are none."""

import base64
from collections.abc import Sequence
from typing import Any

import dns.flags
import dns.message
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY
import dns.rdtypes.ANY.DS
import dns.rrset
import keymaker

import engine
from signer.ds import ds_rdata
from signer.trust import Anchor

SOA = "@ 900 SOA ns admin 1 7200 3600 1209600 300\n@ 900 NS ns\n"


class SignedParent:
    """`zone` is the version as engine.Zone. `keys` sign it; `changes` are of the plan."""

    def __init__(
        self,
        origin: str,
        records: str,
        keys: Sequence[engine.SigningKey] = (),
        **changes: Any,
    ) -> None:
        self.origin = dns.name.from_text(origin)
        self.keys = keys or (keymaker.key(),)
        text = f"$ORIGIN {origin}\n" + SOA + records
        source = engine.scan_text(text.encode(), self.origin.to_wire())
        self.zone = keymaker.sign_new(source, keymaker.plan(*self.keys, **changes)).zone

    @property
    def dnskeys(self) -> list[dns.rdtypes.ANY.DNSKEY.DNSKEY]:
        return [rdata(dns.rdatatype.DNSKEY, key.dnskey) for key in self.keys]

    @property
    def anchor(self) -> Anchor:
        return Anchor(self.origin, ds=frozenset(self.ds()))

    def ds(self, digest: int = 2) -> list[dns.rdtypes.ANY.DS.DS]:
        return [
            rdata(dns.rdatatype.DS, ds_rdata(self.origin, key.dnskey, digest)) for key in self.keys
        ]

    def rrsets(self, name: dns.name.Name, rtype: int) -> list[dns.rrset.RRset]:
        """The RRset and its signatures; empty where there is none."""
        found = self.zone.rrset(name.canonicalize().to_wire(), rtype)
        if found is None:
            return []
        covered = dns.rrset.from_rdata_list(
            name, found.ttl, [rdata(found.rtype, one) for one in found.rdatas]
        )
        if not found.signatures:
            return [covered]
        signatures = [rdata(dns.rdatatype.RRSIG, one) for one in found.signatures]
        rrsig = dns.rrset.RRset(name, dns.rdataclass.IN, dns.rdatatype.RRSIG, found.rtype)
        for one in signatures:
            rrsig.add(one, found.ttl)
        return [covered, rrsig]

    def all_of(self, rtype: int) -> list[dns.rrset.RRset]:
        """Every RRset of a type with its signatures: of NSEC and NSEC3 the whole chain."""
        found = []
        for one in self.zone:
            if one.rtype == rtype:
                found += self.rrsets(dns.name.from_wire(one.owner, 0)[0], rtype)
        return found

    def nsec3_owner(self, name: str) -> dns.name.Name:
        wire = dns.name.from_text(name).canonicalize().to_wire()
        hashed = base64.b32hexencode(engine.nsec3_hash(wire, 0, b"")).lower()
        return dns.name.Name((hashed, *self.origin.labels))

    def answer(self, query: dns.message.Message) -> dns.message.Message:
        """As an authoritative server answers: DNSKEY, SOA and DS, or the whole chain as the
        proof that there is none."""
        response = dns.message.make_response(query)
        response.flags |= dns.flags.AA
        question = query.question[0]
        found = self.rrsets(question.name, question.rdtype)
        if found:
            response.answer += found
        else:
            response.authority += self.rrsets(self.origin, dns.rdatatype.SOA)
            response.authority += self.all_of(dns.rdatatype.NSEC)
            response.authority += self.all_of(dns.rdatatype.NSEC3)
        return response


def rdata(rtype: int, wire: bytes) -> Any:
    return dns.rdata.from_wire(dns.rdataclass.IN, rtype, wire, 0, len(wire))
