"""Which plugins there are: those built in, and those that installed packages bring."""

from collections.abc import Mapping
from importlib.metadata import EntryPoint, entry_points

import attrs

from corefile.owners import OWNER
from server.api import Plugin
from server.order import CANONICAL, OrderError, Wishes, resolve

GROUP = "zoneward.plugins"


class RegistryError(Exception):
    """An installed plugin that can't be used; the message names its package."""


@attrs.frozen
class Registry:
    """Third-party plugins by directive, and the order of the chain with them in it."""

    plugins: Mapping[str, type[Plugin]]
    order: tuple[str, ...]

    @classmethod
    def of(cls, plugins: Mapping[str, type[Plugin]]) -> "Registry":
        """Raises RegistryError when the plugins' order can't be had."""
        wishes = {
            name: Wishes(tuple(plugin.before), tuple(plugin.after))
            for name, plugin in plugins.items()
        }
        try:
            return cls(dict(plugins), resolve(wishes))
        except OrderError as error:
            raise RegistryError(str(error)) from None


def installed(wanted: frozenset[str] | None = None) -> Registry:
    """The plugins of installed packages. With `wanted`, only those names are loaded: importing
    a plugin that no Corefile names would only cost time. Raises RegistryError."""
    found: dict[str, type[Plugin]] = {}
    for entry in entry_points(group=GROUP):
        if wanted is not None and entry.name not in wanted:
            continue
        origin = _package(entry)
        if entry.name in OWNER or entry.name in CANONICAL:
            raise RegistryError(
                f"the package {origin} brings a plugin named '{entry.name}', which is built in"
            )
        if entry.name in found:
            raise RegistryError(
                f"two packages bring a plugin named '{entry.name}'; {origin} is the second"
            )
        found[entry.name] = _load(entry, origin)
    return Registry.of(found)


def installed_names() -> frozenset[str]:
    """The directives that installed packages bring, none of them loaded."""
    return frozenset(entry.name for entry in entry_points(group=GROUP))


def _package(entry: EntryPoint) -> str:
    return entry.dist.name if entry.dist is not None else entry.value


def _load(entry: EntryPoint, origin: str) -> type[Plugin]:
    try:
        loaded = entry.load()
    except Exception as error:
        raise RegistryError(
            f"the plugin '{entry.name}' of the package {origin} can't be loaded: "
            f"{type(error).__name__}: {error}"
        ) from error
    if not (isinstance(loaded, type) and issubclass(loaded, Plugin)):
        raise RegistryError(
            f"'{entry.value}' of the package {origin} is no subclass of server.api.Plugin"
        )
    return loaded
