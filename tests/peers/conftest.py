"""Fixtures of the live tests."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import pytest
from house import House


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What waits for real time longest begins first, and the rest runs beside it."""
    items.sort(key=lambda item: not item.path.name.startswith("test_live_"))


@pytest.fixture
def address(request: pytest.FixtureRequest) -> str:
    """A loopback address that no other test has."""
    digest = hashlib.sha256(request.node.nodeid.encode()).digest()
    return f"127.{64 + digest[0] % 64}.{digest[1]}.{1 + digest[2] % 254}"


@pytest.fixture
def house(tmp_path: Path, address: str) -> Iterator[House]:
    """A Zoneward to start. Whatever a test does to it, no traceback may come out."""
    found = House(tmp_path, address)
    try:
        yield found
    finally:
        found.end_all()
    assert "Traceback" not in found.log + found.out
    assert "this is a bug" not in found.log
