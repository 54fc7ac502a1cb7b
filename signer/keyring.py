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
from signer import evidence, tables
from signer.clock import Clock
from signer.config import SignConfig
from signer.firststart import OurKey
from signer.keyset import Key, KeySet, RecordKind, Role, State, roles
from signer.policy import RSA_ALGORITHMS, Policy
from signer.state import StateDatabase

T = TypeVar("T")
_log = logging.getLogger(__name__)
_GENERATE = "generate"
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

    async def load(self, config: SignConfig, lived: float) -> None:
        """Read the rows, import what *sign* names, adopt what else is in the store for this
        zone, and load the private halves. Raises KeystoreError, StateError."""
        origin = self.origin
        self.keyset = await self.database.run(lambda db: tables.load_keyset(db, origin))
        await self._blocking(lambda: _import_configured(self.keystore, origin, config))
        stored = await self._blocking(lambda: self.keystore.list(origin))
        known = {key.fingerprint for key in self.keyset.keys}
        await self.adopt(tuple(key for key in stored if key.fingerprint not in known), lived)
        for key in self.keyset.keys:
            if key.fingerprint in self.private:
                continue
            try:
                self.private[key.fingerprint] = await self._load_one(key.fingerprint)
                self.unreadable.pop(key.fingerprint, None)
            except KeystoreError as error:
                self.unreadable[key.fingerprint] = str(error)

    async def _load_one(self, fingerprint: str) -> engine.SigningKey:
        return await self._blocking(lambda: self.keystore.load(self.origin, fingerprint))

    async def adopt(self, stored: tuple[StoredKey, ...], lived: float) -> None:
        """Take keys that are in the store into the key set. Raises KeystoreError for one
        that would need an algorithm rollover."""
        if not stored:
            return
        pending = await self._begun()
        established = {
            key.algorithm
            for key in self.keyset.keys
            if key.state(RecordKind.DNSKEY) is not State.HIDDEN
        }
        keyset = self.keyset
        for new, role in zip(stored, _roles_of(keyset, stored, pending), strict=True):
            if established and new.algorithm not in established:
                raise KeystoreError(
                    f"{self.keystore.place}: key {new.tag} of {self.origin}",
                    "is of another algorithm than the keys in use: that is a rollover, which "
                    "this version can't do",
                    "delete the key from the store",
                )
            key = Key.hidden(new.fingerprint, role, new.dnskey, new.created, lived)
            keyset = keyset.with_key(key, made_here=False)
        await self._commit(keyset, "adopt", stored)

    async def generate(self, policy: Policy, lived: float) -> None:
        """Make the zone's first keys, or those that a crash kept from being made.
        Raises KeystoreError, StateError."""
        origin, now = self.origin, self.clock.wall()
        wanted = [role.value for role in roles(policy.keys)]
        await self.database.run(
            lambda db: tables.begin(db, origin, _GENERATE, " ".join(wanted), now)
        )
        await self.finish_generating(policy, lived)

    async def finish_generating(self, policy: Policy, lived: float) -> None:
        """Make what an operation that was begun still lacks; nothing when none was."""
        wanted = await self._begun()
        have = [key.role for key in self.keyset.keys]
        bits = policy.rsa_bits if policy.algorithm in RSA_ALGORITHMS else None
        for role in wanted:
            if role in have:
                continue
            tags = self.keyset.tags_used
            make = partial(
                self.keystore.generate,
                self.origin,
                policy.algorithm,
                _FLAGS[role],
                bits,
                avoid_tags=tags,
            )
            stored = await self._blocking(make)
            key = Key.hidden(stored.fingerprint, role, stored.dnskey, stored.created, lived)
            await self._commit(self.keyset.with_key(key, made_here=True), "generate", (stored,))
            self.private[key.fingerprint] = await self._load_one(key.fingerprint)
        if wanted:
            await self.database.run(lambda db: tables.confirm(db, self.origin, _GENERATE))

    async def _begun(self) -> tuple[Role, ...]:
        detail = await self.database.run(lambda db: tables.begun(db, self.origin, _GENERATE))
        return tuple(Role(word) for word in (detail or "").split())

    async def _commit(self, keyset: KeySet, action: str, keys: tuple[StoredKey, ...]) -> None:
        origin, now = self.origin, self.clock.wall()
        lines = [f"key {key.tag} algorithm {key.algorithm} {key.fingerprint}" for key in keys]

        def write(db: sqlite3.Connection) -> None:
            tables.save_keyset(db, keyset)
            for line in lines:
                tables.audit(db, now, origin, "manager", action, line)

        await self.database.run(write)
        self.keyset = keyset
        for line in lines:
            _log.info("%s: %s %s", origin, action, line)

    async def save(self, keyset: KeySet, moves: tuple[str, ...]) -> None:
        """Commit record states that have moved. Raises StateError."""
        origin, now, before = self.origin, self.clock.wall(), self.keyset

        def write(db: sqlite3.Connection) -> None:
            tables.save_keyset(db, keyset)
            evidence.forget_moved(db, before, keyset)
            for line in moves:
                tables.audit(db, now, origin, "manager", "advance", line)

        await self.database.run(write)
        self.keyset = keyset

    def ours(self) -> tuple[OurKey, ...]:
        """What the first start looks at."""
        return tuple(
            OurKey(
                key.dnskey,
                self.unreadable.get(key.fingerprint),
                key.state(RecordKind.DNSKEY) is State.OMNIPRESENT,
            )
            for key in self.keyset.keys
        )


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
