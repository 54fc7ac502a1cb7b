"""The upstreams that a directive names: addresses, and files in the manner of resolv.conf."""

import ipaddress
from pathlib import Path

import attrs

from corefile.lexer import Token
from corefile.place import CorefileError, CorefileWarning
from server.compiled import Upstream


@attrs.frozen
class Upstreams:
    """Those that can be asked, in their order, and what is said of those that can't."""

    addresses: tuple[Upstream, ...]
    warnings: tuple[CorefileWarning, ...] = ()


def read_upstreams(tokens: tuple[Token, ...], directory: Path) -> Upstreams:
    """`tokens` are one at least; relative files count from `directory`, the Corefile's. Raises
    CorefileError."""
    found: list[Upstream] = []
    warnings: list[CorefileWarning] = []
    for token in tokens:
        address = _named(token)
        if address is not None:
            found.append(address)
        else:
            inner = _nameservers(token, directory)
            found += inner.addresses
            warnings += inner.warnings
    if not found:
        raise CorefileError(
            warnings[0].place, f"{warnings[0].message}, and there is no other; name an address"
        )
    return Upstreams(tuple(found), tuple(warnings))


def _named(token: Token) -> Upstream | None:
    """None for what has to be a file."""
    scheme, found, rest = token.text.partition("://")
    if found and scheme.lower() != "dns":
        raise CorefileError(
            token.place,
            f"'{scheme}://' is not asked by this version; it asks dns:// (UDP and TCP)",
        )
    text = rest if found else token.text
    address = _address(text, token)
    if found and address is None:
        raise CorefileError(token.place, f"'{text}' found where ADDRESS or ADDRESS:PORT should be")
    return address


def _address(text: str, token: Token) -> Upstream | None:
    host, port = text, "53"
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        if rest[:1] not in ("", ":"):
            return None
        port = rest[1:] or port
    elif text.count(":") == 1:
        host, _, port = text.partition(":")
    if "%" in host:
        raise CorefileError(
            token.place, f"'{text}': an address with a scope, or a TLS name, is not taken"
        )
    try:
        address = str(ipaddress.ip_address(host))
    except ValueError:
        return None
    if not (port.isascii() and port.isdecimal() and 1 <= int(port) <= 65535):
        raise CorefileError(
            token.place, f"'{port}' in '{text}' is no port; a number from 1 to 65535 is"
        )
    return Upstream(address=address, port=int(port))


def _nameservers(token: Token, directory: Path) -> Upstreams:
    """The nameserver lines of a file (resolv.conf(5))."""
    lines = [line.split() for line in _read(token, directory).splitlines()]
    found: list[Upstream] = []
    warnings: list[CorefileWarning] = []
    for words in lines:
        if len(words) < 2 or words[0] != "nameserver":
            continue
        try:
            address = ipaddress.ip_address(words[1])
        except ValueError:
            raise CorefileError(
                token.place, f"'{token.text}' names the server '{words[1]}', no address"
            ) from None
        if isinstance(address, ipaddress.IPv6Address) and address.scope_id is not None:
            # Written by machines, of whatever network one is in: no reason not to start.
            warnings.append(
                CorefileWarning(
                    token.place,
                    f"'{token.text}' names {words[1]}, which is passed over: an address with a "
                    "scope is not taken",
                )
            )
        else:
            found.append(Upstream(address=str(address), port=53))
    if not (found or warnings):
        raise CorefileError(
            token.place, f"'{token.text}' has no nameserver line; name an address in its stead"
        )
    return Upstreams(tuple(found), tuple(warnings))


def _read(token: Token, directory: Path) -> str:
    try:
        return (directory / token.text).read_text(encoding="utf-8", errors="replace")
    except FileNotFoundError:
        raise CorefileError(
            token.place,
            f"'{token.text}' is no address, and there is no such file; right: ADDRESS[:PORT] or "
            "a file like /etc/resolv.conf",
        ) from None
    except OSError as error:
        raise CorefileError(
            token.place, f"'{token.text}' can't be read: {error.strerror}"
        ) from None
