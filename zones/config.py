"""*file*, *auto* and *etcd*, read: which zones a block loads, from where, how often looked at."""

from __future__ import annotations

import re
from pathlib import Path

import attrs
import dns.name

from corefile import Block, CorefileError, CorefileWarning, Directive, Place, block_id
from corefile.arguments import (
    duration,
    known_options,
    number_of_arguments,
    only_once,
)
from corefile.arguments import zones as zone_arguments
from zones.auto import DEFAULT_PATTERN, DEFAULT_TEMPLATE, AutoDirectory
from zones.etcd.config import EtcdConfig, read_etcd

# CoreDNS's default for both directives, in seconds.
DEFAULT_RELOAD = 60.0


@attrs.frozen
class ZoneSpec:
    """A zone that is loaded from one file. `reload` in seconds; None polls never."""

    origin: dns.name.Name
    path: Path
    reload: float | None
    place: Place = attrs.field(eq=False)

    @property
    def where(self) -> str:
        """The source, for a person."""
        return str(self.path)

    @property
    def volatile(self) -> bool:
        """Whether its names come and go by themselves."""
        return False


@attrs.frozen
class EtcdZone:
    """A zone whose content is in etcd."""

    origin: dns.name.Name
    config: EtcdConfig
    place: Place = attrs.field(eq=False)

    @property
    def where(self) -> str:
        """The source, for a person."""
        return self.config.where(self.origin)

    @property
    def volatile(self) -> bool:
        """Whether its names come and go by themselves."""
        return self.config.layout == "skydns"


AnyZone = ZoneSpec | EtcdZone


@attrs.frozen
class BlockSpec:
    """What one server block asks of the manager. `sign` is for the signer to read."""

    id: str
    origins: tuple[dns.name.Name, ...]
    zones: tuple[AnyZone, ...]
    autos: tuple[AutoDirectory, ...]
    #: Those that hold whole zones, of which only etcd knows the names.
    etcds: tuple[EtcdConfig, ...]
    sign: Directive | None
    place: Place = attrs.field(eq=False)
    warnings: tuple[CorefileWarning, ...] = attrs.field(default=(), eq=False)


def compile_block(block: Block, directory: Path) -> BlockSpec | None:
    """Read a block's zone sources; None where it has none. Relative paths count from
    `directory`, the Corefile's. Raises CorefileError."""
    origins = tuple(dns.name.from_text(zone) for zone in block.zones)
    zones: dict[dns.name.Name, AnyZone] = {}
    autos: list[AutoDirectory] = []
    etcds: list[EtcdConfig] = []
    warnings: list[CorefileWarning] = []
    for directive in block.directives:
        if directive.name == "file":
            for spec in _file(directive, block, directory, warnings):
                _add(zones, spec, directive)
        elif directive.name == "etcd":
            config = read_etcd(directive, block, directory, warnings)
            if config.layout == "zonefile":
                etcds.append(config)
            for origin in config.origins if config.layout == "skydns" else ():
                _add(zones, EtcdZone(origin, config, directive.place), directive)
        elif directive.name == "auto":
            autos.append(_auto(directive, block, directory, warnings))
    signs = list(block.all("sign"))
    if len(signs) > 1:
        raise CorefileError(
            signs[1].place, f"'sign' is given a second time; the first is at {signs[0].place}"
        )
    if not (zones or autos or etcds or signs):
        return None
    return BlockSpec(
        id=block_id(block),
        origins=origins,
        zones=tuple(zones.values()),
        autos=tuple(autos),
        etcds=tuple(etcds),
        sign=signs[0] if signs else None,
        place=block.place,
        warnings=tuple(warnings),
    )


def _add(zones: dict[dns.name.Name, AnyZone], spec: AnyZone, directive: Directive) -> None:
    other = zones.setdefault(spec.origin, spec)
    if other is not spec:
        raise CorefileError(
            directive.place,
            f"{spec.origin} is already loaded from {other.where} at {other.place}; one source a "
            "zone",
        )


def _file(
    directive: Directive, block: Block, directory: Path, warnings: list[CorefileWarning]
) -> list[ZoneSpec]:
    number_of_arguments(directive, 1, None, "file DBFILE [ZONES]")
    reload = _options(directive, {"reload", "fallthrough"}, warnings)
    names = zone_arguments(directive.args[1:]) or block.zones
    path = directory / directive.args[0].text
    return [ZoneSpec(dns.name.from_text(name), path, reload, directive.place) for name in names]


def _auto(
    directive: Directive, block: Block, directory: Path, warnings: list[CorefileWarning]
) -> AutoDirectory:
    reload = _options(directive, {"directory", "reload", "fallthrough"}, warnings)
    line = directive.option("directory")
    usage = "directory DIR [REGEXP TEMPLATE]"
    if line is None:
        raise CorefileError(directive.place, f"auto: a line is missing; right: {usage}")
    number_of_arguments(line, 1, 3, usage)
    pattern = line.args[1].text if len(line.args) > 1 else DEFAULT_PATTERN
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise CorefileError(
            line.args[1].place, f"'{pattern}' is no regular expression: {error}"
        ) from None
    return AutoDirectory(
        directory=directory / line.args[0].text,
        pattern=compiled,
        template=line.args[2].text if len(line.args) > 2 else DEFAULT_TEMPLATE,
        origins=tuple(
            dns.name.from_text(name) for name in zone_arguments(directive.args) or block.zones
        ),
        reload=reload,
    )


def _options(
    directive: Directive, known: set[str], warnings: list[CorefileWarning]
) -> float | None:
    known_options(directive, known)
    only_once(directive, known)
    if (fallthrough := directive.option("fallthrough")) is not None:
        warnings.append(
            CorefileWarning(
                fallthrough.place,
                f"fallthrough of {directive.name} has no effect: a name that a zone denies is "
                "denied",
            )
        )
    line = directive.option("reload")
    if line is None:
        return DEFAULT_RELOAD
    number_of_arguments(line, 1, 1, "reload DURATION (0 looks never, but for the kernel's word)")
    return duration(line.args[0]) or None
