"""The keystore of encrypted files: one directory, in it one directory a zone, in it one file
a key; `keystore.json` says how the key-encryption key is derived."""

import logging
import re
import threading
import time
from collections.abc import Callable, Collection
from pathlib import Path

import dns.exception
import dns.name

import engine
from corefile.names import directory_name
from keystore import algorithms, envelope
from keystore.dnskey import Dnskey, belongs_together, key_tag, revoked_tag
from keystore.durable import create_exclusively, private_directory, remove, remove_unfinished, write
from keystore.envelope import About, Envelope, EnvelopeError
from keystore.protocol import KeystoreError, KeyUnreadable, StoredKey
from keystore.signing import signing_key

_log = logging.getLogger(__name__)
_HEADER = "keystore.json"
_SUFFIX = ".json"
_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")

#: RFC 9106 section 4's second choice: 64 MiB, three passes, four lanes.
MEMORY_KIB, ITERATIONS, LANES = 64 * 1024, 3, 4
_TRIES = 1000


def _directory_name(zone: dns.name.Name) -> str:
    return directory_name(zone.canonicalize().to_text())


class FileKeyStore:
    """`passphrase` is called once, when a key is first made or read; what it gives is wiped.
    Its methods may be called from several threads."""

    def __init__(
        self,
        directory: Path,
        passphrase: Callable[[], bytearray],
        *,
        memory_kib: int = MEMORY_KIB,
        iterations: int = ITERATIONS,
        lanes: int = LANES,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._directory = directory
        self._passphrase = passphrase
        self._cost = (memory_kib, iterations, lanes)
        self._now = now
        self._kek: bytearray | None = None
        self._lock = threading.Lock()

    @property
    def place(self) -> str:
        return str(self._directory)

    def __repr__(self) -> str:
        return f"FileKeyStore({self.place!r})"

    def close(self) -> None:
        """Forget the key-encryption key."""
        with self._lock:
            if self._kek is not None:
                algorithms.wipe(self._kek)
                self._kek = None

    # --- making and reading -----------------------------------------------------------

    def generate(
        self,
        zone: dns.name.Name,
        algorithm: int,
        flags: int,
        bits: int | None = None,
        *,
        avoid_tags: Collection[int] = (),
    ) -> StoredKey:
        self._key_encryption_key()
        for _ in range(_TRIES):
            try:
                key = algorithms.make(algorithm, bits)
            except ValueError as error:
                raise KeystoreError(
                    self.place, str(error), "choose another algorithm or length"
                ) from error
            dnskey = algorithms.dnskey(key, algorithm, flags)
            if key_tag(dnskey) in avoid_tags or revoked_tag(dnskey) in avoid_tags:
                continue
            return self._store(zone, dnskey, algorithms.to_pkcs8(key))
        raise KeystoreError(
            self.place,
            f"no free key tag found for {zone} in {_TRIES} keys",
            "choose another algorithm, whose tags are another set",
        )

    def import_(self, zone: dns.name.Name, dnskey: bytes, private: bytearray) -> StoredKey:
        try:
            try:
                Dnskey(dnskey)
            except ValueError as error:
                raise KeystoreError(
                    str(zone), str(error), "import the DNSKEY record that the zone publishes"
                ) from error
            if not belongs_together(dnskey, private):
                raise KeystoreError(
                    str(zone),
                    f"the private key is not the one of DNSKEY {key_tag(dnskey)}",
                    "import the two halves of one pair",
                )
            known = self.find(zone, Dnskey(dnskey).fingerprint)
            if known is not None:
                return known
            return self._store(zone, dnskey, bytearray(private))
        finally:
            algorithms.wipe(private)

    def load(self, zone: dns.name.Name, fingerprint: str) -> engine.SigningKey:
        dnskey, private = self._open(zone, fingerprint)
        try:
            return signing_key(dnskey, private)
        except engine.EngineError as error:
            raise KeyUnreadable(
                str(self._path(zone, fingerprint)), error.message, "restore it from a backup"
            ) from error
        finally:
            algorithms.wipe(private)

    def export(self, zone: dns.name.Name, fingerprint: str) -> bytearray:
        return self._open(zone, fingerprint)[1]

    def find(self, zone: dns.name.Name, fingerprint: str) -> StoredKey | None:
        path = self._path(zone, fingerprint)
        if not path.exists():
            return None
        return _stored(zone, self._read(path, zone, fingerprint).about)

    def list(self, zone: dns.name.Name | None = None) -> tuple[StoredKey, ...]:
        found: list[StoredKey] = []
        if zone is None:
            paths = self._directory.glob(f"*/*{_SUFFIX}")
        else:
            paths = (self._directory / _directory_name(zone)).glob(f"*{_SUFFIX}")
        for path in sorted(paths):
            if path.name.startswith(".") or not _FINGERPRINT.match(path.stem):
                continue
            opened = self._read(path, zone, path.stem)
            try:
                owner = dns.name.from_text(opened.about.zone)
            except dns.exception.DNSException as error:
                raise KeyUnreadable(
                    str(path), "its zone is no name", "restore it from a backup"
                ) from error
            found.append(_stored(owner, opened.about))
        return tuple(sorted(found, key=lambda key: (key.zone, key.created, key.fingerprint)))

    def delete(self, zone: dns.name.Name, fingerprint: str) -> None:
        path = self._path(zone, fingerprint)
        try:
            remove(path)
        except OSError as error:
            raise KeystoreError(
                str(path), f"can't be removed ({error.strerror})", "see who owns the directory"
            ) from error
        _log.info("%s: deleted key %s", zone, fingerprint)

    # --- files --------------------------------------------------------------------------

    def _path(self, zone: dns.name.Name, fingerprint: str) -> Path:
        if not _FINGERPRINT.match(fingerprint):
            raise KeystoreError(
                self.place, "that is no key's fingerprint", "see `zoneward keys list`"
            )
        return self._directory / _directory_name(zone) / f"{fingerprint}{_SUFFIX}"

    def _store(self, zone: dns.name.Name, dnskey: bytes, private: bytearray) -> StoredKey:
        read = Dnskey(dnskey)
        about = About(
            zone=zone.canonicalize().to_text(),
            fingerprint=read.fingerprint,
            algorithm=read.algorithm,
            flags=read.flags,
            dnskey=dnskey,
            created=int(self._now()),
        )
        path = self._path(zone, read.fingerprint)
        sealed = envelope.seal(self._key_encryption_key(), about, private)
        try:
            private_directory(path.parent)
            write(path, envelope.encode(sealed))
        except OSError as error:
            raise KeystoreError(
                str(path), f"can't be written ({error.strerror})", "free the disk, or its rights"
            ) from error
        return _stored(zone, about)

    def _read(self, path: Path, zone: dns.name.Name | None, fingerprint: str) -> Envelope:
        try:
            opened = envelope.decode(path.read_bytes())
        except FileNotFoundError as error:
            raise KeyUnreadable(
                str(path), "the key is not there", "restore the key from a backup"
            ) from error
        except OSError as error:
            raise KeyUnreadable(
                str(path), f"the key can't be read ({error.strerror})", "see to disk and rights"
            ) from error
        except EnvelopeError as error:
            raise KeyUnreadable(str(path), str(error), "restore the key from a backup") from error
        about = opened.about
        matches = about.fingerprint == fingerprint and (
            zone is None or about.zone == zone.canonicalize().to_text()
        )
        if not matches:
            raise KeyUnreadable(
                str(path), "the file is another key's", "give it back its own name and directory"
            )
        return opened

    def _open(self, zone: dns.name.Name, fingerprint: str) -> tuple[bytes, bytearray]:
        path = self._path(zone, fingerprint)
        opened = self._read(path, zone, fingerprint)
        try:
            private = envelope.unseal(self._key_encryption_key(), opened)
        except EnvelopeError as error:
            raise KeyUnreadable(str(path), str(error), "restore the key from a backup") from error
        about = opened.about
        try:
            sound = Dnskey(about.dnskey).fingerprint == fingerprint and belongs_together(
                about.dnskey, private
            )
        except ValueError:
            sound = False
        if not sound:
            algorithms.wipe(private)
            raise KeyUnreadable(
                str(path),
                "the private and the public half don't belong together",
                "restore the key from a backup",
            )
        return about.dnskey, private

    def _key_encryption_key(self) -> bytearray:
        with self._lock:
            if self._kek is None:
                self._kek = self._derive()
            return self._kek

    def _derive(self) -> bytearray:
        path = self._directory / _HEADER
        passphrase = self._passphrase()
        try:
            private_directory(self._directory)
            remove_unfinished(self._directory)
            if not path.exists():
                if any(self._directory.glob(f"*/*{_SUFFIX}")):
                    raise KeystoreError(
                        str(path), "is gone, and there are keys", "restore it from a backup"
                    )
                memory, iterations, lanes = self._cost
                header, kek = envelope.new_header(
                    passphrase, memory_kib=memory, iterations=iterations, lanes=lanes
                )
                try:
                    create_exclusively(path, envelope.encode(header))
                except FileExistsError:
                    _log.debug("%s: made by another process meanwhile", path)
                else:
                    return kek
            header = envelope.decode_header(path.read_bytes())
        except OSError as error:
            raise KeystoreError(
                str(path), f"can't be used ({error.strerror})", "see to disk and rights"
            ) from error
        except EnvelopeError as error:
            raise KeystoreError(str(path), str(error), "restore it from a backup") from error
        else:
            try:
                return envelope.open_header(header, passphrase)
            except EnvelopeError as error:
                raise KeystoreError(
                    str(path),
                    "the passphrase is not the one that these keys were encrypted with",
                    "give the right one (keystore … passphrase), or restore this file",
                ) from error
        finally:
            algorithms.wipe(passphrase)


def _stored(zone: dns.name.Name, about: About) -> StoredKey:
    return StoredKey(
        zone=zone,
        fingerprint=about.fingerprint,
        algorithm=about.algorithm,
        flags=about.flags,
        dnskey=about.dnskey,
        tag=key_tag(about.dnskey),
        created=about.created,
    )
