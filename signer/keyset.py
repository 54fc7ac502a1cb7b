"""A zone's keys and the states of their records: values, and the one function that moves them.

Not keys but their records have states ("Flexible and Robust Key Rollover in DNSSEC"): what
caches may hold of each DNSKEY, of the signatures over the zone (ZRRSIG) and over the DNSKEY
RRset (KRRSIG), and of each DS.

    hidden ──▶ rumoured ──▶ omnipresent
      ▲                          │
      └────── unretentive ◀──────┘     (the way back belongs to rollovers)

`advance` reads no clock and does no I/O. Its times are seconds of lived time
(`signer.elapsed`), which no setting of the wall clock moves.
"""

import enum
from collections.abc import Mapping

import attrs
import dns.name

import engine
from keystore.dnskey import key_tag, revoked_tag
from signer.policy import KeyLayout, Policy


class State(enum.Enum):
    """What caches may hold of a record."""

    HIDDEN = "hidden"
    RUMOURED = "rumoured"
    OMNIPRESENT = "omnipresent"
    UNRETENTIVE = "unretentive"


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


_CARRIES = {
    Role.CSK: (RecordKind.DNSKEY, RecordKind.ZRRSIG, RecordKind.KRRSIG, RecordKind.DS),
    Role.KSK: (RecordKind.DNSKEY, RecordKind.KRRSIG, RecordKind.DS),
    Role.ZSK: (RecordKind.DNSKEY, RecordKind.ZRRSIG),
}
_VISIBLE = frozenset({State.RUMOURED, State.OMNIPRESENT})


@attrs.frozen
class Record:
    """`since` is in lived seconds; `ttl` is the highest that a cache may still hold."""

    state: State = State.HIDDEN
    since: float = 0.0
    ttl: int = 0


@attrs.frozen
class Key:
    """`records` has exactly the kinds that the role carries; `created` is in Unix seconds."""

    fingerprint: str
    role: Role
    dnskey: bytes
    created: int
    records: tuple[tuple[RecordKind, Record], ...] = attrs.field()

    @staticmethod
    def hidden(fingerprint: str, role: Role, dnskey: bytes, created: int, now: float) -> "Key":
        """A key of which nobody has heard."""
        records = tuple((kind, Record(since=now)) for kind in _CARRIES[role])
        return Key(fingerprint, role, dnskey, created, records)

    @records.validator
    def _complete(self, _: object, value: tuple[tuple[RecordKind, Record], ...]) -> None:
        if tuple(kind for kind, _ in value) != _CARRIES[self.role]:
            raise ValueError(f"a {self.role.value} carries {_CARRIES[self.role]}")

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
        return self.state(kind) in _VISIBLE

    def with_record(self, kind: RecordKind, record: Record) -> "Key":
        records = tuple((found, record if found is kind else old) for found, old in self.records)
        return attrs.evolve(self, records=records)


@attrs.frozen
class KeySet:
    """All keys of a zone's name; variants of the name in several blocks share it.
    `tags_used` are the tags that the zone has ever used, with and without REVOKE."""

    origin: dns.name.Name
    keys: tuple[Key, ...] = ()
    tags_used: frozenset[int] = frozenset()

    def with_key(self, key: Key, *, made_here: bool) -> "KeySet":
        """Raises ValueError when the key is there, or when it was made here with a tag that
        was used before. The tags of imported keys are what they are."""
        tags = {key.tag, revoked_tag(key.dnskey)}
        for other in self.keys:
            if other.fingerprint == key.fingerprint:
                raise ValueError(f"{self.origin} has the key {key.fingerprint} already")
        if made_here and tags & self.tags_used:
            raise ValueError(f"{self.origin} has used the key tag {key.tag} before")
        return attrs.evolve(self, keys=(*self.keys, key), tags_used=self.tags_used | tags)

    def key(self, fingerprint: str) -> Key | None:
        return next((key for key in self.keys if key.fingerprint == fingerprint), None)

    def published(self) -> tuple[Key, ...]:
        """Whose DNSKEY records are in the zone."""
        return tuple(key for key in self.keys if key.visible(RecordKind.DNSKEY))

    def signers(self) -> tuple[tuple[Key, int], ...]:
        """Who signs what: engine.SIGNS_KEYS, engine.SIGNS_ZONE or both."""
        found = []
        for key in self.keys:
            duty = (engine.SIGNS_KEYS if key.visible(RecordKind.KRRSIG) else 0) | (
                engine.SIGNS_ZONE if key.visible(RecordKind.ZRRSIG) else 0
            )
            if duty:
                found.append((key, duty))
        return tuple(found)

    def announced(self) -> tuple[Key, ...]:
        """Whose CDS and CDNSKEY records are in the zone (RFC 7344)."""
        return tuple(key for key in self.keys if key.visible(RecordKind.DS))

    def for_parent(self) -> tuple[Key, ...]:
        """Which keys the parent's DS are to be made of, whether it is time for it or not."""
        return tuple(key for key in self.keys if key.record(RecordKind.DS) is not None)


