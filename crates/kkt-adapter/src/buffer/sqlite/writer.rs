//! The one thread that writes.
//!
//! It takes everything that is queued (at most [`BATCH_MAX`] writes) into one transaction, commits it, which is
//! one fsync, and then answers everybody. A lone write is committed at once, and while one commit waits for the
//! disk the next batch gathers. Only what a lane settled of its last few documents waits, up to [`SETTLE_WAIT`],
//! for a write that somebody waits for, and shares its fsync.
//!
//! Invariants:
//! 1. Nobody is told of a write before the commit that holds it is on stable storage (promise P1).
//! 2. After the first failure of the storage nothing is acknowledged any more. A full disk is not one: SQLite
//!    refuses before it has synced anything, the batch is rolled back and its callers are told `Full`.
//! 3. The figures are booked after the commit and before the answers.
//!
//! ```text
//!  queue ─► begin ─► each write ─► commit (fsync) ─► book ─► answer ─► checkpoint, if due ─► queue
//!              │           │            │
//!              └───────────┴────────────┴── storage failed ─► answer `Failed` to these and to all that come
//! ```
//!
//! | failure | what happens |
//! |---|---|
//! | a write breaks its own rule | its caller is told, the rest of the batch is committed |
//! | disk full (`SQLITE_FULL`), another program holds the write lock | rolled back, the batch is told `Full`, the writer goes on |
//! | any other error of SQLite, of the commit, of a checkpoint | fail-stop |

use super::{
    command::{Answer, Command},
    folder::Lock,
    names::Names,
    options::{Point, Probe},
    shared::Shared,
    store::{Fault, Store},
};
use crate::ports::BufferError;
use rusqlite::ErrorCode;
use std::{
    sync::{
        Arc,
        atomic::Ordering,
        mpsc::{Receiver, TryRecvError},
    },
    time::{Duration, Instant},
};

/// Writes that one transaction takes at most.
const BATCH_MAX: usize = 1_024;
/// The size of the WAL is looked at once in so many commits: a look costs a few system calls, a commit leaves
/// about ten pages.
const LOOK_AT_WAL_EVERY: u32 = 8;
/// How long a small settlement waits for company. While tills sell it never waits so long, and a fsync a receipt
/// is saved; a crash meanwhile sends those documents again under the same keys, as one before it would.
const SETTLE_WAIT: Duration = Duration::from_millis(5);
/// When to try again after a batch was refused for that.
const FULL_RETRY_AFTER: Duration = Duration::from_secs(60);

/// Answers one caller with its own result, or with the failure of the batch.
type Done = Box<dyn FnOnce(Result<(), BufferError>)>;

pub(super) struct Writer {
    pub store: Store,
    pub queue: Receiver<Command>,
    pub shared: Arc<Shared>,
    pub probe: Option<Arc<dyn Probe>>,
    pub commits_since_look: u32,
    /// As in the options.
    pub checkpoint_pages: (i64, i64),
    /// Held until the last write is done.
    pub _lock: Lock,
}

impl Writer {
    /// Runs until the store is closed or nobody can ask any more.
    pub(super) fn run(mut self) {
        let _alarm = Alarm(Arc::clone(&self.shared));
        let mut carried = None;
        loop {
            let first = match carried.take() {
                Some(command) => command,
                None => match self.queue.recv() {
                    Ok(command) => command,
                    Err(_) => break,
                },
            };
            if let Command::Close(answer) = first {
                self.shared.closed.store(true, Ordering::SeqCst);
                self.refuse_the_rest();
                // No checkpoint: the WAL is safe, and a slow disk would take its time for it.
                drop(self);
                // Nobody waiting for the end is fine.
                let _ = answer.send(Ok(()));
                return;
            }
            let batch = self.gather(first, &mut carried);
            match self.shared.check() {
                Ok(()) => self.process(batch),
                Err(failed) => batch.into_iter().for_each(|command| command.refuse(failed.clone())),
            }
            if carried.is_none() {
                carried = self.queue.try_recv().ok();
            }
            if self.shared.failed.get().is_none() {
                self.checkpoint_if_due(carried.is_none());
            }
        }
    }

    fn gather(&mut self, first: Command, carried: &mut Option<Command>) -> Vec<Command> {
        let mut weight = first.weight();
        let mut patience = first.can_wait().then(|| Instant::now() + SETTLE_WAIT);
        let mut batch = vec![first];
        while weight < BATCH_MAX {
            match self.following(patience) {
                Ok(close @ Command::Close(_)) => {
                    *carried = Some(close);
                    break;
                }
                Ok(command) if weight + command.weight() > BATCH_MAX => {
                    *carried = Some(command);
                    break;
                }
                Ok(command) => {
                    weight += command.weight();
                    if !command.can_wait() {
                        patience = None;
                    }
                    batch.push(command);
                }
                Err(TryRecvError::Empty | TryRecvError::Disconnected) => break,
            }
        }
        batch
    }

