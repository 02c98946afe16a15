//! What can be read of a damaged database is copied into the new one, from both ends of each table towards the
//! damage. Runs to its end before the store serves; if it is cut, the next start begins it again (documents
//! that are there already are passed over). What the new file refuses is left in the old one: it keeps nobody from
//! selling (promise P8).

use super::{
    aside, folder, header, open,
    options::{OpenError, SqliteOptions},
    read,
    row::{self, Damage, Part, PartBytes, select},
    shared::is_of_the_machine,
    store::{Fault, Store},
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
    let mut seen = BTreeSet::new();
    for order in ["ASC", "DESC"] {
        documents(&conn, order, store, &mut seen, &mut saved)?;
    }
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
        match read {
            Ok((seq, document)) => match document_with_parts(conn, store, seq, &document, saved) {
                Err(error) if !is_of_the_machine(&error) => {
                    tracing::error!(row = seq, %error, "a document of the damaged database cannot be copied");
                    claim(conn, store, Damage { seq, part: Part::Document }, saved)?;
                }
                copied => copied?,
            },
            Err(damage) => claim(conn, store, damage, saved)?,
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
    let (body, wire) = (part(Part::Body), part(Part::Wire));
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
    store.insert_row(Some(seq), document, body, wire.flatten().as_deref(), place).map_err(sql)?;
    saved.documents += 1;
    for (lost, part) in losses {
        if lost {
            store.set_aside(Damage { seq, part }).map_err(sql)?;
            saved.damaged += 1;
        }
    }
    Ok(())
}

/// A document that failed its checksum: only its names are kept, so that they stay taken.
fn claim(conn: &Connection, store: &mut Store, damage: Damage, saved: &mut Saved) -> rusqlite::Result<()> {
    // Each that can be read: a key that is no text any more must not cost the id.
    let read = conn.prepare_cached("SELECT id, key_hash, key, state FROM documents WHERE seq = ?").and_then(
        |mut s| {
            s.query_row([damage.seq], |r| Ok([0, 1, 2, 3].map(|column| r.get(column).unwrap_or(Value::Null))))
        },
    );
    let [id, key_hash, key, state] = read.unwrap_or([const { Value::Null }; 4]);
    let inserted = store
        .conn
        .prepare_cached(
            "INSERT OR IGNORE INTO damaged (seq, part, id, key_hash, key, state, found_at) \
             VALUES (?, ?, ?, ?, ?, ?, ?)",
        )?
        .execute(params![
            damage.seq,
            damage.part.as_str(),
            id,
            key_hash,
            key,
            state,
            store.now.as_microsecond()
        ])?;
    if inserted > 0 {
        saved.damaged += 1;
        store.record(&aside::line(&damage, store.now)).map_err(sql)?;
    }
    Ok(())
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

/// Copies a line under its own number, or under the next one if another line has that. A line that is there already, from
/// a salvage that was cut or from two files that share it, is passed over.
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
    let is_taken = under_its_number.is_some();
    if under_its_number == Some(true)
        || is_taken
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
        .execute(params![(!is_taken).then_some(seq), at, subject, action, actor, detail])?;
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
