//! What can be read of a damaged database is copied into the new one, from both ends of each table towards the
//! damage. Runs to its end before the store serves; if it is cut, the next start begins it again (documents
//! that are there already are passed over). What the new file refuses is left in the old one: it keeps nobody from
//! selling (promise P8).

use super::{
    aside, folder, header, open,
    options::{OpenError, SqliteOptions},
    read,
    rescue::Rescue,
    row::{self, Damage, Part, PartBytes, select},
    shared::is_of_the_machine,
    store::{Fault, SEQ_MAX, Store},
};
use crate::{
    buffer::rules::Document,
    domain::entry::{Actor, AuditEvent},
    ports::{Clock, DAMAGE, damage_settled},
};
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, params, types::Value};
use std::{collections::BTreeSet, path::Path};

/// Rows that one transaction copies.
const SLICE: usize = 2_000;

/// What was saved.
#[derive(Debug, Default)]
struct Saved {
    documents: u64,
    damaged: u64,
    audit: u64,
    audit_lost: u64,
}

/// Copies from every database that waits for it.
pub(super) fn all(options: &SqliteOptions, mut store: Store, clock: &dyn Clock) -> Result<Store, OpenError> {
    for old in folder::to_be_salvaged(&options.path)? {
        store.now = clock.wall();
        let refused = |error: rusqlite::Error| OpenError::Sqlite {
            path: options.path.clone(),
            message: error.to_string(),
        };
        let saved = match one(options, &old, &mut store) {
            Err(error) if !is_of_the_machine(&error) => {
                // It would fail at each start: the shop sells without the rest of it, which stays in the old file.
                tracing::error!(old = %old.display(), %error, "copying the damaged database ended early");
                // Without a transaction there is nothing to roll back.
                let _ = store.conn.execute_batch("ROLLBACK");
                store = Store::load(store.conn).map_err(refused)?;
                Saved::default()
            }
            saved => saved.map_err(refused)?,
        };
        let left_at = folder::end_salvage(&options.path, &old)?;
        tracing::error!(
            documents = saved.documents,
            damaged = saved.damaged,
            audit_lines = saved.audit,
            audit_lines_lost = saved.audit_lost,
            old = %left_at.display(),
            "what could be read of the damaged database was copied into a new one"
        );
    }
    Ok(store)
}

fn one(options: &SqliteOptions, old: &Path, store: &mut Store) -> rusqlite::Result<Saved> {
    let mut saved = Saved::default();
    folder::cut_unreadable_wal(&options.path, old);
    let from = SqliteOptions { path: old.to_owned(), ..options.clone() };
    if let Err(error) = header::restore(old) {
        tracing::error!(old = %old.display(), %error, "the damaged database's header stays as it is");
    }
    // Not read-only: reading through a WAL that was left needs its index made.
    let Ok(conn) = open::connect(&from, OpenFlags::SQLITE_OPEN_READ_WRITE) else {
        finish(store, old, &saved)?;
        return Ok(saved);
    };
    // The audit first: what is set aside on the way writes lines of its own, which must not take the numbers of old ones.
    let mut lines = BTreeSet::new();
    for order in ["ASC", "DESC"] {
        audit(&conn, order, store, &mut lines, &mut saved)?;
    }
    let (mut seen, mut rescue) = (BTreeSet::new(), Rescue::new(&conn));
    for order in ["ASC", "DESC"] {
        documents(&conn, order, store, &mut seen, &mut rescue, &mut saved)?;
    }
    set_aside_before(&conn, store, &mut saved)?;
    last_fds(&conn, store);
    finish(store, old, &saved)?;
    Ok(saved)
}

fn begin(store: &Store) -> rusqlite::Result<()> {
    store.conn.execute_batch("BEGIN IMMEDIATE")
}

fn commit(store: &mut Store) -> rusqlite::Result<()> {
    let Store { names, conn, .. } = store;
    names.flush(conn).map_err(sql)?;
    store.moves.clear();
    store.conn.execute_batch("COMMIT")
}

fn sql(fault: Fault) -> rusqlite::Error {
    match fault {
        Fault::Sql(error) => error,
        Fault::Rule(_) => rusqlite::Error::QueryReturnedNoRows,
    }
}

