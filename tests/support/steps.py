"""Every order in which things may happen to the whole machine, and all that caches may hold.

Without time: a wait is an event of its own, after which caches have forgotten what was there
before; so are what a person asks for and what a registrar does. After each of them
`signer.advance` moves what it will. What a story reaches is finite, and `Exploration.run` goes
through all of it. The judge is `signer.cachemodel`.
"""

from collections.abc import Callable, Iterator

import attrs
import dns.name
from orders import Keys, Versions, forgotten, judge, later

from signer.actions import Generate, SubmitDs, WithdrawDs
from signer.advance import advance
from signer.cachemodel import KeyId
from signer.goals import insecure as wants_insecure
from signer.keyset import CARRIES, VISIBLE, Goal, Key, KeySet, Record, RecordKind, Role, State
from signer.observations import Observations
from signer.policy import DAY, Policy

ORIGIN = dns.name.from_text("example.org.")
_KINDS = tuple(RecordKind)
_BY_LETTER = {state.letter: state for state in State}
_ENDING = (State.RUMOURED, State.UNRETENTIVE)
#: Nothing takes time, and no key is forgotten.
POLICY = Policy(
    dnskey_ttl=0,
    max_zone_ttl=0,
    propagation=0,
    publish_safety=0,
    retire_safety=0,
    parent_ds_ttl=0,
    parent_propagation=0,
    purge=1000 * DAY,
)

Wish = Callable[[KeySet, Policy], tuple[KeySet, Policy]]
#: A wait that is over: of whose record, and whether for it to be there or to be gone.
Wait = tuple[KeyId, RecordKind, bool]


@attrs.frozen
class Registrar:
    """How orders reach the parent: whole, or one DS at a time, in any order or the new ones
    first. `late`: an order of before may be carried out once more, as long as the machine does
    not take the DS of any key that it names to be forgotten."""

    one_by_one: bool = False
    late: bool = False


@attrs.frozen
class Story:
    """`other` is as which key set another signer has published the zone until now. `away`: the
    keystore makes a key when it will. `never` says what is wrong with a moment although no
    validator minds."""

    keyset: KeySet
    policy: Policy
    wishes: tuple[Wish, ...] = ()
    registrar: Registrar = Registrar()
    other: KeySet | None = None
    away: bool = False
    never: "Callable[[Moment], str]" = lambda moment: ""


@attrs.frozen
class Moment:
    """`parent` has these DS, `wanted` were ordered, `before` are all orders until then; `wish`
    is how many were told."""

    keyset: KeySet
    policy: Policy
    wish: int
    parent: Keys
    wanted: Keys | None
    before: frozenset[Keys]
    cached: Versions


@attrs.frozen
class Found:
    """What went wrong, empty where nothing did, and how many moments there were."""

    wrong: str
    moments: int


class Exploration:
    def __init__(self, story: Story) -> None:
        self.story = story

    def run(self, most: int = 100_000) -> Found:
        """After `most` moments nobody asks whether all of them have an end."""
        keyset = self.story.keyset
        served = self.story.other or keyset
        parent = _names(served, RecordKind.DS)
        version = (_names(served, RecordKind.DNSKEY), _names(served, RecordKind.KRRSIG))
        cached = (parent,), (version,), (_names(served, RecordKind.ZRRSIG),)
        start = Moment(keyset, self.story.policy, 0, parent, None, frozenset({parent}), cached)
        came: dict[Moment, Moment | None] = {}
        leads: dict[Moment, list[Moment]] = {}
        first, wrong = self._settle(start)
        wrong = wrong or judge(*first.cached) or self.story.never(first)
        came[first] = None
        if wrong:
            return Found(_path(came, first) + wrong, 1)
        waiting = [first]
        for moment in waiting:
            if len(came) > most:
                return Found("", len(came))
            for after, wrong in self._after(moment):
                wrong = wrong or judge(*after.cached) or self.story.never(after)
                if wrong:
                    came.setdefault(after, moment)
                    return Found(_path(came, after) + wrong, len(came))
                leads.setdefault(after, []).append(moment)
                if after not in came:
                    came[after] = moment
                    waiting.append(after)
        done = [one for one in came if one.wish == len(self.story.wishes) and _ended(one)]
        good = set(done)
        for moment in done:
            for one in leads.get(moment, ()):
                if one not in good:
                    good.add(one)
                    done.append(one)
        for moment in came:
            if moment not in good:
                return Found(_path(came, moment) + "it does not end", len(came))
        return Found("", len(came))

    def _after(self, moment: Moment) -> Iterator[tuple[Moment, str]]:
        if moment.wish < len(self.story.wishes):
            keyset, policy = self.story.wishes[moment.wish](moment.keyset, moment.policy)
            told = attrs.evolve(moment, keyset=keyset, policy=policy, wish=moment.wish + 1)
            yield self._settle(told)
        for name, kind, record in _records(moment.keyset):
            there = record.state is State.RUMOURED
            if record.state in _ENDING and (name in _served(moment, kind)) is there:
                yield self._settle(moment, frozenset({(name, kind, there)}))
        for parent in self._parents(moment):
            empty = (
                moment.parent and not parent and not wants_insecure(moment.keyset, moment.policy)
            )
            ds = later(moment.cached[0], parent)
            taken = attrs.evolve(moment, parent=parent, cached=(ds, *moment.cached[1:]))
            after, wrong = self._settle(taken)
            yield after, wrong or ("the last DS went, and nobody asked for it" if empty else "")
        if self.story.away:
            step = advance(moment.keyset, moment.policy, _looks(moment, frozenset(), 0.0), 0.0)
            for action in step.actions:
                if isinstance(action, Generate):
                    made = _generate(moment.keyset, action)
                    yield self._settle(attrs.evolve(moment, keyset=made))

    def _settle(self, moment: Moment, passed: frozenset[Wait] = frozenset()) -> tuple[Moment, str]:
        return _settled(moment, passed, away=self.story.away)

    def _parents(self, moment: Moment) -> Iterator[Keys]:
        """What the parent may have next."""
        wanted = moment.wanted
        if wanted is not None and wanted != moment.parent:
            if self.story.registrar.one_by_one:
                yield from (moment.parent | {one} for one in wanted - moment.parent)
                yield from (moment.parent - {one} for one in moment.parent - wanted)
            else:
                yield wanted
        if self.story.registrar.late:
            hidden = {
                (key.fingerprint, key.algorithm)
                for key in moment.keyset.keys
                if key.state(RecordKind.DS) is State.HIDDEN
            }
            yield from (old for old in moment.before - {moment.parent} if old and not old & hidden)


