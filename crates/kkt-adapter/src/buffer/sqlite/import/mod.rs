//! Takes over the `buffer.db` of the Python adapter into the folder of a stopped one of ours.
//!
//! Promises: no receipt that waits there is lost; none is printed again; each goes to the OFD under its own `id` as key,
//! with the fiscal document that was on paper; the old file is never written to.
//!
//! Invariants:
//! 1. A receipt is taken over with its history in one transaction, or not at all.
//! 2. Its `id` stays its id, so taking it over again finds it and changes nothing.
//! 3. Lanes send what was taken over before anything printed here, by (`hlc_local_time`, `hlc_logical_counter`): the old
//!    adapter's ФД numbers began at 1 with each of its starts, so they are no order.
//! 4. Every row of `receipts` and `dlq` is in exactly one count of [`ImportReport`]; one that is not simply taken over
//!    is named.
//!
//! | there | here |
//! |---|---|
//! | `pending`, `syncing`, with a fiscal document | printed: sent to the OFD |
//! | the same, but the printout was never recorded, or it cannot be read | dead letter that a person sees; it has nothing to requeue |
//! | `failed`, rows of `dlq` | dead letter, closed if it was resolved there |
//! | `synced` | its key, which answers a replay |
//!
//! | what happens | what follows |
//! |---|---|
//! | killed half way | whole slices are there; the next run takes the rest |
//! | an adapter runs on the folder | refused, as for any second process |
//! | the old file is open in another process | refused: it may still print |
//! | the old file is damaged | what can be read is taken over, the report says where reading stopped |

mod source;
mod translate;

use super::{
    open,
    options::{OpenError, SqliteOptions},
    row, schema,
    store::{Fault, Store},
};
use crate::{
    domain::{
        entry::{Actor, AuditEvent},
        ids::{DeviceId, IdempotencyKey, PosId},
        lifecycle::State,
    },
    ports::Clock,
};
use rusqlite::{OpenFlags, params};
use serde::Serialize;
use source::Source;
use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};
use translate::{Old, Taken};

/// Rows that one transaction takes over.
const SLICE: u64 = 1_000;

/// Why nothing was taken over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ImportError {
    /// The old file cannot be used.
    #[error("{} {why}", path.display())]
    Source {
        /// The old file.
        path: PathBuf,
        /// What is wrong with it, and what to do.
        why: String,
    },
    /// Our own buffer cannot be.
    #[error(transparent)]
    Target(#[from] OpenError),
    /// Our own buffer could not be written; what the report of a new run calls `already_there` is safe.
    #[error("the buffer could not be written: {0}; mend that and run it again, it goes on where it stopped")]
    Write(String),
}

/// What became of every row.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct ImportReport {
    /// Receipts that will go to the OFD.
    pub pending: u64,
    /// Dead letters that a person has to settle.
    pub dead: u64,
    /// Dead letters that a person had settled already.
    pub resolved: u64,
    /// Receipts that the OFD has; their keys answer replays.
    pub synced: u64,
    /// Rows that an earlier run had taken over.
    pub already_there: u64,
    /// Rows of `buffer_events` that became history of their receipts.
    pub events: u64,
    /// Rows that were not taken over; each is named in `problems`.
    pub unreadable: u64,
    /// One line for each row that a person should look at.
    pub problems: Vec<String>,
    /// Whether the whole of the old file was read.
    pub complete: bool,
}

impl ImportReport {
    /// Whether something stayed behind.
    #[must_use]
    pub fn left_something(&self) -> bool {
        self.unreadable > 0 || !self.complete
    }

    fn count(&mut self, state: State, resolved: bool) {
        *match state {
            State::Printed => &mut self.pending,
            State::Synced => &mut self.synced,
            _ if resolved => &mut self.resolved,
            _ => &mut self.dead,
        } += 1;
    }
}

/// Takes over `old` into the buffer of a stopped adapter; `dry_run` only reports. `device` says on which device a till's
/// documents were printed.
///
/// # Errors
/// [`ImportError`]; rows that cannot be read are no error, they stand in the report.
pub fn import(
    old: &Path,
    options: &SqliteOptions,
    device: &dyn Fn(&PosId) -> DeviceId,
    clock: &dyn Clock,
    dry_run: bool,
) -> Result<ImportReport, ImportError> {
    let source = Source::open(old)?;
    // The folder's lock is held until the end.
    let (mut store, _lock) = if dry_run && !options.path.exists() {
        (in_memory()?, None)
    } else if dry_run {
        let stopped = super::offline::stopped(&options.path)?;
        (Store::load(stopped.conn).map_err(|error| unopened(options, &error))?, Some(stopped.lock))
    } else {
        let opened = open::store(options, clock)?;
        (opened.store, Some(opened.lock))
    };
    store.now = clock.wall();
    let mut run =
        Run { store: &mut store, device, dry_run, seen: HashSet::new(), report: ImportReport::default() };
    run.all(old, &source).map_err(|fault| ImportError::Write(text(&fault)))?;
    Ok(run.report)
}

fn unopened(options: &SqliteOptions, error: &rusqlite::Error) -> ImportError {
    ImportError::Target(OpenError::Sqlite { path: options.path.clone(), message: error.to_string() })
}

