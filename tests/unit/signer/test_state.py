"""The state database."""

import asyncio
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import dns.name
import pytest

from signer import keytables, schema, tables
from signer.elapsed import Lived, Reading, Sure
from signer.keyset import Goal, Key, KeySet, Record, RecordKind, Role, State
from signer.state import StateDatabase, StateError
from signer.tables import Observation, Version

ZONE = dns.name.from_text("example.org.")
OTHER = dns.name.from_text("example.com.")


@pytest.fixture
def database(tmp_path: Path) -> StateDatabase:
    found = StateDatabase(tmp_path / "manager" / "state.db")
    yield found
    found.close()


def key(number: int, role: Role = Role.CSK) -> Key:
    dnskey = b"\x01\x01\x03\x0d" + bytes([number]) * 64
    return Key.hidden(f"{number:064x}", role, dnskey, 1_700_000_000, 5.5)


def test_it_is_durable_and_its_owners_alone(database: StateDatabase) -> None:
    pragmas = database.run_blocking(
        lambda db: [
            db.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")
        ]
    )
    assert pragmas == ["wal", 2]
    assert stat.S_IMODE(database.path.stat().st_mode) == 0o600
    assert stat.S_IMODE(database.path.parent.stat().st_mode) == 0o700


def test_a_key_set_comes_back_as_it_was(database: StateDatabase) -> None:
    keys = KeySet(ZONE).with_key(key(1, Role.KSK), made_here=True)
    keys = keys.with_key(key(2, Role.ZSK), made_here=True)
    moved = keys.keys[0].with_record(RecordKind.DS, Record(State.RUMOURED, 77.25, 86400))
    keys = KeySet(ZONE, (moved, keys.keys[1]), keys.tags_used)
    database.run_blocking(lambda db: keytables.save_keyset(db, keys))
    assert database.run_blocking(lambda db: keytables.load_keyset(db, ZONE)) == keys
    assert database.run_blocking(lambda db: keytables.load_keyset(db, OTHER)) == KeySet(OTHER)


def test_a_step_that_fails_leaves_nothing_behind(database: StateDatabase) -> None:
    def step(db: sqlite3.Connection) -> None:
        tables.reserve_serial(db, ZONE, "block", 7)
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        database.run_blocking(step)
    assert database.run_blocking(lambda db: tables.reserved_serial(db, ZONE, "block")) is None


def test_a_serial_has_one_content(database: StateDatabase) -> None:
    database.run_blocking(
        lambda db: tables.add_version(db, ZONE, "block", Version(7, b"one", 1, 0, 0))
    )
    with pytest.raises(StateError, match="UNIQUE"):
        database.run_blocking(
            lambda db: tables.add_version(db, ZONE, "block", Version(7, b"two", 1, 0, 0))
        )
    last = database.run_blocking(lambda db: tables.last_version(db, ZONE, "block"))
    assert last == Version(7, b"one", 1, 0, 0)


def test_the_audit_log_can_only_grow(database: StateDatabase) -> None:
    for action in ("generate", "hold"):
        database.run_blocking(
            lambda db, action=action: tables.audit(db, 1, ZONE, "manager", action, "x")
        )
    for statement in ("DELETE FROM audit", "UPDATE audit SET actor = 'nobody'"):
        with pytest.raises(StateError, match="append-only"):
            database.run_blocking(lambda db, statement=statement: db.execute(statement))
    log = database.run_blocking(lambda db: tables.audit_log(db, ZONE))
    assert [entry.action for entry in log] == ["generate", "hold"]
    assert database.run_blocking(lambda db: tables.audit_log(db, OTHER)) == ()


def test_since_when_a_thing_is_seen_stays_while_it_stays(database: StateDatabase) -> None:
    def see(value: int, since: float) -> None:
        seen = Observation("ds", "key", value, since)
        database.run_blocking(lambda db: tables.observe(db, ZONE, seen))

    def since() -> list[float]:
        return [
            seen.since for seen in database.run_blocking(lambda db: tables.observations(db, ZONE))
        ]

    see(1, 10.0)
    see(1, 20.0)
    assert since() == [10.0]
    see(2, 30.0)
    assert since() == [30.0]
    database.run_blocking(lambda db: tables.unsee(db, ZONE, "ds", "key"))
    assert since() == []


def test_small_tables(database: StateDatabase) -> None:
    lived = Lived(Reading(1, 2.5, "boot", True), 3.5, sure=Sure(1, 3.5, "boot"))

    def step(db: sqlite3.Connection) -> None:
        tables.save_lived(db, lived)
        tables.begin(db, ZONE, "generate", "KSK ZSK", 1)
        tables.accept(db, ZONE, "block", "token", 1)
        tables.set_due(db, ZONE, "resign", 100)
        tables.set_due(db, ZONE, "look", 50)
        tables.set_due(db, ZONE, "look", None)
        for ttl in (300, 86400, 60):
            tables.raise_highest_ttl(db, ZONE, ttl)

    database.run_blocking(step)
    assert database.run_blocking(tables.load_lived) == lived
    assert database.run_blocking(lambda db: tables.begun(db, ZONE, "generate")) == "KSK ZSK"
    database.run_blocking(lambda db: tables.confirm(db, ZONE, "generate"))
    assert database.run_blocking(lambda db: tables.begun(db, ZONE, "generate")) is None
    assert database.run_blocking(lambda db: tables.accepted(db, ZONE, "block")) == "token"
    assert database.run_blocking(lambda db: tables.due_times(db, ZONE)) == {"resign": 100}
    assert database.run_blocking(lambda db: tables.highest_ttl(db, ZONE)) == 86400


