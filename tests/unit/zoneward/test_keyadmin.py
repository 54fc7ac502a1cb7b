"""Keys in motion, asked for through the admin API of a whole manager in one process."""

import asyncio
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import dns.name
import dns.rdatatype
import httpx
import msgspec
import pytest

import corefile
import engine
from signer.state import StateDatabase
from zoneward import admin
from zoneward.api import Fault, Lines, PlanView, Status, Trail
from zoneward.configuration import ManagerPlan, plan_manager
from zoneward.manager import Manager
from zoneward.state import StateDirectory
from zoneward.zonetask import ZoneTask

ZONE = """$TTL 300
@ SOA ns1 hostmaster 1 3600 900 86400 300
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.1
www TXT text
sub NS ns1.sub
ns1.sub A 192.0.2.2
"""
COREFILE = "example.org:53535 {\n file db\n sign {\n  parent none\n }\n}\n"

T = TypeVar("T")


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "db").write_text(ZONE)
    return tmp_path


def run(directory: Path, scenario: Callable[[Manager, httpx.AsyncClient], Awaitable[None]]) -> None:
    async def body() -> None:
        state = StateDirectory(directory / "state")
        state.prepare()
        database = StateDatabase(state.database)
        manager = Manager(state, read(directory, COREFILE), database)
        running = asyncio.create_task(manager.run())
        try:
            await manager.apply(manager.plan)
            transport = httpx.ASGITransport(admin.application(manager))
            async with httpx.AsyncClient(transport=transport, base_url="http://zoneward") as client:
                await settle(client)
                await scenario(manager, client)
        finally:
            running.cancel()
            await manager.close()
            database.close()

    asyncio.run(body())


def read(directory: Path, text: str) -> ManagerPlan:
    path = str(directory / "Corefile")
    return plan_manager(corefile.parse(text, path=path, environ={}, read=lambda _: ""))


async def settle(client: httpx.AsyncClient) -> None:
    for _ in range(400):
        found = status_of(await client.get("/v1/status"))
        signing = [row.signing.state for row in found.zones if row.signing is not None]
        if found.settled and signing == ["signed"]:
            return
        await asyncio.sleep(0.02)


def status_of(reply: httpx.Response) -> Status:
    return msgspec.json.decode(reply.content, type=Status)


async def post(client: httpx.AsyncClient, path: str, kind: type[T], **body: object) -> T:
    reply = await client.post(f"/v1{path}", content=msgspec.json.encode(body))
    assert reply.status_code == 200, reply.text
    return msgspec.json.decode(reply.content, type=kind)


async def refused(client: httpx.AsyncClient, path: str, **body: object) -> str:
    reply = await client.post(f"/v1{path}", content=msgspec.json.encode(body))
    assert reply.status_code == 409, reply.text
    return msgspec.json.decode(reply.content, type=Fault).error


def test_a_roll_is_planned_begun_and_in_the_log(directory: Path) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        wish = {"algorithm": 15}
        plan = await post(client, "/keys/plan", PlanView, zone="example.org", roll=wish, svg=True)
        assert any("rumoured -> omnipresent" in move for step in plan.steps for move in step.moves)
        assert plan.svg is not None
        assert plan.svg.startswith("<svg")
        assert plan.stopped is None
        (row,) = status_of(await client.get("/v1/status")).zones
        assert row.signing is not None
        assert len(row.signing.keys) == 1, "a plan changes nothing"
        lines = (await post(client, "/keys/roll", Lines, zone="example.org", roll=wish)).lines
        assert lines[0] == "zone example.org.: begun"
        (row,) = status_of(await client.get("/v1/status")).zones
        assert row.signing is not None
        assert {key.algorithm for key in row.signing.keys} == {"ECDSAP256SHA256", "ED25519"}
        trail = msgspec.json.decode(
            (await client.get("/v1/keys/log", params={"zone": "example.org"})).content, type=Trail
        )
        actions = [(entry.actor, entry.action, entry.detail) for entry in trail.entries]
        assert ("operator", "roll", "algorithm ED25519") in actions
        assert "on ED25519 already" in await refused(
            client, "/keys/roll", zone="example.org", roll=wish
        )

    run(directory, scenario)


def test_another_kind_of_denial_is_in_the_plan(directory: Path) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        await manager.apply(
            read(directory, COREFILE.replace("parent none", "parent none\n  nsec3"))
        )
        await settle(client)
        plan = await post(client, "/keys/plan", PlanView, zone="example.org")
        moves = [move for step in plan.steps for move in step.moves if move.startswith("NSEC")]
        assert moves == [
            "NSEC: rumoured -> unretentive",
            "NSEC3 0 - 0: hidden -> rumoured",
            "NSEC: unretentive -> hidden",
            "NSEC3 0 - 0: rumoured -> omnipresent",
        ]

    run(directory, scenario)


def test_the_brake_is_said_and_taken_off(directory: Path) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        assert "no keys are held" in await refused(client, "/keys/resume", zone=None)
        (line,) = (await post(client, "/keys/hold", Lines, zone=None, reason="a freeze")).lines
        assert "a freeze" in line
        (row,) = status_of(await client.get("/v1/status")).zones
        assert row.signing is not None
        assert row.signing.brake == "a freeze"
        assert row.signing.state == "signed"
        (line,) = (await post(client, "/keys/resume", Lines, zone="example.org")).lines
        assert "go on" in line
        assert "one line" in await refused(client, "/keys/hold", zone="example.org", reason="a\nb")

    run(directory, scenario)


