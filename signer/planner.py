"""What will happen and when: the state machine run ahead on a simulated clock.

Observations are assumed to follow each step at once and generation gives symbolic keys; all
waits are real. Each moment is held against every mix of DS, DNSKEY, signatures and proofs that
caches may then have (`signer.cachemodel`). Pure: no I/O, no clock.
"""

from collections.abc import Iterator

import attrs

from signer.actions import (
    Advance,
    Blocker,
    Generate,
    Purge,
    SubmitDs,
    SwitchDenial,
    WithdrawDs,
)
from signer.advance import advance
from signer.cachemodel import Caches, Data, Delegation, KeyId, KeyRRset, Mix
from signer.denials import text as denial_text
from signer.keyset import VISIBLE, Key, KeySet, RecordKind, State
from signer.observations import Observations, Subject
from signer.policy import ALGORITHM_NAMES, Policy

# A plan ends here at the latest: more steps than any year of the shortest lifetimes has.
_MOST_STEPS = 2000
_SERVERS, _PARENT = "our servers", "the parent"


@attrs.frozen
class Move:
    """One record that changes its state. `key` is a fingerprint."""

    key: str
    record: RecordKind
    was: State
    to: State


@attrs.frozen
class Step:
    """What happens at one moment (lived seconds). `why` says what it waited for; `doing` what
    is done then, for people. `keyset` is as it is afterwards; `waits` say why nothing more
    happens now. `bogus` is a mix that a validator would refuse: such a step is not taken."""

    at: float
    moves: tuple[Move, ...]
    doing: tuple[str, ...]
    why: tuple[str, ...]
    waits: tuple[Blocker, ...]
    keyset: KeySet
    bogus: Mix | None = None


@attrs.frozen
class Plan:
    """`ended`: nothing more will happen; else the plan goes on after `until`. `stopped` is
    the mix because of which the plan stops. `deadline`: see `signer.actions.Advance`."""

    origin: str
    begin: float
    until: float
    before: KeySet
    steps: tuple[Step, ...]
    ended: bool
    stopped: Mix | None = None
    deadline: float | None = None


def plan(keyset: KeySet, policy: Policy, seen: Observations, now: float, until: float) -> Plan:
    """Run ahead from `now` to `until` (lived seconds)."""
    steps: list[Step] = []
    deadline: float | None = None
    ended = False
    future = _Future(policy, seen, keyset, now)
    for step, advanced in future.run(until):
        if advanced.deadline is not None:
            deadline = advanced.deadline
        steps.append(step)
        if step.bogus is not None or len(steps) >= _MOST_STEPS:
            break
    else:
        ended = future.ended
    befores = [keyset, *(step.keyset for step in steps)]
    shown = tuple(
        step
        for last, step in zip(befores, steps, strict=False)
        if step.moves or step.doing or step.bogus or last.denials != step.keyset.denials
    )
    if not shown and steps:
        shown = (steps[-1],)
    stopped = steps[-1].bogus if steps else None
    origin = keyset.origin.to_text()
    return Plan(origin, now, until, keyset, shown, ended, stopped, deadline)


def check(before: KeySet, after: KeySet, policy: Policy, now: float) -> Mix | None:
    """Whether a step from `before` to `after` at `now` (lived seconds) may be taken: the mix that
    a validator would refuse afterwards, None where there is none or where there was one before.

    It reads of the states only what caches may hold by them, and shares nothing with the rules
    that allowed the step."""
    mix = _held(after, policy, now).bogus(now)
    return mix if mix is not None and _held(before, policy, now).bogus(now) is None else None


def _held(keyset: KeySet, policy: Policy, now: float) -> Caches:
    caches = Caches()
    _remember(caches, keyset, policy, now)
    return caches


def what(keyset: KeySet, fingerprint: str) -> str:
    """A key for people: role, tag and algorithm; a symbolic key has no tag yet."""
    key = keyset.key(fingerprint)
    if key is None:
        return "a key"
    algorithm = ALGORITHM_NAMES.get(key.algorithm, str(key.algorithm))
    name = fingerprint if fingerprint.startswith("new ") else str(key.tag)
    return f"{key.role.value} {name} ({algorithm})"


