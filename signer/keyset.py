"""A zone's keys and the states of their records: values only.

Not keys but their records have states ("Flexible and Robust Key Rollover in DNSSEC", section
3): what caches may hold of each DNSKEY, of the signatures over the zone (ZRRSIG) and over the
DNSKEY RRset (KRRSIG), and of each DS.

    hidden ──▶ rumoured ──▶ omnipresent
      ▲            │  ▲          │
      └── unretentive ◀──────────┘

What moves them is in `signer.advance`, whether they may in `signer.rules`, `signer.conditions`
and `signer.times`, and what is wanted of each key in `signer.goals`. Times are seconds of
lived time (`signer.elapsed`), which no setting of the wall clock moves.
"""

import enum

import attrs
import dns.name

import engine
from keystore.dnskey import key_tag, revoked_tag
from signer.policy import KeyLayout, Nsec3, Policy


class State(enum.Enum):
    """What caches may hold of a record: none, some, all of them have it; or it goes."""

    HIDDEN = "hidden"
    RUMOURED = "rumoured"
    OMNIPRESENT = "omnipresent"
    UNRETENTIVE = "unretentive"

    @property
    def letter(self) -> str:
        """H, R, O or U, as in the masks of `signer.rules`."""
        return _LETTERS[self]


_LETTERS = {state: state.value[0].upper() for state in State}


class RecordKind(enum.Enum):
    """The records that belong to a key."""

    DNSKEY = "DNSKEY"
    ZRRSIG = "ZRRSIG"
    KRRSIG = "KRRSIG"
    DS = "DS"


class Role(enum.Enum):
    """What a key signs. The parent knows CSKs and KSKs."""

    CSK = "CSK"
    KSK = "KSK"
    ZSK = "ZSK"


class Goal(enum.Enum):
    """Where a key's records are to get to."""

    OMNIPRESENT = "omnipresent"
    HIDDEN = "hidden"


CARRIES = {
    Role.CSK: (RecordKind.DNSKEY, RecordKind.ZRRSIG, RecordKind.KRRSIG, RecordKind.DS),
    Role.KSK: (RecordKind.DNSKEY, RecordKind.KRRSIG, RecordKind.DS),
    Role.ZSK: (RecordKind.DNSKEY, RecordKind.ZRRSIG),
}
VISIBLE = frozenset({State.RUMOURED, State.OMNIPRESENT})


@attrs.frozen
class Record:
    """`since` is in lived seconds; `ttl` is the highest that a cache may still hold.
    `partial`: it is going and was never in all caches, so that what takes its place can't
    count on it."""

    state: State = State.HIDDEN
    since: float = 0.0
    ttl: int = 0
    partial: bool = False

    @property
    def letter(self) -> str:
        """As in the masks of `signer.rules`: H, R, O or U, and u where it is partial."""
        return self.state.letter.lower() if self.partial else self.state.letter

    def moved(self, to: State, now: float, ttl: int) -> "Record":
        """In its next state since `now` (lived seconds)."""
        partial = to is State.UNRETENTIVE and self.state is not State.OMNIPRESENT
        return Record(to, now, ttl, partial)