def test_what_cannot_be_asked_is_refused_in_one_line(directory: Path) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        zone = "example.org"
        assert "waits for no DS" in await refused(client, "/ds/confirm", zone=zone, seen=True)
        both = {"algorithm": 15, "insecure": True}
        assert "one rollover at a time" in await refused(client, "/keys/roll", zone=zone, roll=both)
        assert "has no KSK key to roll" in await refused(
            client, "/keys/roll", zone=zone, roll={"roles": ["ksk"], "now": True}
        )
        assert "a role is csk, ksk or zsk" in await refused(
            client, "/keys/roll", zone=zone, roll={"roles": ["tsk"]}
        )
        assert "no key '1'" in await refused(client, "/keys/roll", zone=zone, roll={"lost": "1"})
        assert "years ahead" in await refused(client, "/keys/plan", zone=zone, until=1)

    run(directory, scenario)


def test_resigning_makes_every_signature_anew(directory: Path) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        (task,) = manager.tasks()
        before = task.keeper.current
        assert before is not None
        reply = await client.post("/v1/zones/resign", params={"zone": "example.org"})
        (line,) = msgspec.json.decode(reply.content, type=Lines).lines
        assert line.startswith("zone example.org. serial 2: signed ")
        after = task.keeper.current
        assert after is not None
        old = {signature for rrset in before for signature in rrset.signatures}
        assert not old & {signature for rrset in after for signature in rrset.signatures}

    run(directory, scenario)


def test_what_memory_or_disk_has_changed_is_signed_anew_over_what_the_source_has(
    directory: Path,
) -> None:
    """.se, 2022: wrong signatures that each version took over from the one before."""

    async def scenario(manager: Manager, _: httpx.AsyncClient) -> None:
        (task,) = manager.tasks()
        good = task.keeper.current
        assert good is not None
        text = good.to_text().replace("192.0.2.53", "192.0.2.52")
        task.keeper.write(engine.scan_text(text.encode(), good.origin), None)
        await task.reverify()
        assert task.reverify_faults == 1
        for _ in range(400):
            if (current := task.keeper.current) is not None and current.serial > good.serial:
                break
            await asyncio.sleep(0.02)
        assert current is not None
        assert current.rrset(b"\x03ns1" + good.origin, 1).rdatas == [bytes((192, 0, 2, 53))]
        assert engine.verify(current, at=int(time.time())).failure_count == 0
        await task.reverify()
        assert (task.reverify_faults, task.problem) == (0, None)

    run(directory, scenario)


def signatures(task: ZoneTask) -> dict[tuple[str, str], list[bytes]]:
    zone = task.keeper.current
    assert zone is not None
    return {
        (
            dns.name.from_wire(rrset.owner, 0)[0].to_text(),
            dns.rdatatype.to_text(dns.rdatatype.RdataType.make(rrset.rtype)),
        ): rrset.signatures
        for rrset in zone
        if rrset.signatures
    }


@pytest.mark.parametrize(
    ("name", "rtype", "renewed"),
    [
        ("www", "TXT", {("www.example.org.", "TXT")}),
        ("www.example.org.", "a", {("www.example.org.", "A")}),
        ("WWW.example.org", "A", {("www.example.org.", "A")}),
        ("www", None, {("www.example.org.", one) for one in ("A", "TXT", "NSEC")}),
        ("@", "DNSKEY", {("example.org.", "DNSKEY")}),
        ("sub", None, {("sub.example.org.", "NSEC")}),
    ],
)
def test_resigning_by_name_makes_these_signatures_and_the_soas(
    directory: Path, name: str, rtype: str | None, renewed: set[tuple[str, str]]
) -> None:
    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        (task,) = manager.tasks()
        before = signatures(task)
        asked = {"zone": "example.org", "name": name} | ({} if rtype is None else {"type": rtype})
        reply = await client.post("/v1/zones/resign", params=asked)
        (line,) = msgspec.json.decode(reply.content, type=Lines).lines
        assert line.startswith(f"zone example.org. serial 2: signed {len(renewed) + 1} RRsets")
        after = signatures(task)
        differ = {place for place in after if not set(before[place]) & set(after[place])}
        assert differ == {*renewed, ("example.org.", "SOA")}
        transfer = task.keeper.transfer(1)
        assert transfer is not None
        assert [diff.added_count for diff in transfer[1] or ()] == [len(renewed) + 2]

    run(directory, scenario)


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"name": "nowhere"}, "zone example.org.: it has no records at nowhere.example.org."),
        ({"name": "www.example.net."}, "zone example.org.: www.example.net. is not in it"),
        ({"name": "www", "type": "MX"}, "zone example.org.: www.example.org. has no MX records"),
        ({"name": "www", "type": "RRSIG"}, "www.example.org. has no RRSIG records"),
        ({"name": "www", "type": "NONSENSE"}, "'NONSENSE' is no record type"),
        ({"name": "ns1.sub"}, "ns1.sub.example.org. has no signature to make anew"),
        ({"name": "sub", "type": "NS"}, "sub.example.org. NS has no signature to make anew"),
        ({"name": "a..b"}, "'a..b' is no name"),
    ],
)
def test_what_can_not_be_resigned_is_said_in_one_line(
    directory: Path, asked: dict[str, str], why: str
) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        reply = await client.post("/v1/zones/resign", params={"zone": "example.org", **asked})
        assert reply.status_code == 409
        assert why in msgspec.json.decode(reply.content, type=Fault).error

    run(directory, scenario)
