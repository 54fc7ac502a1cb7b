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
    predecessor: str | None = None
    successor: str | None = None
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
            key.predecessor,
            key.successor,
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


# --- the successor relation -----------------------------------------------------------------


def depends(on: Row, keys: Rows) -> Row | None:
    """Equation 10: the key that `on` directly succeeds, while anything of it is left."""
    for key in keys:
        if key.successor == on.fingerprint and on.predecessor == key.fingerprint:
            return None if key.all_hidden() else key
    return None


def successor(old: Row, new: Row, keys: Rows) -> bool:
    """Equation 11: whether `new` takes the place of `old`, directly or by a chain of keys
    that are in the same states: a rollover may begin while another runs."""
    if depends(old, keys) is not None:
        return False
    between = depends(new, keys)
    seen = {new.fingerprint}
    while between is not None and between.fingerprint not in seen:
        if between.fingerprint == old.fingerprint:
            return True
        if between.states != new.states:
            return False
        seen.add(between.fingerprint)
        between = depends(between, keys)
    return False


def _pair(keys: Rows, olds: Iterable[str], news: Iterable[str]) -> bool:
    """Some key in one of the states `olds` with a successor in one of the states `news`."""
    leaving = [key for key in keys if any(key.matches(mask) for mask in olds)]
    coming = [key for key in keys if any(key.matches(mask) for mask in news)] if leaving else []
    return any(
        _took_over(old, new) and successor(old, new, keys) for old in leaving for new in coming
    )


def _took_over(old: Row, new: Row) -> bool:
    """Whether each record that goes went when its successor's was there: what appears later
    finds caches that a third key has filled meanwhile, of which the paper knows nothing."""
    return all(
        new.since[at] <= old.since[at]
        for at in range(len(POSITIONS))
        if (old.states[at], new.states[at]) == ("U", "R")
    )


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
    """Equation 1: a DS that caches have, or get with the next answer."""
    return any(key.matches("---O") or key.matches("---R") for key in keys)


def dnskey_everywhere(keys: Rows) -> bool:
    """Equation 2a: a key that every cache knows, signed with itself, with a DS."""
    return any(key.matches("O-OO") for key in keys)


def ds_swapped(keys: Rows) -> bool:
    """Equation 2b: both DNSKEY are everywhere; caches have one DS or the other."""
    return _pair(keys, ("O-OU",), ("O-OR",))


def dnskey_swapped(keys: Rows) -> bool:
    """Equation 2c: both DS are everywhere; caches have one DNSKEY RRset or the other."""
    return _pair(keys, ("U-UO", "O-UO", "U-OO"), ("R-RO", "O-RO", "R-OO"))


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


def zone_key_swapped(keys: Rows) -> bool:
    """Equation 3c: both keys' signatures are everywhere; caches have one DNSKEY or the other."""
    return _pair(keys, ("UO--",), ("RO--",))


def signatures_swapped(keys: Rows) -> bool:
    """Equation 3d: both DNSKEY are everywhere; caches have signatures of one or the other."""
    return _pair(keys, ("OU--",), ("OR--",))


def dnskey_hidden_or_signing(keys: Rows) -> bool:
    """Equation 3e: with whatever DNSKEY RRset, there are signatures everywhere to match it."""
    signing = {key.states[_DNSKEY] for key in keys if key.matches("-O--")}
    return all(key.hidden(_DNSKEY) or key.states[_DNSKEY] in signing for key in keys)


R1 = Rule(
    "R1",
    "there would be no DS",
    (Alternative("a DS is everywhere or appears", ds_there, whole_zone=True),),
)
R2 = Rule(
    "R2",
    "a DS in a cache could lead to no DNSKEY",
    (
        Alternative("a key is everywhere, with its DS", dnskey_everywhere),
        Alternative("DS swapped between two keys that are everywhere", ds_swapped),
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
        Alternative("DNSKEY swapped under signatures of both", zone_key_swapped),
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