def _served(moment: Moment, kind: RecordKind) -> Keys:
    """What a look at the servers finds now."""
    if kind is RecordKind.DS:
        return moment.parent
    if kind is RecordKind.ZRRSIG:
        return moment.cached[2][-1]
    return moment.cached[1][-1][0 if kind is RecordKind.DNSKEY else 1]


def _records(keyset: KeySet) -> Iterator[tuple[KeyId, RecordKind, Record]]:
    """Ours, and the DNSKEY of other signers, which their rdata identify."""
    for key in keyset.keys:
        for kind, record in key.records:
            yield (key.fingerprint, key.algorithm), kind, record
    for foreign in keyset.foreign:
        yield (foreign.dnskey.hex(), foreign.algorithm), RecordKind.DNSKEY, foreign.record


def _looks(moment: Moment, passed: frozenset[Wait], now: float) -> Observations:
    """What other signers' servers show of a key of ours, they show when all of ours do."""
    shown = {(name, kind): now for (name, _), kind, there in passed if there}
    gone = {(name, kind): now for (name, _), kind, there in passed if not there}
    foreign = [(key.dnskey, (key.dnskey.hex(), RecordKind.DNSKEY)) for key in moment.keyset.foreign]
    return Observations(
        shown=shown,
        gone=gone,
        foreign={dnskey: now for dnskey, name in foreign if name in shown},
        foreign_gone={dnskey: now for dnskey, name in foreign if name in gone},
        shared={name: (now, 0) for name, kind in shown if kind is RecordKind.DNSKEY},
        ds_anywhere=frozenset(name for name, _ in moment.parent),
        parent_looked=now,
    )


def _settled(moment: Moment, passed: frozenset[Wait], *, away: bool) -> tuple[Moment, str]:
    """All that the machine does now that these waits are over."""
    keyset, wanted, before = moment.keyset, moment.wanted, moment.before
    cached = moment.cached
    for name, kind, there in passed:
        to = State.OMNIPRESENT if there else State.HIDDEN
        cached = forgotten(cached, name, _KINDS.index(kind), to)
    now = 1.0 + max((record.since for _, _, record in _records(keyset)), default=0.0)
    seen = _looks(moment, passed, now)
    wrong = ""
    while True:
        step = advance(keyset, moment.policy, seen, now)
        keyset = attrs.evolve(step.keyset, denials=())
        made = [action for action in step.actions if isinstance(action, Generate)]
        for action in step.actions:
            if isinstance(action, SubmitDs | WithdrawDs):
                names = action.keys if isinstance(action, SubmitDs) else action.keep
                order = frozenset(
                    (key.fingerprint, key.algorithm)
                    for key in keyset.keys
                    if key.fingerprint in names
                )
                before, wanted = before | {order}, order
        cached, wrong = _publish(keyset, cached)
        if wrong or not made or away:
            break
        keyset = _generate(keyset, made[0])
    return attrs.evolve(
        moment, keyset=_ranked(keyset), wanted=wanted, before=before, cached=cached
    ), wrong


