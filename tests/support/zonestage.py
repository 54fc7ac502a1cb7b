"""The stage of `zoneworld`: time, our servers, caches, and the judge of what they may hold."""

import heapq
import random
from collections.abc import Callable

import attrs
import dns.name

from signer.actions import Advance
from signer.cachemodel import Caches, Data, KeyId, KeyRRset, Mix
from signer.keyset import KeySet, RecordKind, State
from signer.observations import Subject
from signer.policy import DAY, MINUTE, Nsec3, Policy

ORIGIN = dns.name.from_text("example.org.")
DNSKEY, ZRRSIG, KRRSIG, DS = RecordKind
GOING = (State.UNRETENTIVE,)
UNSIGNED = KeyRRset(frozenset(), frozenset())


class BogusMoment(AssertionError):
    """A validator would have refused an answer."""


class Unsound(AssertionError):
    """A version that does not stand by itself."""


class Unsecured(AssertionError):
    """The last DS went from a server of the parent, and nobody asked for it by name."""


class Stalled(AssertionError):
    """A rollover neither ends nor says why."""


@attrs.frozen
class Version:
    """What one version of the zone shows. `signed_all` is in every RRset's signatures."""

    serial: int
    keys: KeyRRset
    data: frozenset[Data]
    ttls: tuple[int, int]
    signed_all: frozenset[KeyId]
    signed_any: frozenset[KeyId]
    denial: Nsec3 | None


@attrs.frozen
class Setting:
    """What stays as it is for one world. Lags are of servers that nobody looks at: `lag` of
    ours, at most the policy's propagation, and `parent_lag` likewise. `one_by_one`: the
    registrar adds and removes one DS at a time, `add_first` or not. `late`: it may carry out
    once more what was ordered before, long after, as long as the machine does not take any DS
    that it brings to be forgotten. Nobody who swaps DNSKEY under double DS survives that."""

    policy: Policy
    servers: int = 2
    parents: int = 2
    parent_ttl: int = DAY
    island: bool = False
    calm: bool = False
    operations: tuple[str, ...] = ()
    pause: float = 40 * DAY
    one_by_one: bool = False
    add_first: bool = True
    late: bool = False


@attrs.define
class Stage:
    rng: random.Random
    setting: Setting
    policy: Policy = attrs.field(init=False)
    keyset: KeySet = attrs.field(init=False)
    now: float = 0.0
    lost_time: float = 0.0
    sure: float = 0.0
    made: int = 0
    steps: int = 0
    moments: int = 0
    rolls: int = 0
    calm: bool = False
    log: list[str] = attrs.field(factory=list)
    step: Advance | None = None
    caches: Caches = attrs.field(factory=Caches)
    versions: list[Version] = attrs.field(factory=list)
    holds: dict[str, Version] = attrs.field(factory=dict)
    parents: dict[str, frozenset[KeyId]] = attrs.field(factory=dict)
    ordered: frozenset[KeyId] | None = None
    orders: int = 0
    given_up: frozenset[str] = frozenset()
    registry: frozenset[KeyId] = frozenset()
    edition: int = 0
    editions: dict[str, int] = attrs.field(factory=dict)
    glimpsed: dict[str, float] = attrs.field(factory=dict)
    foreign_shown: dict[bytes, float] = attrs.field(factory=dict)
    foreign_gone: dict[bytes, float] = attrs.field(factory=dict)
    shown: dict[Subject, float] = attrs.field(factory=dict)
    gone: dict[Subject, float] = attrs.field(factory=dict)
    denial_shown: dict[Nsec3 | None, float] = attrs.field(factory=dict)
    ds_ttl: int = 0
    looked: float | None = None
    _queue: list[tuple[float, int, Callable[[], None]]] = attrs.field(factory=list)
    _count: int = 0
    _tick_at: float = -1.0

    def tick(self) -> None:
        """The manager looks, and does what is due."""
        raise NotImplementedError

    # --- time -------------------------------------------------------------------------------

    def at(self, time: float, event: Callable[[], None]) -> None:
        self._count += 1
        heapq.heappush(self._queue, (time, self._count, event))

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, event = heapq.heappop(self._queue)
            event()
        self.now = until

    def lived(self) -> float:
        """What the manager can be sure of: never more than what has passed, and never less than
        before."""
        self.sure = max(self.sure, self.now - self.lost_time)
        return self.sure

    def _ttls(self) -> tuple[int, int]:
        return self.policy.dnskey_ttl, self.policy.max_zone_ttl

    # --- what servers serve -----------------------------------------------------------------

    def _serve(self, server: str, version: Version) -> None:
        if server in self.holds and self.holds[server].serial >= version.serial:
            return
        self.holds[server] = version
        self.caches.zone(server, version.keys, version.data, version.ttls, self.now)
        self.judge()
        if version.serial:
            # An instance that nobody looks at is later, within the policy's propagation.
            self.at(self.now + self.policy.propagation, lambda: self._mirror(server, version))
            self.wake()

    def _mirror(self, server: str, version: Version) -> None:
        name = f"{server} elsewhere"
        if name in self.holds and self.holds[name].serial >= version.serial:
            return
        self.holds[name] = version
        self.caches.zone(name, version.keys, version.data, version.ttls, self.now)
        self.judge()

    def judge(self) -> None:
        self.moments += 1
        mix = self.caches.bogus(self.now)
        if mix is not None:
            raise BogusMoment(self.story(mix))

    def story(self, mix: Mix | str) -> str:
        keys = "\n".join(
            f"  {key.fingerprint[:8]} {key.role.value}/{key.algorithm} {key.letters()} "
            f"{key.goal.value}" + " lost" * key.lost + " standby" * key.standby
            for key in self.keyset.keys
            if not key.all_hidden()
        )
        waits = self.step.blockers if self.step else ()
        blockers = "\n".join(
            f"  {said.fingerprint[:8]} {said.record and said.record.value} to "
            f"{said.to and said.to.value}: {said.evidence} ({said.who} {said.rule}) {said.until}"
            for said in waits
            if said.rule != "purge"
        )
        return f"at {self.now:.0f}: {mix}\n{keys}\n{blockers}\n{self.policy}\n" + "\n".join(
            self.log[-25:]
        )

    def wake(self) -> None:
        """The manager looks again, soon."""
        delay = self.rng.choice((0, 1, MINUTE)) if self.calm else self.rng.choice((0, 30, 7200))
        self._tick_later(self.now + delay)

    def _tick_later(self, time: float) -> None:
        if self._tick_at <= self.now or time < self._tick_at:
            self._tick_at = time
            self.at(time, self.tick)