class _Future:
    """The world of a plan: one server, one parent's server, both prompt."""

    def __init__(self, policy: Policy, seen: Observations, keyset: KeySet, now: float) -> None:
        self.policy = policy
        self.keyset = keyset
        self.now = now
        self.seen = seen
        self.ended = False
        self._made = 0
        self.caches = _held(keyset, policy, now)

    def run(self, until: float) -> Iterator[tuple[Step, Advance]]:
        waited: dict[tuple[str, RecordKind | None], str] = {}
        while self.now <= until:
            before = self.keyset
            advanced, doing = self._settle()
            moves = _moves(before, self.keyset)
            why = tuple(
                dict.fromkeys(
                    waited[move.key, move.record]
                    for move in moves
                    if (move.key, move.record) in waited
                )
            )
            _serve(self.caches, self.keyset, self.policy, self.now)
            bogus = self.caches.bogus(self.now)
            yield (
                Step(self.now, moves, doing, why, advanced.blockers, self.keyset, bogus),
                advanced,
            )
            for blocker in advanced.blockers:
                waited[blocker.fingerprint, blocker.record] = blocker.evidence
            due = advanced.next_due
            if due is None or due <= self.now:
                self.ended = due is None
                return
            self.now = due
            self.caches.forget(self.now)

    def _settle(self) -> tuple[Advance, tuple[str, ...]]:
        """Advance, generate and observe until nothing more happens at this moment."""
        doing: list[str] = []
        while True:
            before, seen = self.keyset, self.seen
            advanced = advance(self.keyset, self.policy, self.seen, self.now)
            self.keyset = advanced.keyset
            doing += [line for line in self._carry_out(advanced) if line not in doing]
            self._observe()
            if (self.keyset, self.seen) == (before, seen):
                return advanced, tuple(doing)

    def _carry_out(self, advanced: Advance) -> list[str]:
        lines = []
        for action in advanced.actions:
            if isinstance(action, Generate):
                lines.append(self._generate(action))
            elif isinstance(action, Purge):
                lines.append(f"delete {what(self.keyset, action.key)}")
                self.keyset = self.keyset.without(action.key)
            elif isinstance(action, SwitchDenial):
                lines.append(f"publish with {denial_text(action.nsec3)}")
            elif isinstance(action, SubmitDs):
                if not self._at_parent(action.keys):
                    names = ", ".join(what(self.keyset, key) for key in action.keys)
                    lines.append(f"bring the DS to the parent: {names}")
            elif isinstance(action, WithdrawDs) and self._any_at_parent(action.keys):
                names = ", ".join(what(self.keyset, key) for key in action.keys)
                lines.append(f"take the DS from the parent: {names}")
        return lines

    def _at_parent(self, keys: tuple[str, ...]) -> bool:
        return all((key, RecordKind.DS) in self.seen.shown for key in keys)

    def _any_at_parent(self, keys: tuple[str, ...]) -> bool:
        return any((key, RecordKind.DS) not in self.seen.gone for key in keys)

    def _generate(self, action: Generate) -> str:
        self._made += 1
        while self.keyset.key(f"new {self._made}") is not None:
            self._made += 1
        name = f"new {self._made}"
        flags = b"\x01\x00" if action.role.value == "ZSK" else b"\x01\x01"
        dnskey = flags + bytes([3, action.algorithm]) + name.encode()
        key = Key.hidden(
            name,
            action.role,
            dnskey,
            0,
            self.now,
            predecessor=action.predecessor,
            standby=action.standby,
        )
        self.keyset = self.keyset.with_key(key, made_here=False)
        standby = "a standby " if action.standby else ""
        return f"make {standby}{what(self.keyset, name)}"

    def _observe(self) -> None:
        """Everybody shows at once what the states say."""
        shown: dict[Subject, float] = {}
        gone: dict[Subject, float] = {}
        anywhere = set()
        for key in self.keyset.keys:
            for kind, record in key.records:
                subject = (key.fingerprint, kind)
                there = record.state in VISIBLE
                if kind is RecordKind.DS and there:
                    anywhere.add(key.fingerprint)
                before = (self.seen.shown if there else self.seen.gone).get(subject)
                fresh = before is not None and before >= record.since
                since = before if before is not None and fresh else self.now
                (shown if there else gone)[subject] = since
        denials = {}
        for denial in self.keyset.denials:
            if denial.record.state in VISIBLE:
                old = self.seen.denial.get(denial.nsec3)
                fresh = old is not None and old >= denial.record.since
                denials[denial.nsec3] = old if old is not None and fresh else self.now
        foreign = {
            key.dnskey: self.seen.foreign.get(key.dnskey, self.now)
            for key in self.keyset.foreign
            if key.record.state in VISIBLE
        }
        foreign_gone = {
            key.dnskey: self.seen.foreign_gone.get(key.dnskey, self.now)
            for key in self.keyset.foreign
            if key.record.state not in VISIBLE
        }
        shared = {}
        for key in self.keyset.published():
            dnskey, known = key.record(RecordKind.DNSKEY), self.seen.shared.get(key.fingerprint)
            if dnskey is not None:
                fresh = known is not None and known[0] >= dnskey.since
                shared[key.fingerprint] = known if known is not None and fresh else (self.now, 0)
        self.seen = attrs.evolve(
            self.seen,
            shown=shown,
            shared=shared,
            gone=gone,
            denial=denials,
            foreign=foreign,
            foreign_gone=foreign_gone,
            ds_anywhere=frozenset(anywhere),
            parent_looked=None if self.seen.island else self.now,
        )


