"""What the supervisor learns of the server without a query among the clients'."""

import asyncio
import socket
from pathlib import Path

import dns.name
import pytest

from server.http import HttpServer, Response
from zoneward.api import Overview, ZoneBrief
from zoneward.checking import check
from zoneward.readiness import FEW, Door, Report, answered
from zoneward.welcome import lines

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
    assert told(tmp_path / "sock", body) is None


def test_nobody_listens(tmp_path: Path) -> None:
    assert answered(tmp_path / "sock") is None


def test_a_socket_that_a_dead_server_left_is_taken_over(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / "sock"))
    assert answered(tmp_path / "sock") is None
    assert told(tmp_path / "sock", b'[["a","example.org."]]') == {("a", ORG)}


def test_the_line_to_try_names_the_port_where_it_is_not_the_usual() -> None:
    assert Door("127.0.0.1", 53).dig("a.test.") == "dig @127.0.0.1 +dnssec a.test. SOA"
    assert " -p 5300 " in Door("127.0.0.1", 5300).dig("a.test.")


def welcome(tmp_path: Path, zones: int, missing: int) -> list[str]:
    """The first `missing` of the zones, by the end of their names, are not answered."""
    path = tmp_path / "Corefile"
    path.write_text("{\n    state state\n}\norg {\n    whoami\n}\n")
    briefs = tuple(ZoneBrief(f"z{n:04}.org.", "a", n, True, None) for n in range(zones))
    report = Report(
        Overview("digest", True, briefs),
        [],
        {"a": Door("127.0.0.1", 53)},
        briefs[zones - missing :],
        serves=True,
    )
    return lines(report, check(path, 53))


def test_a_few_zones_are_told_of_one_by_one(tmp_path: Path) -> None:
    told = welcome(tmp_path, FEW, 0)
    assert sum("serial" in line for line in told) == FEW
    assert not any("more" in line for line in told)


def test_of_many_zones_those_that_are_missing_come_first_and_the_rest_is_counted(
    tmp_path: Path,
) -> None:
    told = welcome(tmp_path, 1000, 3)
    assert [line.split()[0] for line in told[2:6]] == [
        "z0997.org.",
        "z0998.org.",
        "z0999.org.",
        "z0000.org.",
    ]
    assert f"  and {1000 - FEW} more: see `zoneward status`" in told