def test_another_versions_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "state.db"
    StateDatabase(path).close()
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
    raw.close()
    with pytest.raises(StateError) as caught:
        StateDatabase(path)
    line = str(caught.value)
    assert f"has version {schema.VERSION + 1}, this program knows {schema.VERSION}" in line
    assert "run the version of zoneward that wrote it" in line


@pytest.mark.parametrize(
    ("content", "message"), [(b"not a database, by far" * 50, "is no database; restore a backup")]
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes, message: str) -> None:
    (tmp_path / "state.db").write_bytes(content)
    with pytest.raises(StateError, match=message):
        StateDatabase(tmp_path / "state.db")


def test_another_programs_database(tmp_path: Path) -> None:
    raw = sqlite3.connect(tmp_path / "state.db")
    raw.execute("CREATE TABLE theirs (x)")
    raw.close()
    with pytest.raises(StateError, match="another program's database"):
        StateDatabase(tmp_path / "state.db")


def test_a_copy_is_whole(database: StateDatabase, tmp_path: Path) -> None:
    database.run_blocking(lambda db: tables.reserve_serial(db, ZONE, "block", 7))
    database.copy_to(tmp_path / "copy.db")
    copy = StateDatabase(tmp_path / "copy.db")
    assert copy.run_blocking(lambda db: tables.reserved_serial(db, ZONE, "block")) == 7
    copy.close()


def test_a_database_of_the_first_version_is_carried_over(tmp_path: Path) -> None:
    """Keys, their states and what was seen of them, in one transaction."""
    path = tmp_path / "manager" / "state.db"
    path.parent.mkdir(mode=0o700)
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript(FIRST_VERSION)
    old.close()
    database = StateDatabase(path)
    keyset = database.run_blocking(lambda db: keytables.load_keyset(db, ZONE))
    (found,) = keyset.keys
    assert (found.goal, found.predecessor, found.lost) == (Goal.OMNIPRESENT, None, False)
    assert found.letters() == "OROR"
    seen = database.run_blocking(lambda db: tables.observations(db, ZONE))
    assert Observation("shown", f"{'a' * 64} DNSKEY", 1, 7.0) in seen
    assert Observation("shown", f"{'a' * 64} DS", 1, 8.0) in seen
    assert Observation("first:shown", f"block {'a' * 64} ZRRSIG", 12, 6.0) in seen
    lived = database.run_blocking(tables.load_lived)
    assert lived is not None
    assert lived.sure == Sure(1000, 3.5, "boot")
    database.run_blocking(lambda db: keytables.save_keyset(db, keyset))
    assert database.run_blocking(lambda db: keytables.load_keyset(db, ZONE)) == keyset
    database.close()
    StateDatabase(path).close()


def test_an_upgrade_that_fails_leaves_the_old_version(tmp_path: Path) -> None:
    path = tmp_path / "manager" / "state.db"
    path.parent.mkdir(mode=0o700)
    old = sqlite3.connect(path, isolation_level=None)
    old.executescript(FIRST_VERSION)
    with pytest.MonkeyPatch.context() as patch:
        broken = (schema.MIGRATIONS[1][0], "INSERT INTO nowhere VALUES (1);")
        patch.setitem(schema.MIGRATIONS, 1, broken)
        with pytest.raises(StateError):
            StateDatabase(path)
    assert old.execute("PRAGMA user_version").fetchone() == (1,)
    columns = [row[1] for row in old.execute("PRAGMA table_info (zones)")]
    old.close()
    assert "held" not in columns
    StateDatabase(path).close()


