"""The server as a whole: the engine, the plugins, the zones that follow the manager, HTTP.

Started in steps: `prepare` reads the Corefile and opens the sockets (as root, where that is
needed), `run` does the rest until it is told to stop.
"""

import asyncio
import json
import logging
import socket
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import engine
from corefile import Corefile, load
from corefile.arguments import Endpoint, SecretReference
from corefile.changes import Watch
from corefile.link import derive, parse_link
from corefile.options import Options
from corefile.secrets import resolve
from server.compile import BlockData, Compiled, compile_corefile
from server.counters import decode
from server.feeds import Feeds
from server.http import Handler, HttpServer, Response
from server.logs import LogDrain, set_level
from server.loops import LoopError, look
from server.notify import NotifyListener
from server.parts import HealthService, PrometheusService, ReadyService
from server.refills import Refills
from server.runtime import PluginError, PluginRuntime
from server.subscriptions import Subscription, tsig_key

_log = logging.getLogger("zoneward.server")

# How long queries wait in their sockets for the copies on disk, rather than get SERVFAIL.
_PATIENCE_FOR_COPIES = 0.3


class ServiceError(Exception):
    """The server can't start or take a Corefile in; one line with place and remedy."""


class Service:
    """One server process. Not to be used after `run` returned."""

    def __init__(
        self,
        path: str,
        *,
        dns_port: int = 53,
        environ: Mapping[str, str],
        watches: bool = False,
    ) -> None:
        """Raises CorefileError or CompileError. `watches`: *reload* is heeded."""
        self._path = path
        self._dns_port = dns_port
        self._environ = environ
        self._engine = engine.Server()
        self._runtime = PluginRuntime(self._engine)
        self._drain = LogDrain(self._engine.drain_log)
        self._refills = Refills(self._engine)
        self._http: dict[Endpoint, HttpServer] = {}
        self._subscriptions: dict[str, Subscription] = {}
        self._followers: dict[str, asyncio.Task[None]] = {}
        self._notify: NotifyListener | None = None
        self._told_locally: HttpServer | None = None
        self._next_plugin = 0
        self._reloads = 0
        self._reload_failures = 0
        self._stopping = False
        self._changing = asyncio.Lock()
        self._watch = Watch(path, dns_port, environ) if watches else None
        self._watching: asyncio.Task[None] | None = None
        corefile, self._compiled = self._compile()
        directory = self._compiled.options.state / "server" / "feeds"
        self._feeds = Feeds(self._engine, directory, self._secret)
        self._watch_from_now(corefile)

    @property
    def options(self) -> Options:
        return self._compiled.options

    @property
    def log_level(self) -> str:
        """One of corefile.options.LOG_LEVELS."""
        return "debug" if self._compiled.debug else self._compiled.options.log_level

    def _compile(self) -> tuple[Corefile, Compiled]:
        """Raises CorefileError or CompileError."""
        corefile = load(self._path, dns_port=self._dns_port, environ=self._environ)
        compiled = compile_corefile(corefile, first_plugin=self._next_plugin, ipv6=_has_ipv6())
        for warning in (*corefile.warnings, *compiled.warnings):
            _log.warning("%s", warning)
        self._next_plugin += len(compiled.instances)
        return corefile, compiled

    def _watch_from_now(self, corefile: Corefile) -> None:
        """This Corefile is in use. One that is refused is not: what it says of *reload* does
        not count."""
        if self._watch is not None:
            self._watch.follow(corefile, time.monotonic())

    def bind(self) -> None:
        """Open the DNS sockets; no thread runs yet. Raises ServiceError."""
        try:
            self._engine.bind(self._compiled.config.encode())
        except engine.EngineError as error:
            raise ServiceError(_bind_problem(error)) from None

    async def run(
        self, stop: asyncio.Event, hurry: asyncio.Event, started: Callable[[], None]
    ) -> None:
        """Serve until `stop`; `hurry` cuts the lame duck's time short; `started` is called when
        queries are being answered. Raises ServiceError when something can't be started, with
        nothing left running."""
        async with self._changing:
            await self._start(started)
        await stop.wait()
        await self._stop(hurry)

    async def _start(self, started: Callable[[], None]) -> None:
        compiled = self._compiled
        try:
            _make_directories(compiled.options.state)
            await asyncio.to_thread(self._runtime.add, compiled.instances)
            await self._serve_http(compiled)
        except (PluginError, OSError) as error:
            await self._end()
            raise ServiceError(str(error)) from None
        self._drain.consolidate(compiled.consolidations)
        self._drain.start()
        await asyncio.to_thread(self._refills.begin, compiled.refills)
        await asyncio.to_thread(self._feeds.begin, compiled.transfers)
        restored = [asyncio.create_task(self._restore(block)) for block in compiled.blocks]
        if restored:
            await asyncio.wait(restored, timeout=_PATIENCE_FOR_COPIES)
        self._engine.start()
        _log.info(
            "answering on %s",
            ", ".join(str(Endpoint(one.address, one.port)) for one in compiled.config.listeners),
        )
        try:
            await look(compiled.probes, self._probes_seen)
        except (LoopError, OSError) as error:
            await self._end()
            raise ServiceError(str(error)) from None
        started()
        if restored:
            await asyncio.wait(restored)
        await self._tell_locally()
        await self._listen_for_notify()
        self._follow()
        await self._refills.follow(compiled.refills)
        await self._feeds.follow(compiled.transfers)
        self._heed()

    async def reload(self) -> bool:
        """Take the Corefile in again. A wrong one is refused on the log and what ran before
        goes on running."""
        async with self._changing:
            return await self._reload()

    async def _reload(self) -> bool:
        try:
            corefile, compiled = await asyncio.to_thread(self._compile)
            self._refuse_moved_state(compiled)
            await self._swap(corefile, compiled)
        except Exception as error:  # noqa: BLE001 -- whatever is wrong with it: go on as before
            self._reload_failures += 1
            for line in str(error).splitlines() or [type(error).__name__]:
                _log.error("the Corefile is not taken in: %s", line)
            return False
        self._reloads += 1
        _log.info("the Corefile %s is in use", self._path)
        self._heed()
        try:
            await look(compiled.probes, self._probes_seen)
        except (LoopError, OSError) as error:
            # Each query that comes back ends in SERVFAIL; the others are answered.
            _log.error("%s", error)
        return True

    def _heed(self) -> None:
        """Look at the Corefile as its *reload* says."""
        is_looking = self._watching is not None and not self._watching.done()
        if self._watch is not None and self._watch.due is not None and not is_looking:
            self._watching = asyncio.create_task(self._look(self._watch))

    async def _look(self, watch: Watch) -> None:
        while watch.due is not None:
            await asyncio.sleep(max(0.0, watch.due - time.monotonic()))
            if await asyncio.to_thread(watch.changed, time.monotonic()):
                await self.reload()

    # --- starting ---

    async def _restore(self, block: BlockData) -> None:
        options = self._compiled.options
        state = options.state
        where = state / "run" / "manager.sock"
        subscription = Subscription(
            block,
            options.manager.endpoint if options.manager is not None else where,
            self._link,
            state / "server",
            self._engine.publish,
            self._engine.withdraw,
        )
        self._subscriptions[block.id] = subscription
        try:
            lines = await asyncio.to_thread(subscription.restore)
        except (OSError, engine.EngineError) as error:
            lines = [f"block {block.id}: no copy can be read, all are fetched: {error}"]
        for line in lines:
            _log.warning("%s", line)

    def _link(self) -> bytes:
        """Blocks on the disk. Raises OSError, SecretError or ValueError."""
        options = self._compiled.options
        if options.manager is None:
            return parse_link((options.state / "server" / "link.key").read_text(encoding="ascii"))
        return parse_link(self._secret(options.manager.tsig).decode("ascii", "replace"))

    def _secret(self, reference: SecretReference) -> bytes:
        """Blocks on the disk. Raises SecretError."""
        directory = Path(self._path).parent
        return resolve(reference, directory=directory, environ=self._environ)

    async def _listen_for_notify(self) -> None:
        options = self._compiled.options
        if options.manager is not None:
            _log.info("no NOTIFY comes from a manager elsewhere; its catalogs are polled")
            return
        path = options.state / "run" / "server.sock"
        listener = NotifyListener(path, self._told, self._keys)
        try:
            await listener.start()
        except OSError as error:
            _log.warning("no NOTIFY is heard, catalogs are polled: %s: %s", path, error.strerror)
            return
        self._notify = listener

    def _keys(self) -> list[engine.TsigKey]:
        link = self._link()
        return [tsig_key(derive(link, block)) for block in list(self._subscriptions)]

    def _told(self, key: bytes, origin: str) -> None:
        # The key's first label is the block's id (corefile.link).
        subscription = self._subscriptions.get(key[1 : 1 + key[0]].decode("ascii", "replace"))
        if subscription is not None:
            subscription.told(origin)

    def _follow(self) -> None:
        for block, subscription in self._subscriptions.items():
            if block not in self._followers:
                self._followers[block] = asyncio.create_task(subscription.run(), name=block)

    def _probes_seen(self) -> dict[str, int]:
        return {one.probe: one.seen for one in decode(self._engine.stats()).loops}

    # --- HTTP ---

    async def _serve_http(self, compiled: Compiled) -> None:
        wanted = self._paths(compiled)
        started: dict[Endpoint, HttpServer] = {}
        try:
            for endpoint, paths in wanted.items():
                if endpoint not in self._http:
                    server = HttpServer(endpoint, paths)
                    await server.start()
                    started[endpoint] = server
        except OSError:
            for server in started.values():
                await server.stop()
            raise
        for endpoint in self._http.keys() - wanted.keys():
            await self._http.pop(endpoint).stop()
        for endpoint, server in self._http.items():
            server.serve(wanted[endpoint])
        self._http.update(started)

    def _paths(self, compiled: Compiled) -> dict[Endpoint, dict[str, Handler]]:
        found: dict[Endpoint, dict[str, Handler]] = {}
        for service in compiled.services:
            match service:
                case PrometheusService():
                    path, handler = "/metrics", self._metrics
                case HealthService():
                    path, handler = "/health", self._health
                case ReadyService():
                    path, handler = "/ready", self._ready
            found.setdefault(service.endpoint, {})[path] = handler
        return found

    async def _health(self) -> Response:
        return Response(200, b"OK")

    async def _ready(self) -> Response:
        if self._stopping:
            return Response(503, b"stopping\n")
        lines = [
            f"{zone} of block {block.id} has not arrived\n"
            for block in self._compiled.blocks
            for zone in self._missing(block)
        ]
        return Response(503, "".join(lines).encode()) if lines else Response(200, b"OK")

    def _missing(self, block: BlockData) -> tuple[str, ...]:
        subscription = self._subscriptions.get(block.id)
        return subscription.missing if subscription is not None else block.zones

    async def _tell_locally(self) -> None:
        """On a socket of this machine: which zones are answered, for a supervisor that must
        know without a query of its own among the clients'."""
        path = self._compiled.options.state / "run" / "answering.sock"
        server = HttpServer(path, {"/zones": self._answered})
        try:
            await server.start()
        except OSError as error:
            _log.warning("a supervisor can't see whether zones are answered: %s", error.strerror)
            return
        self._told_locally = server

    async def _answered(self) -> Response:
        present = [
            (block, zone)
            for block, subscription in self._subscriptions.items()
            for zone, entry in subscription.followed.items()
            if entry.zone is not None
        ]
        return Response(200, json.dumps(present).encode(), "application/json")

    async def _metrics(self) -> Response:
        return await asyncio.to_thread(self._render_metrics)

    def _render_metrics(self) -> Response:
        from server.metriccaches import cache_places
        from server.metrics import Snapshot, ZoneTimes, render

        return render(
            Snapshot(
                stats=decode(self._engine.stats()),
                plugins=self._runtime.tallies(),
                zones=[
                    ZoneTimes(block, zone, entry.contact, entry.valid_until, entry.zone is not None)
                    for block, subscription in list(self._subscriptions.items())
                    for zone, entry in list(subscription.followed.items())
                ],
                enabled=self._compiled.enabled,
                caches=cache_places(self._compiled.config),
                version=engine.__version__,
                reloads=self._reloads,
                reload_failures=self._reload_failures,
            )
        )

    # --- changing ---

    def _refuse_moved_state(self, compiled: Compiled) -> None:
        now, new = self._compiled.options, compiled.options
        if (now.state, now.manager) != (new.state, new.manager):
            raise ServiceError(
                "`state` and `manager` can't change while the server runs; restart it"
            )

    async def _swap(self, corefile: Corefile, compiled: Compiled) -> None:
        old = self._compiled
        await asyncio.to_thread(self._runtime.add, compiled.instances)
        # The old ones mean the old chains, and would fill the new.
        await self._refills.stop()
        await asyncio.to_thread(self._refills.begin, compiled.refills)
        await asyncio.to_thread(self._feeds.begin, compiled.transfers)
        try:
            await asyncio.to_thread(self._engine.configure, compiled.config.encode())
        except engine.EngineError as error:
            await asyncio.to_thread(
                self._runtime.remove, [one.number for one in compiled.instances]
            )
            await self._refills.follow(old.refills)
            raise ServiceError(_bind_problem(error)) from None
        self._compiled = compiled
        self._watch_from_now(corefile)
        set_level(self.log_level)
        await self._retire(old)
        self._drain.consolidate(compiled.consolidations)
        await self._resubscribe(compiled)
        await self._refills.follow(compiled.refills)
        await self._feeds.follow(compiled.transfers)
        await self._serve_http(compiled)

    async def _retire(self, compiled: Compiled) -> None:
        numbers = [instance.number for instance in compiled.instances]
        await asyncio.to_thread(self._runtime.remove, numbers)

    async def _resubscribe(self, compiled: Compiled) -> None:
        wanted = {block.id: block for block in compiled.blocks}
        for gone in self._subscriptions.keys() - wanted.keys():
            await _cancel([self._followers.pop(gone)] if gone in self._followers else [])
            del self._subscriptions[gone]
        for block in compiled.blocks:
            if block.id in self._subscriptions:
                self._subscriptions[block.id].republish(block)
            else:
                await self._restore(block)
        self._follow()

    # --- ending ---

    async def _stop(self, hurry: asyncio.Event) -> None:
        self._stopping = True
        self._engine.lameduck()
        lameduck = max(
            (one.lameduck for one in self._compiled.services if isinstance(one, HealthService)),
            default=0.0,
        )
        if lameduck:
            _log.info("stopping in %g s", lameduck)
            try:
                async with asyncio.timeout(lameduck):
                    await hurry.wait()
            except TimeoutError:
                _log.info("the lame duck's time is over")
        await self._end()

    async def _end(self) -> None:
        await _cancel(list(self._followers.values()))
        await self._refills.stop()
        await self._feeds.stop()
        await _cancel([self._watching] if self._watching is not None else [])
        if self._notify is not None:
            await self._notify.stop()
        if self._told_locally is not None:
            await self._told_locally.stop()
        # Queries under way may still need their plugins.
        await asyncio.to_thread(self._engine.close)
        await asyncio.to_thread(self._runtime.stop)
        for server in self._http.values():
            await server.stop()
        await asyncio.to_thread(self._drain.stop)


def _make_directories(state: Path) -> None:
    """Raises OSError. A supervisor has made them, for the users that they belong to."""
    state.mkdir(parents=True, exist_ok=True)
    for name in ("server", "run"):
        (state / name).mkdir(mode=0o700, exist_ok=True)


async def _cancel(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _bind_problem(error: engine.EngineError) -> str:
    place = getattr(error, "place", None)
    text = str(error)
    if getattr(error, "code", "") == "bind":
        where = f"{place}: " if place and place not in text else ""
        return f"{where}{text}; stop what listens there, or choose another port or *bind* address"
    return text


def _has_ipv6() -> bool:
    if not socket.has_ipv6:
        return False
    try:
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as probe:
            probe.bind(("::1", 0))
    except OSError:
        return False
    return True
