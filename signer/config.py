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
    parent [none|ADDRESS…] { anchor FILE… }
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

import binascii
import enum
from collections.abc import Callable
from pathlib import Path

import attrs
import dns.name

from corefile import CorefileError, Directive, Place, Token
from corefile.arguments import (
    address,
    choice,
    count,
    duration,
    known_options,
    no_body,
    number_of_arguments,
    only_once,
    zones,
)
from keystore import KeystoreConfig, read_directive
from registrars import registry
from registrars.registry import RegistrarConfig
from signer import anchors
from signer.policy import (
    ALGORITHMS,
    DAY,
    DIGESTS,
    HOUR,
    RSA_ALGORITHMS,
    DsMode,
    KeyLayout,
    Nsec3,
    Policy,
    PolicyError,
)
from signer.trust import Anchor

_DURATIONS = {
    "dnskey-ttl": "dnskey_ttl",
    "max-zone-ttl": "max_zone_ttl",
    "validity": "validity",
    "refresh": "refresh",
    "jitter": "jitter",
    "propagation": "propagation",
    "publish-safety": "publish_safety",
    "retire-safety": "retire_safety",
    "parent-ds-ttl": "parent_ds_ttl",
    "parent-propagation": "parent_propagation",
    "purge": "purge",
}
_LIFETIMES = {
    "csk-lifetime": "csk_lifetime",
    "ksk-lifetime": "ksk_lifetime",
    "zsk-lifetime": "zsk_lifetime",
}
_YEAR = 365 * DAY
_LONGEST = 10 * _YEAR
_OTHERS = (
    "keys",
    "algorithm",
    "nsec",
    "nsec3",
    "ds",
    "cds",
    "standby",
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
_MOST_ITERATIONS = 500  # what validators answered insecurely above, before RFC 9276
_DNS_PORT = 53


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


def read_sign(directive: Directive, directory: Path) -> SignConfig:
    """Relative paths count from `directory`, the Corefile's. Raises CorefileError."""
    known = (*_DURATIONS, *_LIFETIMES, *_OTHERS)
    known_options(directive, known)
    only_once(directive, [name for name in known if name not in _REPEATED])
    parent = _parent(directive, directory)
    key_files, key_directories = _keys(directive, directory)
    signed = directive.option("directory")
    if signed is not None:
        _plain(signed, 1, 1, "directory DIRECTORY")
    keystore = directive.option("keystore")
    gate = directive.option("gate")
    if gate is not None:
        _plain(gate, 1, 1, "gate enforce")
        choice(gate.args[0], ("enforce",))
    registrar = directive.option("registrar")
    patience = directive.option("registrar-patience")
    if patience is not None:
        _plain(patience, 1, 1, "registrar-patience DURATION")
    if registrar is not None and parent.island:
        raise CorefileError(registrar.place, "an island has no parent: `parent none` above")
    return SignConfig(
        policy=_policy(directive, parent),
        database_file=directory / directive.args[0].text if directive.args else None,
        zones=tuple(dns.name.from_text(zone) for zone in zones(directive.args[1:])),
        parent=parent,
        observe=_observe(directive, parent),
        signal=_signal(directive.option("signal")),
        multi_signer=_multi_signer(directive.option("multi-signer"), directory),
        key_files=key_files,
        key_directories=key_directories,
        keystore=None if keystore is None else read_directive(keystore),
        registrar=None if registrar is None else registry.read(registrar),
        registrar_patience=HOUR if patience is None else _seconds(patience.args[0]),
        signed_directory=None if signed is None else directory / signed.args[0].text,
        place=directive.place,
    )


def _plain(line: Directive, least: int, most: int | None, usage: str) -> None:
    no_body(line)
    number_of_arguments(line, least, most, usage)


def _rolls(directive: Directive, parent: ParentConfig) -> bool:
    """Whether there is somebody named to whom a rollover can be brought."""
    return bool(parent.addresses) or directive.option("registrar") is not None


def _policy(directive: Directive, parent: ParentConfig) -> Policy:
    given = _durations(directive)
    places = {line.name: line.place for line in directive.body or ()}
    if "validity" in given:
        # A validity of one's own keeps the proportions of the defaults: 14 d, 5 d, 12 h.
        given.setdefault("refresh", given["validity"] * 5 // 14)
        given.setdefault("jitter", given["validity"] // 28)
    if "refresh" in given and "max_zone_ttl" not in given:
        # What is not said can't contradict; a zone's own TTLs are held against it anyway.
        spare = given["refresh"] - given.get("propagation", Policy().propagation)
        given["max_zone_ttl"] = max(0, min(DAY, spare))
    if "refresh" in given and "dnskey_ttl" not in given:
        given["dnskey_ttl"] = max(0, min(Policy().dnskey_ttl, given["max_zone_ttl"]))
    algorithm, bits = _algorithm(directive.option("algorithm"))
    standby, standby_ds = _standby(directive.option("standby"))
    lifetimes = _lifetimes(directive, parent)
    try:
        return Policy(
            keys=_layout(directive, parent),
            algorithm=algorithm,
            rsa_bits=bits,
            nsec3=_denial(directive),
            ds=_ds(directive.option("ds")),
            cds=_cds(directive.option("cds")),
            standby=standby,
            standby_ds=standby_ds,
            csk_lifetime=lifetimes["csk_lifetime"],
            ksk_lifetime=lifetimes["ksk_lifetime"],
            zsk_lifetime=lifetimes["zsk_lifetime"],
            **given,  # type: ignore[arg-type]
        )
    except PolicyError as error:
        message = str(error)
        options = (*_LIFETIMES, *_DURATIONS, "standby")
        named = [places[name] for name in options if name in places and _names(message, name)]
        raise CorefileError(named[0] if named else directive.place, message) from error


def _names(message: str, option: str) -> bool:
    """Whether a contradiction is about an option, so that its line is the place to show."""
    words = {"max-zone-ttl": "longest TTL", "dnskey-ttl": "longest TTL"}
    return words.get(option, option) in message


def _durations(directive: Directive) -> dict[str, int]:
    given = {}
    for line in directive.body or ():
        if line.name in _DURATIONS:
            _plain(line, 1, 1, f"{line.name} DURATION")
            given[_DURATIONS[line.name]] = _seconds(line.args[0])
    return given


def _seconds(token: Token) -> int:
    seconds = duration(token, most=_LONGEST)
    if seconds != int(seconds):
        raise CorefileError(token.place, f"{token.text} is no whole number of seconds")
    return int(seconds)


def _lifetimes(directive: Directive, parent: ParentConfig) -> dict[str, int | None]:
    """Unlimited, unless somebody is named to whom rollovers can be brought."""
    given: dict[str, int | None] = dict.fromkeys(_LIFETIMES.values())
    if _rolls(directive, parent) and directive.option("keys") is None:
        given |= {"ksk_lifetime": _YEAR, "zsk_lifetime": 90 * DAY}
    layout = _layout(directive, parent)
    used = ("csk-lifetime",) if layout is KeyLayout.CSK else ("ksk-lifetime", "zsk-lifetime")
    for line in directive.body or ():
        if line.name not in _LIFETIMES:
            continue
        _plain(line, 1, 1, f"{line.name} DURATION|unlimited")
        if line.name not in used:
            raise CorefileError(
                line.place, f"there is no such key with keys {layout.value}: {' or '.join(used)}"
            )
        token = line.args[0]
        given[_LIFETIMES[line.name]] = None if token.text == "unlimited" else _seconds(token)
    return given


def _ds(line: Directive | None) -> DsMode:
    if line is None:
        return DsMode.DOUBLE_KSK
    _plain(line, 1, 1, "ds double-ksk|double-ds")
    return DsMode(choice(line.args[0], [mode.value for mode in DsMode]))


def _cds(line: Directive | None) -> tuple[int, ...]:
    if line is None:
        return Policy().cds
    usage = "cds none|sha-256|sha-384…"
    _plain(line, 1, len(DIGESTS), usage)
    if line.args[0].text == "none":
        number_of_arguments(line, 1, 1, usage)
        return ()
    digests = [DIGESTS[choice(token, ("none", *DIGESTS))] for token in line.args]
    return tuple(sorted(set(digests)))


def _standby(line: Directive | None) -> tuple[frozenset[str], bool]:
    if line is None:
        return frozenset(), False
    _plain(line, 1, 3, "standby csk|ksk|zsk… [ds]")
    words = [choice(token, ("csk", "ksk", "zsk", "ds")) for token in line.args]
    roles = frozenset(words) - {"ds"}
    if not roles:
        raise CorefileError(line.place, "standby names no key; right: standby csk|ksk|zsk… [ds]")
    return roles, "ds" in words


def _layout(directive: Directive, parent: ParentConfig) -> KeyLayout:
    line = directive.option("keys")
    if line is None:
        return KeyLayout.KSK_ZSK if _rolls(directive, parent) else KeyLayout.CSK
    _plain(line, 1, 1, "keys csk|ksk+zsk")
    return KeyLayout(choice(line.args[0], [layout.value for layout in KeyLayout]))


def _algorithm(line: Directive | None) -> tuple[int, int]:
    default = Policy()
    if line is None:
        return default.algorithm, default.rsa_bits
    _plain(line, 1, 2, "algorithm NAME [BITS]")
    number = ALGORITHMS[choice(line.args[0], tuple(ALGORITHMS))]
    if len(line.args) == 1:
        return number, default.rsa_bits
    if number not in RSA_ALGORITHMS:
        raise CorefileError(line.args[1].place, f"keys of {line.args[0].text} have one length")
    return number, count(line.args[1], least=1024, most=4096)


def _denial(directive: Directive) -> Nsec3 | None:
    plain, line = directive.option("nsec"), directive.option("nsec3")
    if plain is not None:
        _plain(plain, 0, 0, "nsec")
        if line is not None:
            raise CorefileError(line.place, f"nsec3 contradicts nsec at {plain.place}")
    if line is None:
        return None
    no_body(line)
    usage = "nsec3 [iterations N] [salt HEX] [opt-out]"
    found = Nsec3()
    words = list(line.args)
    while words:
        word = words.pop(0)
        what = choice(word, ("iterations", "salt", "opt-out"))
        if what == "opt-out":
            found = attrs.evolve(found, opt_out=True)
            continue
        if not words:
            raise CorefileError(word.place, f"{what} has no value; right: {usage}")
        value = words.pop(0)
        if what == "iterations":
            found = attrs.evolve(found, iterations=count(value, most=_MOST_ITERATIONS))
        else:
            found = attrs.evolve(found, salt=_salt(value))
    return found


def _salt(token: Token) -> bytes:
    if token.text == "-":
        return b""
    try:
        salt = binascii.unhexlify(token.text)
    except (binascii.Error, ValueError):
        salt = None
    if salt is None or len(salt) > 255:
        raise CorefileError(
            token.place, f"'{token.text}' found where a salt in hexadecimal should be, or -"
        )
    return salt


def _parent(directive: Directive, base: Path) -> ParentConfig:
    line = directive.option("parent")
    if line is None:
        return ParentConfig()
    usage = "parent [none|ADDRESS…] { anchor FILE… }"
    # What is left out is found; with nothing said at all the line would mean nothing.
    number_of_arguments(line, 0 if line.body else 1, None, usage)
    trusted = anchors.read_lines(line, base)
    if line.args and line.args[0].text == "none":
        number_of_arguments(line, 1, 1, usage)
        if line.body:
            raise CorefileError(line.body[0].place, "an island has no parent to anchor")
        return ParentConfig(island=True)
    return ParentConfig(addresses=_endpoints(line), anchors=trusted)


def _observe(directive: Directive, parent: ParentConfig) -> ObserveConfig:
    line, shared = directive.option("observe"), directive.option("multi-signer") is not None
    if line is None:
        # What an island's NS records name is nobody's to ask; of a zone with several signers
        # they name servers that show versions of others.
        own = parent.island or shared
        return ObserveConfig(Observe.OWN if own else Observe.DEFAULT)
    _plain(line, 1, None, "observe all|quorum|own|ADDRESS…")
    words = {one.value: one for one in (Observe.ALL, Observe.QUORUM, Observe.OWN)}
    if len(line.args) == 1 and line.args[0].text in words:
        which = words[line.args[0].text]
        if shared and which is not Observe.OWN:
            raise CorefileError(
                line.place,
                f"observe {which.value} asks other signers' servers too, which show versions of "
                "their own; right: observe own, or observe ADDRESS… with ours",
            )
        return ObserveConfig(which)
    return ObserveConfig(Observe.ADDRESSES, _addresses(line))


def _signal(line: Directive | None) -> bool:
    if line is not None:
        _plain(line, 0, 0, "signal")
    return line is not None


def _multi_signer(line: Directive | None, directory: Path) -> MultiSigner | None:
    if line is None:
        return None
    known_options(line, ("servers",))
    only_once(line, ("servers",))
    files = tuple(directory / token.text for token in line.args)
    return MultiSigner(files, _addresses(line.option("servers")))


def _addresses(line: Directive | None) -> tuple[tuple[str, int], ...]:
    if line is None:
        return ()
    _plain(line, 1, None, f"{line.name} ADDRESS[:PORT]…")
    return _endpoints(line)


def _endpoints(line: Directive) -> tuple[tuple[str, int], ...]:
    found = []
    for token in line.args:
        endpoint = address(token, port=_DNS_PORT)
        if not endpoint.address:
            raise CorefileError(token.place, f"'{token.text}' names no address")
        found.append((endpoint.address, endpoint.port))
    return tuple(found)


def _keys(directive: Directive, base: Path) -> tuple[tuple[Path, ...], tuple[Path, ...]]:
    files: list[Path] = []
    directories: list[Path] = []
    kinds: dict[str, Callable[[Path], None]] = {
        "file": files.append,
        "directory": directories.append,
    }
    for line in directive.options("key"):
        _plain(line, 2, None, "key file PATH… | key directory PATH…")
        add = kinds[choice(line.args[0], tuple(kinds))]
        for token in line.args[1:]:
            add(base / token.text)
    return tuple(files), tuple(directories)
