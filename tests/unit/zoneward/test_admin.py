"""A whole manager in one process, asked through its admin API."""

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import httpx
import msgspec
import pytest

import corefile
from signer.state import StateDatabase
from zoneward import admin, metrics
from zoneward.api import LARGEST_BODY, Delegation, Export, Fault, KeyPair, Lines, Status, ZoneKeys
from zoneward.configuration import ManagerPlan, plan_manager
from zoneward.manager import Manager
from zoneward.state import StateDirectory
from zoneward.web import may_ask

ZONE = """$TTL 300
@ SOA ns1 hostmaster 1 3600 900 86400 300
@ NS ns1
ns1 A 192.0.2.53
www A 192.0.2.80
mail A 192.0.2.25
"""
SIGN = " sign {\n  parent none\n }\n"


def plan(directory: Path, text: str) -> ManagerPlan:
    path = str(directory / "Corefile")
    return plan_manager(corefile.parse(text, path=path, environ={}, read=lambda _: ""))


Scenario = Callable[[Manager, httpx.AsyncClient], Awaitable[None]]


def run(directory: Path, text: str, scenario: Scenario) -> None:
    """Run a scenario beside a manager whose zones had their first pass."""

    async def body() -> None:
        state = StateDirectory(directory / "state")
        state.prepare()
        database = StateDatabase(state.database)
        manager = Manager(state, plan(directory, text), database)
        application = admin.application(manager)
        running = asyncio.create_task(manager.run())
        try:
            await manager.apply(manager.plan)
            async with httpx.AsyncClient(
                transport=httpx.ASGITransport(application), base_url="http://zoneward"
            ) as client:
                await settled(client)
                await scenario(manager, client)
        finally:
            running.cancel()
            await manager.close()
            database.close()

    asyncio.run(body())


async def status(client: httpx.AsyncClient, zone: str | None = None) -> Status:
    params = {} if zone is None else {"zone": zone}
    reply = await client.get("/v1/status", params=params)
    return msgspec.json.decode(reply.content, type=Status)


async def settled(client: httpx.AsyncClient) -> None:
    for _ in range(400):
        if (await status(client)).settled:
            return
        await asyncio.sleep(0.02)
    raise AssertionError(f"never settled: {await status(client)}")


def fault(reply: httpx.Response) -> str:
    assert reply.status_code == 409, reply.text
    return msgspec.json.decode(reply.content, type=Fault).error


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "db").write_text(ZONE)
    return tmp_path


def test_status_shows_the_zone_and_ds_what_the_parent_is_to_have(directory: Path) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        (row,) = (await status(client)).zones
        assert (row.zone, row.serial, row.problem) == ("example.org.", 1, None)
        assert row.signing is not None
        assert row.signing.state == "signed"
        reply = await client.get("/v1/ds")
        (found,) = msgspec.json.decode(reply.content, type=list[Delegation])
        (key,) = row.signing.keys
        assert found.ds[0].startswith(f"{key.tag} 13 2 ")

    run(directory, f"example.org {{\n file db\n{SIGN}}}\n", scenario)


def test_reload_and_accept_say_what_came_of_them(directory: Path) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        async def post(path: str) -> httpx.Response:
            return await client.post(f"/v1/zones/{path}", params={"zone": "example.org"})

        lines = msgspec.json.decode((await post("reload")).content, type=Lines).lines
        assert lines == ("zone example.org. serial 1: nothing changed",)
        assert "nothing is held" in fault(await post("accept"))
        (directory / "db").write_text(ZONE)
        (line,) = msgspec.json.decode((await post("reload")).content, type=Lines).lines
        assert "zones accept" in line
        (row,) = (await status(client)).zones
        assert row.serial == 1
        (line,) = msgspec.json.decode((await post("accept")).content, type=Lines).lines
        assert line.startswith("zone example.org. serial 2: ")
        assert (await status(client)).zones[0].problem is None

    hosts = "".join(f"h{number} A 192.0.2.9\n" for number in range(12))
    for number, sign in enumerate((SIGN, "")):
        (directory / "db").write_text(ZONE + hosts)
        text = f"{{\n state s{number}\n}}\nexample.org {{\n file db\n{sign}}}\n"
        (directory / f"{number}").mkdir()
        (directory / f"{number}" / "db").symlink_to(directory / "db")
        run(directory / f"{number}", text, scenario)


