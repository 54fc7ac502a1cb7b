"""Every order in which the rules let records move, and all that caches may hold on the way.

Without time, policy and conditions: a wait is that caches forget what was there before, and a
record may move whenever `signer.rules` does not forbid it. What a story reaches is finite, so
this is no sample: `explore` goes through all of it. The judge is `signer.cachemodel`.
"""

from collections.abc import Callable, Iterator
from functools import lru_cache
from typing import TypeVar

import attrs

from signer import rules
from signer.cachemodel import Data, Delegation, KeyId, KeyRRset, Verdict, answer, chain
from signer.keyset import RecordKind, State
from signer.rules import Row, Rows

Keys = frozenset[KeyId]
#: Versions of DS, of DNSKEY with its signers, and of signatures, the oldest first.
Versions = tuple[tuple[Keys, ...], tuple[tuple[Keys, Keys], ...], tuple[Keys, ...]]

_V = TypeVar("_V")
_DNSKEY, _ZRRSIG, _KRRSIG, _DS = range(4)
_KINDS = tuple(RecordKind)
# Which records caches fetch together with each.
_TOGETHER = ((_DNSKEY, _KRRSIG), (_ZRRSIG,), (_DNSKEY, _KRRSIG), (_DS,))


@attrs.frozen
class Wishes:
    """What is wanted: `goals` are of each key, H or O."""

    goals: str
    insecure: bool = False


@attrs.frozen
class Story:
    """Keys as they are at first, and what is wanted of them, one after another, each from any
    moment on. Records at `still` do not move."""

    rows: Rows
    wishes: tuple[Wishes, ...]
    still: tuple[int, ...] = ()


@attrs.frozen
class Found:
    """`bogus`: what a validator refuses and the steps that led there, empty where nothing is.
    `moments` counts what was judged; `rows` are the states that were reached, and `ended`
    says whether the last wish came true from all of them."""

    bogus: str
    moments: int
    rows: frozenset[Rows]
    stuck: Rows | None = None


@attrs.frozen
class _Move:
    """To `rows` (by number). What is published then, or what caches have forgotten."""

    rows: int
    key: KeyId
    at: int
    to: State
    published: Versions


#: Rows (by number), which wish it is, and what caches may hold.
_Moment = tuple[int, int, Versions]


class Exploration:
    """All of one story, under the rules as they are while it runs."""

    def __init__(self, story: Story) -> None:
        self.story = story
        self._rows: list[Rows] = []
        self._numbers: dict[Rows, int] = {}
        self._moves: dict[tuple[int, int], tuple[_Move, ...]] = {}

    def run(self, most: int = 100_000) -> Found:
        """Raises OverflowError after `most` moments."""
        rows = self.story.rows
        start: _Moment = (self._number(rows), 0, _published(rows))
        came: dict[_Moment, _Moment | None] = {start: None}
        waiting = [start]
        stuck = None
        for moment in waiting:
            if len(came) > most:
                raise OverflowError(f"more than {most} moments")
            why = judge(*moment[2])
            if why:
                return Found(self._path(came, moment) + why, len(came), frozenset())
            after = list(self._after(moment))
            unasked = self._unsecured(moment, after)
            if unasked:
                return Found(self._path(came, moment) + unasked, len(came), frozenset())
            if not after and not self._ended(moment):
                stuck = self._rows[moment[0]]
            for one in after:
                if one not in came:
                    came[one] = moment
                    waiting.append(one)
        return Found("", len(came), frozenset(self._rows), stuck)

    def _unsecured(self, moment: _Moment, after: list[_Moment]) -> str:
        if self.story.wishes[moment[1]].insecure or not moment[2][0][-1]:
            return ""
        gone = any(not cached[0][-1] for _, _, cached in after)
        return "the last DS goes, and nobody asked for it" if gone else ""

    def _number(self, rows: Rows) -> int:
        if rows not in self._numbers:
            self._numbers[rows] = len(self._rows)
            self._rows.append(rows)
        return self._numbers[rows]

    def _ended(self, moment: _Moment) -> bool:
        goals = self.story.wishes[moment[1]].goals
        return all(
            letter in ("-", goal)
            for row, goal in zip(self._rows[moment[0]], goals, strict=True)
            for at, letter in enumerate(row.states)
            if at not in self.story.still
        )

    def _after(self, moment: _Moment) -> Iterator[_Moment]:
        rows, number, cached = moment
        if number + 1 < len(self.story.wishes):
            yield rows, number + 1, cached
        known = self._moves.get((rows, number))
        if known is None:
            found = _moves(self._rows[rows], self.story, number)
            known = tuple(
                _Move(self._number(rows), key, at, to, _published(rows))
                for rows, key, at, to in found
            )
            self._moves[rows, number] = known
        for move in known:
            yield move.rows, number, _served(cached, move)

    def _path(self, came: dict[_Moment, _Moment | None], moment: _Moment) -> str:
        found: list[str] = []
        at: _Moment | None = moment
        while at is not None:
            states = (f"{row.fingerprint} {row.states}" for row in self._rows[at[0]])
            found.insert(0, "  ".join(states) + "\n")
            at = came[at]
        return "".join(found)


