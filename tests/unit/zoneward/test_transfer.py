"""The manager's door for servers, from a server's side of the socket."""

import asyncio
import socket
import struct
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

import engine
from corefile.arguments import Endpoint
from corefile.link import LinkKey, derive
from corefile.names import name_wire
from zones.versions import VersionKeeper
from zoneward import transfer
from zoneward.notify import Change, Notifier
from zoneward.transfer import Shelf, TransferService

ORIGIN = name_wire("example.org.")
KEY, OTHER = derive(b"k" * 32, "block"), derive(b"k" * 32, "other")


def zone(serial: int, hosts: int = 1) -> engine.Zone:
    text = f"@ 300 SOA ns h {serial} 3600 900 86400 300\n@ 300 NS ns\n" + "".join(
        f"h{i} 300 A 10.0.{i >> 8}.{i & 255}\n" for i in range(hosts)
    )
    return engine.scan_text(text.encode(), ORIGIN)


def tsig(key: LinkKey) -> engine.TsigKey:
    return engine.TsigKey(key.name_wire, "hmac-sha256", key.secret)


class Server:
    """A server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    async def receive(self) -> bytes:
        (length,) = struct.unpack("!H", await self.reader.readexactly(2))
        return await self.reader.readexactly(length)

    async def transfer(
        self, base: engine.Zone | None, key: LinkKey, origin: bytes = ORIGIN
    ) -> engine.TransferClient:
        client = engine.TransferClient(origin, base, tsig(key))
        message = client.request(1, int(time.time()))
        self.writer.write(struct.pack("!H", len(message)) + message)
        while not client.feed(await self.receive(), int(time.time())):
            continue
        return client


Scenario = Callable[[Server, VersionKeeper], Awaitable[None]]


def run(tmp_path: Path, scenario: Scenario) -> list[tuple[str, bytes, int, bool]]:
    """Give the scenario a connection to a service that holds version 1; what was observed."""
    seen: list[tuple[str, bytes, int, bool]] = []

    async def body() -> None:
        keeper = VersionKeeper(tmp_path / "zone")
        keeper.open()
        keeper.write(zone(1), None)
        with ThreadPoolExecutor(2) as executor:

            def observed(block: str, origin: bytes, serial: int | None, foreign: bool) -> None:
                if serial is not None:
                    seen.append((block, origin, serial, foreign))

            service = TransferService(executor, observed)
            service.stock([Shelf("block", KEY, {ORIGIN: keeper}), Shelf("other", OTHER, {})])
            await service.listen_unix(tmp_path / "manager.sock")
            reader, writer = await asyncio.open_unix_connection(str(tmp_path / "manager.sock"))
            try:
                await asyncio.wait_for(scenario(Server(reader, writer), keeper), 10)
            finally:
                writer.close()
                await service.close()

    asyncio.run(body())
    return seen


def test_a_server_gets_the_zone_then_only_differences(tmp_path: Path) -> None:
    async def scenario(server: Server, keeper: VersionKeeper) -> None:
        first = (await server.transfer(None, KEY)).zone()
        assert first is not None
        assert first.digest() == zone(1).digest()
        keeper.write(zone(2, 3), zone(1).difference(zone(2, 3)))
        client = await server.transfer(first, KEY)
        second = client.zone()
        assert second is not None
        assert second.digest() == zone(2, 3).digest()
        assert client.diffs() is not None
        assert (await server.transfer(second, KEY)).zone() is None

    seen = run(tmp_path, scenario)
    assert seen == [("block", ORIGIN, 1, False), ("block", ORIGIN, 2, False)]


def test_a_serial_that_nobody_was_given_is_of_an_earlier_life(tmp_path: Path) -> None:
    async def scenario(server: Server, keeper: VersionKeeper) -> None:
        assert (await server.transfer(zone(1, 7), KEY)).zone() is None
        await server.transfer(None, KEY)
        await server.transfer(zone(1), KEY)
        # A restart does not make it foreign.
        keeper.open()
        await server.transfer(zone(1), KEY)

    seen = run(tmp_path, scenario)
    assert seen == [("block", ORIGIN, 1, foreign) for foreign in (True, False, False)]


def test_a_large_zone_comes_in_many_messages(tmp_path: Path) -> None:
    async def scenario(server: Server, keeper: VersionKeeper) -> None:
        large = zone(2, 20_000)
        keeper.write(large, None)
        found = (await server.transfer(None, KEY)).zone()
        assert found is not None
        assert found.digest() == large.digest()

    run(tmp_path, scenario)


def test_a_block_key_opens_its_own_block_only(tmp_path: Path) -> None:
    async def scenario(server: Server, keeper: VersionKeeper) -> None:
        with pytest.raises(engine.EngineError):
            await server.transfer(None, OTHER)

    run(tmp_path, scenario)


def test_a_wrong_key_gets_nothing_and_the_door_is_shut(tmp_path: Path) -> None:
    stranger = LinkKey(KEY.name, b"x" * 32)

    async def scenario(server: Server, keeper: VersionKeeper) -> None:
        with pytest.raises(engine.EngineError):
            await server.transfer(None, stranger)
        assert await server.reader.read() == b""

    run(tmp_path, scenario)


@pytest.mark.parametrize("noise", [b"", b"\x00", b"\xff" * 40, b"\x00\x01" + b"\x00" * 10])
def test_noise_ends_the_connection_and_nothing_else(tmp_path: Path, noise: bytes) -> None:
    async def scenario(server: Server, keeper: VersionKeeper) -> None:
        server.writer.write(struct.pack("!H", len(noise)) + noise)
        await server.writer.drain()
        await server.reader.read()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "manager.sock"))
        assert (await Server(reader, writer).transfer(None, KEY)).zone() is not None
        writer.close()

    run(tmp_path, scenario)


def test_of_several_changes_of_a_zone_the_last_is_told(tmp_path: Path) -> None:
    protocol = engine.TransferServer([tsig(KEY)])
    told: list[tuple[str, bytes]] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            try:
                message = await Server(reader, writer).receive()
            except asyncio.IncompleteReadError:
                writer.close()
                return
            request = protocol.parse(message, int(time.time()))
            told.append((request.kind, request.origin))
            reply = protocol.acknowledge(request, int(time.time()))
            writer.write(struct.pack("!H", len(reply)) + reply)

    async def body() -> None:
        async with await asyncio.start_unix_server(accept, str(tmp_path / "server.sock")):
            notifier = Notifier(tmp_path / "server.sock")
            for serial in (1, 2, 3):
                notifier.tell(Change(ORIGIN, serial, KEY))
            running = asyncio.create_task(notifier.run())
            for _ in range(100):
                await asyncio.sleep(0.02)
                if told:
                    break
            running.cancel()

    asyncio.run(body())
    assert told == [("notify", ORIGIN)]


def test_strangers_on_the_network_keep_no_place_and_none_of_this_machine(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transfer, "MOST_CONNECTIONS", 3)
    monkeypatch.setattr(transfer, "STRANGER", 0.5)

    async def body() -> None:
        keeper = VersionKeeper(tmp_path / "zone")
        keeper.open()
        keeper.write(zone(1), None)
        with socket.socket() as probe:
            probe.bind(("127.0.9.9", 0))
            port = probe.getsockname()[1]
        with ThreadPoolExecutor(2) as executor:
            service = TransferService(executor, lambda *_: None)
            service.stock([Shelf("block", KEY, {ORIGIN: keeper})])
            await service.listen_unix(tmp_path / "manager.sock")
            await service.listen_tcp(Endpoint("127.0.9.9", port))
            silent = [await asyncio.open_connection("127.0.9.9", port) for _ in range(4)]
            assert await silent[3][0].read() == b"", "there is no room for it"
            local = Server(*await asyncio.open_unix_connection(str(tmp_path / "manager.sock")))
            assert (await local.transfer(None, KEY)).zone() is not None
            for reader, _ in silent[:3]:
                assert await asyncio.wait_for(reader.read(), 5) == b""
            # Whoever has a key may take longer between two queries.
            assert (await local.transfer(zone(1), KEY)).zone() is None
            remote = Server(*await asyncio.open_connection("127.0.9.9", port))
            assert (await remote.transfer(None, KEY)).zone() is not None
            for writer in (local.writer, remote.writer, *(pair[1] for pair in silent)):
                writer.close()
            await service.close()

    asyncio.run(body())
