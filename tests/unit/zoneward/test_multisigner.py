"""Other signers' keys, from the Corefile to the zone, in a whole manager in one process."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import dns.rdata
import dns.rdatatype
import httpx
import msgspec
import pytest
from keymaker import new_pair

import corefile
from signer.state import StateDatabase
from zoneward import admin
from zoneward.api import Delegation, Lines, Status, ZoneKeys
from zoneward.configuration import plan_manager
from zoneward.manager import Manager
from zoneward.state import StateDirectory

ZONE = "$TTL 300\n@ SOA ns1 hostmaster 1 3600 900 86400 300\n@ NS ns1\nns1 A 192.0.2.53\n"
THEIRS = new_pair(13, 257)[0]

Scenario = Callable[[Manager, httpx.AsyncClient], Awaitable[None]]


def text(key: bytes) -> str:
    return dns.rdata.from_wire(1, dns.rdatatype.DNSKEY, key, 0, len(key)).to_text(chunksize=0)


def plan(directory: Path, line: str):  # type: ignore[no-untyped-def]
    body = f"example.org:53535 {{\n file db\n sign {{\n  parent none\n  {line}\n }}\n}}\n"
    return plan_manager(
        corefile.parse(body, path=str(directory / "Corefile"), environ={}, read=lambda _: "")
    )


def run(directory: Path, line: str, scenario: Scenario) -> None:
    async def body() -> None:
        state = StateDirectory(directory / "state")
        state.prepare()
        database = StateDatabase(state.database)
        manager = Manager(state, plan(directory, line), database)
        running = asyncio.create_task(manager.run())
        try:
            await manager.apply(manager.plan)
            transport = httpx.ASGITransport(admin.application(manager))
            async with httpx.AsyncClient(transport=transport, base_url="http://zoneward") as client:
                await until(manager, lambda keys: bool(keys))
                await scenario(manager, client)
        finally:
            running.cancel()
            await manager.close()
            database.close()

    asyncio.run(body())


def served(manager: Manager) -> frozenset[bytes]:
    (task,) = manager.tasks()
    zone = task.keeper.current
    found = None if zone is None else zone.rrset(zone.origin, dns.rdatatype.DNSKEY)
    return frozenset() if found is None else frozenset(found.rdatas)


async def until(manager: Manager, so: Callable[[frozenset[bytes]], bool]) -> None:
    for _ in range(400):
        if so(served(manager)):
            return
        await asyncio.sleep(0.02)
    raise AssertionError([task.problem for task in manager.tasks()])


async def reload(client: httpx.AsyncClient) -> str:
    reply = await client.post("/v1/zones/reload", params={"zone": "example.org"})
    assert reply.status_code == 200, reply.text
    (line,) = msgspec.json.decode(reply.content, type=Lines).lines
    return line


async def roles(client: httpx.AsyncClient) -> list[str]:
    reply = await client.get("/v1/keys")
    return [
        key.role
        for zone in msgspec.json.decode(reply.content, type=list[ZoneKeys])
        for key in zone.keys
    ]


@pytest.mark.parametrize("where", ["a file", "the source"])
def test_what_is_named_is_shown_and_follows_at_a_reload(where: str, tmp_path: Path) -> None:
    (tmp_path / "db").write_text(ZONE)
    named = tmp_path / ("others" if where == "a file" else "db")
    named.touch()
    before = named.read_text()

    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        assert THEIRS not in served(manager)
        named.write_text(f"{before}example.org. 300 IN DNSKEY {text(THEIRS)}\n")
        await reload(client)
        await until(manager, lambda keys: THEIRS in keys)
        assert await roles(client) == ["CSK", "foreign"]
        (found,) = msgspec.json.decode((await client.get("/v1/ds")).content, type=list[Delegation])
        assert text(THEIRS) in found.dnskey
        assert len(found.ds) == 2
        named.write_text(f"{before}example.org. 300 IN DNSKEY {text(new_pair(15)[0])}\n")
        await reload(client)
        status = msgspec.json.decode((await client.get("/v1/status")).content, type=Status)
        signing = status.zones[0].signing
        assert signing is not None
        assert "foreign-keys" in signing.alarm_kinds
        assert THEIRS in served(manager)
        named.write_text(before)
        # A reload of the Corefile that changes nothing in it.
        if where == "a file":
            await manager.apply(plan(tmp_path, "multi-signer others"))
        else:
            await reload(client)
        await until(manager, lambda keys: THEIRS not in keys)

    run(tmp_path, "multi-signer others" if where == "a file" else "multi-signer", scenario)
    # The next start goes by what the state database has of them.
    run(tmp_path, "nsec", lambda manager, _: until(manager, lambda keys: len(keys) == 1))