KEY = "a" * 64
FIRST_VERSION = f"""
CREATE TABLE zones (zone TEXT PRIMARY KEY, highest_ttl INTEGER NOT NULL DEFAULT 0) STRICT;
CREATE TABLE keys (
    zone TEXT NOT NULL REFERENCES zones (zone), fingerprint TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('CSK', 'KSK', 'ZSK')), dnskey BLOB NOT NULL,
    created INTEGER NOT NULL, position INTEGER NOT NULL, PRIMARY KEY (zone, fingerprint)
) STRICT;
CREATE TABLE key_records (
    zone TEXT NOT NULL, fingerprint TEXT NOT NULL, record TEXT NOT NULL, state TEXT NOT NULL,
    since REAL NOT NULL, ttl INTEGER NOT NULL, PRIMARY KEY (zone, fingerprint, record),
    FOREIGN KEY (zone, fingerprint) REFERENCES keys (zone, fingerprint)
) STRICT;
CREATE TABLE tags_used (zone TEXT NOT NULL, tag INTEGER NOT NULL, PRIMARY KEY (zone, tag)) STRICT;
CREATE TABLE observations (
    zone TEXT NOT NULL, what TEXT NOT NULL, subject TEXT NOT NULL, value INTEGER NOT NULL,
    since REAL NOT NULL, PRIMARY KEY (zone, what, subject)
) STRICT;
CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1), wall INTEGER NOT NULL, boot REAL NOT NULL,
    boot_id TEXT NOT NULL, synchronised INTEGER NOT NULL, lived REAL NOT NULL
) STRICT;
INSERT INTO clock VALUES (1, 1000, 2.5, 'boot', 1, 3.5);
INSERT INTO zones (zone) VALUES ('example.org.');
INSERT INTO keys VALUES ('example.org.', '{KEY}', 'CSK', x'0101030d{"01" * 64}', 1, 0);
INSERT INTO key_records VALUES ('example.org.', '{KEY}', 'DNSKEY', 'omnipresent', 5, 60);
INSERT INTO key_records VALUES ('example.org.', '{KEY}', 'ZRRSIG', 'rumoured', 5, 60);
INSERT INTO key_records VALUES ('example.org.', '{KEY}', 'KRRSIG', 'omnipresent', 5, 60);
INSERT INTO key_records VALUES ('example.org.', '{KEY}', 'DS', 'rumoured', 5, 60);
INSERT INTO observations VALUES ('example.org.', 'first:', 'block {KEY}', 12, 6);
INSERT INTO observations VALUES ('example.org.', 'published', '{KEY}', 1, 7);
INSERT INTO observations VALUES ('example.org.', 'ds', '{KEY}', 1, 8);
PRAGMA user_version = 1;
"""


CROWDED = """
import resource, sys
from pathlib import Path
from signer.state import StateDatabase
database = StateDatabase(Path(sys.argv[1]))
database.run_blocking(lambda db: db.execute("INSERT INTO zones (zone) VALUES ('example.org.')"))
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
for ttl in range(1000):
    database.run_blocking(lambda db: db.execute("UPDATE zones SET highest_ttl = ?", (ttl,)))
print(Path(sys.argv[1] + "-wal").stat().st_size)
"""


def test_a_log_of_changes_that_can_not_grow_begins_anew(tmp_path: Path) -> None:
    """The kernel's limit on a file's size stands for a full disk; each change is a page."""
    path = tmp_path / "state.db"
    command = [sys.executable, "-P", "-c", CROWDED, str(path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) <= 400_000
    with sqlite3.connect(path) as database:
        assert database.execute("SELECT highest_ttl FROM zones").fetchone() == (999,)
    database.close()


def test_steps_that_wait_together_share_a_transaction_and_fail_alone(
    database: StateDatabase,
) -> None:
    """A slow step lets the others gather behind it; the failure of one takes nothing of the
    rest back."""
    began, go = threading.Event(), threading.Event()
    commits: list[str] = []

    def slow(db: sqlite3.Connection) -> None:
        db.set_trace_callback(lambda text: commits.append(text) if text == "COMMIT" else None)
        began.set()
        assert go.wait(30)

    def reserve(serial: int) -> Callable[[sqlite3.Connection], None]:
        def step(db: sqlite3.Connection) -> None:
            tables.reserve_serial(db, ZONE, f"block{serial}", serial)
            if serial == 2:
                raise ValueError("the second")

        return step

    async def run() -> list[BaseException | None]:
        first = asyncio.ensure_future(database.run(slow))
        await asyncio.to_thread(began.wait, 30)
        rest = [asyncio.ensure_future(database.run(reserve(serial))) for serial in (1, 2, 3)]
        await asyncio.sleep(0)
        go.set()
        return await asyncio.gather(first, *rest, return_exceptions=True)

    outcome = asyncio.run(run())
    assert [type(one) for one in outcome] == [type(None), type(None), ValueError, type(None)]
    assert commits == ["COMMIT", "COMMIT"]
    reserved = database.run_blocking(
        lambda db: [tables.reserved_serial(db, ZONE, f"block{serial}") for serial in (1, 2, 3)]
    )
    assert reserved == [1, None, 3]


def test_a_transaction_that_cannot_be_committed_is_said_to_all_who_wait(
    database: StateDatabase,
) -> None:
    def orphan(db: sqlite3.Connection) -> None:
        db.execute("PRAGMA defer_foreign_keys = ON")
        db.execute("INSERT INTO denials VALUES ('nowhere.', '', 'hidden', 0, 0, 0)")

    with pytest.raises(StateError, match="FOREIGN KEY"):
        database.run_blocking(orphan)
    database.run_blocking(lambda db: tables.reserve_serial(db, ZONE, "block", 7))
    assert database.run_blocking(lambda db: tables.reserved_serial(db, ZONE, "block")) == 7
