-- Times are microseconds since 1970 (UTC). `checksum`: first 8 bytes of SHA-256, see buffer/sqlite/row.rs.

-- Tills and devices by number, with the figures of each; the default device of a till bears the till's name.
CREATE TABLE names (
    n         INTEGER PRIMARY KEY,
    name      TEXT    NOT NULL UNIQUE,
    till      INTEGER NOT NULL,
    device    INTEGER NOT NULL,
    last_fd   INTEGER,
    unprinted INTEGER NOT NULL,
    pending   INTEGER NOT NULL,
    synced    INTEGER NOT NULL,
    dead      INTEGER NOT NULL,
    resolved  INTEGER NOT NULL,
    cancelled INTEGER NOT NULL
) STRICT;

-- What stays for ever. Narrow on purpose: a settled batch rewrites these rows only.
CREATE TABLE documents (
    seq           INTEGER PRIMARY KEY,
    id            BLOB    NOT NULL,
    key_hash      INTEGER NOT NULL,
    key           TEXT    NOT NULL,
    kind          INTEGER NOT NULL,
    pos           INTEGER NOT NULL,
    device        INTEGER NOT NULL,
    state         INTEGER NOT NULL,
    hash          BLOB    NOT NULL,
    notes         TEXT,
    fiscal        TEXT,
    fd            INTEGER,
    attempts      INTEGER NOT NULL,
    last_error    TEXT,
    confirmation  TEXT,
    created_at    INTEGER NOT NULL,
    printed_at    INTEGER,
    ended_at      INTEGER,
    resolved_at   INTEGER,
    resolved_note TEXT,
    kept          INTEGER NOT NULL,
    checksum      INTEGER NOT NULL
) STRICT;

CREATE UNIQUE INDEX documents_id ON documents (id);
CREATE INDEX documents_key ON documents (key_hash);
CREATE INDEX documents_pos ON documents (pos);
-- States: 0 accepted, 1 printing, 2 buffered, 3 printed, 4 print_unknown, 5 synced, 6 dead, 7 cancelled.
CREATE INDEX documents_open ON documents (state, device) WHERE state <> 5;
CREATE INDEX documents_lane ON documents (device, fd) WHERE state = 3;
CREATE INDEX documents_unconfirmed ON documents (printed_at)
    WHERE state = 3 OR (state = 6 AND resolved_at IS NULL);
CREATE INDEX documents_prunable ON documents (state, ended_at) WHERE kept = 1 AND ended_at IS NOT NULL;

-- What the retention removes: whole pages of it become free.
CREATE TABLE bodies (seq INTEGER PRIMARY KEY, body BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;
CREATE TABLE wires  (seq INTEGER PRIMARY KEY, wire BLOB NOT NULL, checksum INTEGER NOT NULL) STRICT;

-- `subject` is the id of a document (16 bytes) or a name such as breaker:ofd.
CREATE TABLE audit (
    seq     INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    subject ANY     NOT NULL,
    action  TEXT    NOT NULL,
    actor   TEXT    NOT NULL,
    detail  TEXT    NOT NULL
) STRICT;

CREATE INDEX audit_subject ON audit (subject);

-- What failed its checksum. A damaged document row stays where it is, since taking it out of indexes that no
-- longer agree with it would fail; it is out of the figures, and its name stays taken.
CREATE TABLE damaged (
    seq      INTEGER NOT NULL,
    part     TEXT    NOT NULL,
    id       ANY,
    key_hash ANY,
    key      ANY,
    state    ANY,
    found_at INTEGER NOT NULL,
    PRIMARY KEY (seq, part)
) STRICT, WITHOUT ROWID;
