"""Rules that follow a file: what *hosts* does when its file changes, goes, or comes back."""

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

from answering import Answering, answering, shown

import engine
from server.parts import Refill
from server.refills import Refills

ADDRESS = "127.61.10.5"


async def until(told: Callable[[], object], expected: object) -> None:
    async with asyncio.timeout(8):
        while await asyncio.to_thread(told) != expected:
            await asyncio.sleep(0.02)


def test_a_file_that_changes_is_read_again_and_one_that_goes_is_not(
    tmp_path: Path,
) -> None:
    path = tmp_path / "hosts"
    path.write_text("192.0.2.1 a.test\n")
    lines = f"hosts {path} {{\n reload 20ms\n 192.0.2.9 b.test\n}}"
    with answering(ADDRESS, lines) as running:
        asyncio.run(_life(running, path))


def test_stopping_waits_for_a_refill_under_way(tmp_path: Path) -> None:
    asyncio.run(_stopped(tmp_path / "hosts"))


async def _stopped(path: Path) -> None:
    path.write_text("192.0.2.1 a.test\n")
    begun, go_on = threading.Event(), threading.Event()
    put: list[str] = []

    def slow(_server: engine.Server) -> str:
        begun.set()
        assert go_on.wait(8)
        put.append("put")
        return ""

    refills = Refills(engine.Server())
    await refills.follow([Refill("hosts", path, 0.01, slow)])
    assert await asyncio.to_thread(begun.wait, 8)
    stopping = asyncio.create_task(refills.stop())
    await asyncio.sleep(0)
    assert not stopping.done()
    go_on.set()
    await stopping
    assert put == ["put"]


async def _life(running: Answering, path: Path) -> None:
    def told(name: str) -> Callable[[], object]:
        return lambda: shown(running.ask(name))

    refills = Refills(running.server)
    await refills.follow(running.compiled.refills)
    try:
        assert told("a.test.")() == ["3600 A 192.0.2.1"]
        path.write_text("192.0.2.2 a.test\n192.0.2.22 a.test\n")
        await until(told("a.test."), ["3600 A 192.0.2.2", "3600 A 192.0.2.22"])
        assert told("b.test.")() == ["3600 A 192.0.2.9"], "the lines beside it stay"
        path.unlink()
        await asyncio.sleep(0.1)
        assert told("a.test.")() == ["3600 A 192.0.2.2", "3600 A 192.0.2.22"]
        path.write_text("192.0.2.3 a.test\n")
        await until(told("a.test."), ["3600 A 192.0.2.3"])
    finally:
        await refills.stop()
