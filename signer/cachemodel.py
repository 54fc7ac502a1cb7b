"""What a validating resolver may meet: every mix of DS, DNSKEY and signatures that caches hold.

Written from the validator's side (RFC 4035 section 5, as strict as RFC 4035 section 2.2 lets
it be), and knowing nothing of key states or rules: the planner and the tests hold those
against it. A resolver may have fetched each RRset at another time, so each may be of another
version; what has been validated stays so for its TTL, also when the DS has gone meanwhile.
"""

import enum
from collections.abc import Hashable, Iterator
from functools import lru_cache
from typing import TypeVar

import attrs

_What = TypeVar("_What")

#: A key: something that identifies it, and its algorithm.
KeyId = tuple[str, int]


class Verdict(enum.Enum):
    SECURE = "secure"
    INSECURE = "insecure"
    BOGUS = "bogus"


@attrs.frozen(cache_hash=True)
class Delegation:
    """A DS RRset: of which keys. Empty: the parent proves that there is none."""

    keys: frozenset[KeyId]


@attrs.frozen(cache_hash=True)
class KeyRRset:
    """A DNSKEY RRset with the keys that signed it; they are fetched together. Empty: the
    zone has none."""

    keys: frozenset[KeyId]
    signers: frozenset[KeyId]


@attrs.frozen(cache_hash=True)
class Data:
    """An RRset of the zone's data, positive or a proof of absence: which keys signed it.
    `proof` says which chain it is of, and `whole` whether that chain is complete."""

    signers: frozenset[KeyId]
    proof: str = ""
    whole: bool = True


@attrs.frozen
class Mix:
    """RRsets that one resolver may hold together, and what it makes of them."""

    delegation: Delegation
    keys: KeyRRset
    data: Data | None
    verdict: Verdict
    why: str = ""

    def __str__(self) -> str:
        parts = [
            f"DS {_names(self.delegation.keys)}",
            f"DNSKEY {_names(self.keys.keys)} signed by {_names(self.keys.signers)}",
        ]
        if self.data is not None:
            what = f"{self.data.proof} proof" if self.data.proof else "data"
            parts.append(f"{what} signed by {_names(self.data.signers)}")
        return f"{' with '.join(parts)}: {self.verdict.value}" + (f", {self.why}" * bool(self.why))


def _names(keys: frozenset[KeyId]) -> str:
    return ", ".join(f"{key[:8]}/{algorithm}" for key, algorithm in sorted(keys)) or "none"


@lru_cache(1 << 16)
def chain(delegation: Delegation, keys: KeyRRset) -> tuple[Verdict, str]:
    """Whether a DNSKEY RRset is believed. For each algorithm in the DS RRset one DS has to
    lead to a key that signs it (RFC 4035 section 5.2, RFC 6840 section 5.11)."""
    if not delegation.keys:
        return Verdict.INSECURE, ""
    for algorithm in sorted({algorithm for _, algorithm in delegation.keys}):
        if not any(
            key in keys.keys and key in keys.signers
            for key in delegation.keys
            if key[1] == algorithm
        ):
            return Verdict.BOGUS, f"no DS of algorithm {algorithm} leads to a key that signs"
    return Verdict.SECURE, ""


@lru_cache(1 << 16)
def answer(keys: KeyRRset, data: Data) -> tuple[Verdict, str]:
    """Whether data are believed by one who believes these keys: signatures of every algorithm
    in the DNSKEY RRset (RFC 4035 section 2.2), and where absence is proved, a whole chain."""
    for algorithm in sorted({algorithm for _, algorithm in keys.keys}):
        if not any(key in keys.keys for key in data.signers if key[1] == algorithm):
            return Verdict.BOGUS, f"no signature of algorithm {algorithm} by a key in it"
    if not keys.keys:
        return Verdict.BOGUS, "there is no key"
    if not data.whole:
        return Verdict.BOGUS, f"the {data.proof} chain has gaps"
    return Verdict.SECURE, ""