/// What a dry run writes to when there is no buffer yet.
fn in_memory() -> Result<Store, ImportError> {
    let open = || {
        let mut conn = rusqlite::Connection::open_with_flags(":memory:", OpenFlags::default())?;
        schema::migrate(&mut conn, schema::MIGRATIONS)?;
        Store::load(conn)
    };
    open().map_err(|error: rusqlite::Error| ImportError::Write(error.to_string()))
}

fn text(fault: &Fault) -> String {
    match fault {
        Fault::Sql(error) => error.to_string(),
        Fault::Rule(error) => error.to_string(),
    }
}

struct Run<'a> {
    store: &'a mut Store,
    device: &'a dyn Fn(&PosId) -> DeviceId,
    dry_run: bool,
    seen: HashSet<[u8; 16]>,
    report: ImportReport,
}

impl Run<'_> {
    fn all(&mut self, old: &Path, source: &Source) -> Result<(), Fault> {
        self.begin()?;
        let mut rows = 0;
        let end = source.rows(|found| {
            match found {
                Ok(old) => self.take(source, &old)?,
                Err(problem) => self.left(problem),
            }
            rows += 1;
            if !self.dry_run && rows % SLICE == 0 {
                self.commit()?;
                crate::fail_point::hit(crate::fail_point::IMPORT_SLICE);
                self.begin()?;
            }
            Ok(())
        })?;
        match end {
            None => self.report.complete = true,
            Some(why) => self.report.problems.push(why),
        }
        if self.dry_run {
            self.store.conn.execute_batch("ROLLBACK")?;
            return Ok(());
        }
        if self.report.pending + self.report.dead + self.report.resolved + self.report.synced > 0 {
            self.store.record(&AuditEvent {
                at: self.store.now,
                subject: "buffer".into(),
                action: "imported".into(),
                actor: Actor::system(),
                detail: format!(
                    "{}: {} pending, {} dead, {} resolved, {} synced, {} left behind",
                    old.file_name().unwrap_or_default().to_string_lossy(),
                    self.report.pending,
                    self.report.dead,
                    self.report.resolved,
                    self.report.synced,
                    self.report.unreadable
                ),
            })?;
        }
        self.commit()
    }

    fn begin(&self) -> Result<(), Fault> {
        Ok(self.store.conn.execute_batch("BEGIN IMMEDIATE")?)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        let Store { names, conn, .. } = &mut *self.store;
        names.flush(conn)?;
        self.store.moves.clear();
        Ok(self.store.conn.execute_batch("COMMIT")?)
    }

    fn left(&mut self, problem: String) {
        self.report.unreadable += 1;
        self.report.problems.push(problem);
    }

    fn take(&mut self, source: &Source, old: &Old) -> Result<(), Fault> {
        let mut taken = match translate::translate(old, self.device) {
            Ok(taken) => taken,
            Err(why) => {
                self.left(format!("{}: {why}; it stays in the old file", old.name()));
                return Ok(());
            }
        };
        if !self.seen.insert(*taken.document.id.0.as_bytes()) {
            self.left(format!("{}: another row has the same id; it stays in the old file", old.name()));
            return Ok(());
        }
        let known = "SELECT 1 FROM documents WHERE id = ?";
        if self.store.conn.prepare_cached(known)?.exists([taken.document.id.0.as_bytes()])? {
            self.report.already_there += 1;
            return Ok(());
        }
        self.find_key(&mut taken)?;
        let Taken { document, body, wire, place, problems } = taken;
        self.report.count(document.state, document.resolved.is_some());
        self.report.problems.extend(problems.into_iter().map(|why| format!("{}: {why}", old.name())));
        let body = body.map(|bytes| row::PartBytes::new(document.id, bytes));
        self.store.insert_at(&document, body, wire.as_deref(), place)?;
        let subject = document.id.to_string();
        for mut line in source.events(&old.id, &subject)? {
            line.subject.clone_from(&subject);
            self.store.record(&line)?;
            self.report.events += 1;
        }
        let detail = format!("{}, id {}", old.status, old.id);
        let (at, action) = (self.store.now, "imported".into());
        self.store.record(&AuditEvent { at, subject, action, actor: Actor::system(), detail })
    }

    /// One key names one document: the old adapter made a receipt of each post of a key. The first keeps it.
    fn find_key(&self, taken: &mut Taken) -> Result<(), Fault> {
        let taken_already = |key: &IdempotencyKey| -> Result<bool, Fault> {
            let sql = "SELECT 1 FROM documents WHERE key_hash = ?1 AND key = ?2";
            let hash = row::key_hash(key.as_str());
            Ok(self.store.conn.prepare_cached(sql)?.exists(params![hash, key.as_str()])?)
        };
        let document = &mut taken.document;
        if !taken_already(&document.key)? {
            return Ok(());
        }
        let others = [document.id.to_string(), format!("imported:{}", document.id)];
        for other in others {
            let other: IdempotencyKey = other.parse().expect("a UUID is printable ASCII");
            if !taken_already(&other)? {
                taken.problems.push(format!(
                    "its key {} names another receipt too; here its key is {other}. Was it sold twice?",
                    document.key
                ));
                document.key = other;
                return Ok(());
            }
        }
        Ok(())
    }
}
