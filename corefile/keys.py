"""The keys of a server block: [SCHEME://]ZONE[:PORT], or an address range for reverse zones."""

import ipaddress

import attrs

from corefile.lexer import Token
from corefile.names import zone_name
from corefile.place import CorefileError, Place

PORTS = {"dns": 53, "tls": 853, "quic": 853, "grpc": 443, "https": 443, "https3": 443}

# A range of no whole octet or nibble is this many zones at most: 2 to the power of 7.
_OCTET, _NIBBLE = 8, 4


@attrs.frozen
class Key:
    """What a block answers for: `zone` is absolute, lower-case text ("example.org.")."""

    scheme: str
    zone: str
    port: int
    place: Place = attrs.field(eq=False)

    def __str__(self) -> str:
        return f"{self.scheme}://{self.zone}:{self.port}"


def parse_key(token: Token, *, dns_port: int = 53) -> tuple[Key, ...]:
    """The keys that one token stands for: one, or several for a range whose mask is no whole
    octet (IPv4) or nibble (IPv6). Raises CorefileError."""
    text = token.text
    scheme, found, rest = text.partition("://")
    if not found:
        scheme, rest = "dns", text
    scheme = scheme.lower()
    if scheme not in PORTS:
        raise CorefileError(
            token.place, f"unknown scheme '{scheme}' in '{text}'; known: {', '.join(PORTS)}"
        )
    port = dns_port if scheme == "dns" else PORTS[scheme]
    host, rest_port = _split_port(rest)
    if rest_port is not None:
        if not (rest_port.isascii() and rest_port.isdecimal() and 1 <= int(rest_port) <= 65535):
            raise CorefileError(
                token.place, f"'{rest_port}' in '{text}' is no port; a number from 1 to 65535 is"
            )
        port = int(rest_port)
    if not host:
        raise CorefileError(
            token.place, f"'{text}' names no zone; the root is written '.', as in '.:{port}'"
        )
    try:
        zones = zone_names(host)
    except ValueError as error:
        raise CorefileError(token.place, f"'{text}' is no zone: {error}") from None
    return tuple(Key(scheme, zone, port, token.place) for zone in zones)


def _split_port(text: str) -> tuple[str, str | None]:
    address, slash, mask = text.partition("/")
    if slash:
        bits, colon, port = mask.partition(":")
        return f"{address}/{bits}", port if colon else None
    host, colon, port = text.rpartition(":")
    return (host, port) if colon else (text, None)


def zone_names(text: str) -> tuple[str, ...]:
    """The zones that a word stands for: a name's one, or those of an address range. Raises
    ValueError."""
    # A name may have a "/" too (RFC 2317 section 4), but no mask behind it.
    _, slash, mask = text.rpartition("/")
    return reverse_zones(text) if slash and mask.isdecimal() else (zone_name(text),)


def reverse_zones(cidr: str) -> tuple[str, ...]:
    """The zones under in-addr.arpa (RFC 1035 section 3.5) or ip6.arpa (RFC 3596 section 2.5)
    that cover an address range. Raises ValueError."""
    try:
        network = ipaddress.ip_network(cidr, strict=False)
    except ValueError:
        raise ValueError("an address range is written like 10.1.0.0/16 or 2001:db8::/32") from None
    step = _OCTET if network.version == 4 else _NIBBLE
    whole = -(-network.prefixlen // step) * step
    return tuple(_reverse_zone(part) for part in network.subnets(new_prefix=whole))


def _reverse_zone(network: ipaddress.IPv4Network | ipaddress.IPv6Network) -> str:
    if network.version == 4:
        labels = str(network.network_address).split(".")[: network.prefixlen // _OCTET]
        return "".join(label + "." for label in reversed(labels)) + "in-addr.arpa."
    digits = network.network_address.packed.hex()[: network.prefixlen // _NIBBLE]
    return "".join(digit + "." for digit in reversed(digits)) + "ip6.arpa."