def test_a_key_goes_out_and_comes_back(directory: Path) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        reply = await client.get("/v1/keys")
        (zone,) = msgspec.json.decode(reply.content, type=list[ZoneKeys])
        (key,) = zone.keys
        asked = msgspec.json.encode(Export("example.org", key.fingerprint))
        reply = await client.post("/v1/keys/export", content=asked)
        pair = msgspec.json.decode(reply.content, type=KeyPair)
        assert repr(pair) == "KeyPair('example.org.')"
        reply = await client.post("/v1/keys/import", content=msgspec.json.encode(pair))
        assert reply.status_code == 200, reply.text
        reply = await client.get("/v1/keys")
        (after,) = msgspec.json.decode(reply.content, type=list[ZoneKeys])
        assert [row.fingerprint for row in after.keys] == [key.fingerprint]

    run(directory, f"example.org {{\n file db\n{SIGN}}}\n", scenario)


@pytest.mark.parametrize(
    ("path", "body", "line"),
    [
        ("/v1/keys/import", b"x" * (LARGEST_BODY + 1), "at most 65536 octets"),
        ("/v1/keys/import", b"\xff\x00", "not understood"),
        ("/v1/keys/import", b'{"zone": "example.org"}', "missing required field `dnskey`"),
        ("/v1/keys/export", b'{"zone": 1, "fingerprint": ""}', "Expected `str`"),
        ("/v1/keys/export", b'{"zone": "a", "fingerprint": "", "x": 1}', "unknown field `x`"),
        ("/v1/keys/export", b'{"zone": "a..b", "fingerprint": ""}', "is no zone name"),
        ("/v1/keys/export", b'{"zone": "a.test", "fingerprint": ""}', "there is no zone a.test."),
        ("/v1/keys/export", b'{"zone": "example.org", "fingerprint": "../../x"}', "fingerprint"),
        (
            "/v1/keys/generate",
            b'{"zone": "example.org", "role": "csk", "algorithm": 5}',
            "algorithm 5",
        ),
        (
            "/v1/keys/generate",
            b'{"zone": "example.org", "role": "boss", "algorithm": 13}',
            "it is csk, ksk or zsk",
        ),
    ],
)
def test_hostile_requests_get_one_line(directory: Path, path: str, body: bytes, line: str) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        told = fault(await client.post(path, content=body))
        assert line in told
        assert "\n" not in told
        assert (await status(client)).zones[0].problem is None

    run(directory, f"example.org {{\n file db\n{SIGN}}}\n", scenario)


def test_another_plan_starts_and_ends_what_differs_and_nothing_else(directory: Path) -> None:
    one, two = "a.test {\n file db\n}\n", "b.test {\n file db\n}\n"

    async def scenario(manager: Manager, client: httpx.AsyncClient) -> None:
        kept = next(iter(manager.groups.values()))
        await manager.apply(plan(directory, one + two))
        await settled(client)
        assert [row.zone for row in (await status(client)).zones] == ["a.test.", "b.test."]
        assert next(iter(manager.groups.values())) is kept
        await manager.apply(plan(directory, two))
        assert [row.zone for row in (await status(client)).zones] == ["b.test."]

    run(directory, one, scenario)


def test_blocks_that_sign_one_name_differently_are_refused(directory: Path) -> None:
    text = f"a.test:5301 {{\n file db\n{SIGN}}}\na.test:5302 {{\n file db\n}}\n"
    with pytest.raises(corefile.CorefileError) as caught:
        plan(directory, text)
    assert str(caught.value).startswith(f"{directory}/Corefile:8:2: a.test. is signed otherwise")


def test_a_name_in_two_blocks_has_one_key_set(directory: Path) -> None:
    async def scenario(_: Manager, client: httpx.AsyncClient) -> None:
        first, second = (await status(client)).zones
        assert first.block != second.block
        assert first.signing is not None
        assert second.signing is not None
        assert first.signing.keys == second.signing.keys
        assert len(first.signing.keys) == 1

    one = f"a.test:5301 {{\n file db\n{SIGN}}}\n"
    run(directory, one + one.replace("5301", "5302"), scenario)


def test_metrics_show_each_zone(directory: Path) -> None:
    async def scenario(manager: Manager, _: httpx.AsyncClient) -> None:
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(metrics.application(manager)), base_url="http://x"
        ) as client:
            lines = (await client.get("/metrics")).text.splitlines()
        (serial,) = [line for line in lines if line.startswith("zoneward_zone_serial{")]
        assert 'zone="example.org."' in serial
        assert serial.endswith(" 1.0")
        (made,) = [line for line in lines if line.startswith("zoneward_zone_signed_rrsets_total{")]
        assert made.endswith(" 10.0")

    run(directory, f"example.org {{\n file db\n{SIGN}}}\n", scenario)


def test_root_and_the_managers_own_user_may_ask() -> None:
    assert may_ask(0, 1000)
    assert may_ask(1000, 1000)
    assert not may_ask(1001, 1000)
