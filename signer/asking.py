"""One question to one authoritative server, over UDP and then TCP."""

import attrs
import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype

from signer.pace import Pace

_PAYLOAD = 1232
_PACE = Pace()


@attrs.frozen
class Answered:
    """The RRset as that server has it; empty when it has none. `ttl` in seconds: of the
    RRset, or of the negative answer (RFC 2308 section 5)."""

    rdatas: frozenset[bytes]
    ttl: int


@attrs.frozen
class Silent:
    """No answer that says anything, and why."""

    reason: str


async def ask(
    name: dns.name.Name, rtype: dns.rdatatype.RdataType, address: str, port: int, timeout: float
) -> Answered | Silent:
    """Never raises for what a network or a server can do; `timeout` in seconds."""
    where = f"{address} port {port}"
    query = dns.message.make_query(name, rtype, want_dnssec=True, payload=_PAYLOAD)
    query.flags &= ~dns.flags.RD
    await _PACE.turn(address)
    try:
        response, _ = await dns.asyncquery.udp_with_fallback(
            query, address, timeout=timeout, port=port, ignore_unexpected=True
        )
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return Silent(f"{where} does not answer ({text})")
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Silent(f"{where} answers {dns.rcode.to_text(response.rcode())}")
    if not response.flags & dns.flags.AA:
        return Silent(f"{where} is not authoritative for {dns.rdatatype.to_text(rtype)} of {name}")
    rrset = response.get_rrset(response.answer, name, dns.rdataclass.IN, rtype)
    if rrset is not None:
        return Answered(frozenset(rdata.to_digestable() for rdata in rrset), rrset.ttl)
    negative = [
        min(found.ttl, found[0].minimum)
        for found in response.authority
        if found.rdtype == dns.rdatatype.SOA
    ]
    return Answered(frozenset(), max(negative, default=0))
