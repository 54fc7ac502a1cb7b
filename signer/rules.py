"""Which states of all records together are safe: the three rules, each with its source.

A mask gives the states of a key's DNSKEY, ZRRSIG, KRRSIG and DS in this order, by their
letters (H, R, O, U); ``-`` is any state, and that of a record which the key does not carry.
A record that goes without ever having been in all caches is ``u`` and matches no ``U``: the
paper takes a swap of two keys to cover all caches, which it does only if the first did.
Equation numbers are of "Flexible and Robust Key Rollover in DNSSEC" (Schaeffer, Overeinder,
Mekking, 2012), whose algorithm this is.
"""

import math
from collections.abc import Callable, Iterable

import attrs

from signer.conditions import frozen_by
from signer.keyset import Key, KeySet, RecordKind, State


@attrs.frozen
class Row:
    """What the rules see of a key. `states` are four letters, ``-`` for what it has not;
    `since` are the lived seconds of their last changes."""

    fingerprint: str
    algorithm: int
    states: str
    since: tuple[float, ...] = (0.0, 0.0, 0.0, 0.0)

    def matches(self, mask: str) -> bool:
        return all(want in ("-", have) for want, have in zip(mask, self.states, strict=True))

    def hidden(self, position: int) -> bool:
        return self.states[position] in "H-"

    def all_hidden(self) -> bool:
        return all(state in "H-" for state in self.states)

    def with_state(self, kind: RecordKind, state: State) -> "Row":
        at = POSITIONS[kind]
        partial = state is State.UNRETENTIVE and self.states[at] != State.OMNIPRESENT.letter
        letter = state.letter.lower() if partial else state.letter
        return attrs.evolve(
            self,
            states=self.states[:at] + letter + self.states[at + 1 :],
            since=(*self.since[:at], math.inf, *self.since[at + 1 :]),
        )


Rows = tuple[Row, ...]
POSITIONS = {kind: position for position, kind in enumerate(RecordKind)}
_DNSKEY, _DS = POSITIONS[RecordKind.DNSKEY], POSITIONS[RecordKind.DS]


def rows(keyset: KeySet, *, island: bool = False) -> Rows:
    """The key set as the rules see it. On an island, trust anchors configured by hand stand
    where a DS would: a key that is everywhere counts as anchored until one that stays is.
    A lost key has not signed the DNSKEY RRset since another took that over."""
    needed = {key.fingerprint for key in frozen_by(keyset)}
    found = tuple(
        Row(
            key.fingerprint,
            key.algorithm,
            _without_krrsig(key) if key.lost and key.fingerprint not in needed else key.letters(),
            tuple(
                0.0 if (record := key.record(kind)) is None else record.since for kind in RecordKind
            ),
        )
        for key in keyset.keys
    )
    if not island or keyset.insecure:
        return found
    stays = {key.fingerprint for key in keyset.keys if key.goal.value == "omnipresent"}
    ready = any(row.fingerprint in stays and row.matches("O-O-") for row in found)
    return tuple(
        attrs.evolve(
            row,
            states=row.states[:_DS]
            + ("O" if row.matches("O-O-") and (row.fingerprint in stays or not ready) else "H"),
        )
        if row.states[_DS] != "-"
        else row
        for row in found
    )


def _without_krrsig(key: Key) -> str:
    letters = key.letters()
    at = POSITIONS[RecordKind.KRRSIG]
    return letters if letters[at] in "-HU" else letters[:at] + "u" + letters[at + 1 :]


# --- pairs of keys --------------------------------------------------------------------------


def _pair(keys: Rows, leaves: str, comes: tuple[str, ...]) -> bool:
    """Some key in the state `leaves`, and one in a state of `comes` that has taken over."""
    leaving = [key for key in keys if key.matches(leaves)]
    coming = [key for key in keys if any(key.matches(mask) for mask in comes)] if leaving else []
    matters = [at for at in range(len(POSITIONS)) if comes[0][at] != "-"]
    return any(_took_over(old, new, matters) for old in leaving for new in coming)


def _took_over(old: Row, new: Row, matters: Iterable[int]) -> bool:
    """Whether a cache that lacks a record of the old key has all of the new one's: they were
    there before it went. The paper asks for a successor instead (equations 10 and 11), and
    takes that for granted of it."""
    came = [new.since[at] for at in matters if new.states[at] == "R"]
    went = [old.since[at] for at in matters if old.states[at] == "U"]
    return max(came, default=-math.inf) <= min(went, default=math.inf)


# --- the rules ------------------------------------------------------------------------------


@attrs.frozen
class Alternative:
    """One way in which a rule holds, for the keys of one algorithm or of the whole zone."""

    name: str
    holds: Callable[[Rows], bool]
    whole_zone: bool = False


