"""A private key at rest: AES-256-GCM under a random data key, which is itself wrapped by a
key-encryption key that Argon2id (RFC 9106) derives from a passphrase.

The file is JSON in one exact spelling. Everything in it but the two boxes is associated data
of both, so that a file cannot be moved to another zone, key or algorithm unnoticed; what is
not associated data is only accepted in the spelling in which it is written.
"""

import secrets
import threading
from typing import TypeVar

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id

from keystore.algorithms import wipe

VERSION = 1
_KEY_BYTES = 32
_NONCE_BYTES = 12
_CHECK = b"zoneward keystore"
# OpenSSL's pool of threads is one for the process: of two derivations at a time one fails for
# want of threads, or both wait for ever.
_DERIVING = threading.Lock()


class EnvelopeError(Exception):
    """The envelope can't be opened; the message says which of its parts is at fault."""


class Box(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One AES-256-GCM message with its nonce."""

    nonce: bytes
    sealed: bytes


class About(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be known of a key by whoever can list the directory."""

    zone: str
    fingerprint: str
    algorithm: int
    flags: int
    dnskey: bytes
    created: int


class Envelope(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    version: int
    about: About
    data_key: Box
    private_key: Box


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Of a whole keystore: how the key-encryption key is derived, and a box that only the
    right one opens."""

    version: int
    salt: bytes
    memory_kib: int
    iterations: int
    lanes: int
    check: Box


def _seal(key: bytes | bytearray, plain: bytes | bytearray, about: bytes) -> Box:
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return Box(nonce, AESGCM(key).encrypt(nonce, plain, about))


def _unseal(key: bytes | bytearray, box: Box, about: bytes, what: str) -> bytearray:
    try:
        return bytearray(AESGCM(key).decrypt(box.nonce, box.sealed, about))
    except (InvalidTag, ValueError) as error:
        raise EnvelopeError(f"{what} does not decrypt") from error


_File = TypeVar("_File", Envelope, Header)


def _exact(raw: bytes, kind: type[_File]) -> _File:
    try:
        value = msgspec.json.decode(raw, type=kind)
    except (msgspec.MsgspecError, ValueError) as error:
        raise EnvelopeError(f"not a file of this kind ({error})") from error
    if value.version != VERSION:
        raise EnvelopeError(f"version {value.version}, this program knows {VERSION}")
    if encode(value) != raw:
        raise EnvelopeError("altered since it was written")
    return value


def encode(value: Envelope | Header) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def decode(raw: bytes) -> Envelope:
    """Raises EnvelopeError."""
    return _exact(raw, Envelope)


def decode_header(raw: bytes) -> Header:
    """Raises EnvelopeError."""
    return _exact(raw, Header)


def _associated(about: About, part: bytes) -> bytes:
    return part + b"\0" + msgspec.json.encode((VERSION, about))


def seal(kek: bytes | bytearray, about: About, private: bytearray) -> Envelope:
    """Encrypt PKCS#8 DER; `private` is wiped."""
    data_key = bytearray(secrets.token_bytes(_KEY_BYTES))
    try:
        return Envelope(
            VERSION,
            about,
            _seal(kek, data_key, _associated(about, b"data key")),
            _seal(data_key, private, _associated(about, b"private key")),
        )
    finally:
        wipe(data_key)
        wipe(private)


def unseal(kek: bytes | bytearray, envelope: Envelope) -> bytearray:
    """PKCS#8 DER; the caller wipes it. Raises EnvelopeError."""
    about = envelope.about
    data_key = _unseal(kek, envelope.data_key, _associated(about, b"data key"), "the data key")
    try:
        return _unseal(
            data_key, envelope.private_key, _associated(about, b"private key"), "the private key"
        )
    finally:
        wipe(data_key)


def derive(
    passphrase: bytes | bytearray, salt: bytes, memory_kib: int, iterations: int, lanes: int
) -> bytearray:
    """The key-encryption key. Raises EnvelopeError for parameters Argon2id refuses."""
    try:
        kdf = Argon2id(
            salt=salt,
            length=_KEY_BYTES,
            iterations=iterations,
            lanes=lanes,
            memory_cost=memory_kib,
        )
        with _DERIVING:
            return bytearray(kdf.derive(bytes(passphrase)))
    except (ValueError, TypeError, MemoryError) as error:
        raise EnvelopeError(f"the key can't be derived ({error})") from error


def _header_associated(header: Header) -> bytes:
    return b"check\0" + msgspec.json.encode(
        (header.version, header.salt, header.memory_kib, header.iterations, header.lanes)
    )


def new_header(
    passphrase: bytes | bytearray, *, memory_kib: int, iterations: int, lanes: int
) -> tuple[Header, bytearray]:
    """A header with a fresh salt, and the key-encryption key."""
    salt = secrets.token_bytes(16)
    kek = derive(passphrase, salt, memory_kib, iterations, lanes)
    empty = Header(VERSION, salt, memory_kib, iterations, lanes, Box(b"", b""))
    check = _seal(kek, _CHECK, _header_associated(empty))
    return Header(VERSION, salt, memory_kib, iterations, lanes, check), kek


def open_header(header: Header, passphrase: bytes | bytearray) -> bytearray:
    """The key-encryption key. Raises EnvelopeError when the passphrase is not the one."""
    kek = derive(passphrase, header.salt, header.memory_kib, header.iterations, header.lanes)
    opened = _unseal(kek, header.check, _header_associated(header), "its check value")
    if bytes(opened) != _CHECK:
        raise EnvelopeError("its check value is another program's")
    return kek
