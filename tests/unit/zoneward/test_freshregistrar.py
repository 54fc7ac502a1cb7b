"""Credentials that are rotated while the manager runs."""

import json
from functools import partial
from pathlib import Path

import dns.name
import pytest
from registrarcases import directive

from corefile.secrets import resolve
from registrars import registry
from registrars.protocol import RegistrarError
from zoneward.freshregistrar import FreshRegistrar

ZONE = dns.name.from_text("example.org.")
# A registrar that keeps what it was asked, and has nothing.
PROGRAM = """#!/bin/sh
cat > asked
echo '{"entries": []}'
"""


class Scene:
    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.token = directory / "token"
        self.token.write_text("first\n")

    def opened(self) -> FreshRegistrar:
        program = self.directory / "program"
        program.write_text(PROGRAM)
        program.chmod(0o700)
        text = f"registrar exec {program} {{\n    lists\n    secret token file:token\n}}"
        secret = partial(resolve, directory=self.directory, environ={})
        return FreshRegistrar(registry.read(directive(text)), self.directory, secret)

    def given(self, registrar: FreshRegistrar) -> str:
        """The token that comes with a question."""
        assert registrar.list(ZONE) == ()
        asked = json.loads((self.directory / "asked").read_text())
        return str(asked["secrets"]["token"])


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


def test_a_secret_that_is_replaced_is_used_from_then_on(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    registrar = scene.opened()
    assert scene.given(registrar) == "first"
    scene.token.write_text("second\n")
    assert scene.given(registrar) == "second"
    assert scene.given(registrar) == "second"
    said = capsys.readouterr().out.splitlines()
    assert [line.partition("] ")[2] for line in said] == [
        "registrar exec: its secrets were replaced"
    ]
    registrar.close()
    registrar.close()


def test_one_that_is_gone_or_empty_for_a_moment_changes_nothing(scene: Scene) -> None:
    registrar = scene.opened()
    scene.token.unlink()
    assert scene.given(registrar) == "first"
    scene.token.write_text("")
    assert scene.given(registrar) == "first"
    scene.token.write_text("second")
    assert scene.given(registrar) == "second"


def test_one_that_was_not_there_is_found_when_it_is(
    scene: Scene, capsys: pytest.CaptureFixture[str]
) -> None:
    scene.token.unlink()
    registrar = scene.opened()
    assert "a secret can't be had: file:token" in capsys.readouterr().out
    with pytest.raises(RegistrarError, match="file:token"):
        registrar.list(ZONE)
    scene.token.write_text("late")
    assert scene.given(registrar) == "late"


def test_one_that_the_driver_can_not_take_leaves_the_old_one(
    scene: Scene, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    registrar = scene.opened()

    def fails(*_: object) -> None:
        raise RegistrarError("registrar exec", "the key is no key", "give one")

    scene.token.write_text("second")
    monkeypatch.setattr(registry, "open", fails)
    assert scene.given(registrar) == "first"
    assert scene.given(registrar) == "first"
    (said,) = capsys.readouterr().out.splitlines()
    assert said.endswith(
        "its new secrets are not taken: registrar exec: the key is no key; give one"
    )
