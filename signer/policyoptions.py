"""The options of *sign* that make its policy."""

import binascii

import attrs

from corefile import CorefileError, Directive, Token
from corefile.arguments import choice, count, no_body, number_of_arguments, plain, whole_seconds
from signer.policy import (
    ALGORITHMS,
    DAY,
    DIGESTS,
    RSA_ALGORITHMS,
    DsMode,
    KeyLayout,
    Nsec3,
    Policy,
    PolicyError,
)

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
#: All of them.
NAMES = (*_DURATIONS, *_LIFETIMES, "keys", "algorithm", "nsec", "nsec3", "ds", "cds", "standby")
_YEAR = 365 * DAY
#: The longest span of time that *sign* takes, in seconds.
LONGEST = 10 * _YEAR
_MOST_ITERATIONS = 500  # what validators answered insecurely above, before RFC 9276


def policy(directive: Directive, *, rolls: bool) -> Policy:
    """`rolls`: somebody is named to whom a rollover can be brought. Raises CorefileError."""
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
    lifetimes = _lifetimes(directive, rolls=rolls)
    try:
        return Policy(
            keys=_layout(directive, rolls=rolls),
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
            plain(line, 1, 1, f"{line.name} DURATION")
            given[_DURATIONS[line.name]] = whole_seconds(line.args[0], most=LONGEST)
    return given


def _lifetimes(directive: Directive, *, rolls: bool) -> dict[str, int | None]:
    """Unlimited, unless somebody is named to whom rollovers can be brought."""
    given: dict[str, int | None] = dict.fromkeys(_LIFETIMES.values())
    if rolls and directive.option("keys") is None:
        given |= {"ksk_lifetime": _YEAR, "zsk_lifetime": 90 * DAY}
    layout = _layout(directive, rolls=rolls)
    used = ("csk-lifetime",) if layout is KeyLayout.CSK else ("ksk-lifetime", "zsk-lifetime")
    for line in directive.body or ():
        if line.name not in _LIFETIMES:
            continue
        plain(line, 1, 1, f"{line.name} DURATION|unlimited")
        if line.name not in used:
            raise CorefileError(
                line.place, f"there is no such key with keys {layout.value}: {' or '.join(used)}"
            )
        token = line.args[0]
        given[_LIFETIMES[line.name]] = (
            None if token.text == "unlimited" else whole_seconds(token, most=LONGEST)
        )
    return given


def _ds(line: Directive | None) -> DsMode:
    if line is None:
        return DsMode.DOUBLE_KSK
    plain(line, 1, 1, "ds double-ksk|double-ds")
    return DsMode(choice(line.args[0], [mode.value for mode in DsMode]))


def _cds(line: Directive | None) -> tuple[int, ...]:
    if line is None:
        return Policy().cds
    usage = "cds none|sha-256|sha-384…"
    plain(line, 1, len(DIGESTS), usage)
    if line.args[0].text == "none":
        number_of_arguments(line, 1, 1, usage)
        return ()
    digests = [DIGESTS[choice(token, ("none", *DIGESTS))] for token in line.args]
    return tuple(sorted(set(digests)))


def _standby(line: Directive | None) -> tuple[frozenset[str], bool]:
    if line is None:
        return frozenset(), False
    plain(line, 1, 3, "standby csk|ksk|zsk… [ds]")
    words = [choice(token, ("csk", "ksk", "zsk", "ds")) for token in line.args]
    roles = frozenset(words) - {"ds"}
    if not roles:
        raise CorefileError(line.place, "standby names no key; right: standby csk|ksk|zsk… [ds]")
    return roles, "ds" in words


def _layout(directive: Directive, *, rolls: bool) -> KeyLayout:
    line = directive.option("keys")
    if line is None:
        return KeyLayout.KSK_ZSK if rolls else KeyLayout.CSK
    plain(line, 1, 1, "keys csk|ksk+zsk")
    return KeyLayout(choice(line.args[0], [layout.value for layout in KeyLayout]))


def _algorithm(line: Directive | None) -> tuple[int, int]:
    default = Policy()
    if line is None:
        return default.algorithm, default.rsa_bits
    plain(line, 1, 2, "algorithm NAME [BITS]")
    number = ALGORITHMS[choice(line.args[0], tuple(ALGORITHMS))]
    if len(line.args) == 1:
        return number, default.rsa_bits
    if number not in RSA_ALGORITHMS:
        raise CorefileError(line.args[1].place, f"keys of {line.args[0].text} have one length")
    return number, count(line.args[1], least=1024, most=4096)


def _denial(directive: Directive) -> Nsec3 | None:
    nsec, line = directive.option("nsec"), directive.option("nsec3")
    if nsec is not None:
        plain(nsec, 0, 0, "nsec")
        if line is not None:
            raise CorefileError(line.place, f"nsec3 contradicts nsec at {nsec.place}")
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