def _moves(rows: Rows, story: Story, number: int) -> Iterator[tuple[Rows, KeyId, int, State]]:
    wishes = story.wishes[number]
    for index, (row, goal) in enumerate(zip(rows, wishes.goals, strict=True)):
        for at, letter in enumerate(row.states):
            for to in () if at in story.still else _ways(goal, letter.upper()):
                no = rules.forbids(rows, row.fingerprint, _KINDS[at], to, insecure=wishes.insecure)
                if no is None:
                    moved = row.with_state(_KINDS[at], to)
                    after = _ranked((*rows[:index], moved, *rows[index + 1 :]))
                    yield after, (row.fingerprint, row.algorithm), at, to


def _ways(goal: str, letter: str) -> tuple[State, ...]:
    if goal == "O":
        return {"H": (State.RUMOURED,), "U": (State.RUMOURED,), "R": (State.OMNIPRESENT,)}.get(
            letter, ()
        )
    return {
        "R": (State.UNRETENTIVE, State.OMNIPRESENT),
        "O": (State.UNRETENTIVE,),
        "U": (State.HIDDEN,),
    }.get(letter, ())


def _served(cached: Versions, move: _Move) -> Versions:
    """What caches may hold after a record has moved."""
    if move.to in (State.OMNIPRESENT, State.HIDDEN):
        return forgotten(cached, move.key, move.at, move.to)
    ds, keys, data = move.published
    return later(cached[0], ds[0]), later(cached[1], keys[0]), later(cached[2], data[0])


def later(versions: tuple[_V, ...], version: _V) -> tuple[_V, ...]:
    if versions[-1] == version:
        return versions
    return (*(one for one in versions if one != version), version)


def _ranked(rows: Rows) -> Rows:
    """With times that say only what came first, of records that come or go in one RRset."""
    times = [
        sorted({row.since[at] for row in rows for at in group if row.states[at] in "RU"})
        for group in _TOGETHER
    ]
    return tuple(
        Row(
            row.fingerprint,
            row.algorithm,
            row.states,
            tuple(
                float(times[at].index(row.since[at])) if row.states[at] in "RU" else 0.0
                for at in range(4)
            ),
        )
        for row in rows
    )


def _published(rows: Rows) -> Versions:
    def visible(at: int) -> Keys:
        return frozenset((row.fingerprint, row.algorithm) for row in rows if row.states[at] in "RO")

    return (visible(_DS),), ((visible(_DNSKEY), visible(_KRRSIG)),), (visible(_ZRRSIG),)


def forgotten(cached: Versions, key: KeyId, at: int, to: State) -> Versions:
    """After the wait for a record to be everywhere, or nowhere, no cache has a version from
    before it appeared, or went."""
    there = to is State.OMNIPRESENT
    ds, keys, data = cached
    if at == _DS:
        ds = ds[_first(ds, lambda one: (key in one) == there) :]
    elif at == _ZRRSIG:
        data = data[_first(data, lambda one: (key in one) == there) :]
    else:
        part = 0 if at == _DNSKEY else 1
        keys = keys[_first(keys, lambda one: (key in one[part]) == there) :]
    return ds, keys, data


