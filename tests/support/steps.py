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

from signer import operations
from signer.actions import Generate, SubmitDs, WithdrawDs
from signer.advance import advance
from signer.goals import insecure as wants_insecure
from signer.keyset import CARRIES, Goal, Key, KeySet, Record, RecordKind, Role, State
from signer.observations import Observations
from signer.policy import DAY, DsMode, KeyLayout, Policy

ORIGIN = dns.name.from_text("example.org.")
_KINDS = tuple(RecordKind)
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
        came[first] = None
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
        for key in moment.keyset.keys:
            for kind, record in key.records:
                if record.state not in _ENDING:
                    continue
                name = (key.fingerprint, key.algorithm)
                there = record.state is State.RUMOURED
                if (name in _served(moment, kind)) is not there:
                    continue
                yield self._settle(moment, frozenset({(key.fingerprint, kind, there)}))
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

    def _settle(
        self, moment: Moment, passed: frozenset[tuple[str, RecordKind, bool]] = frozenset()
    ) -> tuple[Moment, str]:
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


def _looks(
    moment: Moment, passed: frozenset[tuple[str, RecordKind, bool]], now: float
) -> Observations:
    return Observations(
        shown={(name, kind): now for name, kind, there in passed if there},
        gone={(name, kind): now for name, kind, there in passed if not there},
        ds_anywhere=frozenset(name for name, _ in moment.parent),
        parent_looked=now,
    )


def _settled(
    moment: Moment, passed: frozenset[tuple[str, RecordKind, bool]], *, away: bool
) -> tuple[Moment, str]:
    """All that the machine does now that these waits (key, record, shown or gone) are over."""
    keyset, wanted, before = moment.keyset, moment.wanted, moment.before
    cached = moment.cached
    for fingerprint, kind, there in passed:
        key = keyset.key(fingerprint)
        assert key is not None
        to = State.OMNIPRESENT if there else State.HIDDEN
        cached = forgotten(cached, (fingerprint, key.algorithm), _KINDS.index(kind), to)
    now = 1.0 + max((record.since for key in keyset.keys for _, record in key.records), default=0.0)
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
    if shown and not stands and all(key.all_hidden() for key in keyset.keys if key.lost):
        wrong = "a version does not stand by itself"
    keys = (shown, signers if shown else frozenset())
    return (cached[0], later(cached[1], keys), later(cached[2], data)), wrong


def _generate(keyset: KeySet, action: Generate) -> KeySet:
    number = len(keyset.keys) + 1
    return keyset.with_key(
        attrs.evolve(
            _key(f"{action.role.value}{number}", action.role, action.algorithm, State.HIDDEN),
            predecessor=action.predecessor,
            standby=action.standby,
        ),
        made_here=False,
    )


def _ranked(keyset: KeySet) -> KeySet:
    """With times that say only what came first: of records that come or go."""
    times = sorted(
        {
            record.since
            for key in keyset.keys
            for _, record in key.records
            if record.state in _ENDING
        }
    )

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
    )


def _names(keyset: KeySet, kind: RecordKind) -> Keys:
    return frozenset((key.fingerprint, key.algorithm) for key in keyset.keys if key.visible(kind))


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
    return True


def _path(came: dict[Moment, Moment | None], moment: Moment) -> str:
    found: list[str] = []
    at: Moment | None = moment
    while at is not None:
        states = "  ".join(
            f"{key.fingerprint}/{key.algorithm} {key.letters()}{' lost' * key.lost}"
            for key in at.keyset.keys
        )
        parent = ",".join(sorted(name for name, _ in at.parent))
        found.insert(0, f"{states}  parent {parent or 'none'}\n")
        at = came.get(at)
    return "".join(found)


# --- stories --------------------------------------------------------------------------------


def _key(name: str, role: Role, algorithm: int, state: State) -> Key:
    flags = b"\x01\x00" if role is Role.ZSK else b"\x01\x01"
    body = sum(name.encode()).to_bytes(2, "big") + name.encode()
    records = tuple((kind, Record(state)) for kind in CARRIES[role])
    return Key(name, role, flags + bytes([3, algorithm]) + body, 0, records)


def signed(*roles: Role, algorithm: int = 13) -> KeySet:
    """A zone that has been signed for long."""
    keyset = KeySet(ORIGIN)
    for role in roles:
        keyset = keyset.with_key(
            _key(f"{role.value}{len(keyset.keys) + 1}", role, algorithm, State.OMNIPRESENT),
            made_here=False,
        )
    return keyset


