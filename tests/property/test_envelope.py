"""No altered key file is ever opened: any byte of it may be another one."""

import tempfile
from pathlib import Path

import dns.name
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from keystore import KeystoreError
from keystore.dnskey import fingerprint, key_tag
from keystore.files import FileKeyStore

ZONE = dns.name.from_text("example.org.")


def store(directory: Path) -> FileKeyStore:
    return FileKeyStore(
        directory, lambda: bytearray(b"correct horse"), memory_kib=64, iterations=1, lanes=1
    )


@pytest.fixture(scope="module")
def made() -> tuple[str, dict[str, bytes]]:
    with tempfile.TemporaryDirectory() as name:
        key = store(Path(name)).generate(ZONE, 13, 257)
        files = {
            str(path.relative_to(name)): path.read_bytes() for path in Path(name).rglob("*.json")
        }
    return key.fingerprint, files


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_flip_any_byte_of_either_file(
    made: tuple[str, dict[str, bytes]], data: st.DataObject
) -> None:
    key, files = made
    name = data.draw(st.sampled_from(sorted(files)))
    at = data.draw(st.integers(0, len(files[name]) - 1))
    mask = data.draw(st.integers(1, 255))
    with tempfile.TemporaryDirectory() as directory:
        for path, content in files.items():
            altered = bytearray(content)
            if path == name:
                altered[at] ^= mask
            (Path(directory) / path).parent.mkdir(exist_ok=True)
            (Path(directory) / path).write_bytes(altered)
        with pytest.raises(KeystoreError):
            store(Path(directory)).load(ZONE, key)


@given(st.binary(min_size=1, max_size=80), st.sampled_from([256, 257, 385]))
def test_a_fingerprint_stays_when_the_flags_change_and_the_tag_does_not(
    public: bytes, flags: int
) -> None:
    plain = (256).to_bytes(2, "big") + b"\x03\x0d" + public
    other = flags.to_bytes(2, "big") + b"\x03\x0d" + public
    assert fingerprint(plain) == fingerprint(other)
    assert (key_tag(plain) == key_tag(other)) == (flags == 256)
