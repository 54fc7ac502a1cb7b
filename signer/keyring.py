"""A zone's keys as database and keystore have them together: adopted, made, loaded.

The order of writing is fixed: a key is on disk before its row is committed, and a row is
there before anything is published. A crash between the two leaves a key in the store that
the next start adopts.
"""

import asyncio
import logging
import sqlite3
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from pathlib import Path
from typing import TypeVar

import attrs
import dns.name

import engine
from keystore import bind
from keystore.dnskey import KSK_FLAGS, SEP_FLAG, ZSK_FLAGS
from keystore.protocol import KeyStore, KeystoreError, StoredKey
from signer import evidence, keytables, tables
from signer.actions import Generate
from signer.adoption import Served, adopt
from signer.clock import Clock
from signer.config import SignConfig
from signer.firststart import OurKey
from signer.goals import wanted_algorithm
from signer.keyset import Goal, Key, KeySet, RecordKind, Role, State
from signer.policy import RSA_ALGORITHMS, Policy
from signer.state import StateDatabase

T = TypeVar("T")
#: What is seen of a key, by its DNSKEY rdata.
Facts = Callable[[bytes], Served]
_log = logging.getLogger(__name__)
# Steps that are written down before they are taken: what to finish, or to forget, at a start.
_GENERATE = "generate"
_PURGE = "purge "
_FLAGS = {Role.CSK: KSK_FLAGS, Role.KSK: KSK_FLAGS, Role.ZSK: ZSK_FLAGS}