    /// The next command, waited for until then.
    fn following(&self, patience: Option<Instant>) -> Result<Command, TryRecvError> {
        match (self.queue.try_recv(), patience) {
            (Err(TryRecvError::Empty), Some(until)) => {
                let left = until.saturating_duration_since(Instant::now());
                self.queue.recv_timeout(left).map_err(|_| TryRecvError::Empty)
            }
            (command, _) => command,
        }
    }

    fn refuse_the_rest(&mut self) {
        while let Ok(command) = self.queue.try_recv() {
            command.refuse(BufferError::Failed("the store is closed".into()));
        }
    }

    fn process(&mut self, batch: Vec<Command>) {
        let mut done: Vec<Done> = Vec::with_capacity(batch.len());
        let verdict = self.transact(batch, &mut done);
        if verdict.is_ok() {
            self.shared.gate.book(&self.store.moves);
            self.shared.damaged.store(self.store.damaged, Ordering::Relaxed);
        }
        self.store.moves.clear();
        for answer in done {
            answer(verdict.clone());
        }
        if verdict.is_ok()
            && let Err(error) = self.probe(Point::Answered)
        {
            self.shared.fail_text(error, false);
        }
    }

    fn transact(&mut self, batch: Vec<Command>, done: &mut Vec<Done>) -> Result<(), BufferError> {
        self.store.now = self.shared.clock.wall();
        let mut failure = self.step("BEGIN IMMEDIATE", Some(Point::Begun)).err();
        let before = self.store.conn.total_changes();
        for command in batch {
            if failure.is_some() {
                // Its answer is the batch's.
                done.push(Box::new(move |verdict| {
                    if let Err(error) = verdict {
                        command.refuse(error);
                    }
                }));
                continue;
            }
            let (answer, fault) = self.execute(command);
            done.push(answer);
            failure = fault.map(Failure::Sql);
            if failure.is_none() {
                failure = self.probe(Point::Written).err().map(Failure::Probe);
            }
        }
        if failure.is_none() {
            failure = self.commit(before).err();
        }
        match failure {
            None => Ok(()),
            Some(failure) => Err(self.roll_back(failure)),
        }
    }

    fn commit(&mut self, changes_before: u64) -> Result<(), Failure> {
        let Store { names, conn, .. } = &mut self.store;
        names.flush(conn).map_err(|fault| match fault {
            Fault::Sql(error) => Failure::Sql(error),
            Fault::Rule(error) => Failure::Probe(error.to_string()),
        })?;
        let wrote = self.store.conn.total_changes() != changes_before;
        self.probe(Point::BeforeCommit).map_err(Failure::Probe)?;
        let began = self.shared.clock.monotonic();
        self.step("COMMIT", None)?;
        if wrote {
            self.shared.observer.fsync(self.shared.clock.monotonic().since(began));
            self.commits_since_look += 1;
            self.probe(Point::Committed).map_err(Failure::Probe)?;
        }
        Ok(())
    }

