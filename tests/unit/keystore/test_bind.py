"""BIND's key files, read and written."""

import logging
import stat
from pathlib import Path

import dns.name
import pytest

from keystore import KeystoreError, algorithms, bind
from keystore.dnskey import KSK_FLAGS, belongs_together

ZONE = dns.name.from_text("example.org.")
# RFC 6605 section 6.1, an example that everybody may know, with the timing metadata of
# dnssec-keygen.
RFC6605_PRIVATE = """\
Private-key-format: v1.3
Algorithm: 13 (ECDSAP256SHA256)
PrivateKey: GU6SnQ/Ou+xC5RumuIUIuJZteXT2z0O/ok1s38Et6mQ=
Created: 20240101000000
Publish: 20240101000000
Activate: 20240101000000
"""
RFC6605_KEY = """\
; This is a key-signing key, keyid 55648, for example.net.
; Created: 20240101000000 (Mon Jan  1 00:00:00 2024)
example.net. 3600 IN DNSKEY 257 3 13 (
"""
RFC6605_KEY = RFC6605_KEY.removesuffix("(\n") + (
    "GojIhhXUN/u4v54ZQqGSnyhWJwaubCvTmeexv7bR6edbkrSqQpF64cYbcB7wNcP+e+MAnLr+Wi9xMWyQLc8NAA==\n"
)


def pair(directory: Path, algorithm: int = 13) -> tuple[Path, bytes]:
    key = algorithms.make(algorithm, None)
    dnskey = algorithms.dnskey(key, algorithm, KSK_FLAGS)
    return bind.save(directory, ZONE, dnskey, algorithms.to_pkcs8(key)), dnskey


@pytest.mark.parametrize("algorithm", [8, 10, 13, 14, 15, 16])
def test_what_is_written_is_read_back(tmp_path: Path, algorithm: int) -> None:
    base, dnskey = pair(tmp_path, algorithm)
    found = bind.read(base)
    assert (found.zone, found.dnskey) == (ZONE, dnskey)
    assert belongs_together(dnskey, found.private)
    for suffix in (".key", ".private"):
        file = base.with_name(base.name + suffix)
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert bind.read(file).dnskey == dnskey, "either file names the pair"


def test_the_example_of_rfc_6605_with_timing_metadata(tmp_path: Path) -> None:
    base = tmp_path / "Kexample.net.+013+55648"
    Path(f"{base}.key").write_text(RFC6605_KEY)
    Path(f"{base}.private").write_text(RFC6605_PRIVATE)
    Path(f"{base}.private").chmod(0o600)
    found = bind.read(base)
    assert found.zone == dns.name.from_text("example.net.")
    assert bind.base_name(found.zone, found.dnskey) == "Kexample.net.+013+55648"


def test_a_private_key_that_all_can_read_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    base, _ = pair(tmp_path)
    Path(f"{base}.private").chmod(0o644)
    with caplog.at_level(logging.WARNING):
        bind.read(base)
    assert "others can read this private key; chmod 600 it" in caplog.text


def test_a_directory_gives_the_pairs_of_one_zone(tmp_path: Path) -> None:
    _, first = pair(tmp_path)
    _, second = pair(tmp_path, 15)
    key = algorithms.make(13, None)
    other = dns.name.from_text("example.com.")
    bind.save(tmp_path, other, algorithms.dnskey(key, 13, 257), algorithms.to_pkcs8(key))
    assert {found.dnskey for found in bind.read_directory(tmp_path, ZONE)} == {first, second}


@pytest.mark.parametrize(
    ("suffix", "content", "message"),
    [
        (".private", "Private-key-format: v2.0\n", "is not in the format v1.x"),
        (".private", "Private-key-format: v1.3\nAlgorithm: 8 (RSASHA256)\n", "algorithm 13"),
        (".private", "Private-key-format: v1.3\nAlgorithm: 13\n", "holds no whole private key"),
        (
            ".private",
            "Private-key-format: v1.3\nAlgorithm: 13\nPrivateKey: c2VjcmV0!\n",
            "holds no whole private key",
        ),
        (".key", "; nothing\n", "holds no DNSKEY record"),
        (".key", "example.org. IN DNSKEY 257 3 13 !!\n", "no DNSKEY record"),
        (".key", "example.org. IN DNSKEY 0 3 13 AAAA\n", "ZONE flag"),
    ],
)
def test_files_that_are_no_pair(tmp_path: Path, suffix: str, content: str, message: str) -> None:
    base, _ = pair(tmp_path)
    Path(f"{base}{suffix}").write_text(content)
    with pytest.raises(KeystoreError, match=message) as caught:
        bind.read(base)
    assert "c2VjcmV0" not in str(caught.value), "nothing of a private key is quoted"


def test_halves_of_two_pairs(tmp_path: Path) -> None:
    one, _ = pair(tmp_path)
    other, _ = pair(tmp_path)
    Path(f"{one}.private").write_bytes(Path(f"{other}.private").read_bytes())
    with pytest.raises(KeystoreError, match="is not the private half of"):
        bind.read(one)
