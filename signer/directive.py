"""A *sign* directive, read: which policy, whose keys, which parent.

sign [DBFILE [ZONES…]] {
    keys csk|ksk+zsk
    algorithm NAME [BITS]
    nsec
    nsec3 [iterations N] [salt HEX] [opt-out]
    dnskey-ttl|max-zone-ttl|validity|refresh|jitter|propagation DURATION
    publish-safety|retire-safety|parent-ds-ttl|parent-propagation DURATION
    csk-lifetime|ksk-lifetime|zsk-lifetime DURATION|unlimited
    ds double-ksk|double-ds
    cds none|sha-256|sha-384…
    standby csk|ksk|zsk… [ds]
    purge DURATION
    parent [none|ADDRESS…] { anchor FILE…; tsig NAME REFERENCE [ALGORITHM] }
    registrar NAME …
    registrar-patience DURATION
    observe all|quorum|own|ADDRESS…
    multi-signer [FILE…] { servers ADDRESS… }
    signal
    keystore files [DIRECTORY] { passphrase REFERENCE }
    key file|directory PATH…
    directory DIRECTORY
    gate enforce
}
"""

from collections.abc import Callable
from pathlib import Path

import dns.name

from corefile import CorefileError, Directive
from corefile.arguments import choice, known_options, only_once, plain, whole_seconds, zones
from keystore import read_directive
from registrars import registry
from registrars.registry import RegistrarConfig
from signer import policyoptions, serveroptions
from signer.config import ParentConfig, SignConfig
from signer.policy import HOUR
from signer.policyoptions import LONGEST

_OTHERS = (
    "parent",
    "observe",
    "multi-signer",
    "signal",
    "keystore",
    "key",
    "directory",
    "registrar",
    "registrar-patience",
    "gate",
)
_REPEATED = ("key",)


def read_sign(directive: Directive, directory: Path) -> SignConfig:
    """Relative paths count from `directory`, the Corefile's. Raises CorefileError."""
    known = (*policyoptions.NAMES, *_OTHERS)
    known_options(directive, known)
    only_once(directive, [name for name in known if name not in _REPEATED])
    parent = serveroptions.parent(directive.option("parent"), directory)
    key_files, key_directories = _keys(directive, directory)
    signed = directive.option("directory")
    if signed is not None:
        plain(signed, 1, 1, "directory DIRECTORY")
    keystore = directive.option("keystore")
    gate = directive.option("gate")
    if gate is not None:
        plain(gate, 1, 1, "gate enforce")
        choice(gate.args[0], ("enforce",))
    patience = directive.option("registrar-patience")
    if patience is not None:
        plain(patience, 1, 1, "registrar-patience DURATION")
    registrar = _registrar(directive, parent)
    # Somebody is named to whom a rollover can be brought.
    rolls = bool(parent.addresses) or registrar is not None
    return SignConfig(
        policy=policyoptions.policy(directive, rolls=rolls),
        database_file=directory / directive.args[0].text if directive.args else None,
        zones=tuple(dns.name.from_text(zone) for zone in zones(directive.args[1:])),
        parent=parent,
        observe=serveroptions.observe(directive, parent),
        signal=_signal(directive.option("signal")),
        multi_signer=serveroptions.multi_signer(directive.option("multi-signer"), directory),
        key_files=key_files,
        key_directories=key_directories,
        keystore=None if keystore is None else read_directive(keystore),
        registrar=registrar,
        registrar_patience=HOUR
        if patience is None
        else whole_seconds(patience.args[0], most=LONGEST),
        signed_directory=None if signed is None else directory / signed.args[0].text,
        place=directive.place,
    )


def _registrar(directive: Directive, parent: ParentConfig) -> RegistrarConfig | None:
    line, updates = directive.option("registrar"), directive.option("parent")
    meant = serveroptions.updates(updates, parent)
    if line is None:
        return meant
    if parent.island:
        raise CorefileError(line.place, "an island has no parent: `parent none` above")
    if updates is not None and meant is not None:
        raise CorefileError(
            line.place,
            f"registrar contradicts the tsig of parent at {updates.place}, by which the DS goes "
            "to the parent itself; take one of them out",
        )
    return registry.read(line)


def _signal(line: Directive | None) -> bool:
    if line is not None:
        plain(line, 0, 0, "signal")
    return line is not None


def _keys(directive: Directive, base: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    files: list[Path] = []
    directories: list[Path] = []
    kinds: dict[str, Callable[[Path], None]] = {
        "file": files.append,
        "directory": directories.append,
    }
    for line in directive.options("key"):
        plain(line, 2, None, "key file PATH… | key directory PATH…")
        add = kinds[choice(line.args[0], tuple(kinds))]
        for token in line.args[1:]:
            add(base / token.text)
    return tuple(files), tuple(directories)