def _first(versions: tuple[_V, ...], holds: Callable[[_V], bool]) -> int:
    """Since which version something holds of all."""
    index = len(versions)
    while index and holds(versions[index - 1]):
        index -= 1
    return index


@lru_cache(1 << 16)
def judge(ds: tuple[Keys, ...], keys: tuple[tuple[Keys, Keys], ...], data: tuple[Keys, ...]) -> str:
    """Why a mix is bogus; empty where none is."""
    for delegation in map(Delegation, ds):
        for rrset in (KeyRRset(*one) for one in keys):
            verdict, why = chain(delegation, rrset)
            if verdict is Verdict.BOGUS:
                return why
            if verdict is Verdict.INSECURE:
                continue
            for signers in data:
                verdict, why = answer(rrset, Data(signers))
                if verdict is Verdict.BOGUS:
                    return why
    return ""


# --- stories --------------------------------------------------------------------------------


def _key(name: str, states: str, algorithm: int = 13) -> Row:
    return Row(name, algorithm, states)


KSK, ZSK, CSK = "O-OO", "OO--", "OOOO"
NO_KSK, NO_ZSK, NO_CSK = "H-HH", "HH--", "HHHH"

STORIES = {
    "first key": Story((_key("a", NO_CSK),), (Wishes("O"),)),
    "first keys": Story((_key("k", NO_KSK), _key("z", NO_ZSK)), (Wishes("OO"),)),
    "zone key": Story((_key("k", KSK), _key("a", ZSK), _key("b", NO_ZSK)), (Wishes("OHO"),)),
    "key signing key": Story((_key("z", ZSK), _key("a", KSK), _key("b", NO_KSK)), (Wishes("OHO"),)),
    "one key": Story((_key("a", CSK), _key("b", NO_CSK)), (Wishes("HO"),)),
    "zone keys, one upon another": Story(
        (_key("k", KSK), _key("a", ZSK), _key("b", NO_ZSK), _key("c", NO_ZSK)),
        (Wishes("OHOH"), Wishes("OHHO")),
    ),
    "key signing keys, one upon another, DS first": Story(
        (_key("z", ZSK), _key("a", KSK), _key("b", "H-HO"), _key("c", "H-HO")),
        (Wishes("OHOH"), Wishes("OHHO")),
        (_DS,),
    ),
    "key signing keys, one that returns, DS first": Story(
        (_key("z", ZSK), _key("x", KSK), _key("a", "H-OO"), _key("b", "H-HO")),
        (Wishes("OOOH"), Wishes("OHHO")),
        (_DS,),
    ),
    "algorithm": Story(
        (_key("a", CSK), _key("b", NO_CSK, 8)), (Wishes("HO"), Wishes("OH"), Wishes("HO"))
    ),
    "algorithm before the first DS": Story(
        (_key("a", "OOOH"), _key("b", "OOOH", 8)), (Wishes("HO"),)
    ),
    "zone keys, one that was leaving": Story(
        (_key("k", KSK), _key("x", NO_ZSK), _key("a", ZSK), _key("b", NO_ZSK)),
        (Wishes("OOHH"), Wishes("OHHO")),
    ),
    "zone keys, one that was coming": Story(
        (_key("k", KSK), _key("x", ZSK), _key("a", NO_ZSK), _key("b", NO_ZSK)),
        (Wishes("OHOH"), Wishes("OHHO")),
    ),
    "layout": Story((_key("a", CSK), _key("k", NO_KSK), _key("z", NO_ZSK)), (Wishes("HOO"),)),
    "layout back": Story((_key("k", KSK), _key("z", ZSK), _key("a", NO_CSK)), (Wishes("HHO"),)),
    "insecure and back": Story((_key("a", CSK),), (Wishes("O"), Wishes("H", True), Wishes("O"))),
    "insecure and back, two keys": Story(
        (_key("k", KSK), _key("z", ZSK)), (Wishes("OO"), Wishes("HH", True), Wishes("OO"))
    ),
}
