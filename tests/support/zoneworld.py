"""A world for one zone, with symbolic signatures: servers that are late, a parent whose servers
differ, a registrar that fails, a keystore that is away, a manager that dies between any two
steps, a clock that loses time, a person who asks for things at any moment.

It knows nothing of rules: after each change of what any server serves, `signer.cachemodel`
judges every mix that caches may hold. Time is in seconds; `World.run` is driven by events.
"""

import heapq
import random
from collections.abc import Callable

import attrs
import dns.name

from signer import goals, operations
from signer.actions import Advance, Generate, Purge, SubmitDs, WithdrawDs
from signer.advance import advance
from signer.cachemodel import Caches, Data, Delegation, KeyId, KeyRRset, Mix
from signer.keyset import Goal, Key, KeySet, RecordKind, Role, State
from signer.observations import Observations, Subject
from signer.policy import DAY, HOUR, MINUTE, DsMode, KeyLayout, Nsec3, Policy

ORIGIN = dns.name.from_text("example.org.")
DNSKEY, ZRRSIG, KRRSIG, DS = RecordKind
_GOING = (State.UNRETENTIVE,)
_VISIBLE = (State.RUMOURED, State.OMNIPRESENT)
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
class World:
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

    def __attrs_post_init__(self) -> None:
        self.policy = self.setting.policy
        self.calm = self.setting.calm
        self.keyset = KeySet(ORIGIN)
        empty = Version(
            0,
            UNSIGNED,
            frozenset({Data(frozenset())}),
            self._ttls(),
            frozenset(),
            frozenset(),
            None,
        )
        self.versions.append(empty)
        for number in range(self.setting.servers):
            self._serve(f"ns{number}", empty)
            self._mirror(f"ns{number}", empty)
        for number in range(self.setting.parents):
            self._parent_serves(f"p{number}", frozenset(), asked=True)
            self._parent_mirror(f"p{number}", frozenset())
        self.at(0.0, self.tick)
        if self.setting.operations:
            self.at(self.rng.expovariate(1 / self.setting.pause), self._person)

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

    # --- the manager ------------------------------------------------------------------------

    def wake(self) -> None:
        """The manager looks again, soon."""
        delay = self.rng.choice((0, 1, MINUTE)) if self.calm else self.rng.choice((0, 30, 7200))
        self._tick_later(self.now + delay)

    def _tick_later(self, time: float) -> None:
        if self._tick_at <= self.now or time < self._tick_at:
            self._tick_at = time
            self.at(time, self.tick)

    def tick(self) -> None:
        if self.now != self._tick_at and self.steps:
            return  # another wake-up has taken its place
        self.steps += 1
        self._look()
        step = advance(self.keyset, self.policy, self._seen(), self.lived())
        if not self.calm and self.rng.random() < 0.05:
            self._tick_later(self.now + self.rng.choice((1, HOUR)))
            return  # died before anything was written
        for key in step.keyset.keys:
            old = self.keyset.key(key.fingerprint)
            if old is None or old.letters() != key.letters():
                before = "new" if old is None else old.letters()
                self.log.append(
                    f"{self.now:.0f} {key.fingerprint[:8]} {key.role.value}/{key.algorithm} "
                    f"{before} -> {key.letters()}"
                )
        insecure = goals.insecure(self.keyset, self.policy)
        self.given_up = frozenset(
            key.fingerprint
            for key in step.keyset.keys
            if key.state(DS) in _GOING and (insecure or key.fingerprint in self.given_up)
        )
        self.keyset, self.step = step.keyset, step
        if not self.calm and self.rng.random() < 0.05:
            self._tick_later(self.now + self.rng.choice((1, HOUR)))
            return  # died after writing down, before doing
        self._act(step)
        if step.next_due is not None:
            late = 0 if self.calm else self.rng.choice((0, 0, 10, DAY))
            self._tick_later(step.next_due + self.lost_time + late)

    def _act(self, step: Advance) -> None:
        again = False
        for action in step.actions:
            if isinstance(action, Generate):
                if self.calm or self.rng.random() > 0.2:
                    self._generate(action)
                again = True
            elif isinstance(action, Purge):
                self.keyset = self.keyset.without(action.key)
            elif isinstance(action, SubmitDs | WithdrawDs):
                keep = action.keys if isinstance(action, SubmitDs) else action.keep
                self._order(keep)
        self._publish()
        if again:
            self._tick_later(self.now + (0 if self.calm else self.rng.choice((1, 600))))

    def _generate(self, action: Generate) -> None:
        self.made += 1
        flags = b"\x01\x00" if action.role is Role.ZSK else b"\x01\x01"
        body = self.made.to_bytes(2, "big") + bytes(2)
        key = Key.hidden(
            f"{self.made:04d}",
            action.role,
            flags + bytes([3, action.algorithm]) + body,
            0,
            self.lived(),
            predecessor=action.predecessor,
            standby=action.standby,
        )
        self.keyset = self.keyset.with_key(key, made_here=False)
        self.rolls += action.predecessor is not None

    def _publish(self) -> None:
        version = self._version()
        last = self.versions[-1]
        if attrs.evolve(version, serial=last.serial) == last:
            return
        lost = any(key.lost and not key.all_hidden() for key in self.keyset.keys)
        stands = _stands(version) and version.keys.keys & version.keys.signers
        if version.keys.keys and not lost and not stands:
            raise Unsound(self.story(f"{version} does not stand by itself"))
        if lost and version.keys.keys and not _stands(version):
            return  # the gate refuses it: what was to sign was lost before it did
        self.versions.append(version)
        between = last.data | version.data
        if last.serial and len(between) > len(version.data) and self.rng.random() < 0.3:
            # Signed in two passes: the first leaves some RRsets as they were, and has the keys.
            both = attrs.evolve(
                version,
                data=between,
                signed_all=last.signed_all & version.signed_all,
                signed_any=last.signed_any | version.signed_any,
                denial=last.denial,
            )
            if _stands(both):
                version = attrs.evolve(version, serial=version.serial + 1)
                self.versions[-1:] = [both, version]
                self._carry(both)
        self._carry(version)

    def _carry(self, version: Version) -> None:
        for number in range(self.setting.servers):
            delay = self.rng.choice((0, 5, 60))
            if not self.calm:
                delay = self.rng.choice((0, 0, 5, 600, 4 * HOUR, 3 * DAY))
            server = f"ns{number}"
            self.at(self.now + delay, lambda server=server: self._serve(server, version))

    def _version(self) -> Version:
        last = self.versions[-1]
        ours = {(key.fingerprint, key.algorithm) for key in self.keyset.published()}
        foreign = {
            (key.dnskey.hex(), key.algorithm)
            for key in self.keyset.foreign
            if key.record.state in _VISIBLE
        }
        keys = frozenset(ours | foreign)
        krrsig, zrrsig = set(), set()
        for key in self.keyset.keys:
            name = (key.fingerprint, key.algorithm)
            if key.visible(KRRSIG) and (
                not key.lost or (keys == last.keys.keys and name in last.keys.signers)
            ):
                krrsig.add(name)
            if key.visible(ZRRSIG) and (not key.lost or name in last.signed_all):
                zrrsig.add(name)
        signed = frozenset(zrrsig)
        denial = self.keyset.denial()
        nsec3 = self.policy.nsec3 if denial is None else denial.nsec3
        proof = "NSEC" if nsec3 is None else "NSEC3"
        # Nobody signs a new chain with a lost key.
        lost = {(key.fingerprint, key.algorithm) for key in self.keyset.keys if key.lost}
        proved = signed if nsec3 == last.denial else signed - lost
        data = {Data(signed), Data(proved, proof)} if signed else {Data(signed)}
        signatures = frozenset(krrsig) if keys else frozenset()
        return Version(
            last.serial + 1,
            KeyRRset(keys, signatures),
            frozenset(data),
            self._ttls(),
            signed,
            signed,
            nsec3,
        )

    # --- what it sees -----------------------------------------------------------------------

    def _look(self) -> None:
        """Each of our servers, and of the parent's, if they answer today."""
        lived = self.lived()
        for key in self.keyset.keys:
            name = (key.fingerprint, key.algorithm)
            for kind, record in key.records:
                if kind is DS:
                    continue
                everywhere = self._reached(lambda v, n=name, k=kind: _has(v, n, k, True))
                nowhere = self._reached(lambda v, n=name, k=kind: not _has(v, n, k, False))
                self._note(self.shown, key, kind, record.since, everywhere, lived)
                self._note(self.gone, key, kind, record.since, nowhere, lived)
        for denial in self.keyset.denials:
            if self._reached(lambda v, nsec3=denial.nsec3: v.denial == nsec3):
                since = self.denial_shown.get(denial.nsec3)
                if since is None or since < denial.record.since:
                    self.denial_shown[denial.nsec3] = lived
            else:
                self.denial_shown.pop(denial.nsec3, None)
        for foreign in self.keyset.foreign:
            other = (foreign.dnskey.hex(), foreign.algorithm)
            for where, holds in (
                (self.foreign_shown, self._reached(lambda v, n=other: n in v.keys.keys)),
                (self.foreign_gone, self._reached(lambda v, n=other: n not in v.keys.keys)),
            ):
                if not holds:
                    where.pop(foreign.dnskey, None)
                elif where.get(foreign.dnskey, -1.0) < foreign.record.since:
                    where[foreign.dnskey] = lived
        if self.setting.island or (not self.calm and self.rng.random() < 0.1):
            return
        for key in self.keyset.keys:
            if key.record(DS) is None:
                continue
            name = (key.fingerprint, key.algorithm)
            there = [name in keys for keys in self.parents.values()]
            changed = key.record(DS).since
            self._note(self.shown, key, DS, changed, all(there), lived)
            record = key.record(DS)
            if record.partial and self.glimpsed.pop(key.fingerprint, None) is not None:
                # It is asked about again and again; who did not ask begins anew.
                self.gone.pop((key.fingerprint, DS), None)
            self._note(self.gone, key, DS, changed, not any(there), lived)
        self.looked = lived
        if any(self.parents.values()):
            self.ds_ttl = self.setting.parent_ttl

    def _reached(self, shows: Callable[[Version], bool]) -> bool:
        """Whether each of our servers is at or past the first of the newest versions that are
        so. One that is far behind may show it too, and has those yet to load that did not."""
        first = None
        for version in reversed(self.versions):
            if not shows(version):
                break
            first = version.serial
        servers = (self.holds[f"ns{number}"] for number in range(self.setting.servers))
        return first is not None and all(version.serial >= first for version in servers)

    def _note(
        self,
        where: dict[Subject, float],
        key: Key,
        kind: RecordKind,
        changed: float,
        holds: bool,
        lived: float,
    ) -> None:
        subject = (key.fingerprint, kind)
        if not holds:
            where.pop(subject, None)
        elif subject not in where or where[subject] < changed:
            where[subject] = lived

    def _seen(self) -> Observations:
        anywhere = frozenset[KeyId]().union(*self.parents.values())
        return Observations(
            shown=self.shown,
            gone=self.gone,
            denial=self.denial_shown,
            foreign=self.foreign_shown,
            foreign_gone=self.foreign_gone,
            # The other signers' servers show our keys as soon as all of ours do.
            shared={
                fingerprint: (since, self.policy.dnskey_ttl)
                for (fingerprint, kind), since in self.shown.items()
                if kind is DNSKEY
            },
            ds_anywhere=frozenset(fingerprint for fingerprint, _ in anywhere),
            ds_ttl=self.ds_ttl,
            parent_looked=self.looked,
            zone_ttl=max(version.ttls[1] for version in self.versions[-60:]),
            dnskey_ttl=max(version.ttls[0] for version in self.versions[-60:]),
            island=self.setting.island,
        )

    # --- the parent -------------------------------------------------------------------------

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
        leaving = {key.fingerprint for key in self.keyset.keys if key.state(DS) in _GOING}
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

    # --- a person ---------------------------------------------------------------------------

    def _person(self) -> None:
        if not self.calm:
            self.ask(self.rng.choice(self.setting.operations))
            self.at(self.now + self.rng.expovariate(1 / self.setting.pause), self._person)
            self.wake()

    def ask(self, what: str) -> None:
        rng = self.rng
        self.log.append(f"{self.now:.0f} {what}")
        if what == "roll":
            roles = [None, *(frozenset({role}) for role in Role)]
            try:
                self.keyset = operations.roll(self.keyset, self.policy, rng.choice(roles))
            except operations.OperationError:
                self.log.append("  refused")
        elif what == "algorithm":
            self._change(algorithm=rng.choice((8, 13, 15)))
        elif what == "layout":
            layout = rng.choice(list(KeyLayout))
            self._change(keys=layout, standby=frozenset())
        elif what == "denial":
            self._change(nsec3=rng.choice((None, Nsec3(), Nsec3(opt_out=True))))
        elif what == "ttls":
            ttls = (60, 300, HOUR, DAY)
            self._change(dnskey_ttl=rng.choice(ttls), max_zone_ttl=rng.choice(ttls))
        elif what == "ds":
            self._change(ds=rng.choice(list(DsMode)))
        elif what == "insecure":
            self.keyset = operations.go_insecure(self.keyset)
        elif what == "secure":
            self.keyset = operations.go_secure(self.keyset)
        elif what == "standby":
            roles = ("csk",) if self.policy.keys is KeyLayout.CSK else ("ksk", "zsk")
            chosen = rng.choice((frozenset(), frozenset(roles)))
            self._change(standby=chosen, standby_ds=rng.random() < 0.5)
        elif what == "lose":
            found = [key for key in self.keyset.keys if key.goal is Goal.OMNIPRESENT]
            # One at a time: who loses the replacement before it is in use has lost the zone.
            if found and all(key.all_hidden() for key in self.keyset.keys if key.lost):
                self.keyset = operations.lose(self.keyset, rng.choice(found).fingerprint)
        elif what == "foreign":
            others = (_foreign(8), _foreign(13), _foreign(15))
            chosen = frozenset(key for key in others if rng.random() < 0.4)
            self.keyset = operations.keep_foreign(self.keyset, chosen)
        elif what == "hold":
            self.keyset = operations.hold(self.keyset, "a person said so")
            self.at(self.now + rng.choice((HOUR, 30 * DAY)), self._resume)
        elif what == "clock":
            self.lost_time += rng.choice((HOUR, 3 * DAY))
        else:
            raise ValueError(what)

    def _change(self, **values: object) -> None:
        self.policy = attrs.evolve(self.policy, **values)

    def _resume(self) -> None:
        self.keyset = operations.resume(self.keyset)
        self.wake()

    # --- the end ----------------------------------------------------------------------------

    def settle(self, days: float = 120) -> None:
        """From now on everybody does what he is asked; every rollover has to end."""
        self.calm = True
        self.keyset = operations.keep_foreign(operations.resume(self.keyset), frozenset())
        self._change(csk_lifetime=None, ksk_lifetime=None, zsk_lifetime=None)
        end = self.now + days * DAY
        while self.now < end:
            self._tick_later(self.now)
            self.run(min(self.now + DAY, end))
            if self._settled():
                return
        raise Stalled(self.story("a rollover does not end"))

    def _settled(self) -> bool:
        return not self.step_wanting()

    def step_wanting(self) -> list[Key]:
        """Keys that are not where they are to be."""
        found = []
        for key in self.keyset.keys:
            states = {kind: record.state for kind, record in key.records}
            if self.setting.island:
                states.pop(DS, None)
            if key.goal is Goal.HIDDEN:
                if any(state is not State.HIDDEN for state in states.values()):
                    found.append(key)
            elif key.standby:
                if states[DNSKEY] is not State.OMNIPRESENT:
                    found.append(key)
            elif key.lost or key.retire or set(states.values()) != {State.OMNIPRESENT}:
                found.append(key)
        return found