@attrs.frozen
class Key:
    """`records` has exactly the kinds that the role carries; `created` is in Unix seconds.

    `predecessor` and `successor` are fingerprints. `standby`: published before it is needed,
    and signing nothing. `lost`: the private half is gone, nothing can be signed with it.
    `retire`: a person asked for a successor now. `active_since` is when it began to sign and
    `removed_since` when its last record was forgotten, both in lived seconds."""

    fingerprint: str
    role: Role
    dnskey: bytes
    created: int
    records: tuple[tuple[RecordKind, Record], ...] = attrs.field()
    goal: Goal = Goal.OMNIPRESENT
    predecessor: str | None = None
    successor: str | None = None
    standby: bool = False
    lost: bool = False
    retire: bool = False
    active_since: float | None = None
    removed_since: float | None = None

    @staticmethod
    def hidden(
        fingerprint: str,
        role: Role,
        dnskey: bytes,
        created: int,
        now: float,
        *,
        predecessor: str | None = None,
        standby: bool = False,
    ) -> "Key":
        """A key of which nobody has heard."""
        records = tuple((kind, Record(since=now)) for kind in CARRIES[role])
        return Key(
            fingerprint, role, dnskey, created, records, predecessor=predecessor, standby=standby
        )

    @records.validator
    def _complete(self, _: object, value: tuple[tuple[RecordKind, Record], ...]) -> None:
        if tuple(kind for kind, _ in value) != CARRIES[self.role]:
            raise ValueError(f"a {self.role.value} carries {CARRIES[self.role]}")

    @property
    def algorithm(self) -> int:
        return self.dnskey[3]

    @property
    def tag(self) -> int:
        return key_tag(self.dnskey)

    def record(self, kind: RecordKind) -> Record | None:
        return next((record for found, record in self.records if found is kind), None)

    def state(self, kind: RecordKind) -> State | None:
        record = self.record(kind)
        return None if record is None else record.state

    def visible(self, kind: RecordKind) -> bool:
        """Whether the record is to be in what we publish."""
        return self.state(kind) in VISIBLE

    def all_hidden(self) -> bool:
        return all(record.state is State.HIDDEN for _, record in self.records)

    def everywhere(self) -> bool:
        """Whether every record is omnipresent."""
        return all(record.state is State.OMNIPRESENT for _, record in self.records)

    def letters(self) -> str:
        """The states as in the masks of `signer.rules`: DNSKEY, ZRRSIG, KRRSIG, DS."""
        return "".join(
            "-" if (record := self.record(kind)) is None else record.letter for kind in RecordKind
        )

    def with_record(self, kind: RecordKind, record: Record) -> "Key":
        records = tuple((found, record if found is kind else old) for found, old in self.records)
        return attrs.evolve(self, records=records)


@attrs.frozen
class Denial:
    """One kind of denial of existence, NSEC where `nsec3` is None, and how far it is known.
    A version of the zone has exactly one complete chain, so it has a state like a record."""

    nsec3: Nsec3 | None
    record: Record


@attrs.frozen
class ForeignKey:
    """A DNSKEY of another signer of this zone, published beside ours (RFC 8901 section
    2.1.2, model 2). It is never signed with here. `announced`: the parent is to have its DS,
    so that our CDS has it too."""

    dnskey: bytes
    record: Record = attrs.field(factory=Record)
    goal: Goal = Goal.OMNIPRESENT
    announced: bool = False

    @property
    def algorithm(self) -> int:
        return self.dnskey[3]


