"""Drivers by name: those of this package, and those that entry points bring."""

from importlib import import_module
from importlib.metadata import entry_points
from typing import Any, cast

import attrs

from corefile import CorefileError, Directive
from corefile.arguments import nearest
from registrars.protocol import Context, Driver, Registrar

GROUP = "zoneward.registrars"
_BUILT_IN = {
    "cloudflare": "registrars.cloudflare",
    "desec": "registrars.desec",
    "dnsimple": "registrars.dnsimple",
    "epp": "registrars.epp.driver",
    "exec": "registrars.program",
    "gandi": "registrars.gandi",
    "godaddy": "registrars.godaddy",
    "inwx": "registrars.inwx",
    "manual": "registrars.manual",
    "namecom": "registrars.namecom",
    "ovh": "registrars.ovh",
    "porkbun": "registrars.porkbun",
    "powerdns": "registrars.powerdns",
    "rfc2136": "registrars.update",
    "route53": "registrars.route53",
    "route53domains": "registrars.route53domains",
    "transip": "registrars.transip",
}


@attrs.frozen
class RegistrarConfig:
    """A *registrar* line, read; `settings` is the driver's own."""

    name: str
    settings: Any


def names() -> tuple[str, ...]:
    """All that can be named in a Corefile on this machine."""
    return tuple(sorted({*_BUILT_IN, *(point.name for point in entry_points(group=GROUP))}))


def driver(name: str) -> Driver | None:
    """None where nobody brings one of that name. A driver of ours is not replaced."""
    if name in _BUILT_IN:
        return cast("Driver", import_module(_BUILT_IN[name]))
    for point in entry_points(group=GROUP):
        if point.name == name:
            return cast("Driver", point.load())
    return None


def read(directive: Directive) -> RegistrarConfig:
    """`registrar NAME … { … }`. Raises CorefileError."""
    if not directive.args:
        raise CorefileError(
            directive.place, f"registrar names none; right: registrar {'|'.join(names())}"
        )
    token = directive.args[0]
    found = driver(token.text)
    if found is None:
        raise CorefileError(
            token.place,
            f"unknown registrar '{token.text}'{nearest(token.text, names())}; what there is: "
            f"{', '.join(names())}",
        )
    return RegistrarConfig(token.text, found.read(directive))


def open(config: RegistrarConfig, context: Context) -> Registrar:  # noqa: A001 - the room's verb
    """Raises RegistrarError."""
    found = driver(config.name)
    if found is None:
        raise LookupError(config.name)
    return found.open(config.settings, context)