/// Reads until the first fault of the old file; faults of the new one end it all.
fn documents(
    conn: &Connection,
    order: &str,
    store: &mut Store,
    seen: &mut BTreeSet<i64>,
    rescue: &mut Rescue,
    saved: &mut Saved,
) -> rusqlite::Result<()> {
    let query = format!("{} NOT INDEXED ORDER BY d.seq {order}", select!(; "FROM documents d"));
    let Ok(mut statement) = conn.prepare(&query) else { return Ok(()) };
    let Ok(mut rows) = statement.query([]) else { return Ok(()) };
    begin(store)?;
    while let Ok(Some(found)) = rows.next() {
        let Ok(read) = row::read(found) else { break };
        let seq = match &read {
            Ok((seq, _)) => *seq,
            Err(damage) => damage.seq,
        };
        if !seen.insert(seq) {
            break;
        }
        let document = match read {
            Ok((_, document)) => Some(document),
            Err(_) => rescue.document(conn, seq),
        };
        let copied = match document {
            Some(document) => document_with_parts(conn, store, seq, &document, saved),
            None => claim(conn, store, seq, saved),
        };
        match copied {
            Err(error) if !is_of_the_machine(&error) => {
                tracing::error!(row = seq, %error, "a document of the damaged database cannot be copied");
                claim(conn, store, seq, saved)?;
            }
            copied => copied?,
        }
        if seen.len().is_multiple_of(SLICE) {
            commit(store)?;
            begin(store)?;
        }
    }
    commit(store)
}

fn document_with_parts(
    conn: &Connection,
    store: &mut Store,
    seq: i64,
    document: &Document,
    saved: &mut Saved,
) -> rusqlite::Result<()> {
    let there: bool = store
        .conn
        .prepare_cached("SELECT 1 FROM documents WHERE seq = ?1 OR id = ?2")?
        .exists(params![seq, document.id.0.as_bytes()])?;
    if there {
        return Ok(());
    }
    // What cannot be read is lost like what does not fit its checksum.
    let part = |part| read::bytes(conn, part, seq, document.id).ok().and_then(Result::ok);
    let (mut body, mut wire) = (part(Part::Body), part(Part::Wire));
    if wire.as_ref().is_some_and(|wire| wire.as_ref().is_some_and(|bytes| row::is_body(document, bytes))) {
        wire = None;
    } else if body == wire && matches!(wire, Some(Some(_))) {
        // The one table was read for the other.
        body = None;
    }
    // No checksum covers the place in the lane; a ФД number that differs from it would be a rotten one.
    let place = conn
        .prepare_cached("SELECT fd FROM documents WHERE seq = ?")
        .and_then(|mut s| s.query_row([seq], |row| row.get::<_, Option<i64>>(0)))
        .ok()
        .flatten()
        .filter(|place| *place < 0)
        .or(document.fd().map(i64::from));
    let losses = [(body.is_none(), Part::Body), (wire.is_none(), Part::Wire)];
    let body = body.flatten().map(|bytes| PartBytes::new(document.id, bytes));
    let seq = Some(seq).filter(|seq| *seq <= SEQ_MAX);
    let seq = store.insert_row(seq, document, body, wire.flatten().as_deref(), place).map_err(sql)?;
    saved.documents += 1;
    for (lost, part) in losses {
        if lost {
            store.set_aside(Damage { seq, part }).map_err(sql)?;
            saved.damaged += 1;
        }
    }
    Ok(())
}

/// What the old file knows of a document that failed its checksum: its names, which stay taken.
struct Claim {
    id: Value,
    key_hash: Value,
    key: Value,
    state: Value,
    found_at: i64,
}

impl Claim {
    /// Its columns from `first` on, each that can be read: a key that is no text any more must not cost the id.
    fn read(row: &Row<'_>, first: usize, found_at: i64) -> Self {
        let [id, key_hash, key, state] =
            [0, 1, 2, 3].map(|column| row.get(first + column).unwrap_or(Value::Null));
        Self { id, key_hash, key, state, found_at }
    }

