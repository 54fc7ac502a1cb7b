"""A world for one zone, with symbolic signatures: servers that are late, a parent whose servers
differ, a registrar that fails, a keystore that is away, a manager that dies between any two
steps, a clock that loses time, a person who asks for things at any moment.

It knows nothing of rules: after each change of what any server serves, `signer.cachemodel`
judges every mix that caches may hold. Time is in seconds; `World.run` is driven by events.
"""

import random
from collections.abc import Callable

import attrs
from zoneperson import OPERATIONS, Person
from zonestage import (
    DNSKEY,
    DS,
    GOING,
    KRRSIG,
    ORIGIN,
    UNSIGNED,
    ZRRSIG,
    BogusMoment,
    Setting,
    Stalled,
    Unsecured,
    Unsound,
    Version,
)

from signer import goals, operations
from signer.actions import Advance, Generate, Purge, SubmitDs, WithdrawDs
from signer.advance import advance
from signer.cachemodel import Data, KeyId, KeyRRset
from signer.keyset import VISIBLE, Goal, Key, KeySet, RecordKind, Role, State
from signer.observations import Observations, Subject
from signer.policy import DAY, HOUR, MINUTE, DsMode, KeyLayout, Nsec3, Policy

__all__ = [
    "DAY",
    "OPERATIONS",
    "BogusMoment",
    "Setting",
    "Stalled",
    "Unsecured",
    "Unsound",
    "World",
    "some_policy",
    "some_world",
]


@attrs.define
class World(Person):
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

    # --- the manager ------------------------------------------------------------------------

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
            if key.state(DS) in GOING and (insecure or key.fingerprint in self.given_up)
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
            if key.record.state in VISIBLE
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
            self.ds_ttl = max(self.ds_ttl, self.setting.parent_ttl)

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
