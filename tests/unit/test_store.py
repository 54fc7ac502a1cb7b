"""ZoneStore and snapshots: what was acknowledged comes back, damage is refused, never guessed."""

import subprocess
import sys
from itertools import pairwise
from pathlib import Path

import dns.name
import pytest

import engine

ORIGIN = dns.name.from_text("example.org.").to_wire()
HEADER = 24  # of a journal
HEAD = 20  # of a frame


def zone(serial: int, *lines: str) -> engine.Zone:
    text = f"@ 3600 SOA ns hostmaster {serial} 3600 600 86400 300\n@ 3600 NS ns\n"
    return engine.scan_text((text + "\n".join(lines) + "\n").encode(), ORIGIN)


VERSIONS = [
    zone(1, "ns 60 A 192.0.2.1"),
    zone(2, "ns 60 A 192.0.2.1", "www 60 A 192.0.2.2"),
    zone(3, "ns 60 A 192.0.2.1", "WWW 60 A 192.0.2.3", "a.b.c 60 TXT x"),
    zone(4, "ns 120 A 192.0.2.1", "sub NS ns.sub", "ns.sub 60 A 192.0.2.9"),
]


def same(one: engine.Zone | None, other: engine.Zone) -> bool:
    return one is not None and not one.difference(other) and one.digest() == other.digest()


def filled(directory: Path, versions: list[engine.Zone] = VERSIONS) -> engine.ZoneStore:
    store = engine.ZoneStore(str(directory))
    store.replace(versions[0])
    for before, after in pairwise(versions):
        store.append(before.difference(after))
    return store


def reopened(directory: Path) -> engine.ZoneStore:
    return engine.ZoneStore(str(directory))


def code_of(directory: Path) -> tuple[str, str]:
    with pytest.raises(engine.EngineError) as caught:
        reopened(directory).load()
    return caught.value.code, str(caught.value)


def test_an_empty_directory_holds_no_version(tmp_path: Path) -> None:
    store = engine.ZoneStore(str(tmp_path))
    assert store.load() is None
    assert store.history(1) is None
    assert store.journal_bytes() == 0


def test_a_missing_directory_is_named(tmp_path: Path) -> None:
    with pytest.raises(engine.EngineError, match="nowhere") as caught:
        engine.ZoneStore(str(tmp_path / "nowhere"))
    assert caught.value.code == "io"


def test_the_newest_version_comes_back(tmp_path: Path) -> None:
    filled(tmp_path)
    assert same(reopened(tmp_path).load(), VERSIONS[-1])


def test_history_leads_from_any_serial_to_the_newest(tmp_path: Path) -> None:
    store = filled(tmp_path)
    for opened in (store, reopened(tmp_path)):
        for start, version in enumerate(VERSIONS):
            reached = version
            diffs = opened.history(version.serial)
            assert diffs is not None
            assert len(diffs) == len(VERSIONS) - 1 - start
            for diff in diffs:
                reached = reached.apply(diff)
            assert same(reached, VERSIONS[-1])
        assert opened.history(99) is None


def test_folding_keeps_history_and_empties_the_journal(tmp_path: Path) -> None:
    store = filled(tmp_path)
    assert store.journal_bytes() > 0
    store.replace(VERSIONS[-1])
    assert store.journal_bytes() == 0
    again = reopened(tmp_path)
    assert same(again.load(), VERSIONS[-1])
    assert len(again.history(1) or []) == 3
    later = zone(5, "ns 60 A 192.0.2.1")
    again.append(VERSIONS[-1].difference(later))
    assert same(reopened(tmp_path).load(), later)
    assert len(reopened(tmp_path).history(1) or []) == 4


def test_another_content_under_the_same_serial_has_no_history(tmp_path: Path) -> None:
    store = filled(tmp_path)
    other = zone(4, "other 60 A 192.0.2.77")
    store.replace(other)
    assert store.history(1) is None
    assert same(reopened(tmp_path).load(), other)


def test_a_version_that_does_not_chain_starts_over(tmp_path: Path) -> None:
    store = filled(tmp_path)
    lower = zone(2, "reset 60 A 192.0.2.8")
    store.replace(lower)
    assert same(reopened(tmp_path).load(), lower)
    assert reopened(tmp_path).history(1) is None