@attrs.frozen
class KeySet:
    """All keys of a zone's name; variants of the name in several blocks share it.

    `tags_used` are the tags that the zone has ever used, with and without REVOKE. `insecure`:
    going insecure was asked for by name. `held`: a person's brake, with the reason; nothing
    moves. `algorithm`: asked for by a person, in place of the policy's."""

    origin: dns.name.Name
    keys: tuple[Key, ...] = ()
    tags_used: frozenset[int] = frozenset()
    denials: tuple[Denial, ...] = ()
    foreign: tuple[ForeignKey, ...] = ()
    insecure: bool = False
    held: str | None = None
    algorithm: int | None = None

    def with_key(self, key: Key, *, made_here: bool) -> "KeySet":
        """Raises ValueError when the key is there, when it was made here with a tag that was
        used before, or when its predecessor is not there. The tags of imported keys are what
        they are. A predecessor is linked to it and is from now on to be hidden, and so are
        others of its role and algorithm that were to be replaced."""
        tags = {key.tag, revoked_tag(key.dnskey)}
        for other in self.keys:
            if other.fingerprint == key.fingerprint:
                raise ValueError(f"{self.origin} has the key {key.fingerprint} already")
        if made_here and tags & self.tags_used:
            raise ValueError(f"{self.origin} has used the key tag {key.tag} before")
        if key.predecessor is not None and self.key(key.predecessor) is None:
            raise ValueError(f"{self.origin} has no key {key.predecessor} to succeed")
        found = attrs.evolve(self, keys=(*self.keys, key), tags_used=self.tags_used | tags)
        return found if key.predecessor is None else found.linked(key.predecessor, key.fingerprint)

    def linked(self, predecessor: str, successor: str) -> "KeySet":
        """`successor` replaces `predecessor` (fingerprints of keys that are there)."""
        keys = []
        for key in self.keys:
            if key.fingerprint == predecessor:
                key = attrs.evolve(key, successor=successor, goal=Goal.HIDDEN, retire=False)
            elif key.fingerprint == successor:
                key = attrs.evolve(key, predecessor=predecessor, standby=False)
            keys.append(key)
        return attrs.evolve(self, keys=tuple(keys))

    def key(self, fingerprint: str) -> Key | None:
        return next((key for key in self.keys if key.fingerprint == fingerprint), None)

    def replaced(self, key: Key) -> "KeySet":
        """With this key in the place of the one with its fingerprint."""
        keys = tuple(key if old.fingerprint == key.fingerprint else old for old in self.keys)
        return attrs.evolve(self, keys=keys)

    def without(self, fingerprint: str) -> "KeySet":
        """Purged; its tags stay used. Raises ValueError while a cache may hold one of its
        records."""
        key = self.key(fingerprint)
        if key is not None and not key.all_hidden():
            raise ValueError(f"key {key.tag} of {self.origin} is still in use: {key.letters()}")
        keys = tuple(key for key in self.keys if key.fingerprint != fingerprint)
        return attrs.evolve(self, keys=keys)

    def published(self) -> tuple[Key, ...]:
        """Our keys whose DNSKEY records are in the zone."""
        return tuple(key for key in self.keys if key.visible(RecordKind.DNSKEY))

    def dnskeys(self) -> tuple[bytes, ...]:
        """The DNSKEY rdata of the zone, foreign keys included."""
        foreign = (key.dnskey for key in self.foreign if key.record.state in VISIBLE)
        return (*(key.dnskey for key in self.published()), *foreign)

    def signers(self) -> tuple[tuple[Key, int], ...]:
        """Who signs what: engine.SIGNS_KEYS, engine.SIGNS_ZONE or both. Lost keys can't."""
        return self._duties(lost=False)

    def lost_signers(self) -> tuple[tuple[Key, int], ...]:
        """Lost keys that would have to sign, were they not lost."""
        return self._duties(lost=True)

    def _duties(self, *, lost: bool) -> tuple[tuple[Key, int], ...]:
        found = []
        for key in self.keys:
            duty = (engine.SIGNS_KEYS if key.visible(RecordKind.KRRSIG) else 0) | (
                engine.SIGNS_ZONE if key.visible(RecordKind.ZRRSIG) else 0
            )
            if duty and key.lost is lost:
                found.append((key, duty))
        return tuple(found)

    def announced(self) -> tuple[Key, ...]:
        """Whose CDS and CDNSKEY records are in the zone (RFC 7344). None when the zone has
        no DNSKEY to sign them with."""
        if not self.published():
            return ()
        return tuple(key for key in self.keys if key.visible(RecordKind.DS))

    def announces_delete(self) -> bool:
        """Whether the zone asks by CDS for the removal of its DS (RFC 8078 section 4)."""
        return (
            bool(self.published())
            and any(key.state(RecordKind.DS) is State.UNRETENTIVE for key in self.keys)
            and not self.announced()
        )

    def for_parent(self) -> tuple[Key, ...]:
        """Which keys the parent's DS are to be made of now; those to come where it is to have
        none yet, as before the first and on an island."""
        now = tuple(key for key in self.keys if key.visible(RecordKind.DS))
        return now or self.to_come()

    def to_come(self) -> tuple[Key, ...]:
        """Whose DS the parent is to have later: what it would lead to is not in all caches."""
        return tuple(
            key
            for key in self.keys
            if key.state(RecordKind.DS) is State.HIDDEN
            and key.goal is Goal.OMNIPRESENT
            and not key.standby
        )

    def foreign_ksks(self) -> tuple[ForeignKey, ...]:
        """Other signers' keys that the parent is to have a DS of."""
        return tuple(key for key in self.foreign if key.goal is Goal.OMNIPRESENT and key.announced)

    def denial(self) -> Denial | None:
        """The one that is in what we publish."""
        return next((one for one in self.denials if one.record.state in VISIBLE), None)

    def nsec3(self, policy: Policy) -> Nsec3 | None:
        """What the next version is to be made with: the kind that has been switched to."""
        denial = self.denial()
        return policy.nsec3 if denial is None else denial.nsec3


def roles(layout: KeyLayout) -> tuple[Role, ...]:
    """The keys that a new zone needs."""
    return (Role.CSK,) if layout is KeyLayout.CSK else (Role.KSK, Role.ZSK)
