"""Record types that the engine does not know natively, read and written by dnspython."""

from __future__ import annotations

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype


def read(rtype: int, text: str, origin: bytes) -> bytes:
    """Wire rdata of `text`, relative names completed with `origin` (a name in wire form).

    Raises ValueError, in dnspython's words, when the text is no rdata of the type.
    """
    base, _ = dns.name.from_wire(origin, 0)
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN,
            dns.rdatatype.RdataType.make(rtype),
            text,
            origin=base,
            relativize=False,
        )
        return rdata.to_wire() or b""
    except (dns.exception.DNSException, ValueError) as error:
        raise ValueError(str(error) or type(error).__name__) from error


def write(rtype: int, rdata: bytes) -> str:
    """Presentation form of wire rdata; RFC 3597 generic form for types unknown to dnspython."""
    try:
        return dns.rdata.from_wire(
            dns.rdataclass.IN, dns.rdatatype.RdataType.make(rtype), rdata, 0, len(rdata)
        ).to_text()
    except dns.exception.DNSException:
        return f"\\# {len(rdata)} {rdata.hex()}".rstrip()
