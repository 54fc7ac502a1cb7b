"""The keys of a parent zone, by the chain of trust that leads to it. Answers are kept for their
TTL and shared by all zones: ten thousand under one parent ask for its keys once."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeAlias

import attrs
import dns.asyncresolver
import dns.name
import dns.rdatatype

from signer.absence import Absent, Kind
from signer.asking import Answered, Silent, ask_resolver
from signer.trust import Anchor, Bogus, Insecure, ZoneKeys
from signer.validation import Delegated, delegation, keys_of

# An answer is kept no longer than this, in seconds, and that there was none this long.
_LONGEST = 86_400
_SILENCE = 5
_MOST_KEPT = 4096

Answer: TypeAlias = Answered | Silent


@attrs.define
class AnswerCache:
    """Answers by what was asked of whom. Two who want the same ask once."""

    _kept: dict[object, tuple[float, float, Answer]] = attrs.field(init=False, factory=dict)
    _asked: dict[object, asyncio.Task[Answer]] = attrs.field(init=False, factory=dict)

    async def get(
        self, key: object, ask: Callable[[], Awaitable[Answer]], most_age: float = _LONGEST
    ) -> Answer:
        """`most_age` in seconds: what is older is asked for again, whatever its TTL."""
        now = asyncio.get_running_loop().time()
        kept = self._kept.get(key)
        if kept is not None and now - kept[0] <= min(kept[1], most_age):
            return kept[2]
        task = self._asked.get(key)
        if task is None:
            task = asyncio.create_task(self._fetch(key, ask))
            self._asked[key] = task
            task.add_done_callback(lambda _: self._asked.pop(key, None))
        # One who gives up must not take the answer from the others.
        return await asyncio.shield(task)

    async def _fetch(self, key: object, ask: Callable[[], Awaitable[Answer]]) -> Answer:
        answer = await ask()
        self._kept.pop(key, None)
        while len(self._kept) >= _MOST_KEPT:
            del self._kept[next(iter(self._kept))]
        lasts = _SILENCE if isinstance(answer, Silent) else max(1, min(answer.ttl, _LONGEST))
        self._kept[key] = (asyncio.get_running_loop().time(), lasts, answer)
        return answer


@attrs.frozen
class Chain:
    """Walks down from an anchor, by what a resolver has. `timeout` in seconds, for each
    question."""

    resolver: dns.asyncresolver.Resolver
    cache: AnswerCache
    timeout: float

    async def keys(
        self, anchor: Anchor, zone: dns.name.Name, now: int, most_age: float
    ) -> ZoneKeys | Insecure | Bogus | Silent:
        """The keys of `zone`, at or below the anchor's; `now` in Unix seconds."""
        found = await self._keys(anchor, now, most_age)
        for name in _between(anchor.zone, zone):
            if not isinstance(found, ZoneKeys):
                return found
            answer = await self._ask(name, dns.rdatatype.DS, most_age)
            if isinstance(answer, Silent):
                return answer
            link = delegation(name, answer.rrsets, found, now)
            if isinstance(link, Delegated):
                found = await self._keys(Anchor(name, link.ds), now, most_age)
            elif not isinstance(link, Absent):
                return link
            elif link.kind is Kind.CUT:
                return Insecure(f"{name} is delegated without a DS")
            elif link.kind is Kind.NO_NAME:
                return Bogus(f"{found.zone} proves that {name} does not exist")
        if isinstance(found, ZoneKeys) and found.zone != zone:
            return Bogus(f"{found.zone} proves that {zone} is no zone of its own")
        return found

    async def _keys(
        self, anchor: Anchor, now: int, most_age: float
    ) -> ZoneKeys | Insecure | Bogus | Silent:
        answer = await self._ask(anchor.zone, dns.rdatatype.DNSKEY, most_age)
        return answer if isinstance(answer, Silent) else keys_of(anchor, answer.rrsets, now)

    async def _ask(
        self, name: dns.name.Name, rtype: dns.rdatatype.RdataType, most_age: float
    ) -> Answer:
        where = (tuple(map(str, self.resolver.nameservers)), self.resolver.port)
        return await self.cache.get(
            (where, name, rtype),
            lambda: ask_resolver(self.resolver, name, rtype, self.timeout),
            most_age,
        )


def _between(top: dns.name.Name, bottom: dns.name.Name) -> Iterator[dns.name.Name]:
    """Every name below `top` on the way to `bottom`, which is the last."""
    for labels in range(len(top) + 1, len(bottom) + 1):
        yield bottom.split(labels)[1]
