"""Key sets as rows of the state database. Each function is a part of a transaction that
`signer.state` runs."""

import sqlite3

import attrs
import dns.name

from signer.keyset import (
    Denial,
    ForeignKey,
    Goal,
    Key,
    KeySet,
    Record,
    RecordKind,
    Role,
    State,
)
from signer.policy import Nsec3
from signer.tables import add_zone, zone_text

# Named, since a migrated table has its columns in another order.
_KEY = (
    "zone, fingerprint, role, dnskey, created, position, goal, predecessor, successor, standby, "
    "lost, retire, active_since, removed_since"
)


def load_keyset(db: sqlite3.Connection, zone: dns.name.Name) -> KeySet:
    """An empty one for a zone that is not known."""
    text = zone_text(zone)
    row = db.execute("SELECT insecure, held, algorithm FROM zones WHERE zone = ?", (text,))
    insecure, held, algorithm = row.fetchone() or (0, None, None)
    tags = db.execute("SELECT tag FROM tags_used WHERE zone = ?", (text,))
    return KeySet(
        zone,
        _keys(db, text),
        frozenset(tag for (tag,) in tags),
        _denials(db, text),
        _foreign(db, text),
        bool(insecure),
        held,
        algorithm,
    )


def _keys(db: sqlite3.Connection, zone: str) -> tuple[Key, ...]:
    records: dict[tuple[str, RecordKind], Record] = {
        (fingerprint, RecordKind(record)): Record(State(state), since, ttl, bool(partial))
        for fingerprint, record, state, since, ttl, partial in db.execute(
            "SELECT fingerprint, record, state, since, ttl, partial FROM key_records "
            "WHERE zone = ?",
            (zone,),
        )
    }
    keys = []
    for row in db.execute(
        "SELECT fingerprint, role, dnskey, created, goal, predecessor, successor, standby, lost, "
        "retire, active_since, removed_since FROM keys WHERE zone = ? ORDER BY position",
        (zone,),
    ):
        fingerprint, role, dnskey, created, goal, predecessor, successor = row[:7]
        standby, lost, retire, active_since, removed_since = row[7:]
        key = Key.hidden(fingerprint, Role(role), dnskey, created, 0.0)
        for kind, _ in key.records:
            key = key.with_record(kind, records[fingerprint, kind])
        keys.append(
            attrs.evolve(
                key,
                goal=Goal(goal),
                predecessor=predecessor,
                successor=successor,
                standby=bool(standby),
                lost=bool(lost),
                retire=bool(retire),
                active_since=active_since,
                removed_since=removed_since,
            )
        )
    return tuple(keys)


def _denials(db: sqlite3.Connection, zone: str) -> tuple[Denial, ...]:
    rows = db.execute(
        "SELECT nsec3, state, since, ttl FROM denials WHERE zone = ? ORDER BY position", (zone,)
    )
    return tuple(
        Denial(nsec3_of(text), Record(State(state), since, ttl)) for text, state, since, ttl in rows
    )


def _foreign(db: sqlite3.Connection, zone: str) -> tuple[ForeignKey, ...]:
    rows = db.execute(
        "SELECT dnskey, goal, state, since, ttl, announced FROM foreign_keys WHERE zone = ? "
        "ORDER BY dnskey",
        (zone,),
    )
    return tuple(
        ForeignKey(dnskey, Record(State(state), since, ttl), Goal(goal), bool(announced))
        for dnskey, goal, state, since, ttl, announced in rows
    )


def save_keyset(db: sqlite3.Connection, keyset: KeySet) -> None:
    """What the database has of a zone's keys is this from now on; tags stay used."""
    zone = zone_text(keyset.origin)
    add_zone(db, keyset.origin)
    db.execute(
        "UPDATE zones SET insecure = ?, held = ?, algorithm = ? WHERE zone = ?",
        (keyset.insecure, keyset.held, keyset.algorithm, zone),
    )
    for table in ("key_records", "keys", "denials", "foreign_keys"):
        db.execute(f"DELETE FROM {table} WHERE zone = ?", (zone,))  # noqa: S608 - our own names
    for position, key in enumerate(keyset.keys):
        row = (
            *(zone, key.fingerprint, key.role.value, key.dnskey, key.created, position),
            *(key.goal.value, key.predecessor, key.successor, key.standby, key.lost, key.retire),
            *(key.active_since, key.removed_since),
        )
        db.execute(f"INSERT INTO keys ({_KEY}) VALUES ({', '.join('?' * len(row))})", row)  # noqa: S608
        db.executemany(
            "INSERT INTO key_records (zone, fingerprint, record, state, since, ttl, partial) "
            "VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                (zone, key.fingerprint, kind.value, *_record(record), record.partial)
                for kind, record in key.records
            ],
        )
    db.executemany(
        "INSERT INTO denials VALUES (?, ?, ?, ?, ?, ?)",
        [
            (zone, nsec3_text(one.nsec3), *_record(one.record), position)
            for position, one in enumerate(keyset.denials)
        ],
    )
    db.executemany(
        "INSERT INTO foreign_keys VALUES (?, ?, ?, ?, ?, ?, ?)",
        [
            (zone, one.dnskey, one.goal.value, *_record(one.record), one.announced)
            for one in keyset.foreign
        ],
    )
    db.executemany(
        "INSERT OR IGNORE INTO tags_used VALUES (?, ?)", [(zone, tag) for tag in keyset.tags_used]
    )


def _record(record: Record) -> tuple[str, float, int]:
    return record.state.value, record.since, record.ttl


def nsec3_text(nsec3: Nsec3 | None) -> str:
    """Iterations, salt, opt-out; empty for NSEC."""
    if nsec3 is None:
        return ""
    return f"{nsec3.iterations} {nsec3.salt.hex() or '-'} {int(nsec3.opt_out)}"


def nsec3_of(text: str) -> Nsec3 | None:
    if not text:
        return None
    iterations, salt, opt_out = text.split(" ")
    return Nsec3(int(iterations), b"" if salt == "-" else bytes.fromhex(salt), opt_out == "1")