def imported(keyset: KeySet) -> KeySet:
    """Its keys, of which we have published nothing yet."""
    return attrs.evolve(
        keyset,
        keys=tuple(
            _key(key.fingerprint, key.role, key.algorithm, State.HIDDEN) for key in keyset.keys
        ),
    )


def roll(*roles: Role) -> Wish:
    def wish(keyset: KeySet, policy: Policy) -> tuple[KeySet, Policy]:
        try:
            return operations.roll(keyset, policy, frozenset(roles) or None), policy
        except operations.OperationError:
            return keyset, policy

    return wish


def change(**values: object) -> Wish:
    return lambda keyset, policy: (keyset, attrs.evolve(policy, **values))


def lose(role: Role) -> Wish:
    """The newest key of a role that stays."""

    def wish(keyset: KeySet, policy: Policy) -> tuple[KeySet, Policy]:
        found = [key for key in keyset.keys if key.role is role and key.goal is Goal.OMNIPRESENT]
        if not found or any(key.lost and not key.all_hidden() for key in keyset.keys):
            return keyset, policy
        return operations.lose(keyset, found[-1].fingerprint), policy

    return wish


def go_insecure(keyset: KeySet, policy: Policy) -> tuple[KeySet, Policy]:
    return operations.go_insecure(keyset), policy


def go_secure(keyset: KeySet, policy: Policy) -> tuple[KeySet, Policy]:
    return operations.go_secure(keyset), policy


def two_signatures(moment: Moment) -> str:
    """Pre-publication (RFC 6781 section 4.1.1.1) makes no version larger."""
    return "the zone is signed twice" if len(moment.cached[2][-1]) > 1 else ""


def two_keys(moment: Moment) -> str:
    """Double DS (RFC 6781 section 4.1.2) makes no DNSKEY RRset larger."""
    shown = sum(name.startswith("KSK") for name, _ in moment.cached[1][-1][0])
    return "two key signing keys are shown" if shown > 1 else ""


def ds_ahead(moment: Moment) -> str:
    """With double KSK (RFC 6781 section 4.1.2) the parent finds the key of each DS, whichever
    cache it asks."""
    everywhere = {
        key.fingerprint
        for key in moment.keyset.keys
        if key.state(RecordKind.DNSKEY) is State.OMNIPRESENT
    }
    ahead = [name for name, _ in moment.wanted or () if name not in everywhere]
    return f"the DS of {ahead[0]} is ordered before its key is everywhere" if ahead else ""


SPLIT = attrs.evolve(POLICY, keys=KeyLayout.KSK_ZSK)
DOUBLE_DS = attrs.evolve(POLICY, ds=DsMode.DOUBLE_DS)
SPLIT_DOUBLE_DS = attrs.evolve(SPLIT, ds=DsMode.DOUBLE_DS)
_CSK, _SPLIT = signed(Role.CSK), signed(Role.KSK, Role.ZSK)
_NEW = KeySet(ORIGIN)

