"""The manager process: `zoneward manage`."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import time
from pathlib import Path

import engine
from corefile import CorefileError
from corefile.owners import unknown_directives
from server.registry import installed_names
from signer.clock import SystemClock
from signer.scheduler import AlarmClock
from signer.state import StateDatabase
from zoneward import admin, logging, metrics
from zoneward.accounts import accounts
from zoneward.configuration import ManagerPlan, load, plan_manager
from zoneward.manager import Manager
from zoneward.process import become, end_with_parent, lower_priority
from zoneward.refusal import OK, one_line
from zoneward.sdnotify import notify
from zoneward.state import ManagerLock, StateDirectory
from zoneward.web import Web, tcp_socket, unix_socket

_log = logging.get("manager")

# What a running manager does not take up from a changed Corefile.
_AT_START_ONLY = ("state", "admin", "keystore", "publish", "metrics", "user", "server_user")


def main(path: Path, dns_port: int, *, supervised_by: int | None, debug: bool) -> int:
    """Run until SIGTERM or SIGINT. Raises Refusal, CorefileError, StateError,
    KeystoreError before anything was started."""
    end_with_parent(supervised_by)
    plan = _read(path, dns_port)
    logging.configure(plan.options.log_level, debug=debug)
    lower_priority()
    state = StateDirectory(plan.options.state)
    if supervised_by is None:
        user, server_user = accounts(plan.options)
        state.prepare(user, server_user)
        if user is not None:
            become(user.uid, user.gid, low_ports=False)
    with ManagerLock(state):
        if supervised_by is None and os.geteuid() == 0:
            _log.warning("the manager runs as root: name a user with the global option `user`")
        for line in engine.protect_process():
            _log.warning(line)
        database = StateDatabase(state.database)
        try:
            return asyncio.run(_manage(state, plan, database, dns_port))
        finally:
            database.close()


def _read(path: Path, dns_port: int) -> ManagerPlan:
    """Our side of the Corefile. A word that nobody knows is refused here too: it may be one
    of ours, misspelt. Plugins are known by name; their code stays out of this process."""
    parsed = load(path, dns_port)
    for error in unknown_directives(parsed, installed_names()):
        raise error
    return plan_manager(parsed)


async def _manage(
    state: StateDirectory, plan: ManagerPlan, database: StateDatabase, dns_port: int
) -> int:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(_unexpected)
    stop, hangup = asyncio.Event(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    for number in (signal.SIGHUP, signal.SIGUSR1):
        loop.add_signal_handler(number, hangup.set)
    manager = Manager(state, plan, database)
    webs = [Web(admin.application(manager), unix_socket(plan.options.admin))]
    if plan.options.metrics is not None:
        webs.append(Web(metrics.application(manager), tcp_socket(plan.options.metrics, "metrics")))
    try:
        # Servers are let in once there is something on the shelves.
        await manager.apply(plan)
        await manager.transfer.listen_unix(state.transfer_socket)
        if plan.publish is not None:
            await manager.transfer.listen_tcp(plan.publish)
        notify("READY=1")
        _log.info("the manager runs", zones=len(manager.groups), corefile=plan.path)
        async with asyncio.TaskGroup() as group:
            running = [
                group.create_task(manager.run()),
                group.create_task(_alarms(manager)),
                group.create_task(_hangups(manager, hangup, dns_port)),
                *(group.create_task(web.run()) for web in webs),
            ]
            await stop.wait()
            _log.info("the manager stops")
            for web in webs:
                web.stop()
            for task in running:
                task.cancel()
    finally:
        await manager.close()
        for path in (plan.options.admin, state.transfer_socket):
            with contextlib.suppress(OSError):
                path.unlink()
    return OK


async def _alarms(manager: Manager) -> None:
    """One alarm at the earliest due time; set again whenever a zone's may have moved."""
    clock = AlarmClock(manager.ring, SystemClock())
    clock.start()
    try:
        while True:
            await manager.rearm.wait()
            manager.rearm.clear()
            clock.arm(manager.next_due())
    finally:
        clock.stop()


async def _hangups(manager: Manager, hangup: asyncio.Event, dns_port: int) -> None:
    """SIGHUP: take up the Corefile anew. A wrong one leaves the old one in force."""
    while True:
        await hangup.wait()
        hangup.clear()
        try:
            plan = _read(manager.plan.path, dns_port)
        except CorefileError as error:
            _log.error(f"{error}; the configuration before stays in force")
            continue
        for name in _AT_START_ONLY:
            if getattr(plan.options, name) != getattr(manager.plan.options, name):
                _log.warning(f"the global option {name!r} changed; it takes effect at a restart")
        started = time.monotonic()
        await manager.apply(plan)
        _log.info(
            "took up the Corefile anew",
            zones=len(manager.groups),
            seconds=f"{time.monotonic() - started:.2f}",
        )


def _unexpected(_: asyncio.AbstractEventLoop, context: dict[str, object]) -> None:
    error = context.get("exception")
    reason = one_line(error) if isinstance(error, BaseException) else str(context.get("message"))
    _log.error("an unexpected fault", reason=reason, pid=os.getpid())
    if isinstance(error, BaseException):
        _log.debug("where it happened", exc_info=error)