def _moves(before: KeySet, after: KeySet) -> tuple[Move, ...]:
    moves = []
    for key in after.keys:
        old = before.key(key.fingerprint)
        for kind, record in key.records:
            was = State.HIDDEN if old is None else old.state(kind)
            if was is not None and was is not record.state:
                moves.append(Move(key.fingerprint, kind, was, record.state))
    return tuple(moves)


# --- what caches may hold -------------------------------------------------------------------


def _ids(keyset: KeySet, kind: RecordKind, states: frozenset[State]) -> frozenset[KeyId]:
    return frozenset(
        (key.fingerprint, key.algorithm) for key in keyset.keys if key.state(kind) in states
    )


def _serve(caches: Caches, keyset: KeySet, policy: Policy, now: float) -> None:
    """What is published of a key set, at our servers and at the parent's."""
    foreign = frozenset(
        (key.dnskey.hex(), key.algorithm) for key in keyset.foreign if key.record.state in VISIBLE
    )
    keys = KeyRRset(
        _ids(keyset, RecordKind.DNSKEY, VISIBLE) | foreign, _ids(keyset, RecordKind.KRRSIG, VISIBLE)
    )
    signers = _ids(keyset, RecordKind.ZRRSIG, VISIBLE)
    data = {Data(signers)}
    if signers:
        data.add(Data(signers, denial_text(keyset.nsec3(policy))))
    ttls = _ttls(keyset, policy)
    caches.zone(_SERVERS, keys, frozenset(data), ttls[:2], now)
    caches.parent(_PARENT, Delegation(_ids(keyset, RecordKind.DS, VISIBLE)), ttls[2], now)


def _ttls(keyset: KeySet, policy: Policy) -> tuple[int, int, int]:
    def highest(least: int, *kinds: RecordKind) -> int:
        ttls = [
            record.ttl
            for key in keyset.keys
            for kind, record in key.records
            if kind in kinds and record.state is not State.HIDDEN
        ]
        return max([least, *ttls])

    return (
        highest(policy.dnskey_ttl, RecordKind.DNSKEY, RecordKind.KRRSIG),
        highest(policy.max_zone_ttl, RecordKind.ZRRSIG),
        highest(0, RecordKind.DS) or policy.parent_ds_ttl,
    )


def _remember(caches: Caches, keyset: KeySet, policy: Policy, now: float) -> None:
    """What a plan begins with: each key's rumoured and unretentive records may be in caches
    or not. What was there before is what each record's state says: without the rumoured
    ones, and with the unretentive ones; where both are, one took the other's place."""
    moving = [
        (record.since, key, kind, record)
        for key in keyset.keys
        for kind, record in key.records
        if record.state in (State.RUMOURED, State.UNRETENTIVE)
    ]
    moments = sorted({since for since, *_ in moving}, reverse=True)
    history = [(now, keyset)]
    older = keyset
    for moment in moments:
        for since, key, kind, record in moving:
            if since == moment:
                current = older.key(key.fingerprint) or key
                was = State.HIDDEN if record.state is State.RUMOURED else State.OMNIPRESENT
                older = older.replaced(
                    current.with_record(kind, attrs.evolve(record, state=was, partial=False))
                )
        history.append((moment - 1.0, older))
    for at, one in reversed(history):
        _serve(caches, one, policy, min(at, now))
