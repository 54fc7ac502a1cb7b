"""The keystore of encrypted files: what it promises of each key, and what it says when it can't."""

import logging
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dns.name
import pytest

from keystore import KeystoreError, KeyUnreadable, envelope
from keystore.dnskey import KSK_FLAGS, ZSK_FLAGS, belongs_together, key_tag, revoked_tag
from keystore.files import FileKeyStore

ZONE = dns.name.from_text("example.org.")
ALGORITHMS = [8, 10, 13, 14, 15, 16]


def store(directory: Path, passphrase: bytes = b"correct horse") -> FileKeyStore:
    """A keystore with a cheap derivation, so that tests don't wait for Argon2id."""
    return FileKeyStore(
        directory / "keys",
        lambda: bytearray(passphrase),
        memory_kib=64,
        iterations=1,
        lanes=1,
        now=lambda: 1_700_000_000.0,
    )


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_a_key_made_by_one_process_signs_in_the_next(tmp_path: Path, algorithm: int) -> None:
    made = store(tmp_path).generate(ZONE, algorithm, KSK_FLAGS)
    loaded = store(tmp_path).load(ZONE, made.fingerprint)
    assert (loaded.dnskey, loaded.algorithm, loaded.tag) == (made.dnskey, algorithm, made.tag)


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_what_is_exported_is_the_private_half(tmp_path: Path, algorithm: int) -> None:
    keys = store(tmp_path)
    made = keys.generate(ZONE, algorithm, ZSK_FLAGS)
    assert belongs_together(made.dnskey, keys.export(ZONE, made.fingerprint))


def test_an_exported_key_is_taken_back_by_an_empty_store(tmp_path: Path) -> None:
    first, second = store(tmp_path / "a"), store(tmp_path / "b", b"another")
    made = first.generate(ZONE, 13, KSK_FLAGS)
    private = first.export(ZONE, made.fingerprint)
    taken = second.import_(ZONE, made.dnskey, private)
    assert taken == made
    assert not any(private), "the buffer handed over is wiped"
    assert second.import_(ZONE, made.dnskey, first.export(ZONE, made.fingerprint)) == taken
    assert second.list() == (taken,)


def test_several_stores_derive_their_keys_at_one_time() -> None:
    def derive(salt: int) -> bytearray:
        return envelope.derive(b"correct horse", bytes([salt] * 16), 1024, 1, 4)

    one_by_one = [derive(salt) for salt in range(32)]
    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(derive, range(32))) == one_by_one


def test_two_halves_of_two_keys_are_refused(tmp_path: Path) -> None:
    keys = store(tmp_path)
    one, other = keys.generate(ZONE, 13, KSK_FLAGS), keys.generate(ZONE, 13, KSK_FLAGS)
    private = keys.export(ZONE, other.fingerprint)
    with pytest.raises(KeystoreError, match="import the two halves of one pair"):
        keys.import_(ZONE, one.dnskey, private)
    assert not any(private)


def test_nobody_else_can_read_what_is_written(tmp_path: Path) -> None:
    store(tmp_path).generate(ZONE, 13, KSK_FLAGS)
    for path in (tmp_path / "keys").rglob("*"):
        expected = 0o700 if path.is_dir() else 0o600
        assert stat.S_IMODE(path.stat().st_mode) == expected, path


def test_no_private_key_is_on_disk_in_the_clear(tmp_path: Path) -> None:
    keys = store(tmp_path)
    made = keys.generate(ZONE, 15, KSK_FLAGS)
    seed = bytes(keys.export(ZONE, made.fingerprint)[-32:])
    for path in (tmp_path / "keys").rglob("*.json"):
        assert seed not in path.read_bytes()


def test_a_wrong_passphrase_is_said_in_one_line_with_a_remedy(tmp_path: Path) -> None:
    made = store(tmp_path).generate(ZONE, 13, KSK_FLAGS)
    with pytest.raises(KeystoreError) as caught:
        store(tmp_path, b"wrong battery").load(ZONE, made.fingerprint)
    line = str(caught.value)
    assert "keystore.json: the passphrase is not the one" in line
    assert "give the right one" in line
    assert "\n" not in line
    assert "wrong battery" not in line


def test_a_wrong_passphrase_never_encrypts_a_new_key(tmp_path: Path) -> None:
    store(tmp_path).generate(ZONE, 13, KSK_FLAGS)
    with pytest.raises(KeystoreError, match="passphrase"):
        store(tmp_path, b"wrong").generate(ZONE, 13, KSK_FLAGS)
    assert len(store(tmp_path).list()) == 1