def _publish(keyset: KeySet, cached: Versions) -> tuple[Versions, str]:
    """The next version. A lost key signs nothing anew."""
    old_keys, old_data = cached[1][-1], cached[2][-1]
    lost = {(key.fingerprint, key.algorithm) for key in keyset.keys if key.lost}
    shown = _names(keyset, RecordKind.DNSKEY)
    signers = _names(keyset, RecordKind.KRRSIG)
    signers -= lost if shown != old_keys[0] else lost - old_keys[1]
    data = _names(keyset, RecordKind.ZRRSIG)
    data -= lost - old_data
    stands = (shown & signers) and all(
        any(name in shown for name in data if name[1] == algorithm)
        for algorithm in {algorithm for _, algorithm in shown}
    )
    wrong = ""
    if shown and not signers <= shown:
        wrong = "the key set is signed with a key that is not in it"
    if shown and not stands and not any(map(_signed_once, keyset.keys)):
        wrong = "a version does not stand by itself"
    keys = (shown, signers if shown else frozenset())
    return (cached[0], later(cached[1], keys), later(cached[2], data)), wrong


def _signed_once(key: Key) -> bool:
    """Whether a lost key has signed; the gate refuses what is signed with it no more."""
    signatures = (key.state(RecordKind.ZRRSIG), key.state(RecordKind.KRRSIG))
    return key.lost and any(state not in (None, State.HIDDEN) for state in signatures)


def _generate(keyset: KeySet, action: Generate) -> KeySet:
    number = len(keyset.keys) + 1
    return keyset.with_key(
        attrs.evolve(
            key_in(f"{action.role.value}{number}", action.role, action.algorithm),
            predecessor=action.predecessor,
            standby=action.standby,
        ),
        made_here=False,
    )


def _ranked(keyset: KeySet) -> KeySet:
    """With times that say only what came first: of records that come or go."""
    times = sorted({record.since for _, _, record in _records(keyset) if record.state in _ENDING})

    def rank(record: Record) -> Record:
        since = 1.0 + times.index(record.since) if record.state in _ENDING else 0.0
        return Record(record.state, since, 0, record.partial)

    return attrs.evolve(
        keyset,
        tags_used=frozenset(),
        keys=tuple(
            attrs.evolve(
                key,
                records=tuple((kind, rank(record)) for kind, record in key.records),
                active_since=None,
                removed_since=None,
            )
            for key in keyset.keys
        ),
        foreign=tuple(attrs.evolve(key, record=rank(key.record)) for key in keyset.foreign),
    )


def _names(keyset: KeySet, kind: RecordKind) -> Keys:
    return frozenset(
        name
        for name, found, record in _records(keyset)
        if found is kind and record.state in VISIBLE
    )


def _ended(moment: Moment) -> bool:
    """Every key is where it is to be, and the parent has what it is to have."""
    for key in moment.keyset.keys:
        states = {record.state for _, record in key.records}
        if key.goal is Goal.HIDDEN:
            if states != {State.HIDDEN}:
                return False
        elif key.standby:
            if key.state(RecordKind.DNSKEY) is not State.OMNIPRESENT:
                return False
        elif key.lost or key.retire or states != {State.OMNIPRESENT}:
            return False
    # What is refused stays hidden.
    return all(
        key.record.state in (State.HIDDEN, State.OMNIPRESENT) for key in moment.keyset.foreign
    )


def _path(came: dict[Moment, Moment | None], moment: Moment) -> str:
    found: list[str] = []
    at: Moment | None = moment
    while at is not None:
        states = "  ".join(
            (
                *(
                    f"{key.fingerprint}/{key.algorithm} {key.letters()}{' lost' * key.lost}"
                    for key in at.keyset.keys
                ),
                *(f"foreign/{key.algorithm} {key.record.letter}" for key in at.keyset.foreign),
            )
        )
        parent = ",".join(sorted(name for name, _ in at.parent))
        found.insert(0, f"{states}  parent {parent or 'none'}\n")
        at = came.get(at)
    return "".join(found)


def key_in(name: str, role: Role, algorithm: int, states: str = "HHHH", **values: object) -> Key:
    """With its records in the states of the letters H, R, O and U, in the order of
    `RecordKind`; ``u`` is one that was never everywhere."""
    flags = b"\x01\x00" if role is Role.ZSK else b"\x01\x01"
    body = sum(name.encode()).to_bytes(2, "big") + name.encode()
    letters = dict(zip(_KINDS, states, strict=True))
    records = tuple(
        (kind, Record(_BY_LETTER[letters[kind].upper()], partial=letters[kind] == "u"))
        for kind in CARRIES[role]
    )
    key = Key(name, role, flags + bytes([3, algorithm]) + body, 0, records)
    return attrs.evolve(key, **values)
