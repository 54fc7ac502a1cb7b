"""The gate: no validator may fare worse with a version than with the one that is served.

Pure comparisons. That a version is checked at all, by whichever path it comes, is the work of
`signer.versionmaker`.
"""

from typing import Protocol

import attrs
import dns.exception
import dns.name
import dns.rdatatype

_LINES = 20
# The content guard lets a version lose fewer names than this, whatever part of the zone they are.
FEW = 10


class _Failure(Protocol):
    @property
    def owner(self) -> bytes: ...
    @property
    def rtype(self) -> int: ...
    @property
    def code(self) -> str: ...
    @property
    def message(self) -> str: ...


@attrs.frozen
class Fault:
    """One reason to refuse, by what it is about; the words may differ between two runs."""

    owner: bytes
    rtype: int
    code: str
    message: str = attrs.field(eq=False, default="")

    @staticmethod
    def of(failure: _Failure) -> "Fault":
        return Fault(failure.owner, failure.rtype, failure.code, failure.message)

    def __str__(self) -> str:
        try:
            owner = dns.name.from_wire(self.owner, 0)[0].to_text()
        except dns.exception.DNSException:
            owner = self.owner.hex()
        rtype = dns.rdatatype.to_text(dns.rdatatype.RdataType.make(self.rtype))
        return f"{owner} {rtype}: {self.code}: {self.message}"


@attrs.frozen
class Findings:
    """What verifying a version found. `count` is above len(faults) where not all are told."""

    faults: frozenset[Fault] = frozenset()
    count: int = 0

    @property
    def complete(self) -> bool:
        return self.count <= len(self.faults)


@attrs.frozen
class Passed:
    """`alarms` are faults that what is served has as well."""

    alarms: tuple[str, ...] = ()


@attrs.frozen
class Stopped:
    """`count` new faults, the first of them in words."""

    lines: tuple[str, ...]
    count: int


def compare(served: Findings, candidate: Findings) -> Passed | Stopped:
    """`served` is empty where nothing is served: then every fault is new."""
    new = candidate.faults - served.faults
    if new or not candidate.complete:
        # Faults that were not told may be new ones: not knowing is no reason to publish.
        count = max(len(new), candidate.count - len(candidate.faults & served.faults))
        worst = new or candidate.faults
        return Stopped(_lines(worst), count)
    return Passed(_lines(candidate.faults))


def _lines(faults: frozenset[Fault]) -> tuple[str, ...]:
    ordered = sorted(faults, key=lambda fault: (fault.owner, fault.rtype, fault.code))
    return tuple(str(fault) for fault in ordered[:_LINES])


@attrs.frozen
class Content:
    """What the content guard looks at."""

    names: int
    apex_ns: bool


def guard(before: Content, after: Content, percent: int) -> str | None:
    """Why a person should look at a version first; None when nobody need. A truncated file
    or a half-finished export most often shows as names that are gone. Fewer than FEW are
    nobody's accident: in a small zone, one name is soon `percent` of all."""
    if before.apex_ns and not after.apex_ns:
        return "the new version has no NS records at its apex"
    lost = before.names - after.names
    if lost >= FEW and lost * 100 > before.names * percent:
        return (
            f"the new version has {after.names} names and the old one {before.names}: "
            f"{lost * 100 // before.names} % are gone, more than {percent} %"
        )
    return None
