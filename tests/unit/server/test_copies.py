"""The server's copies on disk: what a version costs, and what is there after it."""

from pathlib import Path

import pytest

import engine
from corefile.names import name_wire
from server import copies
from server.copies import CopyStore


def zone(origin: str, serial: int, names: int = 1) -> engine.Zone:
    text = f"{origin} 60 IN SOA ns.{origin} h.{origin} {serial} 1 1 1 1\n" + "".join(
        f"n{number}.{origin} 60 IN A 192.0.2.{serial}\n" for number in range(names)
    )
    return engine.scan_text(text.encode(), name_wire(origin))


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The directories of the stores that are opened."""
    found: list[str] = []
    real = copies.ZoneStore

    def opening(directory: str) -> engine.ZoneStore:
        found.append(directory)
        return real(directory)

    monkeypatch.setattr(copies, "ZoneStore", opening)
    return found


def test_a_version_after_another_does_not_open_the_store_again(
    tmp_path: Path, opened: list[str]
) -> None:
    """Opening it reads the whole zone, and a version is to cost what it changes."""
    store = CopyStore(tmp_path)
    last = zone("example.org.", 1)
    store.save("example.org.", last, None, 1000)
    for serial in range(2, 10):
        following = zone("example.org.", serial)
        store.save("example.org.", following, [last.difference(following)], 1000 + serial)
        last = following
    assert len(opened) == 1
    found = CopyStore(tmp_path).load("example.org.")
    assert found is not None
    assert found.zone.digest() == last.digest()
    assert found.contact == 1009


def test_a_zone_that_left_and_comes_back_starts_anew(tmp_path: Path, opened: list[str]) -> None:
    store = CopyStore(tmp_path)
    store.save("example.org.", zone("example.org.", 5), None, 1000)
    store.remove("example.org.")
    assert store.load("example.org.") is None
    store.save("example.org.", zone("example.org.", 1), None, 1000)
    found = store.load("example.org.")
    assert found is not None
    assert found.zone.serial == 1


def test_a_difference_that_does_not_fit_writes_the_whole(tmp_path: Path) -> None:
    store = CopyStore(tmp_path)
    one, two, three = (zone("example.org.", serial) for serial in (1, 2, 3))
    store.save("example.org.", one, None, 1000)
    store.save("example.org.", three, [two.difference(three)], 1000)
    found = store.load("example.org.")
    assert found is not None
    assert found.zone.digest() == three.digest()


def test_of_many_zones_those_written_last_stay_open(tmp_path: Path, opened: list[str]) -> None:
    store = CopyStore(tmp_path)
    origins = [f"z{number}.test." for number in range(copies._OPEN + 1)]
    for origin in origins:
        store.save(origin, zone(origin, 1), None, 1000)
    assert len(opened) == len(origins)
    store.save(origins[-1], zone(origins[-1], 2), None, 1000)
    assert len(opened) == len(origins)
    store.save(origins[0], zone(origins[0], 2), None, 1000)
    assert len(opened) == len(origins) + 1
