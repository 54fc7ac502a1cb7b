"""A *keystore* directive, read, and the keystore that it asks for."""

from collections.abc import Mapping
from functools import partial
from pathlib import Path

import attrs

from corefile import CorefileError, Directive
from corefile.arguments import (
    SecretReference,
    known_options,
    number_of_arguments,
    only_once,
    plain,
    secret_reference,
)
from keystore import passphrase
from keystore.files import FileKeyStore

_USAGE = "keystore files [DIRECTORY] { passphrase file:PATH|env:NAME|credential:NAME }"


@attrs.frozen
class KeystoreConfig:
    """Of the one kind there is: encrypted files. Without a directory they are in the state
    directory; without a passphrase one is made there."""

    directory: str | None = None
    passphrase: SecretReference | None = None


def read_directive(directive: Directive | None) -> KeystoreConfig:
    """Raises CorefileError."""
    if directive is None:
        return KeystoreConfig()
    number_of_arguments(directive, 1, 2, _USAGE)
    kind = directive.args[0]
    if kind.text != "files":
        raise CorefileError(
            kind.place,
            f"keystore '{kind.text}' is not available; what there is: files. Right: {_USAGE}",
        )
    only_once(directive, ("passphrase",))
    reference = None
    for line in known_options(directive, ("passphrase",)):
        plain(line, 1, 1, "passphrase file:PATH|env:NAME|credential:NAME")
        reference = secret_reference(line.args[0])
    directory = directive.args[1].text if len(directive.args) > 1 else None
    return KeystoreConfig(directory, reference)


def open_configured(
    config: KeystoreConfig, manager_state: Path, directory: Path, environ: Mapping[str, str]
) -> FileKeyStore:
    """`manager_state` is STATE/manager; relative paths start at `directory`, the Corefile's.
    Nothing is read or made until the first key is."""
    if config.passphrase is None:
        source = partial(passphrase.generated, manager_state / "passphrase")
    else:
        source = partial(passphrase.read, config.passphrase, directory, environ)
    if config.directory is None:
        return FileKeyStore(manager_state / "keys", source)
    return FileKeyStore(directory / config.directory, source)


def open(  # noqa: A001 - the room's verb, used as keystore.open
    directive: Directive | None,
    manager_state: Path,
    directory: Path,
    environ: Mapping[str, str],
) -> FileKeyStore:
    """The keystore that a directive asks for; the default one without. Raises CorefileError."""
    return open_configured(read_directive(directive), manager_state, directory, environ)
