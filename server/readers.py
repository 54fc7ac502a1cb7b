"""Readers for arguments that only the server's plugins have.

The library that knows all types is loaded where one is named: the server starts without it.
"""

import ipaddress
import socket

import engine
from corefile.lexer import Token
from corefile.place import CorefileError

# RFC 1035 section 4.1.1, RFC 2136 section 2.2: those that a header holds alone.
RCODES = {
    "NOERROR": 0,
    "FORMERR": 1,
    "SERVFAIL": 2,
    "NXDOMAIN": 3,
    "NOTIMP": 4,
    "REFUSED": 5,
    "YXDOMAIN": 6,
    "YXRRSET": 7,
    "NXRRSET": 8,
    "NOTAUTH": 9,
    "NOTZONE": 10,
}

# RFC 1035 sections 3.2.4 and 3.2.5.
CLASSES = {"IN": 1, "CH": 3, "HS": 4, "ANY": 255}


def rdata_type(token: Token) -> int:
    """A type by its mnemonic or as TYPE123 (RFC 3597 section 5)."""
    import dns.exception
    import dns.rdatatype

    try:
        return int(dns.rdatatype.from_text(token.text))
    except (dns.exception.DNSException, ValueError):
        raise CorefileError(
            token.place, f"'{token.text}' found where a record type such as A or TXT should be"
        ) from None


def network(token: Token) -> str:
    """ADDRESS or ADDRESS/LENGTH as canonical CIDR text."""
    try:
        return str(ipaddress.ip_network(token.text, strict=False))
    except ValueError:
        raise CorefileError(
            token.place,
            f"'{token.text}' found where a network such as 192.0.2.0/24 or 2001:db8::/32 should be",
        ) from None


def pattern(token: Token) -> engine.Pattern:
    """A regular expression that the engine can match."""
    try:
        return engine.Pattern(token.text)
    except engine.EngineError as error:
        raise CorefileError(
            token.place,
            f"'{token.text}' is no regular expression that is understood: {error.message}",
        ) from None


def character_string(text: str) -> bytes:
    """RFC 1035 section 3.3: at most 255 octets; what is longer is cut, as CoreDNS does."""
    octets = text.encode()[:255]
    return bytes([len(octets)]) + octets


def hostname() -> str:
    return socket.gethostname() or "localhost"