@attrs.define
class _Span:
    """How long something was served: since `first`, by `sources` servers now, and if by none,
    until `last`. `ttl` is its TTL; times are in seconds of any one clock."""

    first: float
    ttl: int
    sources: int = 0
    last: float = 0.0

    def until(self, now: float) -> float:
        """When it was last fetched, at the latest."""
        return now if self.sources else self.last

    def cached(self, now: float) -> bool:
        return self.sources > 0 or now < self.last + self.ttl


class Caches:
    """All that may be in any cache, from what each server serves and served. Call `parent`
    and `zone` at each change of what a server serves, in order of time."""

    def __init__(self) -> None:
        self._delegations: dict[tuple[Delegation, int], _Span] = {}
        self._keys: dict[tuple[KeyRRset, int], _Span] = {}
        self._data: dict[tuple[Data, int], _Span] = {}
        self._serving: dict[Hashable, list[_Span]] = {}

    def parent(self, server: Hashable, delegation: Delegation, ttl: int, now: float) -> None:
        """A server of the parent serves this from now on."""
        self._switch(
            server, [self._delegations.setdefault((delegation, ttl), _Span(now, ttl))], now
        )

    def zone(
        self,
        server: Hashable,
        keys: KeyRRset,
        data: frozenset[Data],
        ttls: tuple[int, int],
        now: float,
    ) -> None:
        """A server of the zone serves this from now on; `ttls` of the DNSKEY RRset and the
        highest of all the rest, in seconds. `data` are all the ways in which RRsets are
        signed."""
        key_ttl, data_ttl = ttls
        spans = [_span(self._keys, (keys, key_ttl), key_ttl, now)]
        spans += [_span(self._data, (one, data_ttl), data_ttl, now) for one in data]
        self._switch(server, spans, now)

    def _switch(self, server: Hashable, spans: list[_Span], now: float) -> None:
        for span in spans:
            span.sources += 1
        for span in self._serving.get(server, ()):
            span.sources -= 1
            if not span.sources:
                span.last = now
        self._serving[server] = spans

    def forget(self, now: float) -> None:
        """Drop what no cache holds any more and nothing believed can come from."""
        longest = max((span.ttl for span in self._keys.values()), default=0)
        _drop(self._delegations, now - longest)
        _drop(self._keys, now)
        _drop(self._data, now)

    def mixes(self, now: float) -> Iterator[Mix]:
        """Every mix that a resolver may hold at this moment, judged."""
        delegations = [
            (delegation, span, span.cached(now))
            for (delegation, _), span in self._delegations.items()
        ]
        data = [one for (one, _), span in self._data.items() if span.cached(now)]
        for (keys, _), span in self._keys.items():
            if not span.cached(now):
                continue
            for delegation, anchor, cached in delegations:
                verdict, why = chain(delegation, keys)
                if cached:
                    yield Mix(delegation, keys, None, verdict, why)
                if verdict is not Verdict.SECURE or not _believed(span, anchor, now):
                    continue
                for one in data:
                    found, reason = answer(keys, one)
                    yield Mix(delegation, keys, one, found, reason)

    def bogus(self, now: float) -> Mix | None:
        """A mix that a validator refuses, if there is one."""
        return next((mix for mix in self.mixes(now) if mix.verdict is Verdict.BOGUS), None)


def _span(found: "dict[_What, _Span]", key: _What, ttl: int, now: float) -> _Span:
    """Of what is served: the span that it has in caches still, else a new one."""
    span = found.get(key)
    if span is None or not span.cached(now):
        span = found[key] = _Span(now, ttl)
    return span


def _drop(found: "dict[_What, _Span]", now: float) -> None:
    for key in [key for key, span in found.items() if not span.cached(now)]:
        del found[key]


def _believed(keys: _Span, anchor: _Span, now: float) -> bool:
    """Whether keys that were validated with a DS may still be held as valid: they were
    fetched while the DS was cached, and not longer ago than their TTL."""
    fetched = min(keys.until(now), anchor.until(now) + anchor.ttl)
    return fetched >= max(keys.first, anchor.first) and now < fetched + keys.ttl
