"""The tables of the state database. A change of them is a new VERSION and a migration."""

VERSION = 1

TABLES = """
CREATE TABLE zones (
    zone TEXT PRIMARY KEY,
    highest_ttl INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE TABLE keys (
    zone TEXT NOT NULL REFERENCES zones (zone),
    fingerprint TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('CSK', 'KSK', 'ZSK')),
    dnskey BLOB NOT NULL,
    created INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (zone, fingerprint)
) STRICT;

CREATE TABLE key_records (
    zone TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    record TEXT NOT NULL CHECK (record IN ('DNSKEY', 'ZRRSIG', 'KRRSIG', 'DS')),
    state TEXT NOT NULL CHECK (state IN ('hidden', 'rumoured', 'omnipresent', 'unretentive')),
    since REAL NOT NULL,
    ttl INTEGER NOT NULL,
    PRIMARY KEY (zone, fingerprint, record),
    FOREIGN KEY (zone, fingerprint) REFERENCES keys (zone, fingerprint)
) STRICT;

CREATE TABLE tags_used (
    zone TEXT NOT NULL,
    tag INTEGER NOT NULL,
    PRIMARY KEY (zone, tag)
) STRICT;

-- The last serial reserved for each version of a zone: no content may get it, or one before
-- it, unless the reservation was given back.
CREATE TABLE serials (
    zone TEXT NOT NULL,
    variant TEXT NOT NULL,
    serial INTEGER NOT NULL,
    PRIMARY KEY (zone, variant)
) STRICT;

CREATE TABLE versions (
    zone TEXT NOT NULL,
    variant TEXT NOT NULL,
    serial INTEGER NOT NULL,
    digest BLOB NOT NULL,
    made INTEGER NOT NULL,
    kept INTEGER NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (zone, variant, serial)
) STRICT;

-- What was seen, and since when in lived seconds.
CREATE TABLE observations (
    zone TEXT NOT NULL,
    what TEXT NOT NULL,
    subject TEXT NOT NULL,
    value INTEGER NOT NULL,
    since REAL NOT NULL,
    PRIMARY KEY (zone, what, subject)
) STRICT;

-- Steps that were begun and not confirmed; a start finishes them.
CREATE TABLE operations (
    zone TEXT NOT NULL,
    what TEXT NOT NULL,
    detail TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (zone, what)
) STRICT;

CREATE TABLE accepted (
    zone TEXT NOT NULL,
    variant TEXT NOT NULL,
    token TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (zone, variant)
) STRICT;

CREATE TABLE due (
    zone TEXT NOT NULL,
    what TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (zone, what)
) STRICT;

CREATE TABLE clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    wall INTEGER NOT NULL,
    boot REAL NOT NULL,
    boot_id TEXT NOT NULL,
    synchronised INTEGER NOT NULL,
    lived REAL NOT NULL
) STRICT;

CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    zone TEXT NOT NULL,
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    detail TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_zone ON audit (zone, id);

CREATE TRIGGER audit_is_never_changed BEFORE UPDATE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;

CREATE TRIGGER audit_is_never_shortened BEFORE DELETE ON audit
BEGIN SELECT RAISE(ABORT, 'the audit log is append-only'); END;
"""
