"""What `signer.childscan` judges by, asked for: every address of every server of a child, over
TCP, and the signalling records that its servers publish (RFC 9615), through a resolver and
validated."""

import asyncio
import time
from collections.abc import Callable, Mapping, Sequence

import attrs
import dns.asyncresolver
import dns.exception
import dns.name
import dns.rdatatype
import dns.resolver

from signer import anchors
from signer.asking import Answered, Silent, ask, ask_resolver
from signer.chain import AnswerCache, Chain
from signer.childscan import CDNSKEY, CDS, DNSKEY, Child, Heard, Signal, Verdict, judge
from signer.signalling import signalling_name
from signer.signatures import check, find
from signer.trust import Anchor, Bogus, Insecure

_SOA, _RRSIG = dns.rdatatype.SOA, dns.rdatatype.RRSIG
# More servers, or addresses of one, are nobody's, and would make us a means of attack.
_MOST_SERVERS = 16
_MOST_ADDRESSES = 8
_DAY = 86_400


@attrs.frozen
class Network:
    """How to ask. `timeout` in seconds, for each question; `port` is that of the children's
    servers; without `ipv6` addresses of that kind are left out; `anchors` are what signalling
    records are validated from; `wall` gives Unix seconds."""

    resolver: dns.asyncresolver.Resolver
    anchors: Sequence[Anchor]
    timeout: float = 5.0
    port: int = 53
    ipv6: bool = True
    cache: AnswerCache = attrs.field(factory=AnswerCache)
    wall: Callable[[], float] = time.time


async def scan(
    child: Child,
    glue: Mapping[dns.name.Name, Sequence[str]],
    network: Network,
    *,
    unsigned: bool = False,
) -> Verdict:
    """`glue` has the addresses that the parent has; others are asked for. `unsigned`: a person's
    word for a child without DS."""
    heard = await _hear(child, glue, network)
    now = int(network.wall())
    verdict = judge(child, heard, now, unsigned=unsigned)
    if child.ds or unsigned or not child.outside:
        return verdict
    if not any(isinstance(one.cds, Answered) and one.cds.rdatas for one in heard):
        return verdict
    found = await asyncio.gather(
        *(_signal(child.name, server, network) for server in child.outside)
    )
    signals = dict(zip(child.outside, found, strict=True))
    return judge(child, heard, now, signals=signals)


# --- the child's servers -------------------------------------------------------------------


async def _hear(
    child: Child, glue: Mapping[dns.name.Name, Sequence[str]], network: Network
) -> list[Heard]:
    if len(child.servers) > _MOST_SERVERS:
        return [_unheard(Silent(f"it has more than {_MOST_SERVERS} name servers"))]
    servers = sorted(child.servers)
    addresses = await asyncio.gather(*(_addresses(server, glue, network) for server in servers))
    heard = await asyncio.gather(
        *(
            _hear_server(child.name, server, found, network)
            for server, found in zip(servers, addresses, strict=True)
        )
    )
    return [one for several in heard for one in several]


def _unheard(why: Silent) -> Heard:
    return Heard("", why, why, why, why)


async def _hear_server(
    child: dns.name.Name,
    server: dns.name.Name,
    addresses: Sequence[str] | Silent,
    network: Network,
) -> list[Heard]:
    if isinstance(addresses, Silent):
        return [_unheard(addresses)]
    if not addresses:
        return [_unheard(Silent(f"{server} has no address"))]
    if len(addresses) > _MOST_ADDRESSES:
        return [_unheard(Silent(f"{server} has more than {_MOST_ADDRESSES} addresses"))]
    return await asyncio.gather(
        *(_hear_address(child, f"{server} ({one})", one, network) for one in addresses)
    )


async def _hear_address(child: dns.name.Name, where: str, address: str, network: Network) -> Heard:
    async def one(rtype: dns.rdatatype.RdataType) -> Answered | Silent:
        return await ask(child, rtype, address, network.port, network.timeout, tcp=True)

    soa = await one(_SOA)
    if isinstance(soa, Silent):
        return Heard(where, soa, soa, soa, soa)
    return Heard(where, soa, *await asyncio.gather(one(DNSKEY), one(CDS), one(CDNSKEY)))


async def _addresses(
    server: dns.name.Name, glue: Mapping[dns.name.Name, Sequence[str]], network: Network
) -> Sequence[str] | Silent:
    """Those that the parent has, else those that the resolver knows."""
    found = list(glue.get(server, ()))
    if not found:
        for rtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
            try:
                answer = await network.resolver.resolve(
                    server, rtype, search=False, lifetime=network.timeout
                )
            except (dns.resolver.NoAnswer, dns.resolver.NXDOMAIN):
                continue
            except (dns.exception.DNSException, OSError) as error:
                text = " ".join(str(error).split())
                return Silent(f"the addresses of {server} can't be found ({text})")
            found += [rdata.address for rdata in answer]
    return [one for one in dict.fromkeys(found) if network.ipv6 or ":" not in one]


# --- signalling records --------------------------------------------------------------------


async def _signal(child: dns.name.Name, server: dns.name.Name, network: Network) -> Signal | Silent:
    name = signalling_name(child, server)
    if name is None:
        return Silent("the signalling name is longer than 255 octets")
    cds, cdnskey = await asyncio.gather(
        _validated(name, CDS, network), _validated(name, CDNSKEY, network)
    )
    if isinstance(cds, Silent):
        return cds
    if isinstance(cdnskey, Silent):
        return cdnskey
    return Signal(cds, cdnskey)


async def _validated(
    name: dns.name.Name, rtype: dns.rdatatype.RdataType, network: Network
) -> frozenset[bytes] | Silent:
    """RFC 9615 section 4.2: enforced, so that what is insecure is nothing."""
    answer = await ask_resolver(network.resolver, name, rtype, network.timeout)
    if isinstance(answer, Silent):
        return answer
    what = f"{dns.rdatatype.to_text(rtype)} of {name}"
    rrset = find(answer.rrsets, name, rtype)
    signatures = find(answer.rrsets, name, _RRSIG)
    if rrset is None:
        return Silent(f"there is no {what}")
    signers = [] if signatures is None else [one.signer for one in signatures][:1]
    if not signers or not name.is_subdomain(signers[0]):
        return Silent(f"{what} is not signed")
    anchor = anchors.nearest(network.anchors, signers[0])
    if anchor is None:
        return Silent(f"no trust anchor is above {signers[0]}")
    now = int(network.wall())
    chain = Chain(network.resolver, network.cache, network.timeout)
    keys = await chain.keys(anchor, signers[0], now, _DAY)
    if isinstance(keys, Silent | Bogus | Insecure):
        return Silent(f"no chain of trust to {signers[0]}: {keys.reason}")
    signed = check(rrset, answer.rrsets, keys, now)
    return Silent(signed.reason) if isinstance(signed, Bogus) else answer.rdatas