def roles(layout: KeyLayout) -> tuple[Role, ...]:
    """The keys that a new zone needs."""
    return (Role.CSK,) if layout is KeyLayout.CSK else (Role.KSK, Role.ZSK)


@attrs.frozen
class Observations:
    """What was seen, never what was ordered. `published`: since when (lived seconds) all our
    servers have shown a version with the key's DNSKEY and signatures, by fingerprint.
    `ds_since`: since when every server of the parent has shown the key's DS. `ds_anywhere`:
    keys whose DS is at one of them at least. `ds_ttl`: the highest TTL that the parent
    gave. `zone_ttl`: the highest TTL that the zone ever had. `island`: there is no parent."""

    published: Mapping[str, float] = attrs.field(factory=dict)
    ds_since: Mapping[str, float] = attrs.field(factory=dict)
    ds_anywhere: frozenset[str] = frozenset()
    ds_ttl: int = 0
    zone_ttl: int = 0
    island: bool = False


class Action(enum.Enum):
    """What the shell is to do next."""

    SIGN_APEX = "publish the key set that has changed"
    OBSERVE_SERVERS = "look at what our servers answer"
    OBSERVE_PARENT = "look at the DS at the parent"
    SUBMIT_DS = "the DS is to be brought to the parent"


@attrs.frozen
class Blocker:
    """Why a record does not move: who says no, on what evidence, until when (lived seconds;
    None: until something is seen)."""

    fingerprint: str
    record: RecordKind
    to: State
    who: str
    evidence: str
    until: float | None


@attrs.frozen
class Advance:
    keyset: KeySet
    actions: frozenset[Action]
    blockers: tuple[Blocker, ...]
    next_due: float | None


@attrs.frozen
class _No:
    """A refusal of one transition."""

    who: str
    evidence: str
    until: float | None = None
    action: Action | None = None


def advance(keyset: KeySet, policy: Policy, seen: Observations, now: float) -> Advance:
    """Move every record that may move towards omnipresence, until nothing moves.

    This is the part of the state machine that brings a zone's first keys, and further keys
    of the same algorithm, into use; nothing here ever withdraws a record."""
    actions: set[Action] = set()
    keyset = _raise_ttls(keyset, policy, seen)
    while True:
        blockers: list[Blocker] = []
        for key in keyset.keys:
            moved = _move_one(keyset, key, policy, seen, now, blockers, actions)
            if moved is not None:
                keys = tuple(
                    moved if other.fingerprint == key.fingerprint else other
                    for other in keyset.keys
                )
                keyset = attrs.evolve(keyset, keys=keys)
                break
        else:
            due = [blocker.until for blocker in blockers if blocker.until is not None]
            return Advance(keyset, frozenset(actions), tuple(blockers), min(due, default=None))


def _raise_ttls(keyset: KeySet, policy: Policy, seen: Observations) -> KeySet:
    """Keep the highest TTL under which a record was ever published: a policy that lowers
    it must not shorten a wait that caches still need."""
    keys = []
    for key in keyset.keys:
        for kind, record in key.records:
            if record.state in _VISIBLE:
                ttl = max(record.ttl, _ttl(kind, policy, seen))
                key = key.with_record(kind, attrs.evolve(record, ttl=ttl))
        keys.append(key)
    return attrs.evolve(keyset, keys=tuple(keys))


