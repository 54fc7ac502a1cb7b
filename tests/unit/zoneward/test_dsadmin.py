"""`zoneward ds` over the admin API of a whole manager, with a program as its registrar and a
parent of the test's own."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import dns.name
import httpx
import msgspec
import pytest

import corefile
from signer.parent import DnsParentView, ParentAnswer, Seen
from signer.state import StateDatabase
from zoneward import admin
from zoneward.api import Delegation, DsCheck, DsForms, DsPlan, Fault, Lines, Status
from zoneward.configuration import plan_manager
from zoneward.manager import Manager
from zoneward.state import StateDirectory

ZONE = "$TTL 300\n@ SOA ns1 hostmaster 1 3600 900 86400 300\n@ NS ns1\nns1 A 192.0.2.53\n"
COREFILE = """example.org:53535 {
    file db
    sign {
        keys csk
        parent 192.0.2.1
        observe own
        REGISTRAR
    }
}
"""
PROGRAM = """import json, pathlib, sys
store = pathlib.Path("registrar.json")
has = json.loads(store.read_text()) if store.exists() else []
asked = json.load(sys.stdin)
answer = {}
if pathlib.Path("closed").exists():
    answer["error"] = "the office is closed"
elif asked["action"] == "list":
    answer["entries"] = has
else:
    gone = {entry["digest"] for entry in asked.get("remove", ())}
    has = [entry for entry in has if entry["digest"] not in gone] + list(asked.get("add", ()))
    store.write_text(json.dumps(has))
print(json.dumps(answer))
"""
EXEC = "registrar exec python3 ds.py {\n wants ds\n lists\n }"

T = TypeVar("T")


class Parent:
    """Shows what the scenario says."""

    shown: frozenset[bytes] = frozenset()

    async def ds(self, _: object, zone: dns.name.Name) -> ParentAnswer:
        return Seen(self.shown, self.shown, 300, ("192.0.2.1:53",))


@pytest.fixture
def parent(monkeypatch: pytest.MonkeyPatch) -> Parent:
    found = Parent()

    async def ds(_: object, zone: dns.name.Name) -> ParentAnswer:
        return await found.ds(_, zone)

    monkeypatch.setattr(DnsParentView, "ds", ds)
    return found


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "db").write_text(ZONE)
    (tmp_path / "ds.py").write_text(PROGRAM)
    return tmp_path


def run(
    directory: Path,
    scenario: Callable[[Manager, httpx.AsyncClient], Awaitable[None]],
    registrar: str = EXEC,
) -> None:
    async def body() -> None:
        state = StateDirectory(directory / "state")
        state.prepare()
        database = StateDatabase(state.database)
        parsed = corefile.parse(
            COREFILE.replace("REGISTRAR", registrar),
            path=str(directory / "Corefile"),
            environ={},
            read=lambda _: "",
        )
        manager = Manager(state, plan_manager(parsed), database)
        running = asyncio.create_task(manager.run())
        try:
            await manager.apply(manager.plan)
            transport = httpx.ASGITransport(admin.application(manager))
            async with httpx.AsyncClient(transport=transport, base_url="http://zoneward") as client:
                for _ in range(400):
                    reply = await client.get("/v1/status")
                    if msgspec.json.decode(reply.content, type=Status).settled:
                        break
                    await asyncio.sleep(0.02)
                await scenario(manager, client)
        finally:
            running.cancel()
            await manager.close()
            database.close()

    asyncio.run(body())


async def get(client: httpx.AsyncClient, path: str, kind: type[T]) -> T:
    reply = await client.get(f"/v1{path}", params={"zone": "example.org"})
    assert reply.status_code == 200, reply.text
    return msgspec.json.decode(reply.content, type=kind)


async def push(client: httpx.AsyncClient) -> httpx.Response:
    return await client.post("/v1/ds/push", content=b'{"zone": "example.org"}')


async def announced(manager: Manager) -> bytes:
    """The key's DS, made to be due now as if its waits were over."""
    signer = next(iter(manager.groups.values())).signer
    assert signer is not None
    if signer.courier is not None:
        # Here a person does it; by itself it would have been done before he looks.
        signer.courier.carry = lambda wanted: None  # type: ignore[method-assign]
    (key,) = signer.keyset.keys
    for kind, record in key.records:
        state = "rumoured" if kind.value == "DS" else "omnipresent"
        key = key.with_record(kind, type(record)(type(record.state)(state), record.since, 300))
    await signer._ring.save(signer.keyset.replaced(key), ())
    return signer.ds_records()[0]