@attrs.frozen
class Rule:
    """Holds for an algorithm when one of its alternatives does; `says` is what else would
    be."""

    name: str
    says: str
    alternatives: tuple[Alternative, ...]

    def holds(self, zone: Rows, algorithm: int) -> bool:
        mates = tuple(key for key in zone if key.algorithm == algorithm)
        return any(
            alternative.holds(zone if alternative.whole_zone else mates)
            for alternative in self.alternatives
        )


def ds_there(keys: Rows) -> bool:
    """Equation 1: a DS that caches have. The paper is content with one that they get with the
    next answer, which a parent may bring late."""
    return any(key.matches("---O") for key in keys)


def dnskey_everywhere(keys: Rows) -> bool:
    """Equation 2a: a key that every cache knows, signed with itself, with a DS."""
    return any(key.matches("O-OO") for key in keys)


def dnskey_swapped(keys: Rows) -> bool:
    """Equation 2c: both DS are everywhere; caches have one DNSKEY RRset or the other. Its
    signature goes before the DNSKEY, and is everywhere before it."""
    return _pair(keys, "--UO", ("R-RO", "R-OO"))


def ds_hidden_or_chained(keys: Rows) -> bool:
    """Equation 2d: whatever DS a cache has leads to a key that every cache has."""
    return all(key.hidden(_DS) or key.matches("O-O-") for key in keys)


def unanchored(keys: Rows) -> bool:
    """Equation 3a, of the whole zone: nobody is led to any key. The paper asks this of one
    algorithm; a strict validator wants signatures of every algorithm in the DNSKEY RRset
    (RFC 4035 section 2.2), whichever the DS are of (RFC 6781 section 4.1.4)."""
    return all(key.hidden(_DS) for key in keys)


def signed_everywhere(keys: Rows) -> bool:
    """Equation 3b: the signatures of a key that every cache knows are everywhere."""
    return any(key.matches("OO--") for key in keys)


def signatures_swapped(keys: Rows) -> bool:
    """Equation 3d: both DNSKEY are everywhere; caches have signatures of one or the other."""
    return _pair(keys, "OU--", ("OR--",))


def dnskey_hidden_or_signing(keys: Rows) -> bool:
    """Equation 3e: with whatever DNSKEY RRset, there are signatures everywhere to match it."""
    signing = {key.states[_DNSKEY] for key in keys if key.matches("-O--")}
    return all(key.hidden(_DNSKEY) or key.states[_DNSKEY] in signing for key in keys)


R1 = Rule(
    "R1",
    "there would be no DS",
    (Alternative("a DS is everywhere", ds_there, whole_zone=True),),
)
R2 = Rule(
    "R2",
    "a DS in a cache could lead to no DNSKEY",
    (
        Alternative("a key is everywhere, with its DS", dnskey_everywhere),
        Alternative("DNSKEY swapped under two DS that are everywhere", dnskey_swapped),
        Alternative("each DS hidden or its key everywhere", ds_hidden_or_chained),
    ),
)
R3 = Rule(
    "R3",
    "a DNSKEY in a cache could find no signatures",
    (
        Alternative("all DS hidden", unanchored, whole_zone=True),
        Alternative("a key and its signatures are everywhere", signed_everywhere),
        Alternative("signatures swapped under DNSKEY of both", signatures_swapped),
        Alternative("each DNSKEY hidden or matched by signatures", dnskey_hidden_or_signing),
    ),
)


def forbids(
    before: Rows, fingerprint: str, kind: RecordKind, to: State, *, insecure: bool
) -> Rule | None:
    """The rule that forbids a change of one record, if any does: one that holds now must
    hold after it, and nothing goes into unretentive while one holds neither before nor
    after. R1 is about DS, and holds always where the zone is meant to be insecure. A DS leads
    to the keys of all algorithms, another record matters to those of its own."""
    own = next(row for row in before if row.fingerprint == fingerprint)
    after = tuple(row.with_state(kind, to) if row is own else row for row in before)
    leaving = to is State.UNRETENTIVE

    def breaks(rule: Rule, algorithm: int) -> bool:
        return not rule.holds(after, algorithm) and (leaving or rule.holds(before, algorithm))

    if kind is RecordKind.DS:
        if not insecure and breaks(R1, own.algorithm):
            return R1
        algorithms = sorted({row.algorithm for row in before})
        for rule in (R2, R3):
            if any(breaks(rule, algorithm) for algorithm in algorithms):
                return rule
        return None
    return next((rule for rule in (R2, R3) if breaks(rule, own.algorithm)), None)