    /// Notes it under a number below zero: it has no row in the new file, whose next document gets the number that it had.
    /// Says whether it is new there.
    fn store(&self, conn: &Connection, seq: i64) -> rusqlite::Result<bool> {
        const COLUMNS: &str = "INSERT OR IGNORE INTO damaged (part, id, key_hash, key, state, found_at, seq)";
        let Self { id, key_hash, key, state, found_at } = self;
        let number = seq.saturating_abs().saturating_neg();
        let values = params![id, key_hash, key, state, found_at, number];
        let under_its_number = conn
            .prepare_cached(&format!("{COLUMNS} VALUES ('document', ?, ?, ?, ?, ?, ?)"))?
            .execute(values)?;
        if under_its_number > 0 {
            return Ok(true);
        }
        // The number is taken by the same document, or by one of a file before.
        const SAME: &str =
            "SELECT 1 FROM damaged WHERE part = 'document' AND id IS ?1 AND key_hash IS ?2 AND key IS ?3";
        if conn.prepare_cached(&format!("{SAME} AND seq = ?4"))?.exists(params![id, key_hash, key, number])? {
            return Ok(false);
        }
        let elsewhere = conn
            .prepare_cached(&format!(
                "{COLUMNS} SELECT 'document', ?1, ?2, ?3, ?4, ?5, min(min(seq), ?6) - 1 FROM damaged \
                 HAVING NOT EXISTS ({SAME})"
            ))?
            .execute(values)?;
        Ok(elsewhere > 0)
    }
}

fn claim(conn: &Connection, store: &mut Store, seq: i64, saved: &mut Saved) -> rusqlite::Result<()> {
    let found_at = store.now.as_microsecond();
    let claim = conn
        .prepare_cached("SELECT id, key_hash, key, state FROM documents WHERE seq = ?")
        .and_then(|mut s| s.query_row([seq], |row| Ok(Claim::read(row, 0, found_at))));
    let claim = claim.unwrap_or_else(|_| {
        let [id, key_hash, key, state] = [const { Value::Null }; 4];
        Claim { id, key_hash, key, state, found_at }
    });
    if claim.store(&store.conn, seq)? {
        saved.damaged += 1;
        let damage = Damage { seq, part: Part::Document };
        store.record(&aside::line(&damage, store.now)).map_err(sql)?;
    }
    Ok(())
}

/// What was set aside before: of documents that an earlier salvage left no row, this is all that is known.
fn set_aside_before(conn: &Connection, store: &mut Store, saved: &mut Saved) -> rusqlite::Result<()> {
    let query = "SELECT seq, part, id, key_hash, key, state, found_at FROM damaged";
    let Ok(mut statement) = conn.prepare(query) else { return Ok(()) };
    let Ok(mut rows) = statement.query([]) else { return Ok(()) };
    begin(store)?;
    while let Ok(Some(found)) = rows.next() {
        let (Ok(seq), Ok(part)) = (found.get::<_, i64>(0), found.get::<_, String>(1)) else { continue };
        let claim = Claim::read(found, 2, found.get(6).unwrap_or_default());
        let is_whole = || {
            let sql = "SELECT 1 FROM documents WHERE id = ?";
            store.conn.prepare_cached(sql).and_then(|mut s| s.exists([&claim.id]))
        };
        if part == Part::Document.as_str() {
            if is_whole()? {
                continue;
            }
            saved.damaged += u64::from(claim.store(&store.conn, seq)?);
        } else if [Part::Body, Part::Wire].iter().any(|known| known.as_str() == part) {
            let Claim { id, key_hash, key, state, found_at } = claim;
            let copied = store
                .conn
                .prepare_cached(
                    "INSERT OR IGNORE INTO damaged (seq, part, id, key_hash, key, state, found_at) \
                     SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7 FROM documents WHERE seq = ?1 AND id IS ?3",
                )?
                .execute(params![seq, part, id, key_hash, key, state, found_at])?;
            saved.damaged += copied as u64;
        }
    }
    commit(store)
}

/// A line of the audit as its columns take it.
struct AuditLine {
    at: i64,
    subject: Value,
    action: String,
    actor: String,
    detail: String,
}

impl AuditLine {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            at: row.get(1)?,
            subject: row.get(2)?,
            action: row.get(3)?,
            actor: row.get(4)?,
            detail: row.get(5)?,
        })
    }
}

