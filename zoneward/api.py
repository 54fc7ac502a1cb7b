"""What the admin socket says, as types: the manager writes them, the commands read them.

Times are ISO 8601 in UTC; octets are base64 text.
"""

from __future__ import annotations

import msgspec

from registrars.formats import EntryJson
from signer.status import KeyStatus, ZoneStatus

# A request's body is never longer, in octets: the largest is an RSA-4096 key pair.
LARGEST_BODY = 64 * 1024


class Followed(msgspec.Struct, frozen=True, kw_only=True):
    """How far a source that is followed has come (etcd). `revision` is that of what is served,
    `behind` how old it may be, in seconds; `problem`: why it may be older than it should.
    `left_out` entries are not served; `examples` names some and says why; `notes` say what is
    served otherwise than one might think."""

    revision: int | None
    behind: float | None
    problem: str | None
    entries: int
    left_out: int
    examples: tuple[str, ...]
    notes: tuple[str, ...]


class ZoneRow(msgspec.Struct, frozen=True, kw_only=True):
    """One zone in one block. `problem` is why what is served may not be what the source has."""

    zone: str
    block: str
    source: str
    serial: int | None
    records: int | None
    names: int | None
    signatures: int | None
    earliest_expiration: str | None
    loaded: str | None
    signed_rrsets: int
    problem: str | None
    signing: ZoneStatus | None
    followed: Followed | None = None


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """`config` is the digest of the Corefile in force. `settled`: every zone had its first
    pass, or says why not."""

    version: str
    pid: int
    corefile: str
    config: str
    settled: bool
    zones: tuple[ZoneRow, ...]


class ZoneBrief(msgspec.Struct, frozen=True):
    """Of one zone in one block, what a start waits for."""

    zone: str
    block: str
    serial: int | None
    signed: bool
    problem: str | None


class Overview(msgspec.Struct, frozen=True):
    """`config` and `settled` as in Status. `zones` is empty while nothing is settled: it is
    asked for again and again."""

    config: str
    settled: bool
    zones: tuple[ZoneBrief, ...]


class ZoneKeys(msgspec.Struct, frozen=True):
    zone: str
    keys: tuple[KeyStatus, ...]


class Delegation(msgspec.Struct, frozen=True):
    """What a parent is to have: DS and DNSKEY records in presentation form. `early` has the tags
    of keys whose DS it is not to have yet."""

    zone: str
    ds: tuple[str, ...]
    dnskey: tuple[str, ...]
    early: tuple[int, ...] = ()


class DsForms(msgspec.Struct, frozen=True):
    """The same in the forms that registrars ask for: zone-file text with the DNSKEY as comments,
    CDS and CDNSKEY, and field by field."""

    zone: str
    bind: str
    cds: str
    entries: tuple[EntryJson, ...]


class DsPlan(msgspec.Struct, frozen=True, kw_only=True):
    """DS in presentation form. `listed` is None where the registrar can't be read, `parent`
    where its servers can't be asked. `forbidden`: why the change is not made; `problem`: why
    the registrar could not be asked."""

    zone: str
    registrar: str | None
    wanted: tuple[str, ...]
    listed: tuple[str, ...] | None
    parent: tuple[str, ...] | None
    parent_problem: str | None
    add: tuple[str, ...]
    remove: tuple[str, ...]
    forbidden: str | None
    problem: str | None


class DsCheck(msgspec.Struct, frozen=True):
    """What is wanted and what the parent's servers show; no problems: all is well."""

    zone: str
    wanted: tuple[str, ...]
    parent: tuple[str, ...] | None
    problems: tuple[str, ...]


class ZoneAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    zone: str


class CutsAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Delegations of a zone: those of these names, or all."""

    zone: str
    children: tuple[str, ...] = ()


class Cut(msgspec.Struct, frozen=True, kw_only=True):
    """One delegation: its servers, the addresses of those that the zone has, and its DS. `ttl`
    in seconds, of the DS, or of the NS where there is none."""

    child: str
    servers: tuple[str, ...]
    addresses: dict[str, tuple[str, ...]]
    ds: tuple[bytes, ...]
    ttl: int


class Lines(msgspec.Struct, frozen=True):
    """What came of a request, for a person; one line a zone."""

    lines: tuple[str, ...]


class Fault(msgspec.Struct, frozen=True):
    """Why a request was refused, in one line."""

    error: str


class Generate(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`role` is csk, ksk or zsk; `bits` is for RSA."""

    zone: str
    role: str
    algorithm: int
    bits: int | None = None


class KeyPair(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Both halves of a key: DNSKEY rdata and PKCS#8 DER. Never logged, never in a repr."""

    zone: str
    dnskey: bytes
    private: bytes

    def __repr__(self) -> str:
        return f"KeyPair({self.zone!r})"


class Export(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    zone: str
    fingerprint: str


class RollAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One of: new keys in `roles` (csk, ksk, zsk; all where none is named), an algorithm by its
    number, a lost key by fingerprint or tag, going insecure, coming back."""

    roles: tuple[str, ...] = ()
    algorithm: int | None = None
    lost: str | None = None
    insecure: bool = False
    secure: bool = False
    now: bool = False


class PlanAsk(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`until` is in Unix seconds; `roll` is what the plan supposes to be begun now."""

    zone: str
    until: int | None = None
    svg: bool = False
    roll: RollAsk | None = None


class ZoneRoll(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    zone: str
    roll: RollAsk


class Brake(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`zone` is None for all of them."""

    zone: str | None
    reason: str = ""


class Word(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A person's word about a zone's DS at the parent."""

    zone: str
    seen: bool


class PlannedStep(msgspec.Struct, frozen=True):
    """What happens at one moment, and what it waited for until then."""

    at: str
    moves: tuple[str, ...]
    doing: tuple[str, ...]
    why: tuple[str, ...]


class PlanView(msgspec.Struct, frozen=True):
    """`ended`: nothing more will happen. `stopped`: the mix of cached records that validators
    would refuse, because of which a step is not taken."""

    zone: str
    begin: str
    until: str
    ended: bool
    stopped: str | None
    deadline: str | None
    steps: tuple[PlannedStep, ...]
    svg: str | None


class Entry(msgspec.Struct, frozen=True):
    """One line of the audit trail."""

    at: str
    actor: str
    action: str
    detail: str


class Trail(msgspec.Struct, frozen=True):
    zone: str
    entries: tuple[Entry, ...]
