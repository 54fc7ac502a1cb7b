"""Which DNSKEY records of other signers a zone is to show beside ours (RFC 8901, model 2).

They are named by *sign*'s `multi-signer`: in files of zone-file text, or in the zone's source.
What can't be read, or is refused, takes nothing away: what was taken before stays.
"""

import re
from collections.abc import Mapping
from pathlib import Path

import attrs
import dns.exception
import dns.name
import dns.rdatatype
import dns.zonefile

import engine
from keystore.dnskey import SEP_FLAG, key_tag
from signer import operations
from signer.config import SignConfig
from signer.goals import insecure, wanted_algorithm
from signer.keyset import Goal, KeySet, RecordKind, State
from signer.policy import ALGORITHM_NAMES, Policy
from signer.times import shares

# More DNSKEY than this in an RRset is more than a resolver should be asked to try.
_MOST = 16
_LARGEST_FILE = 1024 * 1024
_ZONE_FLAG, _REVOKE_FLAG = 0x0100, 0x0080


class ForeignKeyError(Exception):
    """Where, what, what to do, in one line."""


@attrs.frozen
class Named:
    """DNSKEY rdata to show beside ours, and those of them that the parent is to have a DS of."""

    dnskeys: frozenset[bytes] = frozenset()
    announced: frozenset[bytes] = frozenset()

    @staticmethod
    def of(dnskeys: frozenset[bytes], cdnskeys: frozenset[bytes] = frozenset()) -> "Named":
        """CDNSKEY say which; without one it is the keys with the SEP flag."""
        announced = cdnskeys or frozenset(filter(is_ksk, dnskeys))
        return Named(dnskeys | cdnskeys, announced)


@attrs.frozen
class Wanted:
    """`named` None: not known, and what is shown stays. `problem`: why what was named is not
    taken."""

    named: Named | None = None
    problem: str | None = None


@attrs.define
class Others:
    """The other signers of one zone, as they are named. Only `read` reads files."""

    origin: dns.name.Name
    config: SignConfig
    problem: str | None = None
    _wanted: Named | None = None
    _sources: dict[str, frozenset[bytes] | None] = attrs.field(factory=dict)

    def in_source(self, variant: str, dnskeys: frozenset[bytes] | None) -> None:
        """What a variant's source has; None where it can't be read now."""
        if dnskeys is not None or variant not in self._sources:
            self._sources[variant] = dnskeys

    def read(self, keyset: KeySet) -> None:
        """Find out what is named now."""
        signers = self.config.multi_signer
        if signers is None:
            self._wanted, self.problem = Named(), None
            return
        if signers.files:
            found = from_files(signers.files, self.origin, keyset)
        else:
            found = from_sources(self._sources)
        place = ", ".join(map(str, signers.files)) or f"the source of {self.origin}"
        problem = found.problem
        if problem is None and found.named is not None:
            problem = refused(found.named, keyset, self.config.policy, place)
        self.problem = problem
        if problem is None and found.named is not None:
            self._wanted = found.named

    def known(self, keyset: KeySet) -> frozenset[bytes]:
        """DNSKEY rdata that is another signer's, and no reason to hold the zone."""
        ours = {key.dnskey for key in keyset.keys}
        named = frozenset() if self._wanted is None else self._wanted.dnskeys
        return (named | {key.dnskey for key in keyset.foreign}) - ours

    def taken(self, keyset: KeySet) -> KeySet:
        """The key set with what is named as the goal."""
        if self._wanted is None or insecure(keyset, self.config.policy):
            return keyset
        ours, wanted = {one.dnskey for one in keyset.keys}, self._wanted
        return operations.keep_foreign(keyset, wanted.dnskeys - ours, wanted.announced)

    def refuses_source(self) -> str | None:
        """Why the source can't be signed with the keys that it names."""
        signers = self.config.multi_signer
        return None if signers is None or signers.files else self.problem

    def awaited(self, keyset: KeySet) -> bool:
        """Whether a DNSKEY of ours waits to be shown by the other signers."""
        return any(
            key.state(RecordKind.DNSKEY) is State.RUMOURED
            and shares(keyset, key, RecordKind.DNSKEY)
            for key in keyset.keys
        )


@attrs.frozen
class Content:
    """What a file has of a zone, and whether it has any record at all."""

    dnskeys: frozenset[bytes] = frozenset()
    cdnskeys: frozenset[bytes] = frozenset()
    records: bool = False


def parse(text: str, origin: dns.name.Name, place: str) -> Content:
    """DNSKEY and CDNSKEY of the zone in zone-file text; those of other zones are passed over.
    Raises ForeignKeyError."""
    try:
        # What is not at or below the origin is passed over without a word.
        rrsets = dns.zonefile.read_rrsets(
            text, origin=origin, relativize=False, rdclass=None, default_ttl=3600
        )
    except (dns.exception.DNSException, ValueError) as error:
        raise ForeignKeyError(_syntax(place, error)) from None
    found: dict[int, set[bytes]] = {dns.rdatatype.DNSKEY: set(), dns.rdatatype.CDNSKEY: set()}
    for rrset in rrsets:
        if rrset.rdtype not in found:
            what = dns.rdatatype.to_text(rrset.rdtype)
            raise ForeignKeyError(f"{place}: has {what} records; it is for DNSKEY and CDNSKEY")
        if rrset.name.canonicalize() == origin:
            found[rrset.rdtype] |= {rdata.to_digestable() for rdata in rrset}
    # RFC 8078 section 4: a delete record names no key.
    cdnskeys = {rdata for rdata in found[dns.rdatatype.CDNSKEY] if rdata[3]}
    lines = (line.strip() for line in text.splitlines())
    records = any(line and not line.startswith(";") for line in lines)
    return Content(frozenset(found[dns.rdatatype.DNSKEY]), frozenset(cdnskeys), records)


