"""The *keystore* directive, and where the passphrase comes from."""

import logging
import stat
from collections.abc import Mapping
from pathlib import Path

import dns.name
import pytest

import keystore
from corefile import CorefileError, Directive, parse
from keystore import KeystoreConfig, KeystoreError

ZONE = dns.name.from_text("example.org.")


def directive(text: str) -> Directive:
    read = parse(f"{{\n{text}\n}}\n", path="Corefile", environ={}, read=lambda path: "")
    return read.options[0]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("keystore files", KeystoreConfig()),
        ("keystore files /keys", KeystoreConfig(directory="/keys")),
    ],
)
def test_forms(text: str, expected: KeystoreConfig) -> None:
    assert keystore.read_directive(directive(text)) == expected


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("keystore pkcs11", "keystore 'pkcs11' is not available; what there is: files"),
        ("keystore", "an argument is missing"),
        (
            "keystore files {\n password env:P\n }",
            "unknown option 'password' of keystore; known: passphrase",
        ),
        ("keystore files {\n passphrase hunter2\n }", "given by reference"),
    ],
)
def test_errors_have_a_place(text: str, message: str) -> None:
    with pytest.raises(CorefileError, match=message) as caught:
        keystore.read_directive(directive(text))
    assert str(caught.value).startswith("Corefile:")
    assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize(
    ("reference", "environ"),
    [
        ("file:secret", {}),
        ("env:PASS", {"PASS": "correct horse"}),
        ("credential:zoneward", {"CREDENTIALS_DIRECTORY": "{here}/credentials"}),
    ],
)
def test_three_kinds_of_reference_name_one_passphrase(
    tmp_path: Path, reference: str, environ: Mapping[str, str]
) -> None:
    (tmp_path / "secret").write_text("correct horse\n")
    (tmp_path / "secret").chmod(0o600)
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "zoneward").write_text("correct horse")
    environ = {name: value.format(here=tmp_path) for name, value in environ.items()}
    state = tmp_path / "manager"
    first = keystore.open(
        directive("keystore files {\n passphrase file:secret\n }"), state, tmp_path, {}
    )
    made = first.generate(ZONE, 13, 257)
    second = keystore.open(
        directive(f"keystore files {{\n passphrase {reference}\n }}"), state, tmp_path, environ
    )
    assert second.load(ZONE, made.fingerprint).tag == made.tag


def test_a_passphrase_that_is_not_there(tmp_path: Path) -> None:
    store = keystore.open(
        directive("keystore files {\n passphrase env:PASS\n }"), tmp_path, tmp_path, {}
    )
    with pytest.raises(KeystoreError, match="env:PASS: the environment variable is not set"):
        store.generate(ZONE, 13, 257)


def test_without_configuration_a_passphrase_is_made_once_and_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    made = keystore.open(None, tmp_path / "manager", tmp_path, {}).generate(ZONE, 13, 257)
    file = tmp_path / "manager" / "passphrase"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert "made a passphrase" in caplog.text
    assert "keystore files { passphrase credential:NAME }" in caplog.text
    assert file.read_text().strip() not in caplog.text
    caplog.clear()
    again = keystore.open(None, tmp_path / "manager", tmp_path, {})
    assert again.load(ZONE, made.fingerprint).tag == made.tag
    assert "made a passphrase" not in caplog.text


def test_a_passphrase_that_others_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "secret").write_text("x\n")
    (tmp_path / "secret").chmod(0o644)
    store = keystore.open(
        directive("keystore files {\n passphrase file:secret\n }"), tmp_path, tmp_path, {}
    )
    with caplog.at_level(logging.WARNING):
        store.generate(ZONE, 13, 257)
    assert "others can read this passphrase" in caplog.text
