"""A *sign* directive, read: which policy, whose keys, which parent."""

from pathlib import Path

import attrs
import dns.name

from signer.policy import Policy


@attrs.frozen
class ParentConfig:
    """`island` is `parent none`. Without addresses the parent is discovered through the
    system's resolver. Addresses are (IP, port)."""

    island: bool = False
    addresses: tuple[tuple[str, int], ...] = ()


@attrs.frozen
class SignConfig:
    """`database_file` is the DBFILE of CoreDNS's form, None where another directive of the
    block loads the zone. `key_files` are BIND key base names (without .key/.private),
    `key_directory` holds such pairs; both are imported and kept. `observe` are our own
    servers (IP, port) to ask; empty: the manager's own server reports."""

    policy: Policy = attrs.field(factory=Policy)
    database_file: Path | None = None
    zones: tuple[dns.name.Name, ...] = ()
    parent: ParentConfig = attrs.field(factory=ParentConfig)
    observe: tuple[tuple[str, int], ...] = ()
    key_files: tuple[Path, ...] = ()
    key_directory: Path | None = None