    fn roll_back(&mut self, failure: Failure) -> BufferError {
        if !self.store.conn.is_autocommit() {
            // If it fails too, the connection is used no more or the next BEGIN says so.
            let _ = self.store.conn.execute_batch("ROLLBACK");
        }
        let error = match failure {
            Failure::Probe(text) => return self.shared.fail_text(text, false),
            Failure::Sql(error) => error,
        };
        // Both are refused before anything was synced, so nothing is in doubt. A WAL index that finds no room (SHMSIZE) is
        // not among them: SQLite lets it grow after the sync of the commit, which a restart would find.
        let reason = match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => "диск заполнен / the disk is full",
            Some(ErrorCode::DatabaseBusy) => {
                "в базу пишет другая программа / another program is writing to the database"
            }
            _ => return self.shared.fail(&error),
        };
        // What memory holds is ahead of the file now.
        self.store.printing.clear();
        match Names::load(&self.store.conn) {
            Ok(names) => self.store.names = names,
            Err(error) => return self.shared.fail(&error),
        }
        self.store.damaged = self.shared.damaged.load(Ordering::Relaxed);
        tracing::error!(path = %self.shared.path.display(), reason, "a batch was refused");
        BufferError::Full { reason: reason.into(), retry_after: FULL_RETRY_AFTER }
    }

    fn execute(&mut self, command: Command) -> (Done, Option<rusqlite::Error>) {
        let store = &mut self.store;
        match command {
            Command::Append { place, entry, body, print_now, answer } => {
                let (done, fault) = answering(answer, store.append(*entry, body, print_now));
                let with_place: Done = Box::new(move |verdict| {
                    // The row is in the books by now, or there is none.
                    drop(place);
                    done(verdict);
                });
                (with_place, fault)
            }
            Command::Apply { id, change, answer } => answering(answer, store.apply(id, change)),
            Command::Settle { outcomes, answer } => answering(answer, store.settle(outcomes)),
            Command::Record { event, answer } => answering(answer, store.record(&event)),
            Command::Prune { settled_before, dead_before, slice, answer } => {
                answering(answer, store.prune(settled_before, dead_before, slice))
            }
            Command::SetAside(damage) => {
                let result = damage.into_iter().try_for_each(|damage| store.set_aside(damage));
                (Box::new(|_| ()), sql_error(result.err()))
            }
            Command::Close(answer) => answering(answer, Ok(())),
        }
    }

    fn step(&mut self, sql: &str, point: Option<Point>) -> Result<(), Failure> {
        self.store.conn.prepare_cached(sql).and_then(|mut s| s.execute([])).map_err(Failure::Sql)?;
        match point {
            Some(point) => self.probe(point).map_err(Failure::Probe),
            None => Ok(()),
        }
    }

    fn probe(&self, point: Point) -> Result<(), String> {
        crate::fail_point::hit(point.name());
        self.probe.as_ref().map_or(Ok(()), |probe| probe.at(point))
    }

    fn checkpoint_if_due(&mut self, idle: bool) {
        if self.commits_since_look < LOOK_AT_WAL_EVERY {
            return;
        }
        self.commits_since_look = 0;
        let (at_rest, busy) = self.checkpoint_pages;
        let limit = if idle { at_rest } else { busy };
        match self.wal("PRAGMA wal_checkpoint(NOOP)") {
            Ok((pages, copied)) if pages - copied >= limit => self.checkpoint(),
            Ok(_) => {}
            Err(error) => drop(self.shared.fail(&error)),
        }
    }

    /// Copies the WAL into the database. The next commit then begins the WAL anew: the same disk blocks are
    /// written over and over, which an fsync finds cheaper than a file that grows.
    fn checkpoint(&mut self) {
        if self.shared.failed.get().is_some() {
            return;
        }
        let result = self
            .probe(Point::BeforeCheckpoint)
            .map_err(Failure::Probe)
            .and_then(|()| self.wal("PRAGMA wal_checkpoint(PASSIVE)").map_err(Failure::Sql))
            .and_then(|_| self.probe(Point::Checkpointed).map_err(Failure::Probe));
        match result {
            Ok(()) => {}
            // Its pages stay in the WAL, where they are safe.
            Err(Failure::Sql(error)) if error.sqlite_error_code() == Some(ErrorCode::DiskFull) => {}
            Err(Failure::Sql(error)) => drop(self.shared.fail(&error)),
            Err(Failure::Probe(text)) => drop(self.shared.fail_text(text, false)),
        }
    }

    fn wal(&self, pragma: &str) -> rusqlite::Result<(i64, i64)> {
        self.store.conn.prepare_cached(pragma)?.query_row([], |row| Ok((row.get(1)?, row.get(2)?)))
    }
}

/// A writer that panics has failed like a disk that breaks: everybody must know.
struct Alarm(Arc<Shared>);

impl Drop for Alarm {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.fail_text("the writer panicked".into(), false);
        }
    }
}

enum Failure {
    Sql(rusqlite::Error),
    Probe(String),
}

fn sql_error(fault: Option<Fault>) -> Option<rusqlite::Error> {
    match fault {
        Some(Fault::Sql(error)) => Some(error),
        Some(Fault::Rule(_)) | None => None,
    }
}

fn answering<T: 'static>(answer: Answer<T>, result: Result<T, Fault>) -> (Done, Option<rusqlite::Error>) {
    let (result, fault) = match result {
        Ok(value) => (Ok(value), None),
        Err(Fault::Rule(error)) => (Err(error), None),
        // The verdict on the batch takes the place of this text.
        Err(Fault::Sql(error)) => (Err(BufferError::Failed(error.to_string())), Some(error)),
    };
    let done: Done = Box::new(move |verdict| {
        let _ = answer.send(verdict.and(result));
    });
    (done, fault)
}
