"""What a registrar's driver is: it brings a zone's DS to the parent, and says how far it got.

A driver is synchronous code with time-outs of its own; the manager runs it in a pool, one call
at a time for a zone. It is never believed: what counts is what the parent's servers show.
"""

import enum
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import attrs
import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdatatype
import dns.rdtypes.ANY.DNSKEY

from corefile import Directive
from corefile.arguments import SecretReference

_DIGESTS = {1: "SHA1", 2: "SHA256", 4: "SHA384"}


class RegistrarError(Exception):
    """A driver could not do its work: where, what, and what to do about it. `passing`: the same
    call may succeed later (a time-out, a server's fault, a limit on calls), then not before
    `after` seconds where the registrar says so. The message never has a secret in it."""

    def __init__(
        self,
        place: str,
        message: str,
        remedy: str,
        *,
        passing: bool = False,
        after: float | None = None,
    ) -> None:
        super().__init__(place, message, remedy)
        self.place = place
        self.message = message
        self.remedy = remedy
        self.passing = passing
        self.after = after

    def __str__(self) -> str:
        return f"{self.place}: {self.message}; {self.remedy}"


class Wants(enum.Enum):
    """What a registrar takes; it differs by top-level domain even within one."""

    DS = "ds"
    DNSKEY = "dnskey"
    EITHER = "either"


class Deletes(enum.Enum):
    """How an entry is named that is to go: by its whole value, by an id of the registrar's, by
    digest, by key tag (of which there may be twins), or by what is put in place of all."""

    VALUE = "value"
    ID = "id"
    DIGEST = "digest"
    TAG = "tag"
    REPLACE = "replace"


@attrs.frozen
class Capabilities:
    """`digests` are the DS digest types taken. `lists`: what the registrar has can be read
    back. `polls`: a change that was taken can be asked after. `automatic`: no person has to
    do anything."""

    wants: Wants
    digests: frozenset[int] = frozenset({2})
    deletes: Deletes = Deletes.VALUE
    lists: bool = False
    polls: bool = False
    automatic: bool = False


@attrs.frozen
class Entry:
    """One key for the parent: DS rdata, and the whole DNSKEY rdata that it was made of,
    since some registrars want the one, some the other. `dnskey` is None only in what a
    registrar lists, and `id` is its own name there for the entry."""

    ds: bytes
    dnskey: bytes | None
    id: str = attrs.field(default="", eq=False)

    def __attrs_post_init__(self) -> None:
        if len(self.ds) < 5:
            raise ValueError("DS rdata is cut short")

    @staticmethod
    def of_dnskey(zone: dns.name.Name, dnskey: bytes, digest: int = 2, id: str = "") -> "Entry":  # noqa: A002
        """With the DS made of it (RFC 4034 section 5.1.4). Raises ValueError, DNSException."""
        rdata = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.DNSKEY, dnskey, 0, len(dnskey))
        if not isinstance(rdata, dns.rdtypes.ANY.DNSKEY.DNSKEY):
            raise TypeError("dnspython gave another type than the one asked for")
        ds = dns.dnssec.make_ds(
            zone, rdata, _DIGESTS[digest], policy=dns.dnssec.allow_all_policy, validating=True
        )
        return Entry(ds.to_wire() or b"", dnskey, id)

    @property
    def tag(self) -> int:
        return int.from_bytes(self.ds[:2], "big")

    @property
    def algorithm(self) -> int:
        return self.ds[2]

    @property
    def digest_type(self) -> int:
        return self.ds[3]

    @property
    def digest(self) -> bytes:
        return self.ds[4:]

    @property
    def flags(self) -> int | None:
        return None if self.dnskey is None else int.from_bytes(self.dnskey[:2], "big")

    @property
    def public_key(self) -> bytes | None:
        return None if self.dnskey is None else self.dnskey[4:]


@attrs.frozen
class Plan:
    """What would have to change at the registrar for a zone. `keep` is what stays of what it
    has, entries included that are of nobody's keys here."""

    zone: dns.name.Name
    add: tuple[Entry, ...] = ()
    remove: tuple[Entry, ...] = ()
    keep: tuple[Entry, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.add or self.remove)

    @property
    def before(self) -> tuple[Entry, ...]:
        """All that the registrar has, as far as it was listed."""
        return (*self.keep, *self.remove)

    @property
    def after(self) -> tuple[Entry, ...]:
        """All that it is to have."""
        return (*self.keep, *self.add)


class Progress(enum.Enum):
    """How far a change got, as the registrar says."""

    ACCEPTED = "accepted"
    PENDING = "pending"
    PERSON = "a person has to act"
    REFUSED = "refused"


@attrs.frozen
class Receipt:
    """What became of a plan. `reference` is the registrar's own name for an operation that is
    under way, to ask after it; `text` is for a person."""

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

    def apply(self, plan: Plan) -> Receipt:
        """Do it: add before removing, where these are two calls. The same plan a second time,
        or after half of it was done, is no error and changes only what is left. Who works later
        may do a first part alone and say PENDING: what is left is in the plan that is made anew
        once `poll` says ACCEPTED."""
        ...

    def poll(self, zone: dns.name.Name, reference: str) -> Receipt:
        """Ask how far an operation got; only where `capabilities.polls`. One that is no longer
        known is ACCEPTED: the list says what came of it."""
        ...

    def close(self) -> None:
        """Give connections back. Calling it again does nothing."""
        ...


@attrs.frozen
class Context:
    """What a driver is opened with. `secret` gives the octets behind a reference, and raises
    corefile.secrets.SecretError; relative paths count from `directory`, the Corefile's."""

    secret: Callable[[SecretReference], bytes]
    directory: Path
    timeout: float = 20.0


class Driver(Protocol):
    """A module, or any object, that an entry point of the group `zoneward.registrars` names."""

    def read(self, directive: Directive) -> Any:
        """A `registrar NAME … { … }` line, read into a frozen value that compares and hashes,
        with references in place of secrets. Raises CorefileError."""
        ...

    def open(self, config: Any, context: Context) -> Registrar:
        """Without asking anybody. Raises RegistrarError where a secret can't be had."""
        ...
