"""Rows of the state database, as values. Each function is a part of a transaction that
`signer.state` runs."""

import sqlite3

import attrs
import dns.name

from signer.elapsed import Lived, Reading, Sure

_VERSIONS_KEPT = 100


def zone_text(zone: dns.name.Name) -> str:
    """The name under which a zone's rows are kept."""
    return zone.canonicalize().to_text()


# --- zones ------------------------------------------------------------------------------


def add_zone(db: sqlite3.Connection, zone: dns.name.Name) -> None:
    db.execute("INSERT OR IGNORE INTO zones (zone) VALUES (?)", (zone_text(zone),))


def highest_ttl(db: sqlite3.Connection, zone: dns.name.Name) -> int:
    row = db.execute("SELECT highest_ttl FROM zones WHERE zone = ?", (zone_text(zone),)).fetchone()
    return 0 if row is None else int(row[0])


def raise_highest_ttl(db: sqlite3.Connection, zone: dns.name.Name, ttl: int) -> None:
    add_zone(db, zone)
    db.execute(
        "UPDATE zones SET highest_ttl = max(highest_ttl, ?) WHERE zone = ?", (ttl, zone_text(zone))
    )


# --- serials and versions ---------------------------------------------------------------


def reserved_serial(db: sqlite3.Connection, zone: dns.name.Name, variant: str) -> int | None:
    row = db.execute(
        "SELECT serial FROM serials WHERE zone = ? AND variant = ?", (zone_text(zone), variant)
    ).fetchone()
    return None if row is None else int(row[0])


def reserved_serials(db: sqlite3.Connection, zone: dns.name.Name) -> list[int]:
    """Of all variants of a name, also of those that are configured no more."""
    rows = db.execute("SELECT serial FROM serials WHERE zone = ?", (zone_text(zone),))
    return [int(serial) for (serial,) in rows]


def reserve_serial(
    db: sqlite3.Connection, zone: dns.name.Name, variant: str, serial: int | None
) -> None:
    """Set the reservation; None, or an older serial, gives one back that no content got."""
    key = (zone_text(zone), variant)
    if serial is None:
        db.execute("DELETE FROM serials WHERE zone = ? AND variant = ?", key)
    else:
        db.execute("INSERT OR REPLACE INTO serials VALUES (?, ?, ?)", (*key, serial))


@attrs.frozen
class Version:
    """A version that passed the gate. `at` is in Unix seconds."""

    serial: int
    digest: bytes
    made: int
    kept: int
    at: int


def add_version(
    db: sqlite3.Connection, zone: dns.name.Name, variant: str, version: Version
) -> None:
    """Raises sqlite3.IntegrityError when the serial has a content already."""
    key = (zone_text(zone), variant)
    db.execute("INSERT INTO versions VALUES (?, ?, ?, ?, ?, ?, ?)", (*key, *attrs.astuple(version)))
    db.execute(
        "DELETE FROM versions WHERE zone = ?1 AND variant = ?2 AND rowid NOT IN (SELECT rowid "
        "FROM versions WHERE zone = ?1 AND variant = ?2 ORDER BY rowid DESC LIMIT ?3)",
        (*key, _VERSIONS_KEPT),
    )


def last_version(db: sqlite3.Connection, zone: dns.name.Name, variant: str) -> Version | None:
    row = db.execute(
        "SELECT serial, digest, made, kept, at FROM versions WHERE zone = ? AND variant = ? "
        "ORDER BY rowid DESC LIMIT 1",
        (zone_text(zone), variant),
    ).fetchone()
    return None if row is None else Version(*row)


def has_version(db: sqlite3.Connection, zone: dns.name.Name) -> bool:
    """Whether a version of a zone was ever made, in any variant."""
    row = db.execute("SELECT 1 FROM versions WHERE zone = ? LIMIT 1", (zone_text(zone),))
    return row.fetchone() is not None


# --- observations, operations, acceptance, due times --------------------------------------


@attrs.frozen
class Observation:
    """`since` is in lived seconds; what `value` says depends on `what`."""

    what: str
    subject: str
    value: int
    since: float


def observe(db: sqlite3.Connection, zone: dns.name.Name, seen: Observation) -> None:
    """Record something seen; where it was seen before with the same value, `since` stays."""
    db.execute(
        "INSERT INTO observations VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE SET "
        "since = iif(value = excluded.value, since, excluded.since), value = excluded.value",
        (zone_text(zone), seen.what, seen.subject, seen.value, seen.since),
    )


def observe_again(db: sqlite3.Connection, zone: dns.name.Name, seen: Observation) -> None:
    """Record something seen, with the time of this sight whatever was seen before."""
    row = (zone_text(zone), seen.what, seen.subject, seen.value, seen.since)
    db.execute("INSERT OR REPLACE INTO observations VALUES (?, ?, ?, ?, ?)", row)


