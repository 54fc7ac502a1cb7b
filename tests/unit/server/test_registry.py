"""Plugins of installed packages: found by entry point, refused with the package's name."""

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from server.registry import RegistryError, installed, installed_names

MODULE = """
from server.api import Plugin

class Good(Plugin):
    before = ("log",)

class Circle(Plugin):
    before = ("log",)
    after = ("file",)

not_a_plugin = 1
"""


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A package that is installed as far as importlib.metadata can tell."""
    (tmp_path / "some_plugin.py").write_text(MODULE)
    metadata = tmp_path / "some_plugin-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: some-plugin\nVersion: 1.0\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield metadata / "entry_points.txt"
    sys.modules.pop("some_plugin", None)


def bring(entry_points: Path, *lines: str) -> None:
    entry_points.write_text("[zoneward.plugins]\n" + "\n".join(lines) + "\n")


def test_a_plugin_is_found_by_its_entry_point(package: Path) -> None:
    bring(package, "good = some_plugin:Good")
    assert "good" in installed_names()
    assert "some_plugin" not in sys.modules
    registry = installed(frozenset({"good"}))
    assert registry.plugins["good"].__name__ == "Good"
    assert registry.order.index("good") < registry.order.index("log")


def test_what_no_corefile_names_is_not_imported(package: Path) -> None:
    bring(package, "good = some_plugin:Good")
    assert installed(frozenset({"other"})).plugins == {}
    assert "some_plugin" not in sys.modules


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("file = some_plugin:Good", "some-plugin brings a plugin named 'file', which is built in"),
        ("cache = some_plugin:Good", "brings a plugin named 'cache', which is built in"),
        ("bad = some_plugin:Missing", "'bad' of the package some-plugin can't be loaded"),
        ("bad = no_such_module:X", "can't be loaded: ModuleNotFoundError"),
        ("bad = some_plugin:not_a_plugin", "is no subclass of server.api.Plugin"),
        ("bad = some_plugin:Circle", "the order that 'bad' asks for can't be had"),
    ],
)
def test_plugins_that_cannot_be_used(package: Path, line: str, expected: str) -> None:
    bring(package, line)
    with pytest.raises(RegistryError, match=expected):
        installed()