OPERATIONS = (
    *("roll",) * 3,
    *("algorithm", "layout", "denial", "ttls", "ds", "insecure", "secure", "secure"),
    *("standby", "lose", "hold", "clock", "foreign"),
)


def some_policy(rng: random.Random) -> Policy:
    """Without margins, so that each wait is as short as it may be."""
    ttls = (60, 300, HOUR, DAY)

    def lifetime(least: int, most: int) -> int | None:
        return rng.choice((None, rng.randint(least, most) * DAY))

    return Policy(
        keys=rng.choice(list(KeyLayout)),
        algorithm=rng.choice((8, 13, 15)),
        nsec3=rng.choice((None, Nsec3())),
        dnskey_ttl=rng.choice(ttls),
        max_zone_ttl=rng.choice(ttls),
        validity=60 * DAY,
        refresh=20 * DAY,
        propagation=rng.choice((0, 5 * MINUTE, 2 * HOUR)),
        publish_safety=0,
        retire_safety=0,
        parent_propagation=rng.choice((0, HOUR)),
        csk_lifetime=lifetime(60, 400),
        ksk_lifetime=lifetime(60, 400),
        zsk_lifetime=lifetime(20, 100),
        ds=rng.choice(list(DsMode)),
        purge=rng.choice((HOUR, 20 * DAY)),
    )


