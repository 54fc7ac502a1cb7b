"""The server as a whole, in this process: zones that arrive, HTTP, reloads, an orderly end."""

import asyncio
import contextlib
import logging
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import dns.asyncquery
import dns.edns
import dns.message
import dns.rcode
import httpx
import pytest
from fakemanager import LINK, FakeManager, catalog, zone
from ports import free_port

import engine
from corefile.link import catalog_name
from corefile.names import name_wire
from server.service import Service, ServiceError
from server.transfer import read_frame, write_frame

ADDRESS = "127.0.7.4"
COREFILE = """
{{
    state state
    log {level}
}}
a.test:{dns} {{
    bind {address}
    file db
    {more}
    ready {address}:{http}
    health {address}:{http} {{
        lameduck {lameduck}
    }}
    prometheus {address}:{http}
}}
"""


class Rig:
    def __init__(self, directory: Path, dns_port: int = 0) -> None:
        self.directory = directory
        self.dns, self.http = dns_port or free_port(ADDRESS), free_port(ADDRESS)
        self.stop, self.hurry = asyncio.Event(), asyncio.Event()
        (directory / "state" / "run").mkdir(parents=True, exist_ok=True)
        (directory / "state" / "server").mkdir(exist_ok=True)
        (directory / "state" / "server" / "link.key").write_text(LINK.hex())
        self.write()
        self.service = Service(str(directory / "Corefile"), environ={})
        (self.block,) = [block.id for block in self.service._compiled.blocks]
        self.manager = FakeManager(directory / "state" / "run" / "manager.sock", [self.block])
        self.manager.zones = {
            catalog_name(self.block): catalog(self.block, "a.test."),
            "a.test.": zone("a.test.", 1, "www.a.test. 60 IN A 192.0.2.1"),
        }

    def write(self, more: str = "errors", *, lameduck: str = "0") -> None:
        (self.directory / "Corefile").write_text(
            COREFILE.format(
                level="info",
                address=ADDRESS,
                dns=self.dns,
                http=self.http,
                more=more,
                lameduck=lameduck,
            )
        )

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        started = asyncio.Event()
        self.service.bind()
        task = asyncio.create_task(self.service.run(self.stop, self.hurry, started.set))
        try:
            await asyncio.wait(
                [task, asyncio.create_task(started.wait())], return_when=asyncio.FIRST_COMPLETED
            )
            yield
        finally:
            self.stop.set()
            self.hurry.set()
            await task

    async def ask(self, name: str = "www.a.test") -> dns.message.Message:
        query = dns.message.make_query(name, "A", use_edns=0)
        return await dns.asyncquery.udp(query, ADDRESS, timeout=3, port=self.dns)

    async def get(self, path: str) -> httpx.Response:
        async with httpx.AsyncClient() as client:
            return await client.get(f"http://{ADDRESS}:{self.http}{path}")

    async def answered(self) -> None:
        async with asyncio.timeout(5):
            while (await self.ask()).rcode() != dns.rcode.NOERROR:
                await asyncio.sleep(0.02)


Scenario = Callable[[Rig], Awaitable[None]]
Run = Callable[[Scenario], None]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    def go(scenario: Scenario) -> None:
        async def whole() -> None:
            await scenario(Rig(tmp_path))

        asyncio.run(whole())

    return go