def unsee(db: sqlite3.Connection, zone: dns.name.Name, what: str, subject: str) -> None:
    db.execute(
        "DELETE FROM observations WHERE zone = ? AND what = ? AND subject = ?",
        (zone_text(zone), what, subject),
    )


def observations(db: sqlite3.Connection, zone: dns.name.Name) -> tuple[Observation, ...]:
    rows = db.execute(
        "SELECT what, subject, value, since FROM observations WHERE zone = ?", (zone_text(zone),)
    )
    return tuple(Observation(*row) for row in rows)


def begin(db: sqlite3.Connection, zone: dns.name.Name, what: str, detail: str, at: int) -> None:
    db.execute(
        "INSERT OR REPLACE INTO operations VALUES (?, ?, ?, ?)", (zone_text(zone), what, detail, at)
    )


def begun(db: sqlite3.Connection, zone: dns.name.Name, what: str) -> str | None:
    row = db.execute(
        "SELECT detail FROM operations WHERE zone = ? AND what = ?", (zone_text(zone), what)
    ).fetchone()
    return None if row is None else str(row[0])


def all_begun(db: sqlite3.Connection, zone: dns.name.Name) -> dict[str, str]:
    """What was begun and not confirmed, with its detail, oldest first."""
    rows = db.execute(
        "SELECT what, detail FROM operations WHERE zone = ? ORDER BY rowid", (zone_text(zone),)
    )
    return {str(what): str(detail) for what, detail in rows}


def confirm(db: sqlite3.Connection, zone: dns.name.Name, what: str) -> None:
    db.execute("DELETE FROM operations WHERE zone = ? AND what = ?", (zone_text(zone), what))


def accept(db: sqlite3.Connection, zone: dns.name.Name, variant: str, token: str, at: int) -> None:
    db.execute(
        "INSERT OR REPLACE INTO accepted VALUES (?, ?, ?, ?)", (zone_text(zone), variant, token, at)
    )


def accepted(db: sqlite3.Connection, zone: dns.name.Name, variant: str) -> str | None:
    row = db.execute(
        "SELECT token FROM accepted WHERE zone = ? AND variant = ?", (zone_text(zone), variant)
    ).fetchone()
    return None if row is None else str(row[0])


def set_due(db: sqlite3.Connection, zone: dns.name.Name, what: str, at: int | None) -> None:
    key = (zone_text(zone), what)
    if at is None:
        db.execute("DELETE FROM due WHERE zone = ? AND what = ?", key)
    else:
        db.execute("INSERT OR REPLACE INTO due VALUES (?, ?, ?)", (*key, at))


def due_times(db: sqlite3.Connection, zone: dns.name.Name) -> dict[str, int]:
    rows = db.execute("SELECT what, at FROM due WHERE zone = ?", (zone_text(zone),))
    return {str(what): int(at) for what, at in rows}


# --- time -------------------------------------------------------------------------------


def load_lived(db: sqlite3.Connection) -> Lived | None:
    row = db.execute("SELECT wall, boot, boot_id, synchronised, lived FROM clock").fetchone()
    if row is None:
        return None
    wall, boot, boot_id, synchronised, lived = row
    sure = db.execute("SELECT wall, lived, boot_id FROM sure_clock").fetchone()
    return Lived(
        Reading(wall, boot, boot_id, bool(synchronised)),
        lived,
        sure=None if sure is None else Sure(*sure),
    )


def save_lived(db: sqlite3.Connection, lived: Lived) -> None:
    reading = lived.reading
    db.execute(
        "INSERT OR REPLACE INTO clock VALUES (1, ?, ?, ?, ?, ?)",
        (reading.wall, reading.boot, reading.boot_id, reading.synchronised, lived.seconds),
    )
    if lived.sure is not None:
        db.execute(
            "INSERT OR REPLACE INTO sure_clock VALUES (1, ?, ?, ?)", attrs.astuple(lived.sure)
        )


# --- audit ------------------------------------------------------------------------------


@attrs.frozen
class AuditEntry:
    """Who did what to which zone. `at` is in Unix seconds."""

    at: int
    zone: str
    actor: str
    action: str
    detail: str


def audit(
    db: sqlite3.Connection, at: int, zone: dns.name.Name, actor: str, action: str, detail: str
) -> None:
    db.execute(
        "INSERT INTO audit (at, zone, actor, action, detail) VALUES (?, ?, ?, ?, ?)",
        (at, zone_text(zone), actor, action, detail),
    )


def audit_log(
    db: sqlite3.Connection, zone: dns.name.Name | None = None, limit: int = 1000
) -> tuple[AuditEntry, ...]:
    """The last entries, oldest first; of one zone, or of all."""
    where, of = ("", ()) if zone is None else ("WHERE zone = ? ", (zone_text(zone),))
    rows = db.execute(
        f"SELECT at, zone, actor, action, detail FROM audit {where}ORDER BY id DESC LIMIT ?",  # noqa: S608 - our own words
        (*of, limit),
    )
    return tuple(reversed([AuditEntry(*row) for row in rows]))