def _ttl(kind: RecordKind, policy: Policy, seen: Observations) -> int:
    if kind is RecordKind.DS:
        # What the parent shows wins over what the policy supposes.
        return seen.ds_ttl or policy.parent_ds_ttl
    if kind is RecordKind.ZRRSIG:
        return max(policy.max_zone_ttl, seen.zone_ttl)
    return policy.dnskey_ttl


def _move_one(
    keyset: KeySet,
    key: Key,
    policy: Policy,
    seen: Observations,
    now: float,
    blockers: list[Blocker],
    actions: set[Action],
) -> Key | None:
    """The key with its first record that may move, moved; None when none may."""
    for kind, record in key.records:
        if record.state is State.HIDDEN:
            to, no = State.RUMOURED, _may_appear(keyset, key, kind, policy, seen)
        elif record.state is State.RUMOURED:
            to, no = State.OMNIPRESENT, _may_be_everywhere(key, kind, record, policy, seen, now)
        else:
            continue
        if no is None:
            actions |= _follows(kind, to)
            return key.with_record(kind, Record(to, now, _ttl(kind, policy, seen)))
        if no.action is not None:
            actions.add(no.action)
        blockers.append(Blocker(key.fingerprint, kind, to, no.who, no.evidence, no.until))
    return None


def _follows(kind: RecordKind, to: State) -> set[Action]:
    if to is not State.RUMOURED:
        return set()
    if kind is RecordKind.DS:
        return {Action.SIGN_APEX, Action.SUBMIT_DS, Action.OBSERVE_PARENT}
    return {Action.SIGN_APEX, Action.OBSERVE_SERVERS}


def _may_appear(
    keyset: KeySet, key: Key, kind: RecordKind, policy: Policy, seen: Observations
) -> _No | None:
    """Into rumoured: what the policy of each kind asks for."""
    dnskey = key.state(RecordKind.DNSKEY)
    if kind is RecordKind.DNSKEY:
        return None
    if kind is RecordKind.KRRSIG:
        return _No("rule", "its DNSKEY is not published") if dnskey is State.HIDDEN else None
    if kind is RecordKind.ZRRSIG:
        # A signature that caches can't check yet is harmless only where no other key of
        # the algorithm is there to be preferred: with the zone's first keys.
        others = any(
            other.algorithm == key.algorithm
            and other.fingerprint != key.fingerprint
            and other.state(RecordKind.ZRRSIG) is State.OMNIPRESENT
            for other in keyset.keys
        )
        if others and dnskey is not State.OMNIPRESENT:
            return _No("rule", "its DNSKEY is not in all caches yet")
        return None
    if seen.island:
        return _No("policy", "parent none: the zone is an island")
    if key.fingerprint in seen.ds_anywhere:
        return None
    if dnskey is not State.OMNIPRESENT:
        return _No("rule", "its DNSKEY is not in all caches yet")
    # A resolver that follows the new DS must find a signature on whatever it has cached
    # (first DS: published + max(TTL(DNSKEY) + publish safety, max zone TTL)).
    if not any(
        other.algorithm == key.algorithm and other.state(RecordKind.ZRRSIG) is State.OMNIPRESENT
        for other in keyset.keys
    ):
        return _No("rule", "signatures of its algorithm are not in all caches yet")
    return None


def _may_be_everywhere(
    key: Key, kind: RecordKind, record: Record, policy: Policy, seen: Observations, now: float
) -> _No | None:
    """Into omnipresent: the clock starts at what was observed."""
    if kind is RecordKind.DS:
        since = seen.ds_since.get(key.fingerprint)
        if since is None:
            evidence = "the parent's servers don't all show its DS"
            return _No("observation", evidence, action=Action.OBSERVE_PARENT)
        wait = record.ttl + policy.parent_propagation + policy.retire_safety
        evidence = "every server of the parent shows its DS; caches may hold the answer before"
    else:
        since = seen.published.get(key.fingerprint)
        if since is None:
            evidence = "our servers don't all show the version with it"
            return _No("observation", evidence, action=Action.OBSERVE_SERVERS)
        safety = policy.retire_safety if kind is RecordKind.ZRRSIG else policy.publish_safety
        wait = record.ttl + policy.propagation + safety
        evidence = "all our servers show it; caches may hold what was there before"
    due = max(since, record.since) + wait
    return None if now >= due else _No("time", evidence, due)