def test_a_difference_from_elsewhere_is_refused(tmp_path: Path) -> None:
    store = filled(tmp_path)
    with pytest.raises(engine.EngineError, match="from serial 1; the newest stored is 4") as caught:
        store.append(VERSIONS[0].difference(VERSIONS[1]))
    assert caught.value.code == "store"
    assert same(reopened(tmp_path).load(), VERSIONS[-1])


def test_a_crash_between_snapshot_and_journal_loses_nothing(tmp_path: Path) -> None:
    """Both orders of what a crash leaves: the new snapshot beside the old journal."""
    filled(tmp_path)
    old_journal = (tmp_path / "journal").read_bytes()
    store = reopened(tmp_path)
    store.replace(VERSIONS[-1])
    (tmp_path / "journal").write_bytes(old_journal)
    assert same(reopened(tmp_path).load(), VERSIONS[-1])
    other = zone(2, "fresh 60 A 192.0.2.5")
    reopened(tmp_path).replace(other)
    (tmp_path / "journal").write_bytes(old_journal)
    again = reopened(tmp_path)
    assert same(again.load(), other)
    assert again.history(2) == []
    assert again.history(1) is None


def test_a_snapshot_without_its_journal_is_a_version(tmp_path: Path) -> None:
    store = filled(tmp_path)
    store.replace(VERSIONS[-1])
    (tmp_path / "journal").unlink()
    assert same(reopened(tmp_path).load(), VERSIONS[-1])


def test_a_journal_without_its_snapshot_is_damage(tmp_path: Path) -> None:
    filled(tmp_path)
    (tmp_path / "snapshot").unlink()
    code, message = code_of(tmp_path)
    assert code == "store"
    assert "missing" in message


def test_every_truncation_of_the_last_frame_gives_the_version_before(tmp_path: Path) -> None:
    filled(tmp_path, VERSIONS[:3])
    start = (tmp_path / "journal").stat().st_size
    reopened(tmp_path).append(VERSIONS[2].difference(VERSIONS[3]))
    whole = (tmp_path / "journal").read_bytes()
    assert start + HEAD < len(whole)
    for length in range(start, len(whole)):
        (tmp_path / "journal").write_bytes(whole[:length])
        store = reopened(tmp_path)
        assert same(store.load(), VERSIONS[2]), length
        assert (tmp_path / "journal").stat().st_size == start
    store.append(VERSIONS[2].difference(VERSIONS[3]))
    assert (tmp_path / "journal").read_bytes() == whole


def test_room_that_was_given_and_never_filled_is_cut_off(tmp_path: Path) -> None:
    filled(tmp_path)
    with (tmp_path / "journal").open("ab") as journal:
        journal.write(bytes(4096))
    assert same(reopened(tmp_path).load(), VERSIONS[-1])


def test_any_flipped_byte_is_refused_and_its_frame_named(tmp_path: Path) -> None:
    filled(tmp_path)
    whole = (tmp_path / "journal").read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 0x40
        (tmp_path / "journal").write_bytes(damaged)
        code, message = code_of(tmp_path)
        assert code == "store", at
        assert ("offset" in message) or ("format" in message), at
    (tmp_path / "journal").write_bytes(whole)
    assert same(reopened(tmp_path).load(), VERSIONS[-1])


def test_a_frame_missing_in_the_middle_is_refused(tmp_path: Path) -> None:
    store = engine.ZoneStore(str(tmp_path))
    store.replace(VERSIONS[0])
    sizes = []
    for before, after in pairwise(VERSIONS):
        sizes.append((tmp_path / "journal").stat().st_size)
        store.append(before.difference(after))
    whole = (tmp_path / "journal").read_bytes()
    (tmp_path / "journal").write_bytes(whole[: sizes[1]] + whole[sizes[2] :])
    code, message = code_of(tmp_path)
    assert code == "store"
    assert f"offset {sizes[1]}" in message


def test_any_flipped_byte_of_a_snapshot_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "zone"
    VERSIONS[2].save(str(path))
    assert same(engine.Zone.load(str(path)), VERSIONS[2])
    whole = path.read_bytes()
    for at in range(len(whole)):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        path.write_bytes(damaged)
        with pytest.raises(engine.EngineError) as caught:
            engine.Zone.load(str(path))
        assert caught.value.code == "snapshot", at
    for length in range(0, len(whole), 7):
        path.write_bytes(whole[:length])
        with pytest.raises(engine.EngineError) as caught:
            engine.Zone.load(str(path))
        assert caught.value.code == "snapshot", length


