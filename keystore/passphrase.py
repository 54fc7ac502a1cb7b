"""Where a keystore's passphrase comes from: a secret reference, or, where none is configured,
a file that is made once."""

import logging
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from corefile.arguments import SecretReference
from corefile.secrets import SecretError, resolve
from keystore.durable import create_exclusively, private_directory
from keystore.protocol import KeystoreError

_log = logging.getLogger(__name__)


def read(reference: SecretReference, directory: Path, environ: Mapping[str, str]) -> bytearray:
    """The passphrase that a reference names; relative paths start at `directory` (the
    Corefile's). Raises KeystoreError."""
    try:
        passphrase = bytearray(resolve(reference, directory=directory, environ=environ))
    except SecretError as error:
        raise KeystoreError(
            "keystore", f"the passphrase can't be had: {error}", "put it there, and start again"
        ) from error
    if not passphrase:
        raise KeystoreError("keystore", f"{reference} is empty", "put the passphrase there")
    if reference.kind == "file":
        _warn_if_open(directory / reference.name)
    return passphrase


def generated(path: Path) -> bytearray:
    """The passphrase in `path`, which is made with mode 0600 when it is not there.
    Raises KeystoreError."""
    if not path.exists():
        try:
            private_directory(path.parent)
            create_exclusively(path, secrets.token_urlsafe(32).encode("ascii") + b"\n")
        except FileExistsError:
            _log.debug("%s: made by another process meanwhile", path)
        except OSError as error:
            raise KeystoreError(
                str(path),
                f"no passphrase can be made ({os.strerror(error.errno or 0)})",
                "make the directory writable, or configure a passphrase with keystore",
            ) from error
        else:
            _log.warning(
                "%s: made a passphrase for the keystore, as none is configured; it lies beside "
                "the keys that it protects. To do better, write in the options block: "
                "keystore files { passphrase credential:NAME }",
                path,
            )
    return read(SecretReference("file", str(path.absolute())), path.parent, {})


def _warn_if_open(path: Path) -> None:
    if stat.S_IMODE(path.stat().st_mode) & 0o077:
        _log.warning("%s: others can read this passphrase; chmod 600 it", path)
