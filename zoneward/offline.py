"""Signing and verifying one zone file, without a manager: what `sign` and `verify` do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import attrs
import dns.exception
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype

import engine
from corefile.names import name_wire
from keystore import bind
from keystore.dnskey import Dnskey
from keystore.signing import signing_key
from signer.policy import Nsec3
from zones import foreign
from zones.file import unreadable
from zoneward.refusal import Refusal

_ORIGIN = re.compile(rb"^\$ORIGIN[ \t]+(\S+\.)[ \t]*(?:;.*)?$", re.IGNORECASE | re.MULTILINE)
_SOA = re.compile(rb"^(\S+\.|\.)[ \t]+(?:[^;\r\n]*[ \t])?SOA[ \t]", re.IGNORECASE | re.MULTILINE)


@attrs.frozen
class Times:
    """Validity of new signatures, in Unix seconds; `jitter` in seconds."""

    inception: int
    expiration: int
    jitter: int = 0


def scan(path: Path, origin: dns.name.Name) -> engine.Zone:
    """Read a zone file. Raises Refusal with a line for each error, up to 20."""
    try:
        return engine.scan(str(path), name_wire(str(origin)), foreign=foreign.read)
    except engine.ScanError as error:
        lines = [
            f"{problem.file}:{problem.line}:{problem.column}: {problem.message}"
            for problem in error.problems
        ]
        raise Refusal("\n".join(lines) or str(error)) from error
    except engine.EngineError as error:
        place, problem, _ = unreadable(path, error)
        raise Refusal(f"{place}: {problem}") from error


def find_origin(path: Path) -> dns.name.Name:
    """The zone's name as its file says it: the first $ORIGIN, or the SOA record's owner.
    Raises Refusal when it says neither in so many words."""
    try:
        data = path.read_bytes()
    except OSError as error:
        place, problem, _ = unreadable(path, error)
        raise Refusal(f"{place}: {problem}") from error
    found = [match for match in (_ORIGIN.search(data), _SOA.search(data)) if match is not None]
    if not found:
        raise Refusal(f"{path}: does not say which zone it is; say --origin NAME")
    first = min(found, key=lambda match: match.start())
    try:
        return dns.name.from_text(first[1].decode("ascii")).canonicalize()
    except (dns.exception.DNSException, UnicodeDecodeError) as error:
        raise Refusal(f"{path}: names no zone ({error}); say --origin NAME") from error


def sign(
    zone: engine.Zone,
    pairs: Sequence[bind.KeyPair],
    *,
    nsec3: Nsec3 | None,
    times: Times,
    dnskey_ttl: int,
    serial: int | None,
) -> engine.Signed:
    """Sign a zone whole. The pairs' private halves are wiped. `serial` None keeps the
    source's. Raises EngineError."""
    source = zone.source()
    plan = engine.SignPlan(
        keys=[
            (signing_key(pair.dnskey, pair.private), duty)
            for pair, duty in zip(pairs, duties([pair.dnskey for pair in pairs]), strict=True)
        ],
        dnskeys=[pair.dnskey for pair in pairs],
        dnskey_ttl=dnskey_ttl,
        nsec3=None if nsec3 is None else (nsec3.iterations, nsec3.salt, nsec3.opt_out),
        serial=source.serial if serial is None else serial,
        inception=times.inception,
        expiration=times.expiration,
        jitter=times.jitter,
        refresh_before=times.inception,
    )
    return engine.sign(None, engine.source_changes(None, source), plan, scope="all")


def duties(dnskeys: Sequence[bytes]) -> list[int]:
    """What each key signs: within an algorithm that has keys with and without the SEP flag
    those sign the key sets and these the rest (RFC 4034 section 2.1.1); where it has one kind
    only, everything."""
    keys = [Dnskey(rdata) for rdata in dnskeys]
    split = {
        key.algorithm
        for key in keys
        if {other.sep for other in keys if other.algorithm == key.algorithm} == {True, False}
    }
    both = engine.SIGNS_KEYS | engine.SIGNS_ZONE
    return [
        both if key.algorithm not in split else engine.SIGNS_KEYS if key.sep else engine.SIGNS_ZONE
        for key in keys
    ]


def ds_of(origin: dns.name.Name, dnskeys: Sequence[bytes]) -> list[str]:
    """DS records, SHA-256, of the keys that sign the key sets; in zone-file form."""
    chosen = [
        rdata
        for rdata, duty in zip(dnskeys, duties(dnskeys), strict=True)
        if duty & engine.SIGNS_KEYS
    ]
    owner = name_wire(str(origin))
    found = [engine.ds_digest(owner, rdata, 2) for rdata in chosen]
    return [f"{origin} IN DS {foreign.write(dns.rdatatype.DS, rdata)}" for rdata in found]


def read_ds(path: Path, origin: dns.name.Name) -> list[bytes]:
    """The DS records of a zone in a file of records in zone-file form. Raises Refusal."""
    found: list[bytes] = []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise Refusal(f"{path}: can't be read: {error}") from error
    for number, line in enumerate(lines, 1):
        words = line.partition(";")[0].split()
        if not words:
            continue
        upper = [word.upper() for word in words]
        try:
            at = upper.index("DS")
            owner = dns.name.from_text(words[0])
            rdata = dns.rdata.from_text(
                dns.rdataclass.IN, dns.rdatatype.DS, " ".join(words[at + 1 :])
            )
        except (dns.exception.DNSException, ValueError) as error:
            raise Refusal(f"{path}:{number}: is no DS record: {error}") from error
        if owner == origin:
            found.append(rdata.to_digestable())
    if not found:
        raise Refusal(f"{path}: holds no DS record of {origin}")
    return found


def counts(failures: Sequence[engine.Failure]) -> Mapping[str, int]:
    """How many failures there are of each code, the most frequent first."""
    found: dict[str, int] = {}
    for failure in failures:
        found[failure.code] = found.get(failure.code, 0) + 1
    return dict(sorted(found.items(), key=lambda item: -item[1]))


def failure_line(failure: engine.Failure) -> str:
    """`owner TYPE: code: message`, once each."""
    owner, _ = dns.name.from_wire(failure.owner, 0)
    where = f"{owner} {dns.rdatatype.to_text(dns.rdatatype.RdataType.make(failure.rtype))}"
    message = failure.message.removeprefix(f"{where}: ")
    return f"{where}: {failure.code}: {message}"
