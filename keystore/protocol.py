"""What a keystore is: a place where private keys are made and kept.

A key is its fingerprint, never its tag: two keys of a zone may share a tag, and a tag
changes with the flags (RFC 4034 appendix B, RFC 5011 section 2.1).
"""

from collections.abc import Collection
from typing import Protocol

import attrs
import dns.name

import engine


class KeystoreError(Exception):
    """A key could not be made, read or written: where, what, and what to do about it."""

    def __init__(self, place: str, message: str, remedy: str) -> None:
        super().__init__(place, message, remedy)
        self.place = place
        self.message = message
        self.remedy = remedy

    def __str__(self) -> str:
        return f"{self.place}: {self.message}; {self.remedy}"


class KeyUnreadable(KeystoreError):
    """The key is known and its private half can't be had now. Never a reason for a new key."""


@attrs.frozen
class StoredKey:
    """The public face of a key in a store. `created` is in Unix seconds."""

    zone: dns.name.Name
    fingerprint: str
    algorithm: int
    flags: int
    dnskey: bytes
    tag: int
    created: int


class KeyStore(Protocol):
    """Calls block (disk, key derivation, hardware); run them off the event loop.

    Every method raises KeystoreError; `load` and `export` raise KeyUnreadable for a key
    that is missing or can't be decrypted.
    """

    @property
    def place(self) -> str:
        """Where the keys are, for messages."""

    def generate(
        self,
        zone: dns.name.Name,
        algorithm: int,
        flags: int,
        bits: int | None = None,
        *,
        avoid_tags: Collection[int] = (),
    ) -> StoredKey:
        """A new key pair, on disk and fsynced when this returns. `bits` is for RSA alone.
        Neither its tag nor its tag with the REVOKE bit is in `avoid_tags`."""

    def load(self, zone: dns.name.Name, fingerprint: str) -> engine.SigningKey:
        """The key ready to sign; both halves are shown to belong together."""

    def find(self, zone: dns.name.Name, fingerprint: str) -> StoredKey | None:
        """The public face; None when the store has no such key of this zone."""

    def import_(self, zone: dns.name.Name, dnskey: bytes, private: bytearray) -> StoredKey:
        """Take a key pair made elsewhere: DNSKEY rdata, and PKCS#8 DER, which is wiped.
        Importing the same pair again changes nothing."""

    def export(self, zone: dns.name.Name, fingerprint: str) -> bytearray:
        """PKCS#8 DER; the caller wipes the buffer."""

    def list(self, zone: dns.name.Name | None = None) -> tuple[StoredKey, ...]:
        """All keys, or those of a zone, in the order in which they were made."""

    def delete(self, zone: dns.name.Name, fingerprint: str) -> None:
        """Remove a key for good. Callers make sure that nothing cached needs it."""
