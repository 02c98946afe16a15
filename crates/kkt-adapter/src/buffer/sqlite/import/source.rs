//! The old file. It is copied with its WAL, and the copy is read: SQLite writes beside a database in WAL mode even to
//! read it.

use super::{
    ImportError,
    translate::{Letter, Old},
};
use crate::{
    buffer::sqlite::{folder::beside, schema, store::Fault},
    domain::entry::{Actor, AuditEvent},
};
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, Row, types::Value};
use std::{
    collections::{BTreeMap, HashSet},
    fs, io,
    path::Path,
};

/// Longest metadata of an old event that is kept, in characters.
const DETAIL_MAX: usize = 1_000;

/// Columns of `receipts` that there must be.
const COLUMNS: [&str; 10] = [
    "id",
    "pos_id",
    "created_at",
    "hlc_local_time",
    "hlc_logical_counter",
    "fiscal_doc",
    "status",
    "retry_count",
    "last_error",
    "synced_at",
];

/// A copy of the old file, open.
pub(super) struct Source {
    conn: Connection,
    has_events: bool,
    has_letters: bool,
    _copy: tempfile::TempDir,
}

impl Source {
    pub(super) fn open(path: &Path) -> Result<Self, ImportError> {
        let refuse = |why: String| ImportError::Source { path: path.to_owned(), why };
        let unreadable = |error: io::Error| refuse(format!("cannot be read: {error}"));
        if path.is_dir() {
            return Err(refuse("is a folder; name the file buffer.db in it".into()));
        }
        let file = fs::File::open(path).map_err(unreadable)?;
        if let Some(process) = in_use(&file) {
            return Err(refuse(format!("is open in process {process}; stop the old adapter first")));
        }
        let copy = tempfile::tempdir().map_err(unreadable)?;
        let target = copy.path().join("buffer.db");
        fs::copy(path, &target).map_err(unreadable)?;
        let wal = beside(path, "-wal");
        if wal.exists() {
            fs::copy(&wal, beside(&target, "-wal")).map_err(unreadable)?;
        }
        writable(&target).map_err(unreadable)?;
        let sqlite = |error: rusqlite::Error| refuse(format!("is not a database that can be read: {error}"));
        let conn = Connection::open_with_flags(&target, OpenFlags::SQLITE_OPEN_READ_WRITE).map_err(sqlite)?;
        let owner: i64 = conn.query_row("PRAGMA application_id", [], |row| row.get(0)).map_err(sqlite)?;
        if owner == schema::APPLICATION_ID {
            return Err(refuse(
                "is a buffer of this adapter, not of the Python one; there is nothing to import".into(),
            ));
        }
        let found = columns(&conn, "receipts").map_err(sqlite)?;
        let missing: Vec<_> = COLUMNS.into_iter().filter(|column| !found.contains(*column)).collect();
        if !missing.is_empty() {
            return Err(refuse(format!(
                "is not the buffer of the Python adapter: its table receipts has no {}",
                missing.join(", ")
            )));
        }
        let events = columns(&conn, "buffer_events").map_err(sqlite)?;
        let has_events =
            ["id", "event_type", "receipt_id", "timestamp"].iter().all(|name| events.contains(*name));
        if has_events {
            conn.execute_batch("CREATE INDEX kkt_events ON buffer_events (receipt_id)").map_err(sqlite)?;
        }
        let has_letters = !columns(&conn, "dlq").map_err(sqlite)?.is_empty();
        Ok(Self { conn, has_events, has_letters, _copy: copy })
    }

    /// Hands every receipt, in the order of its clock, and then every letter without one to `each`; a row that cannot be
    /// read as a problem. Says where reading stopped, if it did.
    pub(super) fn rows(
        &self,
        mut each: impl FnMut(Result<Old, String>) -> Result<(), Fault>,
    ) -> Result<Option<String>, Fault> {
        let (letters, stop) = self.letters();
        let (mut letters, mut left) = match stop {
            None => (letters, None),
            Some(error) => (letters, Some(format!("dlq: reading stopped: {error}"))),
        };
        let sql = format!(
            "SELECT rowid, {} FROM receipts ORDER BY hlc_local_time, hlc_logical_counter, rowid",
            COLUMNS.join(", ")
        );
        let stopped = |error: rusqlite::Error| format!("receipts: reading stopped: {error}");
        match self.conn.prepare(&sql) {
            Err(error) => left = Some(stopped(error)),
            Ok(mut statement) => {
                let mut rows = statement.query([])?;
                loop {
                    match rows.next() {
                        Ok(Some(row)) => each(receipt(row, &mut letters))?,
                        Ok(None) => break,
                        Err(error) => {
                            left = Some(stopped(error));
                            break;
                        }
                    }
                }
            }
        }
        for letter in letters.into_values() {
            each(orphan(letter))?;
        }
        Ok(left)
    }

    /// The dead letters by the receipt each is about.
    fn letters(&self) -> (BTreeMap<String, Letter>, Option<rusqlite::Error>) {
        let mut letters = BTreeMap::new();
        if !self.has_letters {
            return (letters, None);
        }
        let mut read = || {
            let mut statement = self.conn.prepare("SELECT rowid, * FROM dlq ORDER BY rowid")?;
            let mut rows = statement.query([])?;
            while let Some(row) = rows.next()? {
                let letter = letter(row)?;
                letters.insert(letter.receipt_id.clone(), letter);
            }
            Ok(())
        };
        let stop = read().err();
        (letters, stop)
    }