def test_a_lost_header_is_not_made_anew_beside_keys(tmp_path: Path) -> None:
    store(tmp_path).generate(ZONE, 13, KSK_FLAGS)
    (tmp_path / "keys" / "keystore.json").unlink()
    with pytest.raises(KeystoreError, match=r"is gone, and there are keys; restore it"):
        store(tmp_path).generate(ZONE, 13, KSK_FLAGS)


def test_tags_that_the_zone_has_used_are_avoided(tmp_path: Path) -> None:
    """Half of all tags are taken: a store that did not look would soon meet one."""
    taken = frozenset(range(0, 65536, 2))
    keys = store(tmp_path)
    for _ in range(12):
        made = keys.generate(ZONE, 15, KSK_FLAGS, avoid_tags=taken)
        assert key_tag(made.dnskey) not in taken
        assert revoked_tag(made.dnskey) not in taken


def test_no_free_tag_is_an_error_and_no_key(tmp_path: Path) -> None:
    keys = store(tmp_path)
    with pytest.raises(KeystoreError, match="no free key tag found"):
        keys.generate(ZONE, 15, KSK_FLAGS, avoid_tags=range(65536))
    assert keys.list() == ()


def test_what_a_crash_left_unfinished_is_gone_at_the_next_use(tmp_path: Path) -> None:
    made = store(tmp_path).generate(ZONE, 13, KSK_FLAGS)
    (file,) = (tmp_path / "keys").glob("*/*.json")
    unfinished = file.with_name(f".{file.name}.0123456789ab")
    unfinished.write_bytes(file.read_bytes())
    note = file.with_name(".note")
    note.touch()
    keys = store(tmp_path)
    assert keys.list(ZONE) == (made,)
    keys.load(ZONE, made.fingerprint)
    assert not unfinished.exists()
    assert note.exists(), "only what is ours"


def test_a_file_moved_to_another_zone_is_refused(tmp_path: Path) -> None:
    keys = store(tmp_path)
    made = keys.generate(ZONE, 13, KSK_FLAGS)
    other = dns.name.from_text("example.com.")
    (tmp_path / "keys" / "example.com").mkdir()
    name = f"{made.fingerprint}.json"
    (tmp_path / "keys" / "example.org" / name).rename(tmp_path / "keys" / "example.com" / name)
    with pytest.raises(KeyUnreadable, match="the file is another key's"):
        keys.load(other, made.fingerprint)


def test_a_key_that_is_gone_is_unreadable(tmp_path: Path) -> None:
    keys = store(tmp_path)
    made = keys.generate(ZONE, 13, KSK_FLAGS)
    keys.delete(ZONE, made.fingerprint)
    assert keys.find(ZONE, made.fingerprint) is None
    with pytest.raises(KeyUnreadable, match="the key is not there; restore the key"):
        keys.load(ZONE, made.fingerprint)


def test_the_list_knows_zones_with_odd_names(tmp_path: Path) -> None:
    keys = store(tmp_path)
    zones = [dns.name.root, ZONE, dns.name.Name([b"a/b..", b"example", b""])]
    made = {zone: keys.generate(zone, 13, KSK_FLAGS) for zone in zones}
    assert {key.zone: key for key in keys.list()} == made
    for zone in zones:
        assert keys.list(zone) == (made[zone],)


@pytest.mark.parametrize(
    ("algorithm", "bits", "message"),
    [
        (8, 512, "an RSA key has 1024 to 4096 bits"),
        (13, 2048, "only RSA keys have a length"),
        (5, None, "algorithm 5 is not one that can sign here"),
    ],
)
def test_keys_that_cannot_be_made(
    tmp_path: Path, algorithm: int, bits: int | None, message: str
) -> None:
    with pytest.raises(KeystoreError, match=message):
        store(tmp_path).generate(ZONE, algorithm, KSK_FLAGS, bits)


def test_a_fingerprint_that_is_a_path_is_refused(tmp_path: Path) -> None:
    with pytest.raises(KeystoreError, match="no key's fingerprint"):
        store(tmp_path).load(ZONE, "../../passphrase")


def test_nothing_of_a_key_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    keys = store(tmp_path)
    made = keys.generate(ZONE, 13, KSK_FLAGS)
    keys.delete(ZONE, made.fingerprint)
    assert "correct horse" not in caplog.text
    assert "correct horse" not in repr(keys)
