"""What the supervisor learns of the server without a query among the clients'."""

import asyncio
import socket
from pathlib import Path

import dns.name
import pytest

from server.http import HttpServer, Response
from zoneward.readiness import Door, answered

ORG = dns.name.from_text("example.org.")


def told(path: Path, body: bytes) -> frozenset[tuple[str, dns.name.Name]]:
    async def zones() -> Response:
        return Response(200, body, "application/json")

    async def scenario() -> frozenset[tuple[str, dns.name.Name]]:
        server = HttpServer(path, {"/zones": zones})
        await server.start()
        assert path.stat().st_mode & 0o777 == 0o600
        try:
            return await asyncio.to_thread(answered, path)
        finally:
            await server.stop()
            assert not path.exists()

    return asyncio.run(scenario())


def test_the_server_says_which_zones_it_answers(tmp_path: Path) -> None:
    found = told(tmp_path / "sock", b'[["a","EXAMPLE.org."],["b","example.org."]]')
    assert found == {("a", ORG), ("b", ORG)}


@pytest.mark.parametrize("body", [b"", b"{}", b'[["a"]]', b"\xff"])
def test_what_is_not_understood_is_nothing(tmp_path: Path, body: bytes) -> None:
    assert told(tmp_path / "sock", body) == frozenset()


def test_nobody_listens(tmp_path: Path) -> None:
    assert answered(tmp_path / "sock") == frozenset()


def test_a_socket_that_a_dead_server_left_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "sock"))
    assert answered(tmp_path / "sock") == frozenset()
    assert told(tmp_path / "sock", b'[["a","example.org."]]') == {("a", ORG)}


def test_the_line_to_try_names_the_port_where_it_is_not_the_usual() -> None:
    assert Door("127.0.0.1", 53).dig("a.test.") == "dig @127.0.0.1 +dnssec a.test. SOA"
    assert " -p 5300 " in Door("127.0.0.1", 5300).dig("a.test.")
