"""Feeds of *rpz* by transfer: fetched, signed, followed, kept over a restart."""

import asyncio
import base64
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import attrs
import dns.rcode
import pytest
from answering import Answering, answering, rcode

import engine
from corefile.arguments import SecretReference
from corefile.names import name_wire
from corefile.secrets import SecretError
from server.feeds import Feeds
from server.transfer import read_frame, write_frame

ADDRESS = "127.61.18.1"
ORIGIN = "feed.test."
SECRET = bytes(range(32))


def zone(serial: int, *records: str) -> engine.Zone:
    head = f"@ 60 IN SOA ns host {serial} 1 1 3600 60\n@ 60 IN NS localhost.\n"
    text = head + "".join(f"{record}\n" for record in records)
    return engine.scan_text(text.encode(), name_wire(ORIGIN))


def secret(reference: SecretReference) -> bytes:
    if reference.name != "KEY":
        raise SecretError(f"{reference}: the environment variable is not set")
    return base64.b64encode(SECRET)


@attrs.define
class Primary:
    """What it has, and the kinds of questions that it was asked."""

    zone: engine.Zone
    port: int = 0
    asked: list[str] = attrs.field(factory=list)

    async def converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server = engine.TransferServer(
            [engine.TsigKey(name_wire("key.test."), "hmac-sha256", SECRET)]
        )
        with suppress(asyncio.IncompleteReadError, engine.EngineError):
            now = int(time.time())
            request = server.parse(await read_frame(reader), now)
            self.asked.append(request.kind)
            if request.key is None:
                await write_frame(writer, server.refuse(request, dns.rcode.REFUSED, now))
            else:
                for message in server.answer(request, self.zone, None, now):
                    await write_frame(writer, message)
        writer.close()


@asynccontextmanager
async def primary(has: engine.Zone) -> AsyncIterator[Primary]:
    found = Primary(has)
    server = await asyncio.start_server(found.converse, ADDRESS, 0)
    found.port = server.sockets[0].getsockname()[1]
    async with server:
        yield found


async def until(told: Callable[[], object], expected: object) -> None:
    async with asyncio.timeout(8):
        while await asyncio.to_thread(told) != expected:
            await asyncio.sleep(0.02)


def body(*ports: int, key: str = "tsig key.test hmac-sha256 env:KEY") -> str:
    primaries = " ".join(f"{ADDRESS}:{port}" for port in ports)
    return f"rpz {ORIGIN} {{\ntransfer from {primaries}\n{key}\n}}\nwhoami"


@asynccontextmanager
async def following(running: Answering, directory: Path) -> AsyncIterator[Feeds]:
    feeds = Feeds(running.server, directory, secret)
    feeds.begin(running.compiled.transfers)
    await feeds.follow(running.compiled.transfers)
    try:
        yield feeds
    finally:
        await feeds.stop()


def says(running: Answering, name: str) -> Callable[[], object]:
    return lambda: rcode(running.ask(name))


def test_a_feed_is_fetched_followed_and_kept(tmp_path: Path) -> None:
    asyncio.run(_life(tmp_path))


async def _life(directory: Path) -> None:
    async with primary(zone(1, "a.test 60 IN CNAME .")) as found:
        # The first of the two is not there.
        with answering(ADDRESS, body(1, found.port)) as running:
            async with following(running, directory):
                await until(says(running, "a.test."), "NXDOMAIN")
                found.zone = zone(2, "b.test 60 IN CNAME .")
                await until(says(running, "b.test."), "NXDOMAIN")
                assert says(running, "a.test.")() == "NOERROR"
            assert found.asked[:2] == ["axfr", "ixfr"]
        port = found.port
    with answering(ADDRESS, body(1, port)) as running:
        async with following(running, directory):
            assert says(running, "b.test.")() == "NXDOMAIN", "from the disk"


@pytest.mark.parametrize(
    ("key", "problem"),
    [
        ("", "REFUSED"),
        ("tsig other.test hmac-sha256 env:KEY", "can't be fetched"),
        ("tsig key.test hmac-sha256 env:OTHER", "env:OTHER: the environment variable is not set"),
    ],
)
def test_what_is_wrong_is_said_once(
    key: str, problem: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    asyncio.run(_refused(key, tmp_path, lambda: problem in caplog.text))
    assert caplog.text.count("can't be fetched") == 1


async def _refused(key: str, directory: Path, is_said: Callable[[], bool]) -> None:
    async with primary(zone(1, "a.test 60 IN CNAME .")) as found:
        with answering(ADDRESS, body(found.port, key=key)) as running:
            async with following(running, directory):
                await until(is_said, True)
                assert says(running, "a.test.")() == "NOERROR"
