"""*loop*: what is forwarded and comes back stops the start."""

import asyncio
from pathlib import Path

import dns.message
import dns.query
import dns.rcode
import pytest
from ports import free_port
from upstream import Heard, reply_to, upstream

import corefile
from corefile.arguments import Endpoint
from server.compile import compile_corefile
from server.compiled import Forward, Loop
from server.registry import Registry
from server.service import Service, ServiceError

ADDRESS = "127.0.7.9"
OTHER = "127.0.7.10"


def start(directory: Path, text: str) -> bool:
    """Whether the service starts; it is stopped again. Raises ServiceError."""
    (directory / "Corefile").write_text("{\n    state state\n}\n" + text)
    service = Service(str(directory / "Corefile"), environ={})
    service.bind()

    async def whole() -> bool:
        stop, started = asyncio.Event(), asyncio.Event()

        def note() -> None:
            started.set()
            stop.set()

        await service.run(stop, asyncio.Event(), note)
        return started.is_set()

    return asyncio.run(whole())


def block(port: int, to: str) -> str:
    return f".:{port} {{\n    bind {ADDRESS}\n    loop\n    cache\n    forward . {to}\n}}\n"


def test_a_server_that_forwards_to_itself_does_not_start(tmp_path: Path) -> None:
    port = free_port(ADDRESS)
    with pytest.raises(ServiceError) as raised:
        start(tmp_path, block(port, f"{ADDRESS}:{port}"))
    assert str(raised.value) == (
        f"{tmp_path}/Corefile:6:5: a loop: what {ADDRESS}:{port} forwards of '.' comes back to it; "
        "forward to a server that does not forward to this one"
    )


@pytest.mark.parametrize("options", ["", "force_tcp"])
def test_a_loop_over_another_block_is_found_too(tmp_path: Path, options: str) -> None:
    first, second = free_port(ADDRESS), free_port(ADDRESS)
    while second == first:
        second = free_port(ADDRESS)
    back = f".:{second} {{\n bind {ADDRESS}\n forward . {ADDRESS}:{first} {{\n {options}\n }}\n}}\n"
    with pytest.raises(ServiceError, match="comes back to it"):
        start(tmp_path, block(first, f"{ADDRESS}:{second}") + back)


def test_a_server_with_an_upstream_starts(tmp_path: Path) -> None:
    def nothing(heard: Heard) -> bytes:
        return reply_to(heard, rcode=dns.rcode.NXDOMAIN).to_wire()

    with upstream(OTHER, nothing) as one:
        assert start(tmp_path, block(free_port(ADDRESS), f"{OTHER}:{one.port}"))
        (probe,) = [heard for heard in one.heard if len(heard.name.split(".")) == 3]
    assert probe.message.question[0].rdtype == 13


def test_a_server_starts_though_its_upstream_is_away(tmp_path: Path) -> None:
    with upstream(OTHER, lambda heard: None) as one:
        one.close()
        text = block(free_port(ADDRESS), f"{OTHER}:{one.port} {{\n max_connect_attempts 1\n }}")
        assert start(tmp_path, text)


def test_what_it_compiles_to() -> None:
    text = "a.test:5301 {\n forward . 192.0.2.1\n loop\n}\n"
    parsed = corefile.parse(text, path="Corefile", environ={}, read=Path.read_text)
    found, again = (compile_corefile(parsed, Registry.of({})) for _ in range(2))
    loop, forward = found.config.chains[0].stages
    assert isinstance(loop, Loop)
    assert isinstance(forward, Forward)
    (probe,) = found.probes
    assert probe.name == loop.probe
    assert probe.name.endswith(".a.test.")
    assert (probe.zone, probe.to) == ("a.test.", Endpoint("127.0.0.1", 5301))
    assert probe.name != again.probes[0].name, "nobody can foretell it"