    /// What the old adapter noted about a receipt, as lines of the audit about `subject`.
    pub(super) fn events(&self, id: &str, subject: &str) -> Result<Vec<AuditEvent>, Fault> {
        if !self.has_events {
            return Ok(Vec::new());
        }
        let sql = "SELECT * FROM buffer_events WHERE receipt_id = ? ORDER BY id";
        let mut statement = self.conn.prepare_cached(sql)?;
        let mut rows = statement.query([id])?;
        let mut lines = Vec::new();
        // History: what cannot be read of it is left, the receipt is what counts.
        while let Ok(Some(row)) = rows.next() {
            let at = whole(row, "timestamp").and_then(|at| Timestamp::from_second(at).ok());
            lines.push(AuditEvent {
                at: at.unwrap_or(Timestamp::UNIX_EPOCH),
                subject: subject.to_owned(),
                action: string(row, "event_type").unwrap_or_default(),
                actor: Actor("python-adapter".into()),
                detail: string(row, "metadata").unwrap_or_default().chars().take(DETAIL_MAX).collect(),
            });
        }
        Ok(lines)
    }
}

/// A copy of a read-only file is read-only too, and SQLite brings its WAL into it.
fn writable(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))
}

/// The process that has the file open as a database: SQLite in WAL mode holds a lock on it all the while.
fn in_use(file: &fs::File) -> Option<i32> {
    use rustix::process::{Flock, FlockOffsetType, FlockType, fcntl_getlk};
    // The bytes that SQLite locks: PENDING_BYTE, RESERVED_BYTE and the 510 of SHARED_FIRST.
    let lock = Flock {
        start: 0x4000_0000,
        length: 512,
        pid: None,
        typ: FlockType::WriteLock,
        offset_type: FlockOffsetType::Set,
    };
    let held = fcntl_getlk(file, &lock).ok()??;
    Some(held.pid.map_or(0, |pid| pid.as_raw_nonzero().get()))
}

fn columns(conn: &Connection, table: &str) -> rusqlite::Result<HashSet<String>> {
    conn.prepare("SELECT name FROM pragma_table_info(?)")?.query_map([table], |row| row.get(0))?.collect()
}

fn receipt(row: &Row<'_>, letters: &mut BTreeMap<String, Letter>) -> Result<Old, String> {
    let rowid = whole(row, "rowid").unwrap_or_default();
    let Some(id) = string(row, "id") else {
        return Err(format!("receipts, row {rowid}: it has no id; it stays in the old file"));
    };
    Ok(Old {
        rowid,
        table: "receipts",
        letter: letters.remove(&id),
        pos_id: string(row, "pos_id").unwrap_or_default(),
        created_at: moment(row, "created_at"),
        hlc: whole(row, "hlc_local_time").zip(whole(row, "hlc_logical_counter")),
        fiscal_doc: string(row, "fiscal_doc").unwrap_or_default(),
        status: string(row, "status").unwrap_or_default(),
        retry_count: whole(row, "retry_count").unwrap_or_default(),
        last_error: string(row, "last_error"),
        synced_at: moment(row, "synced_at"),
        id,
    })
}

fn letter(row: &Row<'_>) -> rusqlite::Result<Letter> {
    let rowid: i64 = row.get(0)?;
    let own = string(row, "id");
    let receipt_id = ["original_receipt_id", "receipt_id"].iter().find_map(|name| string(row, name)).or(own);
    Ok(Letter {
        rowid,
        receipt_id: receipt_id.unwrap_or_else(|| format!("row {rowid} of dlq")),
        pos_id: string(row, "pos_id"),
        at: moment(row, "failed_at").or_else(|| moment(row, "created_at")),
        hlc: whole(row, "hlc_local_time").zip(whole(row, "hlc_logical_counter")),
        reason: string(row, "reason"),
        fiscal_doc: string(row, "fiscal_doc"),
        attempts: whole(row, "retry_attempts").or_else(|| whole(row, "retry_count")).unwrap_or_default(),
        last_error: string(row, "last_error"),
        resolved_at: moment(row, "resolved_at"),
        resolved_by: string(row, "resolved_by"),
    })
}

/// A letter whose receipt is no longer in the table.
fn orphan(letter: Letter) -> Result<Old, String> {
    Ok(Old {
        rowid: letter.rowid,
        table: "dlq",
        id: letter.receipt_id.clone(),
        pos_id: letter.pos_id.clone().unwrap_or_default(),
        created_at: letter.at,
        hlc: letter.hlc,
        fiscal_doc: letter.fiscal_doc.clone().unwrap_or_default(),
        status: "failed".into(),
        retry_count: letter.attempts,
        last_error: None,
        synced_at: None,
        letter: Some(letter),
    })
}

/// A text; numbers as text, bytes that are no UTF-8 with marks in their place.
fn string(row: &Row<'_>, column: &str) -> Option<String> {
    match row.get::<_, Value>(column).ok()? {
        Value::Text(text) => Some(text),
        Value::Integer(number) => Some(number.to_string()),
        Value::Real(number) => Some(number.to_string()),
        Value::Blob(bytes) => Some(String::from_utf8_lossy(&bytes).into_owned()),
        Value::Null => None,
    }
}

fn whole(row: &Row<'_>, column: &str) -> Option<i64> {
    match row.get::<_, Value>(column).ok()? {
        Value::Integer(number) => Some(number),
        // A time stamp with its fraction; the cast saturates.
        Value::Real(number) if number.is_finite() => Some(number as i64),
        Value::Text(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// Seconds since 1970, or a text of RFC 3339.
fn moment(row: &Row<'_>, column: &str) -> Option<Timestamp> {
    let seconds = whole(row, column).and_then(|seconds| Timestamp::from_second(seconds).ok());
    seconds.or_else(|| string(row, column)?.parse().ok())
}
