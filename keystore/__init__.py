"""Private keys: one protocol; encrypted files; import and export.

`keystore.open` gives the store that a *keystore* directive asks for, `KeyStore` says what a
store can do, `keystore.bind` reads and writes BIND's key files.
"""

from keystore.opening import KeystoreConfig, open, open_configured, read_directive  # noqa: A004
from keystore.protocol import KeyStore, KeystoreError, KeyUnreadable, StoredKey

__all__ = [
    "KeyStore",
    "KeyUnreadable",
    "KeystoreConfig",
    "KeystoreError",
    "StoredKey",
    "open",
    "open_configured",
    "read_directive",
]
