"""A manager and a server in this process, for a Corefile that is on loopback addresses."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import corefile
from server.service import Service
from signer.state import StateDatabase
from zoneward.configuration import plan_manager
from zoneward.manager import Manager
from zoneward.state import StateDirectory


@asynccontextmanager
async def managed(path: Path) -> AsyncIterator[None]:
    """For an example that has zones."""
    plan = plan_manager(corefile.load(str(path)))
    if not plan.blocks:
        yield
        return
    state = StateDirectory(plan.options.state)
    state.prepare()
    # Of a server elsewhere, as the page says: copied from the manager.
    (path.parent / "link.key").write_bytes(state.link.read_bytes())
    database = StateDatabase(state.database)
    manager = Manager(state, plan, database)
    running = asyncio.create_task(manager.run())
    try:
        await manager.apply(plan)
        await manager.transfer.listen_unix(state.transfer_socket)
        if plan.options.manager is not None:
            await manager.transfer.listen_tcp(plan.options.manager.endpoint)
        yield
    finally:
        running.cancel()
        await manager.close()
        database.close()


@asynccontextmanager
async def served(path: Path) -> AsyncIterator[None]:
    """Raises ServiceError where it can't be."""
    service = Service(str(path), environ={})
    service.bind()
    stop, hurry, started = asyncio.Event(), asyncio.Event(), asyncio.Event()
    running = asyncio.create_task(service.run(stop, hurry, started.set))
    waiting = asyncio.create_task(started.wait())
    try:
        await asyncio.wait((running, waiting), return_when=asyncio.FIRST_COMPLETED)
        if not running.done():
            yield
    finally:
        stop.set()
        hurry.set()
        waiting.cancel()
        await running
