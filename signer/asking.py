"""One question to one authoritative server, over UDP and then TCP; or to the system's resolver."""

import attrs
import dns.asyncquery
import dns.asyncresolver
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdataclass
import dns.rdatatype
import dns.resolver
import dns.rrset

from signer.pace import Pace

_PAYLOAD = 1232
_PACE = Pace()


@attrs.frozen
class Answered:
    """The RRset as that server has it; empty when it has none. `ttl` in seconds: of the
    RRset, or of the negative answer (RFC 2308 section 5). `rrsets` is all that came with it,
    signatures and proofs, for `signer.validation`."""

    rdatas: frozenset[bytes]
    ttl: int
    rrsets: tuple[dns.rrset.RRset, ...] = ()

    @property
    def soa(self) -> dns.name.Name | None:
        """The apex that the answer speaks for, where it has or denies something there."""
        return next((one.name for one in self.rrsets if one.rdtype == dns.rdatatype.SOA), None)


@attrs.frozen
class Silent:
    """No answer that says anything, and why. `spoke`: something did come."""

    reason: str
    spoke: bool = False


async def ask(
    name: dns.name.Name,
    rtype: dns.rdatatype.RdataType,
    address: str,
    port: int,
    timeout: float,
    *,
    paced: bool = True,
    tcp: bool = False,
) -> Answered | Silent:
    """Never raises for what a network or a server can do; `timeout` in seconds. `paced`: the
    server is somebody else's, and gets no more than some questions a second. `tcp`: over that
    alone, by which nobody answers in another's place without being on the path."""
    where = f"{address} port {port}"
    query = dns.message.make_query(name, rtype, want_dnssec=True, payload=_PAYLOAD)
    query.flags &= ~dns.flags.RD
    if paced:
        await _PACE.turn(address)
    try:
        if tcp:
            response = await dns.asyncquery.tcp(query, address, timeout=timeout, port=port)
        else:
            response, _ = await dns.asyncquery.udp_with_fallback(
                query, address, timeout=timeout, port=port, ignore_unexpected=True
            )
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        text = " ".join(str(error).split()) or type(error).__name__
        return Silent(f"{where} does not answer ({text})")
    if response.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return Silent(f"{where} answers {dns.rcode.to_text(response.rcode())}", spoke=True)
    if not response.flags & dns.flags.AA:
        what = f"{dns.rdatatype.to_text(rtype)} of {name}"
        return Silent(f"{where} is not authoritative for {what}", spoke=True)
    return _read(response, name, rtype)


async def ask_resolver(
    resolver: dns.asyncresolver.Resolver,
    name: dns.name.Name,
    rtype: dns.rdatatype.RdataType,
    timeout: float,
) -> Answered | Silent:
    """With CD, so that what does not validate comes too, and DO. `timeout` in seconds, for
    all tries together."""
    own = dns.asyncresolver.Resolver(configure=False)
    own.nameservers = resolver.nameservers
    own.port = resolver.port
    own.flags = dns.flags.RD | dns.flags.CD
    own.use_edns(0, dns.flags.DO, _PAYLOAD)
    what = f"the resolver does not give {dns.rdatatype.to_text(rtype)} of {name}"
    for server in resolver.nameservers[:1]:
        await _PACE.turn(str(server))
    try:
        answer = await own.resolve(
            name, rtype, raise_on_no_answer=False, lifetime=timeout, search=False
        )
        response = answer.response
    except dns.resolver.NXDOMAIN as error:
        response = error.response(name)  # type: ignore[no-untyped-call]
    except (dns.exception.DNSException, OSError, EOFError, ValueError) as error:
        return Silent(f"{what} ({' '.join(str(error).split()) or type(error).__name__})")
    return _read(response, name, rtype)


def _read(
    response: dns.message.Message, name: dns.name.Name, rtype: dns.rdatatype.RdataType
) -> Answered:
    rrsets = (*response.answer, *response.authority)
    rrset = response.get_rrset(response.answer, name, dns.rdataclass.IN, rtype)
    if rrset is not None:
        rdatas = frozenset(rdata.to_digestable() for rdata in rrset)
        return Answered(rdatas, rrset.ttl, rrsets)
    negative = [
        min(found.ttl, found[0].minimum)
        for found in response.authority
        if found.rdtype == dns.rdatatype.SOA
    ]
    return Answered(frozenset(), max(negative, default=0), rrsets)