STORIES = {
    "first key": Story(_NEW, POLICY),
    "first keys": Story(_NEW, SPLIT),
    "zone key": Story(_SPLIT, SPLIT, (roll(Role.ZSK),), never=two_signatures),
    "key signing key": Story(_SPLIT, SPLIT, (roll(Role.KSK),), never=ds_ahead),
    "key signing key, DS first": Story(_SPLIT, SPLIT_DOUBLE_DS, (roll(Role.KSK),), never=two_keys),
    "one key": Story(_CSK, POLICY, (roll(),), never=two_signatures),
    "one key, DS first": Story(_CSK, DOUBLE_DS, (roll(),)),
    "zone keys, one upon another": Story(_SPLIT, SPLIT, (roll(Role.ZSK), roll(Role.ZSK))),
    "key signing keys, one upon another": Story(_SPLIT, SPLIT, (roll(Role.KSK), roll(Role.KSK))),
    "algorithm": Story(_CSK, POLICY, (change(algorithm=8),)),
    "algorithm and back": Story(_CSK, POLICY, (change(algorithm=8), change(algorithm=13))),
    "algorithm, two keys": Story(_SPLIT, SPLIT, (change(algorithm=8),)),
    "layout": Story(_CSK, POLICY, (change(keys=KeyLayout.KSK_ZSK),)),
    "layout back": Story(_SPLIT, SPLIT, (change(keys=KeyLayout.CSK),)),
    "insecure": Story(_CSK, POLICY, (go_insecure,)),
    "insecure and back": Story(_CSK, POLICY, (go_insecure, go_secure)),
    "insecure and back, two keys": Story(_SPLIT, SPLIT, (go_insecure, go_secure)),
    "DS first and not": Story(
        _SPLIT, SPLIT_DOUBLE_DS, (roll(Role.KSK), change(ds=DsMode.DOUBLE_KSK))
    ),
    "DS first after all": Story(_SPLIT, SPLIT, (roll(Role.KSK), change(ds=DsMode.DOUBLE_DS))),
    "a lost key": Story(_CSK, POLICY, (lose(Role.CSK),)),
    "a lost key signing key": Story(_SPLIT, SPLIT, (lose(Role.KSK),)),
    "a lost zone key": Story(_SPLIT, SPLIT, (lose(Role.ZSK),)),
    "a lost key signing key in a rollover": Story(_SPLIT, SPLIT, (roll(Role.KSK), lose(Role.KSK))),
    "a lost key signing key in a rollover, DS first": Story(
        _SPLIT, SPLIT_DOUBLE_DS, (roll(Role.KSK), lose(Role.KSK))
    ),
    "a lost zone key in a rollover": Story(_SPLIT, SPLIT, (roll(Role.ZSK), lose(Role.ZSK))),
    "keystore away, first keys": Story(_NEW, SPLIT, away=True),
    "keystore away, zone key": Story(_SPLIT, SPLIT, (roll(Role.ZSK), lose(Role.ZSK)), away=True),
    "keystore away, key signing key": Story(
        _SPLIT, SPLIT_DOUBLE_DS, (roll(Role.KSK), lose(Role.KSK)), away=True
    ),
    "keystore away, algorithm": Story(_SPLIT, SPLIT, (change(algorithm=8),), away=True),
    "keystore away, algorithm first": Story(_NEW, POLICY, (change(algorithm=8),), away=True),
    "keystore away, layout": Story(_CSK, POLICY, (change(keys=KeyLayout.KSK_ZSK),), away=True),
    "a lost key signing key, a new zone key": Story(
        _SPLIT, SPLIT, (lose(Role.KSK), roll(Role.ZSK))
    ),
    "a new zone key, a lost key signing key": Story(
        _SPLIT, SPLIT, (roll(Role.ZSK), lose(Role.KSK))
    ),
    "a lost key, insecure": Story(_CSK, POLICY, (lose(Role.CSK), go_insecure)),
    "a registrar, one by one": Story(_CSK, POLICY, (roll(),), Registrar(one_by_one=True)),
    "a registrar, DS first, one by one": Story(
        _SPLIT, SPLIT_DOUBLE_DS, (roll(Role.KSK),), Registrar(one_by_one=True)
    ),
    "a registrar, late": Story(_SPLIT, SPLIT, (roll(Role.KSK),), Registrar(late=True)),
    "a registrar, late, one by one": Story(
        _SPLIT, SPLIT, (roll(Role.KSK),), Registrar(one_by_one=True, late=True)
    ),
    "insecure and back, one by one": Story(
        _CSK, POLICY, (go_insecure, go_secure), Registrar(one_by_one=True)
    ),
    "algorithm first": Story(_NEW, POLICY, (change(algorithm=8),)),
    "algorithm first, two keys": Story(_NEW, SPLIT, (change(algorithm=8),)),
    "standby keys": Story(
        _SPLIT,
        attrs.evolve(SPLIT, standby=frozenset({"ksk", "zsk"}), standby_ds=True),
        (lose(Role.KSK),),
    ),
    "adopted": Story(imported(_CSK), POLICY, other=_CSK),
    "adopted, two keys": Story(imported(_SPLIT), SPLIT, other=_SPLIT),
    "adopted and rolled": Story(imported(_SPLIT), SPLIT, (roll(Role.KSK),), other=_SPLIT),
    "adopted for another layout": Story(imported(_CSK), SPLIT, other=_CSK),
    "adopted for another algorithm": Story(
        imported(_CSK), attrs.evolve(POLICY, algorithm=8), other=_CSK
    ),
    "algorithm, one by one": Story(
        _CSK, POLICY, (change(algorithm=8),), Registrar(one_by_one=True)
    ),
    "algorithm, late": Story(_CSK, POLICY, (change(algorithm=8),), Registrar(late=True)),
}

LONG = frozenset(
    {
        "key signing keys, one upon another",
        "a lost key signing key in a rollover",
        "a lost key signing key in a rollover, DS first",
        "keystore away, key signing key",
        "algorithm first, two keys",
        "adopted and rolled",
        "adopted for another layout",
        "a new zone key, a lost key signing key",
        "a lost key signing key, a new zone key",
    }
)
