"""DS and keys as EPP has them: the secDNS extension 1.1 (RFC 5910)."""

import base64

import attrs
import dns.exception
import dns.name

from registrars.epp.tree import SECDNS, Element, TreeError
from registrars.protocol import Entry, Wants

# Those that a DS can be made with here.
_DIGESTS = (1, 2, 4)


@attrs.frozen
class Listed:
    """What the registry has. `max_sig_life` in seconds."""

    entries: tuple[Entry, ...] = ()
    max_sig_life: int | None = None


@attrs.frozen
class Change:
    """An update. The server takes away before it adds, all of it or nothing (section 5.2.5)."""

    wants: Wants
    remove: tuple[Entry, ...] = ()
    add: tuple[Entry, ...] = ()
    max_sig_life: int | None = None
    urgent: bool = False

    def __bool__(self) -> bool:
        return bool(self.remove or self.add)

    def element(self) -> Element:
        """Raises ValueError for an entry without its key where the registry wants keys."""
        parts = []
        if self.remove:
            parts.append(_element("rem", *(self._data(one) for one in self.remove)))
        if self.add:
            parts.append(_element("add", *(self._data(one) for one in self.add)))
        if self.max_sig_life is not None:
            parts.append(_element("chg", _leaf("maxSigLife", self.max_sig_life)))
        urgent = (("urgent", "true"),) if self.urgent else ()
        return Element(SECDNS, "update", tuple(parts), attributes=urgent)

    def _data(self, entry: Entry) -> Element:
        if self.wants is Wants.DS:
            return _element(
                "dsData",
                _leaf("keyTag", entry.tag),
                _leaf("alg", entry.algorithm),
                _leaf("digestType", entry.digest_type),
                _leaf("digest", entry.digest.hex().upper()),
            )
        if entry.dnskey is None:
            raise ValueError(f"the key of DS {entry.tag} is not known")
        return _element(
            "keyData",
            _leaf("flags", int.from_bytes(entry.dnskey[:2], "big")),
            _leaf("protocol", entry.dnskey[2]),
            _leaf("alg", entry.dnskey[3]),
            _leaf("pubKey", base64.b64encode(entry.dnskey[4:]).decode()),
        )


def listed(zone: dns.name.Name, data: Element | None) -> Listed:
    """Of <secDNS:infData>; without it, the domain has no DNSSEC. Raises TreeError."""
    if data is None:
        return Listed()
    life = data.find(SECDNS, "maxSigLife")
    entries = [_ds(zone, one) for one in data.all(SECDNS, "dsData")]
    for one in data.all(SECDNS, "keyData"):
        try:
            entries.append(Entry.of_dnskey(zone, _dnskey(one)))
        except (ValueError, dns.exception.DNSException) as error:
            raise TreeError(f"a key can't be read ({error})") from None
    return Listed(
        tuple(entries), None if life is None else _number(data, "maxSigLife", (1 << 31) - 1)
    )


def _ds(zone: dns.name.Name, data: Element) -> Entry:
    """With the key that is within, where the DS is that key's: it would be taken for ours."""
    try:
        digest = bytes.fromhex(data.need(SECDNS, "digest").token)
        ds = (
            _number(data, "keyTag", 65535).to_bytes(2, "big")
            + bytes((_number(data, "alg", 255), _number(data, "digestType", 255)))
            + digest
        )
        key = data.find(SECDNS, "keyData")
        dnskey = None if key is None else _dnskey(key)
        if dnskey is not None and ds[3] in _DIGESTS:
            made = Entry.of_dnskey(zone, dnskey, ds[3])
            return made if made.ds == ds else Entry(ds, None)
        return Entry(ds, None)
    except (ValueError, dns.exception.DNSException) as error:
        raise TreeError(f"a DS can't be read ({error})") from None


def _dnskey(data: Element) -> bytes:
    """Raises ValueError, TreeError."""
    text = "".join(data.need(SECDNS, "pubKey").text.split())
    return (
        _number(data, "flags", 65535).to_bytes(2, "big")
        + bytes((_number(data, "protocol", 255), _number(data, "alg", 255)))
        + base64.b64decode(text, validate=True)
    )


def _number(data: Element, name: str, most: int) -> int:
    text = data.need(SECDNS, name).token
    if not (text.isascii() and text.isdecimal() and len(text) <= 10 and int(text) <= most):
        raise TreeError(f"<{name}> is no number up to {most}")
    return int(text)


def _element(name: str, *children: Element) -> Element:
    return Element(SECDNS, name, children)


def _leaf(name: str, value: int | str) -> Element:
    return Element(SECDNS, name, text=str(value))