def test_what_is_wanted_listed_and_seen_and_then_brought_there(
    directory: Path, parent: Parent
) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        ds = await announced(manager)
        before = await get(client, "/ds/plan", DsPlan)
        assert (before.registrar, before.listed, before.parent) == ("exec", (), ())
        assert before.add == before.wanted
        assert len(before.wanted) == 1
        assert before.forbidden is None
        reply = await push(client)
        assert (
            "done; the parent's servers" in msgspec.json.decode(reply.content, type=Lines).lines[0]
        )
        (entry,) = json.loads((directory / "registrar.json").read_text())
        assert bytes.fromhex(entry["digest"]) == ds[4:]
        after = await get(client, "/ds/plan", DsPlan)
        assert (after.listed, after.add, after.remove) == (before.wanted, (), ())
        (check,) = await get(client, "/ds/check", list[DsCheck])
        assert "no server of the parent shows it" in check.problems[0]
        parent.shown = frozenset({ds})
        (check,) = await get(client, "/ds/check", list[DsCheck])
        assert check.problems == ()

    run(directory, scenario)


def test_what_a_registrar_says_against_it_is_said(directory: Path, parent: Parent) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        await announced(manager)
        (directory / "closed").touch()
        found = await get(client, "/ds/plan", DsPlan)
        assert "the office is closed" in (found.problem or "")
        reply = await push(client)
        assert reply.status_code == 409
        assert "the office is closed" in msgspec.json.decode(reply.content, type=Fault).error

    run(directory, scenario)


def test_whose_ds_would_come_too_early_is_said(directory: Path, parent: Parent) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        (before,) = await get(client, "/ds", list[Delegation])
        (tag,) = before.early
        assert before.ds[0].startswith(f"{tag} 13 2 "), "the only one: for who wants it beforehand"
        await announced(manager)
        (now,) = await get(client, "/ds", list[Delegation])
        assert (now.ds, now.early) == (before.ds, ())

    run(directory, scenario)


def test_a_strange_ds_at_the_parent_is_found(directory: Path, parent: Parent) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        ds = await announced(manager)
        parent.shown = frozenset({ds, ds[:4] + bytes(32)})
        (check,) = await get(client, "/ds/check", list[DsCheck])
        assert any("of no key of this zone" in line for line in check.problems)

    run(directory, scenario)


def test_the_forms_that_registrars_ask_for(directory: Path, parent: Parent) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        ds = await announced(manager)
        found = await get(client, "/ds/forms", DsForms)
        assert found.entries[0].digest == ds[4:].hex().upper()
        assert found.bind.startswith("example.org. 3600 IN DS ")
        assert "IN CDNSKEY 257 3 13 " in found.cds

    run(directory, scenario)


def test_without_a_registrar_a_person_is_told(directory: Path, parent: Parent) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        await announced(manager)
        reply = await push(client)
        assert "has no registrar" in msgspec.json.decode(reply.content, type=Fault).error
        assert (await get(client, "/ds/plan", DsPlan)).registrar is None

    run(directory, scenario, registrar="")


def test_a_registrar_whose_secret_is_missing_is_said_and_stops_nothing(
    directory: Path, parent: Parent
) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        await announced(manager)
        reply = await push(client)
        error = msgspec.json.decode(reply.content, type=Fault).error
        assert "env:NOT_SET: the environment variable is not set" in error
        status = msgspec.json.decode((await client.get("/v1/status")).content, type=Status)
        assert status.zones[0].serial == 1

    run(
        directory,
        scenario,
        registrar="registrar rfc2136 192.0.2.1 {\n tsig key. env:NOT_SET\n }",
    )
