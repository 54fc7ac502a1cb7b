"""What a *sign* directive says: which policy, whose keys, which parent. Values;
`signer.directive` reads them."""

import enum
from pathlib import Path

import attrs
import dns.name

from corefile import Place
from keystore import KeystoreConfig
from registrars.registry import RegistrarConfig
from signer.policy import HOUR, Policy
from signer.trust import Anchor


@attrs.frozen
class ParentConfig:
    """`island` is `parent none`. Without addresses the parent is discovered through the
    system's resolver. Addresses are (IP, port). `anchors` are those of the files named; the
    root's are built in, for a parent that is discovered."""

    island: bool = False
    addresses: tuple[tuple[str, int], ...] = ()
    anchors: tuple[Anchor, ...] = ()


class Observe(enum.Enum):
    """Which of the servers that publish the zone have to show a change before it counts: by
    default every name server of the NS set, or our own server's word where none of them can
    be asked; every one; more than half; our own server's word; these addresses."""

    DEFAULT = "default"
    ALL = "all"
    QUORUM = "quorum"
    OWN = "own"
    ADDRESSES = "addresses"


@attrs.frozen
class ObserveConfig:
    """`addresses` (IP, port) are given with `ADDRESSES` alone."""

    which: Observe = Observe.DEFAULT
    addresses: tuple[tuple[str, int], ...] = ()


@attrs.frozen
class MultiSigner:
    """Others sign the zone too, with keys of their own (RFC 8901, model 2). Their DNSKEY are
    in `files`, or without one in the zone's source. `servers` (IP, port) are all that answer
    for the zone; those of its NS set where none is named."""

    files: tuple[Path, ...] = ()
    servers: tuple[tuple[str, int], ...] = ()


@attrs.frozen
class SignConfig:
    """`database_file` is the DBFILE of CoreDNS's form, None where another directive of the
    block loads the zone. `zones` is empty where the block's own zones are meant.
    `key_files` are base names of BIND's pairs, `key_directories` hold such pairs; both are
    imported and kept. `registrar` brings the DS to the parent, and may fail for
    `registrar_patience` seconds before there is an alarm. `observe` says which servers are asked
    what they show. `signed_directory` is where CoreDNS would put the signed file: it tells
    which *file* line means our version. `signal`: the zone has signalling records (RFC 9615) of
    the zones signed here whose servers' names are in it. Without `keystore` the global one is
    used."""

    policy: Policy = attrs.field(factory=Policy)
    database_file: Path | None = None
    zones: tuple[dns.name.Name, ...] = ()
    parent: ParentConfig = attrs.field(factory=ParentConfig)
    observe: ObserveConfig = attrs.field(factory=ObserveConfig)
    key_files: tuple[Path, ...] = ()
    key_directories: tuple[Path, ...] = ()
    multi_signer: MultiSigner | None = None
    signal: bool = False
    keystore: KeystoreConfig | None = None
    registrar: RegistrarConfig | None = None
    registrar_patience: int = HOUR
    signed_directory: Path | None = None
    place: Place | None = attrs.field(default=None, eq=False)