fn audit(
    conn: &Connection,
    order: &str,
    store: &mut Store,
    seen: &mut BTreeSet<i64>,
    saved: &mut Saved,
) -> rusqlite::Result<()> {
    let query = format!("SELECT seq, at, subject, action, actor, detail FROM audit ORDER BY seq {order}");
    let Ok(mut statement) = conn.prepare(&query) else { return Ok(()) };
    let Ok(mut rows) = statement.query([]) else { return Ok(()) };
    begin(store)?;
    while let Ok(Some(found)) = rows.next() {
        let Ok(seq) = found.get(0) else { break };
        if !seen.insert(seq) {
            break;
        }
        // One that rotted so far that it fits no column is lost.
        match AuditLine::read(found).and_then(|line| audit_line(&store.conn, seq, &line, saved)) {
            Err(error) if !is_of_the_machine(&error) => saved.audit_lost += 1,
            copied => copied?,
        }
        if seen.len().is_multiple_of(SLICE) {
            commit(store)?;
            begin(store)?;
        }
    }
    commit(store)
}

/// Copies a line under its own number, or under the next one if another line has that or it is at its end. A line that is
/// there already, from a salvage that was cut or from two files that share it, is passed over.
fn audit_line(
    conn: &Connection,
    seq: i64,
    AuditLine { at, subject, action, actor, detail }: &AuditLine,
    saved: &mut Saved,
) -> rusqlite::Result<()> {
    const SAME: &str = "at IS ?2 AND subject IS ?3 AND action IS ?4 AND actor IS ?5 AND detail IS ?6";
    let line = params![seq, at, subject, action, actor, detail];
    let under_its_number: Option<bool> = conn
        .prepare_cached(&format!("SELECT {SAME} FROM audit WHERE seq = ?1"))?
        .query_row(line, |row| row.get(0))
        .optional()?;
    let moves = under_its_number.is_some() || seq > SEQ_MAX;
    if under_its_number == Some(true)
        || moves
            && conn
                .prepare_cached(&format!("SELECT 1 FROM audit WHERE seq <> ?1 AND {SAME}"))?
                .exists(line)?
    {
        return Ok(());
    }
    let written = conn
        .prepare_cached(
            "INSERT OR IGNORE INTO audit (seq, at, subject, action, actor, detail) VALUES (?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![(!moves).then_some(seq), at, subject, action, actor, detail])?;
    saved.audit += written as u64;
    // One that tells of nothing: its subject rotted to no value.
    saved.audit_lost += u64::from(written == 0);
    Ok(())
}

/// The numbers that an emulated ФН must not count twice.
fn last_fds(conn: &Connection, store: &mut Store) {
    let Ok(mut statement) = conn.prepare("SELECT name, last_fd FROM names WHERE last_fd IS NOT NULL") else {
        return;
    };
    let Ok(mut rows) = statement.query([]) else { return };
    while let Ok(Some(found)) = rows.next() {
        if let (Ok(name), Ok(fd)) = (found.get::<_, String>(0), found.get::<_, u32>(1)) {
            store.names.device(&name);
            store.names.raise_fd(&name, fd);
        }
    }
}

fn finish(store: &mut Store, old: &Path, saved: &Saved) -> rusqlite::Result<()> {
    begin(store)?;
    let line = AuditEvent {
        at: store.now,
        subject: "buffer".into(),
        action: "salvaged".into(),
        actor: Actor::system(),
        detail: format!(
            "{} documents, {} damaged ones, from {}",
            saved.documents,
            saved.damaged,
            old.file_name().unwrap_or_default().to_string_lossy()
        ),
    };
    store.record(&line).map_err(sql)?;
    // What a person had seen to need not be among the damaged rows of the new file: all of them are open again.
    if !read::audit(&store.conn, Some(DAMAGE), 1).map_err(sql)?.is_empty() {
        let why = "the database was salvaged";
        store.record(&damage_settled(0, store.now, Actor::system(), why)).map_err(sql)?;
    }
    commit(store)?;
    let damaged: i64 = store.conn.query_row("SELECT count(*) FROM damaged", [], |row| row.get(0))?;
    store.damaged = u64::try_from(damaged).unwrap_or(0);
    Ok(())
}