def test_a_damaged_snapshot_is_refused_by_the_store(tmp_path: Path) -> None:
    filled(tmp_path)
    content = bytearray((tmp_path / "snapshot").read_bytes())
    content[-1] ^= 1
    (tmp_path / "snapshot").write_bytes(content)
    code, message = code_of(tmp_path)
    assert code == "store"
    assert "checksum" in message


def test_a_snapshot_of_another_format_says_so(tmp_path: Path) -> None:
    path = tmp_path / "zone"
    VERSIONS[0].save(str(path))
    content = bytearray(path.read_bytes())
    content[8] = 9
    path.write_bytes(content)
    with pytest.raises(engine.EngineError, match="format 9; this program reads format 1"):
        engine.Zone.load(str(path))


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
import engine
directory, target = Path(sys.argv[1]), sys.argv[2]
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
store = engine.ZoneStore(str(directory))
before = store.load()
larger = engine.Zone.load(target)
size = (directory / "journal").stat().st_size
def limited(extra, action):
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + extra, resource.RLIM_INFINITY))
    try:
        action()
    except engine.EngineError as error:
        assert error.code == "io", error.code
        return True
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    return False
diff = before.difference(larger)
for extra in (0, 1, 19, 20, 21, 500):
    assert limited(extra, lambda: store.append(diff)), extra
    assert (directory / "journal").stat().st_size == size, extra
    assert engine.ZoneStore(str(directory)).load().serial == before.serial
assert limited(100, lambda: store.replace(larger))
assert engine.ZoneStore(str(directory)).load().serial == before.serial
assert sorted(path.name for path in directory.iterdir()) == ["journal", "snapshot"]
store.append(diff)
assert engine.ZoneStore(str(directory)).load().serial == larger.serial
print("held")
"""


def test_a_full_disk_leaves_everything_as_it_was(tmp_path: Path) -> None:
    directory = tmp_path / "store"
    directory.mkdir()
    filled(directory)
    larger = zone(5, *(f"host{number} 60 A 192.0.2.{number % 250}" for number in range(400)))
    larger.save(str(tmp_path / "larger"))
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(directory), str(tmp_path / "larger")],
        capture_output=True,
        text=True,
        check=False,
        cwd=Path(engine.__file__).parent.parent,
    )
    assert done.stdout == "held\n", done.stderr


def test_a_journal_copied_before_its_snapshot_was_folded(tmp_path: Path) -> None:
    """A backup reads one file after the other while the manager writes."""
    store = filled(tmp_path, VERSIONS[:2])
    early = (tmp_path / "journal").read_bytes()
    store.append(VERSIONS[1].difference(VERSIONS[2]))
    store.replace(VERSIONS[2])
    (tmp_path / "journal").write_bytes(early)
    restored = reopened(tmp_path)
    assert same(restored.load(), VERSIONS[2])
    restored.append(VERSIONS[2].difference(VERSIONS[3]))
    assert same(reopened(tmp_path).load(), VERSIONS[3])


def test_a_last_frame_whose_head_alone_reached_the_disk_is_cut_off(tmp_path: Path) -> None:
    large = zone(5, *(f"n{number} 60 TXT {'x' * 100}" for number in range(50)))
    filled(tmp_path, VERSIONS[:2]).append(VERSIONS[1].difference(large))
    journal = tmp_path / "journal"
    content = journal.read_bytes()
    # From some sector on nothing was written, though the file is as long as it was to be.
    kept = content[: len(content) - 2000]
    journal.write_bytes(kept + bytes(2000))
    store = reopened(tmp_path)
    assert same(store.load(), VERSIONS[1])
    store.append(VERSIONS[1].difference(VERSIONS[2]))
    assert same(reopened(tmp_path).load(), VERSIONS[2])
    # The same in front of another frame is damage: that one was acknowledged.
    filled(tmp_path, [large, zone(6), large_again(7), zone(8)])
    content = bytearray(journal.read_bytes())
    middle = content.index(b"x" * 100) + 1000
    content[middle : middle + 1200] = bytes(1200)
    journal.write_bytes(content)
    assert code_of(tmp_path)[0] == "store"


def large_again(serial: int) -> engine.Zone:
    return zone(serial, *(f"n{number} 60 TXT {'x' * 100}" for number in range(50)))