def some_world(rng: random.Random, operations: tuple[str, ...] = OPERATIONS) -> World:
    policy = some_policy(rng)
    late = rng.random() < 0.2
    if late:
        operations = tuple(one for one in operations if one not in ("ds", "lose"))
        policy = attrs.evolve(policy, ds=DsMode.DOUBLE_KSK)
    setting = Setting(
        policy,
        servers=rng.choice((1, 2, 3)),
        parents=rng.choice((1, 2, 3)),
        parent_ttl=rng.choice((5 * MINUTE, HOUR, DAY)),
        island=rng.random() < 0.05,
        operations=operations,
        pause=rng.choice((5, 40, 80, 120)) * DAY,
        one_by_one=late or rng.random() < 0.4,
        add_first=rng.random() < 0.5,
        late=late,
    )
    return World(rng, setting)


def _foreign(algorithm: int) -> bytes:
    """The zone key of another signer."""
    return b"\x01\x00" + bytes([3, algorithm]) + b"another signer's"


def _has(version: Version, name: KeyId, kind: RecordKind, entirely: bool) -> bool:
    if kind is DNSKEY:
        return name in version.keys.keys
    if kind is KRRSIG:
        return name in version.keys.signers
    return name in (version.signed_all if entirely else version.signed_any)


def _stands(version: Version) -> bool:
    """Whether the gate lets a version through: valid by itself."""
    return all(
        any(key in version.keys.keys for key in one.signers if key[1] == algorithm)
        for one in version.data
        for algorithm in {algorithm for _, algorithm in version.keys.keys}
    )
