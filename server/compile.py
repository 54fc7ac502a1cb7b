"""A Corefile to what the server runs: the engine's config, Python plugins, HTTP services."""

import math
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_network
from pathlib import Path
from typing import TypeVar

import attrs
from msgspec import UNSET

from corefile import Block, Corefile, CorefileError, Directive, block_id
from corefile.names import zone_name
from corefile.options import Options
from corefile.owners import ZONE_DATA, unknown_directives
from corefile.place import CorefileWarning, Place
from corefile.zonedata import configured_zones
from server.api import Plugin
from server.compiled import Answer, Chain, Config, Listener, Python, Route, Stage, Timeouts
from server.compiledtests import Step
from server.loops import Probe, probes
from server.parts import Consolidation, Context, FeedTransfer, Parts, Refill, Service
from server.plugins import BUILT_IN, Setup, bind, cancel, timeouts
from server.plugins.errors import prefix as errors_prefix
from server.registry import Registry, RegistryError, installed

T = TypeVar("T")


class CompileError(Exception):
    """A Corefile that can't be used: all its errors, in the order of their places."""

    def __init__(self, errors: list[CorefileError]) -> None:
        super().__init__(errors)
        self.errors = sorted(errors, key=lambda error: error.place)

    def __str__(self) -> str:
        return "\n".join(str(error) for error in self.errors)


@attrs.frozen
class Instance:
    """A Python plugin in a chain, under the number by which the engine knows it."""

    number: int
    name: str
    chain: str
    plugin: Plugin


@attrs.frozen
class BlockData:
    """A block whose zones come from the manager. `zones` are those that have to arrive;
    `bounds` are the names under which a zone may lie."""

    id: str
    zones: tuple[str, ...]
    bounds: tuple[str, ...]


@attrs.frozen
class Compiled:
    """Everything that the server process takes from a Corefile."""

    options: Options
    config: Config
    instances: tuple[Instance, ...]
    services: tuple[Service, ...]
    blocks: tuple[BlockData, ...]
    consolidations: Mapping[str, tuple[Consolidation, ...]]
    """By the prefix of the lines that they are about."""
    enabled: tuple[tuple[str, str, str, str], ...]
    """(server, zone, view, directive), for the metric `plugin_enabled`."""
    warnings: tuple[CorefileWarning, ...] = ()
    probes: tuple[Probe, ...] = ()
    """What is asked at the start to find loops."""
    refills: tuple[Refill, ...] = ()
    transfers: tuple[FeedTransfer, ...] = ()
    debug: bool = False
    """Whether all is logged."""


def check(corefile: Corefile, registry: Registry | None = None) -> list[CorefileError]:
    """The server's side of `zoneward check`: all that is wrong with what it would have to
    interpret. Without a `registry`, the installed plugins that the Corefile names are loaded."""
    try:
        compile_corefile(corefile, registry)
    except CompileError as error:
        return error.errors
    return []


def compile_corefile(
    corefile: Corefile,
    registry: Registry | None = None,
    *,
    first_plugin: int = 0,
    ipv6: bool = True,
) -> Compiled:
    """Raises CompileError. `first_plugin` numbers the first Python plugin: numbers are not used
    again over a reload. Without `ipv6` (the machine has none), a block without *bind* listens
    on IPv4 alone."""
    if registry is None:
        try:
            named = _names(corefile) - BUILT_IN.keys()
            registry = installed(named) if named else Registry.of({})
        except RegistryError as error:
            raise CompileError([CorefileError(Place(corefile.path, 1, 1), str(error))]) from None
    return _Compiler(corefile, registry, first_plugin, ipv6).run()


def _names(corefile: Corefile) -> frozenset[str]:
    return frozenset(line.name for block in corefile.blocks for line in block.directives)


