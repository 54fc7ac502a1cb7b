"""What ties a manager and its server together: one TSIG key and one catalog a block.

Both sides hold the same 32 random octets (`link.key`) and derive the rest, so that a block
that is added needs no further exchange.
"""

import hashlib
import hmac

import attrs

from corefile.names import name_wire

LINK_OCTETS = 32
ALGORITHM = "hmac-sha256"


@attrs.frozen
class LinkKey:
    """The TSIG key of one block (RFC 8945, hmac-sha256). `name` is absolute text."""

    name: str
    secret: bytes = attrs.field(repr=False)

    @property
    def name_wire(self) -> bytes:
        return name_wire(self.name)


def derive(link: bytes, block_id: str) -> LinkKey:
    """The key of a block. Raises ValueError when `link` has the wrong length."""
    if len(link) != LINK_OCTETS:
        raise ValueError(f"a link key has {LINK_OCTETS} octets, not {len(link)}")
    secret = hmac.digest(link, b"tsig:" + block_id.encode(), hashlib.sha256)
    return LinkKey(f"{block_id}.key.zoneward.", secret)


def catalog_name(block_id: str) -> str:
    """The block's catalog zone (RFC 9432), as absolute text."""
    return f"{block_id}.catalog.zoneward."


def parse_link(text: str) -> bytes:
    """The content of a `link.key` file: hex. Raises ValueError."""
    try:
        link = bytes.fromhex(text.strip())
    except ValueError:
        raise ValueError("a link key is hexadecimal text") from None
    if len(link) != LINK_OCTETS:
        raise ValueError(f"a link key has {LINK_OCTETS} octets, not {len(link)}")
    return link
