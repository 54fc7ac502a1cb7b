"""NOTIFY from the manager: heard where it is signed by a block."""

import asyncio
import contextlib
import struct
import time
from pathlib import Path

import pytest
from fakemanager import LINK

import engine
from corefile.link import derive
from corefile.names import name_wire
from server.notify import NotifyListener
from server.subscriptions import tsig_key
from server.transfer import read_frame, write_frame

BLOCK = "b-0123"


def notify(tmp_path: Path, *messages: bytes) -> tuple[list[bytes], list[tuple[bytes, str]]]:
    """The replies to messages sent one after the other, and what was heard."""
    heard: list[tuple[bytes, str]] = []

    async def scenario() -> list[bytes]:
        listener = NotifyListener(
            tmp_path / "s",
            lambda key, origin: heard.append((key, origin)),
            lambda: [tsig_key(derive(LINK, BLOCK))],
        )
        await listener.start()
        reader, writer = await asyncio.open_unix_connection(str(tmp_path / "s"))
        replies = []
        for message in messages:
            await write_frame(writer, message)
            with contextlib.suppress(asyncio.IncompleteReadError):
                async with asyncio.timeout(5):
                    replies.append(await read_frame(reader))
        writer.close()
        await listener.stop()
        return replies

    return asyncio.run(scenario()), heard


def rcode(reply: bytes) -> int:
    (flags,) = struct.unpack("!H", reply[2:4])
    return int(flags) & 0xF


def test_a_signed_notify_is_heard_and_acknowledged(tmp_path: Path) -> None:
    key = tsig_key(derive(LINK, BLOCK))
    now = int(time.time())
    message = engine.notify_message(name_wire("a.test."), 5, key, 77, now)
    (reply, again), heard = notify(tmp_path, message, message)
    assert reply[:2] == again[:2] == struct.pack("!H", 77)
    assert rcode(reply) == 0
    assert heard == [(b"\x06b-0123\x03key\x08zoneward\0", "a.test.")] * 2


@pytest.mark.parametrize("key", [None, tsig_key(derive(bytes(32), BLOCK))])
def test_a_notify_that_is_not_signed_by_the_block_is_not_heard(
    tmp_path: Path, key: engine.TsigKey | None
) -> None:
    message = engine.notify_message(name_wire("a.test."), 5, key, 77, int(time.time()))
    replies, heard = notify(tmp_path, message)
    assert heard == []
    assert [rcode(reply) for reply in replies] == [9]