@attrs.define
class KeyRing:
    """`private` holds what could be loaded, `unreadable` says why the rest could not."""

    origin: dns.name.Name
    keystore: KeyStore
    database: StateDatabase
    clock: Clock
    executor: Executor
    keyset: KeySet = attrs.field(init=False)
    private: dict[str, engine.SigningKey] = attrs.field(init=False, factory=dict, repr=False)
    unreadable: dict[str, str] = attrs.field(init=False, factory=dict)

    def __attrs_post_init__(self) -> None:
        self.keyset = KeySet(self.origin)

    async def _blocking(self, step: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self.executor, step)

    async def load(self, config: SignConfig, lived: float, served: Facts) -> None:
        """Read the rows, finish what a crash interrupted, import what *sign* names, adopt what
        else is in the store for this zone, and load the private halves. Raises KeystoreError,
        StateError."""
        origin = self.origin
        self.keyset = await self.database.run(lambda db: keytables.load_keyset(db, origin))
        begun = await self.database.run(lambda db: tables.all_begun(db, origin))
        for what, detail in begun.items():
            if what.startswith(_PURGE):
                await self.purge(detail)
        await self._blocking(lambda: _import_configured(self.keystore, origin, config))
        for what in begun:
            if what.startswith(f"{_GENERATE} "):
                await self._finish_generating(what, lived)
        unknown = await self._unknown()
        await self.adopt(unknown, lived, config.policy, served)
        if _GENERATE in begun:
            await self.database.run(lambda db: tables.confirm(db, origin, _GENERATE))
        for key in self.keyset.keys:
            if key.fingerprint in self.private:
                continue
            try:
                self.private[key.fingerprint] = await self._load_one(key.fingerprint)
                self.unreadable.pop(key.fingerprint, None)
            except KeystoreError as error:
                self.unreadable[key.fingerprint] = str(error)

    async def _unknown(self) -> tuple[StoredKey, ...]:
        stored = await self._blocking(lambda: self.keystore.list(self.origin))
        known = {key.fingerprint for key in self.keyset.keys}
        return tuple(key for key in stored if key.fingerprint not in known)

    async def _load_one(self, fingerprint: str) -> engine.SigningKey:
        return await self._blocking(lambda: self.keystore.load(self.origin, fingerprint))

    async def adopt(
        self, stored: tuple[StoredKey, ...], lived: float, policy: Policy, served: Facts
    ) -> None:
        """Take keys that are in the store into the key set, in the states that what is served
        shows. Raises KeystoreError for one that nothing would use."""
        if not stored:
            return
        detail = await self.database.run(lambda db: tables.begun(db, self.origin, _GENERATE))
        pending = tuple(Role(word) for word in (detail or "").split())
        keyset = self.keyset
        established = {
            key.algorithm for key in keyset.keys if key.state(RecordKind.DNSKEY) is not State.HIDDEN
        }
        roles = _roles_of(keyset, stored, pending)
        if Role.CSK not in roles and not await self.has_signed():
            keyset = _parted(keyset, served, policy, lived)
        for new, role in zip(stored, roles, strict=True):
            facts = served(new.dnskey)
            wanted = established | {wanted_algorithm(keyset, policy)}
            if established and new.algorithm not in wanted and not facts.dnskey:
                raise KeystoreError(
                    f"{self.keystore.place}: key {new.tag} of {self.origin}",
                    "is of another algorithm than the keys in use: that is a rollover",
                    "delete the key from the store, and ask for keys of that algorithm: "
                    f"zoneward keys roll {self.origin} --algorithm NAME",
                )
            key = adopt(new.fingerprint, role, new.dnskey, new.created, facts, policy, lived)
            keyset = keyset.with_key(key, made_here=False)
        await self._commit(keyset, "adopt", stored)

    async def has_signed(self) -> bool:
        """Whether a version was ever made here."""
        return await self.database.run(lambda db: tables.has_version(db, self.origin))

    async def generate(self, wanted: Generate, policy: Policy, lived: float) -> None:
        """Make a key: written down, made and on disk, its row committed. Raises KeystoreError,
        StateError."""
        origin, now = self.origin, self.clock.wall()
        what = " ".join(
            (
                *(_GENERATE, wanted.role.value, str(wanted.algorithm)),
                *(wanted.predecessor or "-", str(int(wanted.standby))),
            )
        )
        await self.database.run(lambda db: tables.begin(db, origin, what, "", now))
        bits = policy.rsa_bits if wanted.algorithm in RSA_ALGORITHMS else None
        make = partial(
            self.keystore.generate,
            self.origin,
            wanted.algorithm,
            _FLAGS[wanted.role],
            bits,
            avoid_tags=self.keyset.tags_used,
        )
        await self._add(await self._blocking(make), wanted, lived, what)

    async def _finish_generating(self, what: str, lived: float) -> None:
        """A crash came between: the key that was made is in the store, or none was and what
        asked for it asks again."""
        _, role, algorithm, predecessor, standby = what.split(" ")
        wanted = Generate(
            Role(role),
            int(algorithm),
            None if predecessor == "-" else predecessor,
            standby == "1",
        )
        for stored in await self._unknown():
            if (stored.algorithm, stored.flags) == (wanted.algorithm, _FLAGS[wanted.role]):
                await self._add(stored, wanted, lived, what)
                return
        await self.database.run(lambda db: tables.confirm(db, self.origin, what))

    async def _add(self, stored: StoredKey, wanted: Generate, lived: float, what: str) -> None:
        old = wanted.predecessor
        key = Key.hidden(
            stored.fingerprint,
            wanted.role,
            stored.dnskey,
            stored.created,
            lived,
            predecessor=old if old and self.keyset.key(old) is not None else None,
            standby=wanted.standby,
        )
        keyset = self.keyset.with_key(key, made_here=True)
        await self._commit(keyset, "generate", (stored,), confirms=what)
        self.private[key.fingerprint] = await self._load_one(key.fingerprint)

    async def purge(self, fingerprint: str) -> None:
        """Delete a key that no cache needs: written down, out of the store, its row gone.
        Raises KeystoreError, StateError."""
        origin, now = self.origin, self.clock.wall()
        what = f"{_PURGE}{fingerprint}"
        await self.database.run(lambda db: tables.begin(db, origin, what, fingerprint, now))
        there = await self._blocking(lambda: self.keystore.find(origin, fingerprint))
        if there is not None:
            await self._blocking(lambda: self.keystore.delete(origin, fingerprint))
        key, keyset = self.keyset.key(fingerprint), self.keyset.without(fingerprint)

        def write(db: sqlite3.Connection) -> None:
            keytables.save_keyset(db, keyset)
            tables.confirm(db, origin, what)
            if key is not None:
                line = f"{key.role.value} {key.tag} {fingerprint}"
                tables.audit(db, now, origin, "manager", "purge", line)

        await self.database.run(write)
        self.keyset = keyset
        self.private.pop(fingerprint, None)
        self.unreadable.pop(fingerprint, None)

    async def _commit(
        self,
        keyset: KeySet,
        action: str,
        keys: tuple[StoredKey, ...],
        *,
        confirms: str | None = None,
    ) -> None:
        origin, now = self.origin, self.clock.wall()
        lines = [f"key {key.tag} algorithm {key.algorithm} {key.fingerprint}" for key in keys]

        def write(db: sqlite3.Connection) -> None:
            keytables.save_keyset(db, keyset)
            if confirms is not None:
                tables.confirm(db, origin, confirms)
            for line in lines:
                tables.audit(db, now, origin, "manager", action, line)

        await self.database.run(write)
        self.keyset = keyset
        for line in lines:
            _log.info("%s: %s %s", origin, action, line)

    async def save(
        self, keyset: KeySet, moves: tuple[str, ...], *, actor: str = "manager", action: str = ""
    ) -> None:
        """Commit a key set that differs, with what to say of it. Raises StateError."""
        origin, now, before = self.origin, self.clock.wall(), self.keyset

        def write(db: sqlite3.Connection) -> None:
            keytables.save_keyset(db, keyset)
            evidence.forget_moved(db, before, keyset)
            for line in moves:
                tables.audit(db, now, origin, actor, action or "advance", line)

        await self.database.run(write)
        self.keyset = keyset

    def ours(self) -> tuple[OurKey, ...]:
        """What the first start looks at. The private half of a key that was declared lost, or
        that nothing is signed with any more, is missed by nobody."""
        return tuple(
            OurKey(
                key.dnskey,
                None if key.lost or _done_with(key) else self.unreadable.get(key.fingerprint),
                key.state(RecordKind.DNSKEY) is State.OMNIPRESENT,
            )
            for key in self.keyset.keys
        )


