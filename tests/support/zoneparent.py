"""The parent of `zoneworld`, whose servers differ, and a registrar that fails."""

import attrs
from zonestage import DS, GOING, Stage, Unsecured

from signer import goals
from signer.cachemodel import Delegation, KeyId
from signer.keyset import State
from signer.policy import DAY, HOUR


@attrs.define
class Parent(Stage):
    def _parent_serves(self, server: str, keys: frozenset[KeyId], *, asked: bool) -> None:
        if self.setting.island:
            return
        if self.parents.get(server) and not keys and not asked:
            raise Unsecured(self.story(f"{server} has no DS any more, and nobody asked for it"))
        self.parents[server] = keys
        self.glimpsed |= {fingerprint: self.now for fingerprint, _ in keys}
        self.caches.parent(server, Delegation(keys), self.setting.parent_ttl, self.now)
        self.judge()
        lag = self.policy.parent_propagation
        self.at(self.now + lag, lambda: self._parent_mirror(server, keys))
        self.wake()

    def _parent_mirror(self, server: str, keys: frozenset[KeyId]) -> None:
        if not self.setting.island:
            name = f"{server} elsewhere"
            self.caches.parent(name, Delegation(keys), self.setting.parent_ttl, self.now)
            self.judge()

    # --- the parent -------------------------------------------------------------------------

    def other_ttl(self, ttl: int) -> None:
        """From now on the parent's DS have another TTL."""
        self.setting = attrs.evolve(self.setting, parent_ttl=ttl)
        for server, keys in self.parents.items():
            self._parent_serves(server, keys, asked=True)

    def _order(self, fingerprints: tuple[str, ...]) -> None:
        """The registrar says yes to everything; what happens is another matter."""
        keys = [self.keyset.key(fingerprint) for fingerprint in fingerprints]
        wanted = frozenset((key.fingerprint, key.algorithm) for key in keys if key is not None)
        if not self.calm and wanted == self.ordered and self.rng.random() < 0.8:
            return  # ordered before; asked again now and then
        self.ordered = wanted
        self.orders += 1
        number = self.orders
        if not self.calm and self.rng.random() < 0.2:
            self._tick_later(self.now + DAY)
            return  # claimed, and nothing happens
        leaving = {key.fingerprint for key in self.keyset.keys if key.state(DS) in GOING}
        asked = goals.insecure(self.keyset, self.policy) or leaving <= self.given_up
        if self.setting.late and wanted and self.rng.random() < 0.3:
            self.at(self.now + self.rng.uniform(5, 60) * DAY, lambda: self._once_more(wanted))
        if self.setting.one_by_one:
            self._one_by_one(wanted, number, asked=asked)
            return
        for server in self.parents:
            self.at(
                self.now + self._parent_delay(),
                lambda s=server: self._take(s, wanted, number, asked=asked),
            )

    def _parent_delay(self) -> float:
        if self.calm:
            return self.rng.choice((0, 60, HOUR))
        return self.rng.choice((60, HOUR, 6 * HOUR, 2 * DAY, 20 * DAY))

    def _take(
        self, server: str, wanted: frozenset[KeyId], number: int, *, asked: bool = False
    ) -> None:
        # A newer order takes the place of one that waits.
        if number == self.orders and not self._forgotten(wanted):
            self._parent_serves(server, wanted, asked=asked)

    def _one_by_one(self, wanted: frozenset[KeyId], number: int, *, asked: bool) -> None:
        """Each DS is an operation of its own; they may be days apart."""
        added = [(name, True) for name in sorted(wanted - self.registry)]
        removed = [(name, False) for name in sorted(self.registry - wanted)]
        time = self.now
        for name, adds in (*added, *removed) if self.setting.add_first else (*removed, *added):
            time += self._parent_delay()
            self.at(time, lambda n=name, a=adds: self._operate(n, number, adds=a, asked=asked))

    def _operate(self, name: KeyId, number: int, *, adds: bool, asked: bool) -> None:
        if number == self.orders:
            self._register(self.registry | {name} if adds else self.registry - {name}, asked=asked)

    def _register(self, keys: frozenset[KeyId], *, asked: bool, delay: float | None = None) -> None:
        """The parent's zone has these DS; its servers get it one after another."""
        self.registry = keys
        self.edition += 1
        edition = self.edition
        for server in self.parents:
            late = self._parent_delay() if delay is None else delay
            self.at(
                self.now + late,
                lambda s=server: self._load(s, keys, edition, asked=asked),
            )

    def _load(self, server: str, keys: frozenset[KeyId], edition: int, *, asked: bool) -> None:
        if self.editions.get(server, 0) < edition and not self._forgotten(keys):
            self.editions[server] = edition
            self._parent_serves(server, keys, asked=asked)

    def _forgotten(self, names: frozenset[KeyId]) -> bool:
        """Whether the machine has seen one of these DS gone, and waited: it can't come back."""
        found = [self.keyset.key(name) for name, _ in names]
        return any(key is None or key.state(DS) is State.HIDDEN for key in found)

    def _once_more(self, wanted: frozenset[KeyId]) -> None:
        if self.calm or self._forgotten(wanted):
            return
        self.log.append(f"{self.now:.0f} an old order: {sorted(name for name, _ in wanted)}")
        self.orders += 1  # what was ordered since waits for the next order
        self.ordered = None
        self._register(wanted, asked=False, delay=0)
