"""Secrets by reference, resolved only by the process that owns them."""

from collections.abc import Mapping
from pathlib import Path

from corefile.arguments import SecretReference


class SecretError(Exception):
    """A secret can't be had; the message names the reference, never the secret."""


def resolve(reference: SecretReference, *, directory: Path, environ: Mapping[str, str]) -> bytes:
    """The secret's octets, one trailing line end removed. A relative path counts from
    `directory` (the Corefile's). Raises SecretError."""
    if reference.kind == "env":
        value = environ.get(reference.name)
        if value is None:
            raise SecretError(f"{reference}: the environment variable is not set")
        return value.encode()
    if reference.kind == "credential":
        folder = environ.get("CREDENTIALS_DIRECTORY")
        if folder is None:
            raise SecretError(
                f"{reference}: CREDENTIALS_DIRECTORY is not set; is it in the unit's "
                "LoadCredential= and is systemd what started this?"
            )
        if "/" in reference.name or reference.name in {".", ".."}:
            raise SecretError(f"{reference}: a credential's name has no '/'")
        path = Path(folder) / reference.name
    else:
        path = directory / reference.name
    try:
        content = path.read_bytes()
    except OSError as error:
        raise SecretError(f"{reference}: {path}: {error.strerror or error}") from None
    secret = content.removesuffix(b"\n").removesuffix(b"\r")
    if not secret:
        raise SecretError(f"{reference}: {path} is empty")
    return secret