def _syntax(place: str, error: Exception) -> str:
    found = re.match(r"<[^>]*>:(\d+): (.*)", str(error), re.DOTALL)
    if found is not None:
        place, why = f"{place}:{found[1]}", found[2]
    else:
        why = str(error) or type(error).__name__
    return f"{place}: {' '.join(why.split())}; write DNSKEY records as in a zone file"


def read_file(path: Path, origin: dns.name.Name) -> Content:
    """`parse` of a file. Raises ForeignKeyError; a file that is not there is never taken for
    one that is empty."""
    try:
        with path.open("rb") as file:
            data = file.read(_LARGEST_FILE + 1)
        if len(data) > _LARGEST_FILE:
            raise ForeignKeyError(f"{path}: larger than {_LARGEST_FILE} octets; name a key file")
        return parse(data.decode(), origin, str(path))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "is no text"
        raise ForeignKeyError(
            f"{path}: {why}; put it back, or empty it to take the other signers' keys out"
        ) from error


def from_files(paths: tuple[Path, ...], origin: dns.name.Name, keyset: KeySet) -> Wanted:
    """What the files name, all or nothing."""
    try:
        contents = [read_file(path, origin) for path in paths]
    except ForeignKeyError as error:
        return Wanted(problem=str(error))
    named = Named.of(
        frozenset[bytes]().union(*(one.dnskeys for one in contents)),
        frozenset[bytes]().union(*(one.cdnskeys for one in contents)),
    )
    others = [path for path, one in zip(paths, contents, strict=True) if one.records]
    if not named.dnskeys and others and staying(keyset):
        # A name that is misspelt must not take keys out that somebody signs with.
        return Wanted(
            problem=f"{others[0]}: holds no DNSKEY of {origin}; empty it to take the other "
            "signers' keys out"
        )
    return Wanted(named)


def from_sources(sources: Mapping[str, frozenset[bytes] | None]) -> Wanted:
    """What the zone's variants have in their sources; None for one that was not read: until
    all were, nothing is known."""
    found = [dnskeys for dnskeys in sources.values() if dnskeys is not None]
    if not found or len(found) < len(sources):
        return Wanted()
    return Wanted(Named.of(frozenset[bytes]().union(*found)))


def staying(keyset: KeySet) -> bool:
    """Whether the zone has other signers now."""
    return any(key.goal is Goal.OMNIPRESENT for key in keyset.foreign)


def is_ksk(dnskey: bytes) -> bool:
    """Whether a DS is made of it (RFC 4034 section 2.1.1: the SEP flag)."""
    return bool(int.from_bytes(dnskey[:2], "big") & SEP_FLAG)


def refused(named: Named, keyset: KeySet, policy: Policy, place: str) -> str | None:
    """Why these can't be shown beside ours, in a line; None where they can."""
    ours = {key.dnskey for key in keyset.keys}
    new = named.dnskeys - ours
    if not new or insecure(keyset, policy):
        return None
    if len(new) > _MOST:
        return f"{place}: {len(new)} DNSKEY of other signers; {_MOST} is the most"
    signed = {wanted_algorithm(keyset, policy)} | {
        key.algorithm for key in keyset.keys if key.visible(RecordKind.ZRRSIG)
    }
    for dnskey in sorted(new):
        flags, tag = int.from_bytes(dnskey[:2], "big"), key_tag(dnskey)
        if not flags & _ZONE_FLAG or flags & _REVOKE_FLAG:
            return f"{place}: DNSKEY {tag} is no zone key, or revoked; take it out"
        if dnskey[3] not in signed:
            # RFC 8901 section 4: validators may want signatures of every algorithm shown.
            theirs = ALGORITHM_NAMES.get(dnskey[3], f"algorithm {dnskey[3]}")
            text = ", ".join(ALGORITHM_NAMES.get(one, str(one)) for one in sorted(signed))
            return (
                f"{place}: DNSKEY {tag} is of {theirs}, and the zone is signed with {text} here: "
                "all signers of a zone have to use the same algorithms (RFC 8901 section 4)"
            )
        if not _is_key(dnskey):
            return f"{place}: DNSKEY {tag} is broken: no validator can use it; take it out"
    if not named.announced - ours:
        return (
            f"{place}: names no KSK of the other signers (flags 257): without their DS in our CDS "
            "a parent that follows it would take theirs away (RFC 8901 section 8)"
        )
    return None


def _is_key(dnskey: bytes) -> bool:
    try:
        engine.SigningKey.external(dnskey, lambda messages: [])
    except engine.EngineError:
        return False
    return True


def changes(before: KeySet, after: KeySet) -> tuple[str, ...]:
    """One line for each key of another signer that is named, or is named no more."""
    old = {key.dnskey: key.goal for key in before.foreign}
    return tuple(
        f"key {key_tag(key.dnskey)} of another signer is "
        f"{'to be shown' if key.goal is Goal.OMNIPRESENT else 'to go'}"
        for key in after.foreign
        if old.get(key.dnskey) is not key.goal
    )