def _parted(keyset: KeySet, served: Facts, policy: Policy, lived: float) -> KeySet:
    """The keys of a zone that come one after the other, after lost state: what was taken for the
    only key before the other half came is a KSK or a ZSK."""
    keys = tuple(
        adopt(
            key.fingerprint,
            Role.KSK if int.from_bytes(key.dnskey[:2], "big") & SEP_FLAG else Role.ZSK,
            key.dnskey,
            key.created,
            served(key.dnskey),
            policy,
            lived,
        )
        if key.role is Role.CSK
        else key
        for key in keyset.keys
    )
    return attrs.evolve(keyset, keys=keys)


def _done_with(key: Key) -> bool:
    return key.goal is Goal.HIDDEN and key.all_hidden()


def _import_configured(keystore: KeyStore, origin: dns.name.Name, config: SignConfig) -> None:
    for path in config.key_files:
        _import_pair(keystore, origin, bind.read(path), path)
    for directory in config.key_directories:
        for pair in bind.read_directory(directory, origin):
            _import_pair(keystore, origin, pair, directory)


def _import_pair(keystore: KeyStore, origin: dns.name.Name, pair: bind.KeyPair, path: Path) -> None:
    if pair.zone != origin:
        # CoreDNS's `key file` lists one key for several zones only by naming each one's.
        _log.debug("%s: a key of %s, not of %s", path, pair.zone, origin)
        return
    keystore.import_(origin, pair.dnskey, pair.private)


def _roles_of(
    keyset: KeySet, stored: tuple[StoredKey, ...], pending: tuple[Role, ...]
) -> list[Role]:
    """A key with the SEP flag beside one without it is a KSK, and that one a ZSK; either
    alone is a CSK. An operation that was begun says it better than the flags."""
    flags = [key.flags & SEP_FLAG for key in stored]
    flags += [int.from_bytes(key.dnskey[:2], "big") & SEP_FLAG for key in keyset.keys]
    split = Role.ZSK in pending or (0 in flags and SEP_FLAG in flags)
    if not split:
        return [Role.CSK] * len(stored)
    return [Role.KSK if key.flags & SEP_FLAG else Role.ZSK for key in stored]
