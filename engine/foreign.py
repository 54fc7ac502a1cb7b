"""Record types that the scanner does not know natively, read and printed by dnspython."""

import io

import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype


def from_text(rtype: int, text: str, origin: bytes) -> bytes:
    """Uncompressed wire rdata of zone-file text; relative names are completed with `origin`
    (a name in wire form). Raises ValueError on bad text and on a type without a text form."""
    apex, _ = dns.name.from_wire(origin, 0)
    try:
        rdata = dns.rdata.from_text(
            dns.rdataclass.IN, dns.rdatatype.RdataType.make(rtype), text, apex, relativize=False
        )
        rdata.to_wire(wire := io.BytesIO())
    except dns.exception.DNSException as error:
        raise ValueError(str(error) or type(error).__name__) from error
    return wire.getvalue()


def to_text(rtype: int, rdata: bytes) -> str:
    """Zone-file text of rdata on one line, in RFC 3597's generic form where dnspython does
    not know the type. Raises ValueError when the rdata is not right for the type."""
    try:
        number = dns.rdatatype.RdataType.make(rtype)
        value = dns.rdata.from_wire(dns.rdataclass.IN, number, rdata, 0, len(rdata))
        return value.to_text()
    except dns.exception.DNSException as error:
        raise ValueError(str(error) or type(error).__name__) from error
