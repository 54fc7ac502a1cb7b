"""The file of DS records that `zoneward ds scan` keeps for a zone's source to $INCLUDE. It also
holds, as comments, when the signatures that were gone by were made, so that older ones are not
taken afterwards (RFC 7344 section 6.2): one file, replaced as one.

    ; accepted child.example. signed 1764086183
    child.example. 3600 IN DS 12345 13 2 …
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import attrs
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from keystore import durable
from zoneward.refusal import Refusal

_HEAD = (
    "; The DS that children asked for, written by `zoneward ds scan`. $INCLUDE it in the zone's\n"
    "; source; what is changed here is lost.\n"
)


@attrs.frozen
class Accepted:
    """One child's: DS rdata, none where their removal was asked for; `made` in Unix seconds,
    `ttl` in seconds."""

    ds: frozenset[bytes]
    made: int
    ttl: int = 0


def read(path: Path) -> dict[dns.name.Name, Accepted]:
    """Empty where there is no such file. Raises Refusal: what is not understood is not
    overwritten."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except FileNotFoundError:
        return {}
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path}: can't be read: {error}") from error
    found: dict[dns.name.Name, Accepted] = {}
    for number, line in enumerate(lines, 1):
        try:
            _read_line(line.split(), found)
        except (dns.exception.DNSException, ValueError, KeyError) as error:
            raise Refusal(
                f"{path}:{number}: was not written by `zoneward ds scan` ({error}); name another "
                "file with -o, or mend it"
            ) from error
    return found


def _read_line(words: list[str], found: dict[dns.name.Name, Accepted]) -> None:
    match words:
        case [";", "accepted", name, "signed", made]:
            found[_name(name)] = Accepted(frozenset(), int(made))
        case [] | [";", *_]:
            pass
        case [name, ttl, "IN", "DS", *rdata]:
            read = dns.rdata.from_text(
                dns.rdataclass.IN, dns.rdatatype.DS, " ".join(rdata)
            ).to_digestable()
            old = found[_name(name)]
            found[_name(name)] = attrs.evolve(old, ds=old.ds | {read}, ttl=int(ttl))
        case _:
            raise ValueError("neither a comment nor a DS record")


def write(path: Path, children: Mapping[dns.name.Name, Accepted]) -> None:
    """Whole or not at all. Raises Refusal."""
    lines = [_HEAD]
    for name, one in sorted(children.items()):
        lines.append(f"; accepted {name} signed {one.made}\n")
        lines += [f"{name} {one.ttl} IN DS {ds_text(ds)}\n" for ds in sorted(one.ds)]
    try:
        durable.write(path, "".join(lines).encode(), mode=0o644)
    except OSError as error:
        raise Refusal(f"{path}: can't be written: {error.strerror}") from error


def ds_text(rdata: bytes) -> str:
    """In presentation form."""
    return dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DS, rdata, 0, len(rdata)).to_text(
        chunksize=0
    )


def _name(text: str) -> dns.name.Name:
    return dns.name.from_text(text).canonicalize()
