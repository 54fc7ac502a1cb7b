"""Where a keystore's passphrase comes from: a file, the environment, a systemd credential,
or, where nothing is configured, a file that is made once."""

import logging
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path

from keystore.durable import create_exclusively
from keystore.protocol import KeystoreError

_log = logging.getLogger(__name__)
_REFERENCES = "file:PATH, env:NAME or credential:NAME"


def read(reference: str, environ: Mapping[str, str], base: Path) -> bytearray:
    """The passphrase that a reference names; one trailing line end is not part of it.
    Relative paths start at `base`. Raises KeystoreError."""
    scheme, _, rest = reference.partition(":")
    if not rest:
        raise KeystoreError("keystore", "the passphrase is no reference", f"write {_REFERENCES}")
    if scheme == "env":
        value = environ.get(rest)
        if not value:
            raise KeystoreError(reference, "the variable is not set", f"set {rest}")
        return bytearray(value, "utf-8")
    if scheme == "credential":
        directory = environ.get("CREDENTIALS_DIRECTORY")
        if not directory:
            raise KeystoreError(
                reference,
                "CREDENTIALS_DIRECTORY is not set",
                f"start from a systemd unit with LoadCredential={rest}:…",
            )
        if "/" in rest or rest in (".", ".."):
            raise KeystoreError(reference, "a credential is a plain name", "leave out the path")
        return _from_file(Path(directory) / rest, reference)
    if scheme == "file":
        return _from_file(base / rest, reference)
    raise KeystoreError(
        "keystore", f"{scheme!r} is no kind of secret reference", f"write {_REFERENCES}"
    )


def _from_file(path: Path, reference: str) -> bytearray:
    try:
        if stat.S_IMODE(path.stat().st_mode) & 0o077 and not reference.startswith("credential:"):
            _log.warning("%s: others can read this passphrase; chmod 600 it", path)
        passphrase = bytearray(path.read_bytes())
    except OSError as error:
        raise KeystoreError(
            str(path), f"the passphrase can't be read ({error.strerror})", "put it there"
        ) from error
    for end in (b"\n", b"\r"):
        if passphrase.endswith(end):
            del passphrase[-1:]
    if not passphrase:
        raise KeystoreError(str(path), "the passphrase is empty", "write one line into it")
    return passphrase


def generated(path: Path) -> bytearray:
    """The passphrase in `path`, which is made with mode 0600 when it is not there.
    Raises KeystoreError."""
    if not path.exists():
        try:
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
    return _from_file(path, f"file:{path}")
