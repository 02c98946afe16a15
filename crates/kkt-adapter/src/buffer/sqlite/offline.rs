//! Tools for the folder of an adapter that is stopped: they take its lock, so a running one refuses them.

use super::{
    checkup, folder,
    names::Names,
    open,
    options::{OpenError, SqliteOptions},
    read,
    row::{self, Damage, Part, select},
    schema,
};
use crate::{buffer::rules::Document, domain::receipt::Receipt, ports::Counts};
use rusqlite::{Connection, OpenFlags};
use serde_json::json;
use std::{
    io::{self, Write},
    path::Path,
};

/// What a full check found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Report {
    /// Documents whose row and parts passed their checksums.
    pub good: u64,
    /// Faults, one line each, at most 100 of them.
    pub faults: Vec<String>,
    /// All faults.
    pub fault_count: u64,
}

/// The figures as they are stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OfflineStats {
    /// Over all tills.
    pub total: Counts,
    /// Dead letters that a person closed.
    pub resolved: u64,
    /// Documents or parts that were set aside.
    pub damaged: u64,
    /// Bytes of the database and of its WAL.
    pub size_bytes: u64,
}

const FAULTS_MAX: usize = 100;

pub(super) struct Stopped {
    pub conn: Connection,
    pub lock: folder::Lock,
}

/// Takes the lock and opens the file as it is.
pub(super) fn stopped(path: &Path) -> Result<Stopped, OpenError> {
    if !path.is_file() {
        let source = io::Error::from(io::ErrorKind::NotFound);
        return Err(OpenError::Unusable { path: path.to_owned(), source });
    }
    let lock = folder::lock(path)?;
    let conn = open::connect(&SqliteOptions::new(path), OpenFlags::SQLITE_OPEN_READ_WRITE)
        .map_err(|error| sqlite(path, &error))?;
    let found = schema::version(&conn).map_err(|error| sqlite(path, &error))?;
    let known = schema::MIGRATIONS.len() as i64;
    if found > known {
        return Err(OpenError::Newer { path: path.to_owned(), found, known });
    }
    Ok(Stopped { conn, lock })
}

fn sqlite(path: &Path, error: &rusqlite::Error) -> OpenError {
    OpenError::Sqlite { path: path.to_owned(), message: error.to_string() }
}

/// Checks the structure of the file and every checksum; changes nothing.
///
/// # Errors
/// [`OpenError`] if it cannot be opened at all, or is in use.
pub fn verify(path: &Path) -> Result<Report, OpenError> {
    let store = stopped(path)?;
    let mut report = Report::default();
    let mut fault = |text: String| {
        report.fault_count += 1;
        if report.faults.len() < FAULTS_MAX {
            report.faults.push(text);
        }
    };
    match checkup::full_check(&store.conn) {
        Ok(None) => {}
        Ok(Some(text)) => fault(text),
        Err(error) => fault(error.to_string()),
    }
    let mut good = 0;
    let scanned = scan(&store.conn, |found| match found {
        Ok(_) => good += 1,
        Err(damage) => fault(format!("row {}: {} damaged", damage.seq, damage.part.as_str())),
    });
    if let Err(error) = scanned {
        fault(format!("reading stopped: {error}"));
    }
    report.good = good;
    Ok(report)
}

/// Writes every readable document as a line of JSON, oldest first; says how many, and how many were damaged.
///
/// # Errors
/// [`io::Error`] of the writer; a store that cannot be opened or read becomes one too, with its text.
pub fn export(path: &Path, out: &mut dyn Write) -> io::Result<(u64, u64)> {
    let store = stopped(path).map_err(io::Error::other)?;
    let (mut written, mut damaged) = (0, 0);
    let mut failure = None;
    scan(&store.conn, |found| {
        if failure.is_some() {
            return;
        }
        match found {
            Err(_) => damaged += 1,
            Ok((document, receipt, wire)) => {
                let line = line(&document, receipt.as_ref(), wire.as_deref());
                match writeln!(out, "{line}") {
                    Ok(()) => written += 1,
                    Err(error) => failure = Some(error),
                }
            }
        }
    })
    .map_err(io::Error::other)?;
    match failure {
        Some(error) => Err(error),
        None => out.flush().map(|()| (written, damaged)),
    }
}

fn line(document: &Document, receipt: Option<&Receipt>, wire: Option<&[u8]>) -> serde_json::Value {
    let hash: String = document.hash.0.iter().map(|byte| format!("{byte:02x}")).collect();
    json!({
        "receipt_id": document.id,
        "key": document.key,
        "document": document.kind.as_str(),
        "pos_id": document.pos_id,
        "device": document.device,
        "state": document.state.as_str(),
        "body_sha256": hash,
        "receipt": receipt,
        "notes": document.notes,
        "request_id": document.request_id,
        "fiscal_doc": document.fiscal,
        "attempts": document.attempts,
        "last_error": document.last_error,
        "confirmation": document.confirmation,
        "created_at": document.created_at,
        "printed_at": document.printed_at,
        "ended_at": document.ended_at,
        "resolved_at": document.resolved.as_ref().map(|(at, _)| at),
        "resolved_note": document.resolved.as_ref().map(|(_, note)| note),
        "wire": wire.map(String::from_utf8_lossy),
    })
}

/// The figures of the store.
///
/// # Errors
/// [`OpenError`] if it cannot be opened, or is in use.
pub fn stats(path: &Path) -> Result<OfflineStats, OpenError> {
    let store = stopped(path)?;
    let names = Names::load(&store.conn).map_err(|error| sqlite(path, &error))?;
    let damaged: i64 = store
        .conn
        .query_row("SELECT count(*) FROM damaged", [], |row| row.get(0))
        .map_err(|error| sqlite(path, &error))?;
    let tally = names.books().total();
    let size = |path: &Path| path.metadata().map_or(0, |meta| meta.len());
    Ok(OfflineStats {
        total: tally.counts,
        resolved: tally.resolved,
        damaged: u64::try_from(damaged).unwrap_or(0),
        size_bytes: size(path) + size(&folder::beside(path, "-wal")),
    })
}

type Whole = (Document, Option<Receipt>, Option<Vec<u8>>);

/// Reads every document with its parts; hands each whole one and each damage to `each`.
fn scan(conn: &Connection, mut each: impl FnMut(Result<Whole, Damage>)) -> rusqlite::Result<()> {
    let mut statement = conn.prepare(select!(; "FROM documents d NOT INDEXED ORDER BY d.seq"))?;
    let mut rows = statement.query([])?;
    while let Some(found) = rows.next()? {
        let (seq, document) = match row::read(found)? {
            Ok(read) => read,
            Err(damage) => {
                each(Err(damage));
                continue;
            }
        };
        let (id, body) = (document.id, read::body(conn, seq, document.id)?);
        let wire = read::bytes(conn, Part::Wire, seq, id)?;
        each(body.and_then(|receipt| wire.map(|wire| (document, receipt, wire))));
    }
    Ok(())
}
