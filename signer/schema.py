"""The tables of the state database. A change of them is a new VERSION and a migration."""

VERSION = 4

_SURE_CLOCK = """
-- When the wall clock was last disciplined, in Unix and in lived seconds.
CREATE TABLE sure_clock (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    wall INTEGER NOT NULL,
    lived REAL NOT NULL,
    boot_id TEXT NOT NULL
) STRICT;
"""

_DENIALS_AND_FOREIGN = """
-- Kinds of denial of existence that are published or may be cached; '' is NSEC.
CREATE TABLE denials (
    zone TEXT NOT NULL REFERENCES zones (zone),
    nsec3 TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('hidden', 'rumoured', 'omnipresent', 'unretentive')),
    since REAL NOT NULL,
    ttl INTEGER NOT NULL,
    position INTEGER NOT NULL,
    PRIMARY KEY (zone, nsec3)
) STRICT;

-- DNSKEY records of other signers of the zone (RFC 8901).
CREATE TABLE foreign_keys (
    zone TEXT NOT NULL REFERENCES zones (zone),
    dnskey BLOB NOT NULL,
    goal TEXT NOT NULL CHECK (goal IN ('omnipresent', 'hidden')),
    state TEXT NOT NULL CHECK (state IN ('hidden', 'rumoured', 'omnipresent', 'unretentive')),
    since REAL NOT NULL,
    ttl INTEGER NOT NULL,
    PRIMARY KEY (zone, dnskey)
) STRICT;
"""

_ANNOUNCED = """
ALTER TABLE foreign_keys ADD COLUMN announced INTEGER NOT NULL DEFAULT 0;
"""

TABLES = (
    """
CREATE TABLE zones (
    zone TEXT PRIMARY KEY,
    highest_ttl INTEGER NOT NULL DEFAULT 0,
    insecure INTEGER NOT NULL DEFAULT 0,
    held TEXT,
    algorithm INTEGER
) STRICT;

CREATE TABLE keys (
    zone TEXT NOT NULL REFERENCES zones (zone),
    fingerprint TEXT NOT NULL,
    role TEXT NOT NULL CHECK (role IN ('CSK', 'KSK', 'ZSK')),
    dnskey BLOB NOT NULL,
    created INTEGER NOT NULL,
    position INTEGER NOT NULL,
    goal TEXT NOT NULL DEFAULT 'omnipresent' CHECK (goal IN ('omnipresent', 'hidden')),
    predecessor TEXT,
    successor TEXT,
    standby INTEGER NOT NULL DEFAULT 0,
    lost INTEGER NOT NULL DEFAULT 0,
    retire INTEGER NOT NULL DEFAULT 0,
    active_since REAL,
    removed_since REAL,
    PRIMARY KEY (zone, fingerprint)
) STRICT;

CREATE TABLE key_records (
    zone TEXT NOT NULL,
    fingerprint TEXT NOT NULL,
    record TEXT NOT NULL CHECK (record IN ('DNSKEY', 'ZRRSIG', 'KRRSIG', 'DS')),
    state TEXT NOT NULL CHECK (state IN ('hidden', 'rumoured', 'omnipresent', 'unretentive')),
    since REAL NOT NULL,
    ttl INTEGER NOT NULL,
    partial INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (zone, fingerprint, record),
    FOREIGN KEY (zone, fingerprint) REFERENCES keys (zone, fingerprint)
) STRICT;

"""
    + _DENIALS_AND_FOREIGN
    + _SURE_CLOCK
    + _ANNOUNCED
    + """
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
)

_NEW_COLUMNS = """
ALTER TABLE zones ADD COLUMN insecure INTEGER NOT NULL DEFAULT 0;
ALTER TABLE zones ADD COLUMN held TEXT;
ALTER TABLE zones ADD COLUMN algorithm INTEGER;
ALTER TABLE keys ADD COLUMN goal TEXT NOT NULL DEFAULT 'omnipresent'
    CHECK (goal IN ('omnipresent', 'hidden'));
ALTER TABLE key_records ADD COLUMN partial INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN predecessor TEXT;
ALTER TABLE keys ADD COLUMN successor TEXT;
ALTER TABLE keys ADD COLUMN standby INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN retire INTEGER NOT NULL DEFAULT 0;
ALTER TABLE keys ADD COLUMN active_since REAL;
ALTER TABLE keys ADD COLUMN removed_since REAL;
"""

_EVIDENCE_BY_RECORD = """
-- What was seen of a key is from now on seen of each of its records.
INSERT OR IGNORE INTO observations
    SELECT o.zone, 'first:shown', o.subject || ' ' || r.record, o.value, o.since
    FROM observations o JOIN key_records r
    ON r.zone = o.zone AND o.subject LIKE '% ' || r.fingerprint AND r.record <> 'DS'
    WHERE o.what = 'first:';
INSERT OR IGNORE INTO observations
    SELECT o.zone, 'shown', o.subject || ' ' || r.record, 1, o.since
    FROM observations o JOIN key_records r
    ON r.zone = o.zone AND o.subject = r.fingerprint AND r.record <> 'DS'
    WHERE o.what = 'published';
INSERT OR IGNORE INTO observations
    SELECT zone, 'shown', subject || ' DS', 1, since FROM observations WHERE what = 'ds';
DELETE FROM observations WHERE what IN ('first:', 'published', 'ds');
"""

_SURE_OF_LAST_READING = """
INSERT INTO sure_clock SELECT 1, wall, lived, boot_id FROM clock WHERE synchronised;
"""

#: From each earlier version to the one after it: statements that run in one transaction.
MIGRATIONS = {
    1: (_NEW_COLUMNS, _DENIALS_AND_FOREIGN, _EVIDENCE_BY_RECORD),
    2: (_SURE_CLOCK, _SURE_OF_LAST_READING),
    3: (_ANNOUNCED,),
}