class _Compiler:
    def __init__(
        self, corefile: Corefile, registry: Registry, first_plugin: int, ipv6: bool
    ) -> None:
        self._corefile = corefile
        self._registry = registry
        self._rank = {name: rank for rank, name in enumerate(registry.order)}
        self._rank["proxy"] = self._rank["forward"]
        self._number = first_plugin
        self._all = ("0.0.0.0", "::") if ipv6 else ("0.0.0.0",)  # noqa: S104
        self._errors: list[CorefileError] = []
        self._instances: list[Instance] = []
        self._warnings: list[CorefileWarning] = []
        self._services: dict[Service, None] = {}
        self._consolidations: dict[str, tuple[Consolidation, ...]] = {}
        self._listeners: dict[tuple[str, int], int] = {}
        self._timeouts: dict[int, Timeouts] = {}
        self._refills: list[Refill] = []
        self._transfers: dict[FeedTransfer, None] = {}
        self._debug = False

    def run(self) -> Compiled:
        corefile = self._corefile
        self._errors += unknown_directives(corefile, self._registry.plugins)
        if not corefile.blocks:
            self._errors.append(
                CorefileError(
                    Place(corefile.path, 1, 1), "no server block; write one like 'example.org {'"
                )
            )
        options = self._collect(lambda: Options.of(corefile))
        chains = [self._chain(block) for block in corefile.blocks]
        routes = [route for block in corefile.blocks for route in self._routes(block)]
        if self._errors or options is None:
            raise CompileError(self._errors)
        config = Config(
            threads=options.threads,
            listeners=tuple(
                Listener(
                    server=_label(address, port),
                    address=address,
                    port=port,
                    timeouts=self._timeouts.get(number, UNSET),
                )
                for (address, port), number in self._listeners.items()
            ),
            chains=tuple(chains),
            routes=tuple(routes),
        )
        return Compiled(
            options=options,
            config=config,
            instances=tuple(self._instances),
            services=tuple(self._services),
            blocks=tuple(
                BlockData(block_id(block), configured_zones(block), block.zones)
                for block in corefile.blocks
                if any(block.directive(name) for name in ZONE_DATA)
            ),
            consolidations=self._consolidations,
            enabled=tuple(dict.fromkeys(self._enabled(routes))),
            warnings=tuple(self._warnings),
            debug=self._debug,
            refills=tuple(self._refills),
            transfers=tuple(self._transfers),
            probes=probes(config, dict(self._loops())),
        )

    def _enabled(self, routes: list[Route]) -> Iterator[tuple[str, str, str, str]]:
        blocks = {block_id(block): block for block in self._corefile.blocks}
        endpoints = list(self._listeners)
        for route in routes:
            block = blocks[route.chain]
            server = _label(*endpoints[route.listener])
            for directive in block.directives:
                yield server, route.origin, block.view, directive.name

    def _loops(self) -> Iterator[tuple[str, tuple[str, Place]]]:
        for block in self._corefile.blocks:
            for directive in block.all("loop"):
                yield block_id(block), (block.zones[0], directive.place)

    def _collect(self, read: Callable[[], T]) -> T | None:
        try:
            return read()
        except CorefileError as error:
            self._errors.append(error)
            return None

    def _chain(self, block: Block) -> Chain:
        chain = block_id(block)
        stages: list[Stage] = []
        udp_size: int | None = None
        any_class = False
        when: tuple[Step, ...] = ()
        seen: dict[str, Directive] = {}
        context = Context(block, chain, Path(self._corefile.path).parent)
        for directive in sorted(
            block.directives, key=lambda line: self._rank.get(line.name, math.inf)
        ):
            first = seen.setdefault(directive.name, directive)
            if (
                first is not directive
                and directive.name not in _REPEATABLE
                and (directive.name in BUILT_IN)
            ):
                self._errors.append(
                    CorefileError(
                        directive.place,
                        f"'{directive.name}' is given a second time in this block; the first is "
                        f"at {first.place}",
                    )
                )
            parts = self._parts(directive, context)
            if parts is None:
                continue
            if parts.service is not None:
                self._services.setdefault(parts.service)
            if parts.consolidations:
                self._consolidations[errors_prefix(chain)] = parts.consolidations
            self._warnings += parts.warnings
            self._refills += parts.refills
            self._transfers |= dict.fromkeys(parts.transfers)
            self._debug |= parts.debug
            any_class |= parts.any_class
            when += parts.when
            udp_size = parts.udp_size or udp_size
            answers = isinstance(parts.stage, Answer)
            if parts.stage is not None and not (
                answers and any(isinstance(stage, Answer) for stage in stages)
            ):
                stages.append(parts.stage)
        origins = self._collect(lambda: configured_zones(block)) or ()
        return Chain(
            id=chain,
            view=block.view,
            origins=origins,
            udp_size=UNSET if udp_size is None else udp_size,
            any_class=any_class,
            when=when,
            stages=tuple(stages),
        )

    def _parts(self, directive: Directive, context: Context) -> Parts | None:
        setup = BUILT_IN.get(directive.name)
        if setup is not None:
            return self._collect(lambda: self._built_in(setup, directive, context))
        plugin = self._registry.plugins.get(directive.name)
        if plugin is None:
            return None
        return self._collect(lambda: self._python(plugin, directive, context))

    def _built_in(self, setup: Setup, directive: Directive, context: Context) -> Parts:
        parts = setup(directive, context)
        if parts.plugin is None:
            return parts
        return attrs.evolve(parts, stage=self._stage(parts.plugin, directive, context))

    def _python(self, kind: type[Plugin], directive: Directive, context: Context) -> Parts:
        try:
            plugin = kind.setup(directive, context.block)
            return Parts(stage=self._stage(plugin, directive, context))
        except CorefileError:
            raise
        except Exception as error:
            raise CorefileError(
                directive.place,
                f"the plugin '{directive.name}' failed to set up: {type(error).__name__}: {error}",
            ) from error

    def _stage(self, plugin: Plugin, directive: Directive, context: Context) -> Python:
        most = cancel.limit(context.block)
        stage = Python(
            plugin=self._number,
            name=directive.name,
            types=tuple(int(number) for number in plugin.types),
            zones=tuple(zone_name(text) for text in plugin.zones),
            networks=tuple(str(ip_network(text, strict=False)) for text in plugin.networks),
            deadline_ms=max(1, round(min(plugin.deadline, most or math.inf) * 1000)),
            on_failure=plugin.on_failure,
            unsigned_only=plugin.unsigned_only,
        )
        self._instances.append(Instance(self._number, directive.name, context.chain, plugin))
        self._number += 1
        return stage

    def _routes(self, block: Block) -> Iterator[Route]:
        try:
            addresses = bind.addresses(block) or self._all
        except CorefileError:
            addresses = ()  # reported with the directive
        chain = block_id(block)
        try:
            patience = timeouts.of(block)
        except CorefileError:
            patience = None  # reported with the directive
        for key in block.keys:
            if key.scheme != "dns":
                self._errors.append(
                    CorefileError(
                        key.place,
                        f"'{key.scheme}://' is not served by this version; it has dns:// (UDP "
                        "and TCP)",
                    )
                )
                continue
            for address in addresses:
                listener = self._listeners.setdefault((address, key.port), len(self._listeners))
                if patience is not None:
                    self._timeouts.setdefault(listener, patience)
                yield Route(listener=listener, origin=key.zone, chain=chain)


# Lines that add to one another instead of contradicting one another.
_REPEATABLE = frozenset(
    {
        *("acl", "firewall", "rpz", "bind", "log", "dnstap", "mirror"),
        *("file", "auto", "etcd", "sign", "forward", "proxy", "rewrite", "template"),
    }
)


def _label(address: str, port: int) -> str:
    if address in {"0.0.0.0", "::"}:  # noqa: S104
        return f"dns://:{port}"
    return f"dns://[{address}]:{port}" if ":" in address else f"dns://{address}:{port}"
