"""What a registrar's driver is: it brings a zone's DS to the parent, and says how far it got.

A driver is synchronous code with time-outs of its own; the manager runs it in a pool. It is
never believed: what counts is what the parent's servers show.
"""

import enum
from typing import Protocol

import attrs
import dns.name


class RegistrarError(Exception):
    """A driver could not do its work: where, what, and what to do about it."""

    def __init__(self, place: str, message: str, remedy: str) -> None:
        super().__init__(place, message, remedy)
        self.place = place
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.message}; {self.remedy}"


class Wants(enum.Enum):
    """What a registrar takes; it differs by top-level domain even within one."""

    DS = "ds"
    DNSKEY = "dnskey"
    EITHER = "either"


@attrs.frozen
class Capabilities:
    """`digests` are the DS digest types taken. `lists`: what the registrar has can be read
    back. `polls`: a change that was taken can be asked after. `automatic`: no person has to
    do anything."""

    wants: Wants
    digests: frozenset[int] = frozenset({2})
    lists: bool = False
    polls: bool = False
    automatic: bool = False


@attrs.frozen
class Entry:
    """One key for the parent: DS rdata, and the whole DNSKEY rdata that it was made of,
    since some registrars want the one, some the other. `dnskey` is None only in what a
    registrar lists."""

    ds: bytes
    dnskey: bytes | None

    def __attrs_post_init__(self) -> None:
        if len(self.ds) < 5:
            raise ValueError("DS rdata is cut short")

    @property
    def tag(self) -> int:
        return int.from_bytes(self.ds[:2], "big")


@attrs.frozen
class Plan:
    """What would have to change at the registrar for a zone."""

    zone: dns.name.Name
    add: tuple[Entry, ...] = ()
    remove: tuple[Entry, ...] = ()
    keep: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)


class Progress(enum.Enum):
    """How far a change got, as the registrar says."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    PERSON = "a person has to act"
    REFUSED = "refused"


@attrs.frozen
class Receipt:
    """What became of a plan. `reference` is the registrar's own; `text` is for a person."""

    plan: Plan
    progress: Progress
    text: str
    reference: str = ""


class Registrar(Protocol):
    """Every method raises RegistrarError."""

    @property
    def name(self) -> str: ...

    @property
    def capabilities(self) -> Capabilities: ...

    def list(self, zone: dns.name.Name) -> tuple[Entry, ...]:
        """What the registrar has; only where `capabilities.lists`."""
        ...

    def plan(self, zone: dns.name.Name, wanted: tuple[Entry, ...]) -> Plan:
        """What to change so that the registrar has `wanted`. Changes nothing. Where the
        registrar can't list, everything wanted is added and nothing is removed."""
        ...

    def apply(self, plan: Plan) -> Receipt:
        """Do it. The same plan a second time is no error and changes nothing."""
        ...

    def poll(self, receipt: Receipt) -> Receipt:
        """Ask how far it got; only where `capabilities.polls`."""
        ...


def difference(zone: dns.name.Name, have: tuple[Entry, ...], wanted: tuple[Entry, ...]) -> Plan:
    """Entries are the same where their DS are."""
    has = {entry.ds for entry in have}
    wants = {entry.ds for entry in wanted}
    return Plan(
        zone,
        add=tuple(entry for entry in wanted if entry.ds not in has),
        remove=tuple(entry for entry in have if entry.ds not in wants),
        keep=tuple(entry for entry in wanted if entry.ds in has),
    )