def test_not_ready_until_every_zone_has_arrived(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        async with rig.running():
            reply = await rig.ask()
            assert reply.rcode() == dns.rcode.SERVFAIL
            (error,) = [one for one in reply.options if isinstance(one, dns.edns.EDEOption)]
            assert error.code == dns.edns.EDECode.NOT_READY
            ready = await rig.get("/ready")
            assert ready.status_code == 503
            assert ready.text == f"a.test. of block {rig.block} has not arrived\n"
            assert (await rig.get("/health")).text == "OK"
            await rig.manager.start()
            await rig.answered()
            ready = await rig.get("/ready")
            assert (ready.status_code, ready.text) == (200, "OK")
        await rig.manager.stop()

    run(scenario)


def test_a_restart_answers_at_once_without_a_manager(run: Run, tmp_path: Path) -> None:
    async def scenario(rig: Rig) -> None:
        await first(rig)
        await second(Rig(tmp_path, rig.dns))

    async def first(rig: Rig) -> None:
        await rig.manager.start()
        async with rig.running():
            await rig.answered()
            async with asyncio.timeout(5):
                while not list(tmp_path.glob("state/server/zones/*/*/contact")):
                    await asyncio.sleep(0.02)
        await rig.manager.stop()

    async def second(rig: Rig) -> None:
        began = time.monotonic()
        async with rig.running():
            assert (await rig.ask()).rcode() == dns.rcode.NOERROR
            assert time.monotonic() - began < 1
            assert (await rig.get("/ready")).status_code == 200

    run(scenario)


def test_a_notify_brings_a_change_at_once(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.start()
        async with rig.running():
            await rig.answered()
            socket_path = rig.directory / "state" / "run" / "server.sock"
            async with asyncio.timeout(5):
                while not socket_path.exists():
                    await asyncio.sleep(0.02)
            rig.manager.change("a.test.", zone("a.test.", 2, "www.a.test. 60 IN A 192.0.2.7"))
            reader, writer = await asyncio.open_unix_connection(str(socket_path))
            message = engine.notify_message(
                name_wire("a.test."), 2, rig.manager.keys[0], 9, int(time.time())
            )
            await write_frame(writer, message)
            reply = await read_frame(reader)
            assert reply[3] & 0xF == 0
            writer.close()
            async with asyncio.timeout(2):
                while (await rig.ask()).answer[0][0].to_text() != "192.0.2.7":
                    await asyncio.sleep(0.01)
        await rig.manager.stop()

    run(scenario)


def test_metrics_have_coredns_names(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.start()
        async with rig.running():
            await rig.answered()
            text = (await rig.get("/metrics")).text
        await rig.manager.stop()
        lines = {
            line.rpartition(" ")[0]: float(line.rpartition(" ")[2])
            for line in text.splitlines()
            if not line.startswith("#")
        }

        def value(metric: str, /, **labels: str) -> float:
            wanted = {f'{key}="{text}"' for key, text in labels.items()}
            (found,) = [
                number
                for line, number in lines.items()
                if line.partition("{")[0] == metric and wanted <= set(labels_of(line))
            ]
            return found

        here = {"server": f"dns://{ADDRESS}:{rig.dns}", "zone": "a.test.", "view": ""}
        assert value("zoneward_dns_requests_total", **here, proto="udp", family="1", type="A") >= 1
        assert value("zoneward_dns_responses_total", **here, rcode="NOERROR", plugin="file") == 1
        assert value("zoneward_dns_do_requests_total", **here) == 0
        assert value("zoneward_dns_request_duration_seconds_count", **here) >= 1
        assert value("zoneward_dns_request_duration_seconds_bucket", **here, le="+Inf") >= 1
        assert value("zoneward_dns_request_size_bytes_count", **here, proto="udp") >= 1
        assert value("zoneward_dns_response_size_bytes_count", **here, proto="udp") >= 1
        assert value("zoneward_panics_total") == 0
        assert value("zoneward_plugin_enabled", **here, name="prometheus") == 1
        assert value("zoneward_zone_serial", block=rig.block, zone="a.test.") == 1
        assert value("zoneward_zone_present", block=rig.block, zone="a.test.") == 1
        until = value("zoneward_zone_valid_until_timestamp_seconds", block=rig.block)
        assert abs(until - time.time() - 3600) < 10
        assert "zoneward_build_info{" in text

    def labels_of(line: str) -> list[str]:
        return line.partition("{")[2].removesuffix("}").split(",")

    run(scenario)


def test_a_wrong_corefile_leaves_the_old_one_running(
    run: Run, caplog: pytest.LogCaptureFixture
) -> None:
    async def scenario(rig: Rig) -> None:
        await rig.manager.start()
        async with rig.running():
            await rig.answered()
            rig.write("whaomi")
            assert not await rig.service.reload()
            assert (await rig.ask()).rcode() == dns.rcode.NOERROR
            rig.write("whoami")
            assert await rig.service.reload()
            assert (await rig.ask()).rcode() == dns.rcode.NOERROR
            text = (await rig.get("/metrics")).text
            assert "zoneward_reload_total 1.0" in text
            assert "zoneward_reload_failed_total 1.0" in text
        await rig.manager.stop()

    run(scenario)
    errors = [one.getMessage() for one in caplog.records if one.levelno == logging.ERROR]
    assert any("unknown directive 'whaomi'; did you mean 'whoami'?" in line for line in errors)


@pytest.mark.parametrize("refused", [False, True])
def test_no_hosts_of_the_old_chains_are_put_into_the_new(
    run: Run, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    """Where the new ones are refused, the old files are followed again."""
    refilling: list[bool] = []

    async def scenario(rig: Rig) -> None:
        (rig.directory / "hosts").write_text("192.0.2.1 a.test\n")
        rig.write("hosts hosts")
        rig.service = service = Service(str(rig.directory / "Corefile"), environ={})

        def configure(config: bytes) -> None:
            refilling.append(bool(service._refills._tasks))
            if refused:
                raise engine.EngineError("no")

        await rig.manager.start()
        async with rig.running():
            assert await service.reload()
            assert service._refills._tasks
            with monkeypatch.context() as patched:
                patched.setattr(service, "_engine", Patched(service._engine, configure))
                assert await service.reload() is not refused
            assert service._refills._tasks
        await rig.manager.stop()

    class Patched:
        def __init__(self, real: engine.Server, configure: Callable[[bytes], None]) -> None:
            self._real, self.configure = real, configure

        def __getattr__(self, name: str) -> object:
            return getattr(self._real, name)

    run(scenario)
    assert refilling == [False]


def test_a_refused_corefile_does_not_say_when_to_look_again(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        rig.write("reload 1h")
        rig.service = Service(str(rig.directory / "Corefile"), environ={}, watches=True)
        await rig.manager.start()
        async with rig.running():
            path = rig.directory / "Corefile"
            text = path.read_text().replace("state state", "state elsewhere")
            path.write_text(text.replace("reload 1h", "errors"))
            assert not await rig.service.reload()
            assert rig.service._watch is not None
            assert rig.service._watch.due is not None
        await rig.manager.stop()

    run(scenario)


def test_a_lame_duck_answers_on_and_says_so(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        rig.write(lameduck="20s")
        await rig.manager.start()
        rig.service = Service(str(rig.directory / "Corefile"), environ={})
        began = time.monotonic()
        async with rig.running():
            await rig.answered()
            rig.stop.set()
            await asyncio.sleep(0.2)
            assert (await rig.ask()).rcode() == dns.rcode.NOERROR
            assert (await rig.get("/health")).status_code == 200
            assert (await rig.get("/ready")).status_code == 503
        assert time.monotonic() - began < 10, "a second signal cuts it short"
        await rig.manager.stop()

    run(scenario)


def test_ports_in_use_are_named(run: Run) -> None:
    async def scenario(rig: Rig) -> None:
        with socket.socket() as other:
            other.bind((ADDRESS, rig.http))
            other.listen()
            with pytest.raises(ServiceError, match=rf"127\.0\.7\.4:{rig.http} can't be listened"):
                async with rig.running():
                    pass
        second = Rig(rig.directory)
        with socket.socket() as other:
            other.bind((ADDRESS, second.dns))
            other.listen()
            with pytest.raises(ServiceError, match=rf"127\.0\.7\.4:{second.dns}.*choose another"):
                second.service.bind()

    run(scenario)
