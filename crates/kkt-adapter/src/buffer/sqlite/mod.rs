//! The buffer of a shop: one SQLite file.
//!
//! Promises: a write that was answered `Ok` is on stable storage (P1); writes take effect in the order of the
//! calls; a damaged document, or a damaged file, is set aside and the rest serves (P8); a full buffer or disk
//! refuses new documents before any work and harms nothing it holds (P7).
//!
//! Invariants:
//! 1. One thread owns the only writing connection (`writer`); one process owns the folder (`folder`).
//! 2. Whatever is read has passed its checksum (`row`).
//! 3. The figures change in the transaction of what they count (`names`).
//! 4. Readers have their own connections and never wait for the writer, nor it for them (`pool`).
//!
//! ```text
//!  callers ──► queue ──► writer ──► WAL ──checkpoint──► database
//!     │                    │ books                        ▲
//!     ├── reserve ──► gate ◄                              │
//!     └── find, list, next ──► pool of readers ───────────┘
//! ```
//!
//! | what happens | what the caller sees |
//! |---|---|
//! | capacity or floor of free disk reached | `reserve`: `Full`; `reserve_own` gets a place all the same |
//! | queue full, disk full | the write: `Full`, nothing was stored |
//! | a reader meets a damaged or unreadable page | that read: `Failed`; the till goes on; the next start checks and repairs |
//! | the writer meets one; I/O error; failed fsync | `Failed` from here on, and [`SqliteBuffer::failed`] tells; the next start checks the file |
//! | a disk that hangs | writes wait for it; `close` too, and whoever gives it up is held up no longer |
//! | a damaged document | `Damaged` for its own name, left out of pages, counted in `stats` |
//! | a second process | [`OpenError::InUse`] |

mod aside;
mod checkup;
mod command;
mod disk;
mod figures;
mod folder;
mod header;
mod import;
mod names;
mod offline;
mod open;
mod options;
mod pool;
mod prune;
mod read;
mod rescue;
mod row;
mod salvage;
mod schema;
mod shared;
mod store;
mod writer;

pub use import::{ImportError, ImportReport, import};
pub use offline::{OfflineStats, Report, export, stats, verify};
pub use options::{OpenError, Point, Probe, SqliteOptions};
#[cfg(fuzzing)]
pub use row::reads as fuzz_row;

use super::gate::Gate;
use crate::{
    domain::{
        document::Outgoing,
        entry::{AuditEvent, Change, Entry, NewEntry, Settlement},
        ids::{DeviceId, ReceiptId},
    },
    ports::{
        Appended, Buffer, BufferError, Clock, DAMAGE, ListFilter, ListPage, Lookup, Observer, Pending, Place,
        Stats, StoreHealth, damage_open,
    },
};
use async_trait::async_trait;
use command::{Answer, Command};
use jiff::Timestamp;
use pool::Readers;
use row::{Damage, PartBytes};
use shared::Shared;
use std::{
    future::ready,
    sync::{
        Arc, Mutex, OnceLock, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
        mpsc::{Receiver, RecvTimeoutError, SyncSender, TrySendError, sync_channel},
    },
    thread::JoinHandle,
    time::Duration,
};
use store::Fault;
use tokio::sync::{Notify, oneshot};

/// When to try again while the writer's queue is full: it takes far less than this to empty it.
const QUEUE_RETRY_AFTER: Duration = Duration::from_secs(1);
/// How long whoever drops a store waits for its writer, which may hang in the disk.
const DROP_WAIT: Duration = Duration::from_secs(5);

/// The durable buffer in one SQLite file.
pub struct SqliteBuffer {
    shared: Arc<Shared>,
    queue: Option<SyncSender<Command>>,
    readers: Arc<Readers>,
    writer: Mutex<Option<WriterThread>>,
    /// A `close` has begun and not ended.
    closing: AtomicBool,
}

/// The writer's thread, and what hangs up when it has ended.
struct WriterThread {
    thread: JoinHandle<()>,
    ended: Receiver<()>,
}

impl SqliteBuffer {
    /// Opens the store, or makes it. Blocks: up to two seconds with a million documents.
    ///
    /// # Errors
    /// [`OpenError`]; each says what to do about it.
    pub fn open(
        options: SqliteOptions,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, OpenError> {
        // Absolute: `file:…` would be a URI to SQLite, and the working folder may change.
        let path = std::path::absolute(&options.path)
            .map_err(|source| OpenError::Unusable { path: options.path.clone(), source })?;
        let options = SqliteOptions { path, ..options };
        let opened = open::store(&options, clock.as_ref())?;
        Self::start(options, clock, observer, opened)
    }

    fn start(
        options: SqliteOptions,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        opened: open::Opened,
    ) -> Result<Self, OpenError> {
        let readers = Readers::open(&options)?;
        let shared = Arc::new(Shared {
            path: options.path.clone(),
            disk: disk::Disk::new(folder::parent(&options.path), options.min_free_disk_bytes),
            clock,
            observer,
            gate: Gate::new(options.capacity, opened.store.books()),
            failed: OnceLock::new(),
            closed: AtomicBool::new(false),
            stopped: Notify::new(),
            suspect: OnceLock::new(),
            damaged: AtomicU64::new(opened.store.damaged),
            left_aside: opened.left_aside,
        });
        let (queue, commands) = sync_channel(options.queue.max(1));
        let writer = writer::Writer {
            store: opened.store,
            queue: commands,
            shared: Arc::clone(&shared),
            probe: options.probe,
            commits_since_look: 0,
            checkpoint_pages: options.checkpoint_pages,
            _lock: opened.lock,
        };
        let (hangs_up, ended) = sync_channel(0);
        let thread = std::thread::Builder::new()
            .name("buffer-writer".into())
            .spawn(move || {
                let _hangs_up = hangs_up;
                writer.run();
            })
            .map_err(|source| OpenError::Unusable { path: options.path, source })?;
        let writer = Mutex::new(Some(WriterThread { thread, ended }));
        Ok(Self { shared, queue: Some(queue), readers, writer, closing: AtomicBool::new(false) })
    }

    /// Completes when the storage has failed, with what it said: nothing is acknowledged from then on, and only a
    /// start that checks the file mends it.
    pub async fn failed(&self) -> String {
        loop {
            let mut told = std::pin::pin!(self.shared.stopped.notified());
            told.as_mut().enable();
            if let Some(error) = self.shared.failed.get() {
                return error.clone();
            }
            told.await;
        }
    }

    /// Removes the bodies and wire bytes of documents that were synced or cancelled longer ago than `retention`,
    /// and of dead letters that a person closed and that died longer ago than `dlq_retention`: at most `slice`
    /// of each call, 1 to 1,000, so that it never holds up a till. Keys, hashes, fiscal documents and the audit stay. Says how many
    /// documents it took, damaged ones that it set aside included; 0 means that there is nothing left to take.
    pub fn prune(
        &self,
        now: Timestamp,
        retention: Duration,
        dlq_retention: Duration,
        slice: usize,
    ) -> Pending<usize> {
        let before = |age: Duration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let (settled_before, dead_before) = (before(retention), before(dlq_retention));
        let slice = slice.clamp(1, 1_000);
        self.ask(|answer| Command::Prune { settled_before, dead_before, slice, answer })
    }

    /// Queues a command at once; the answer comes when it is durable.
    fn ask<T: Send + 'static>(&self, command: impl FnOnce(Answer<T>) -> Command) -> Pending<T> {
        let (answer, answered) = oneshot::channel();
        if let Err(error) = self.queue(command(answer)) {
            return Box::pin(ready(Err(error)));
        }
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { answered.await.unwrap_or_else(|_| Err(shared.writer_is_gone())) })
    }

    fn queue(&self, command: Command) -> Result<(), BufferError> {
        self.shared.check()?;
        let closed = || BufferError::Failed("the store is closed".into());
        if self.shared.closed.load(Ordering::SeqCst) {
            return Err(closed());
        }
        let Some(queue) = &self.queue else { return Err(closed()) };
        queue.try_send(command).map_err(|error| match error {
            TrySendError::Full(_) => BufferError::Full {
                reason: "очередь записи заполнена / the writer's queue is full".into(),
                retry_after: QUEUE_RETRY_AFTER,
            },
            TrySendError::Disconnected(_) => closed(),
        })
    }

    /// What `reserve` would answer now.
    fn refusal(&self) -> Option<BufferError> {
        if self.shared.closed.load(Ordering::SeqCst) {
            return Some(BufferError::Failed("the store is closed".into()));
        }
        let clock = self.shared.clock.as_ref();
        let may = self.shared.check().and_then(|()| self.shared.disk.check(clock));
        may.and_then(|()| self.shared.gate.check()).err()
    }

    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&rusqlite::Connection, &mut Vec<Damage>) -> Result<T, Fault> + Send + 'static,
    ) -> Result<T, BufferError> {
        let (result, damage) = self.readers.run(read).await;
        if !damage.is_empty() {
            // If the queue is full, the next read finds it again.
            let _ = self.queue(Command::SetAside(damage));
        }
        result.map_err(|fault| match fault {
            Fault::Rule(error) => error,
            Fault::Sql(error) => {
                if shared::is_corrupt(&error) {
                    self.shared.suspect(&error);
                }
                BufferError::Failed(error.to_string())
            }
        })
    }
}

#[async_trait]
impl Buffer for SqliteBuffer {
    fn reserve(&self) -> Result<Place, BufferError> {
        self.shared.check()?;
        self.shared.disk.check(self.shared.clock.as_ref())?;
        self.shared.gate.reserve()
    }

    fn reserve_own(&self) -> Result<Place, BufferError> {
        self.shared.check()?;
        self.shared.gate.reserve_own()
    }

    fn append(&self, place: Place, mut entry: NewEntry, print_now: bool) -> Pending<Appended> {
        let body = entry.receipt.take().map(|receipt| PartBytes::new(entry.id, receipt.canonical()));
        self.ask(|answer| Command::Append { place, entry: Box::new(entry), body, print_now, answer })
    }

    fn apply(&self, id: ReceiptId, change: Change) -> Pending<()> {
        self.ask(|answer| Command::Apply { id, change, answer })
    }

    fn settle(&self, outcomes: Vec<Settlement>) -> Pending<()> {
        self.ask(|answer| Command::Settle { outcomes, answer })
    }

    fn record(&self, event: AuditEvent) -> Pending<()> {
        self.ask(|answer| Command::Record { event, answer })
    }

    async fn find(&self, by: Lookup) -> Result<Option<Entry>, BufferError> {
        self.read(move |conn, damage| read::find(conn, &by, damage)).await
    }

    async fn list(&self, filter: ListFilter) -> Result<ListPage, BufferError> {
        self.read(move |conn, damage| read::list(conn, &filter, damage)).await
    }

    async fn next(
        &self,
        device: &DeviceId,
        after_fd: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Outgoing>, BufferError> {
        let device = device.clone();
        self.read(move |conn, damage| read::next(conn, &device, after_fd, limit, damage)).await
    }

    async fn devices_pending(&self) -> Result<Vec<DeviceId>, BufferError> {
        self.read(|conn, _| read::devices_pending(conn)).await
    }

    async fn devices(&self) -> Result<Vec<DeviceId>, BufferError> {
        self.read(|conn, _| read::devices(conn)).await
    }

    async fn last_fd(&self, device: &DeviceId) -> Result<Option<u32>, BufferError> {
        let device = device.clone();
        self.read(move |conn, _| read::last_fd(conn, &device)).await
    }

    async fn audit(&self, subject: Option<String>, limit: usize) -> Result<Vec<AuditEvent>, BufferError> {
        self.read(move |conn, _| read::audit(conn, subject.as_deref(), limit)).await
    }

    async fn stats(&self) -> Result<Stats, BufferError> {
        let damaged = self.shared.damaged.load(Ordering::Relaxed);
        let (oldest_unconfirmed, oldest, damaged_open) = self
            .read(move |conn, damage| {
                let (since, oldest) = read::oldest_unconfirmed(conn, damage)?;
                let latest = if damaged > 0 { read::audit(conn, Some(DAMAGE), 1)?.pop() } else { None };
                Ok((since, oldest, damage_open(damaged, latest.as_ref())))
            })
            .await?;
        let figures = self.shared.gate.figures();
        Ok(Stats {
            capacity: figures.capacity,
            used: figures.used,
            total: figures.total,
            per_pos: figures.per_pos,
            oldest_unconfirmed,
            oldest,
            damaged,
            damaged_open,
        })
    }

    fn health(&self) -> StoreHealth {
        let failure = self.shared.failed.get();
        StoreHealth {
            ok: failure.is_none() && !self.shared.closed.load(Ordering::SeqCst),
            kind: "SQLite",
            mode: "WAL",
            error: failure.or_else(|| self.shared.suspect.get()).cloned().or_else(|| self.shared.notice()),
            refuses: self.refusal().map(|error| match error {
                BufferError::Full { reason, .. } => reason,
                other => format!("хранилище чеков не работает: {other} / {other}"),
            }),
            disk: self.shared.disk.space(self.shared.clock.as_ref()),
        }
    }

    async fn close(&self) {
        self.closing.store(true, Ordering::SeqCst);
        let (answer, answered) = oneshot::channel();
        // The queue may be full, but the writer empties it.
        let mut command = Command::Close(answer);
        while let Some(queue) = &self.queue {
            match queue.try_send(command) {
                Ok(()) => {
                    // An error means that the writer has ended already.
                    let _ = answered.await;
                    break;
                }
                Err(TrySendError::Full(back)) => {
                    command = back;
                    tokio::time::sleep(Duration::from_millis(10)).await;
                }
                Err(TrySendError::Disconnected(_)) => break,
            }
        }
        self.readers.close();
        self.closing.store(false, Ordering::SeqCst);
    }
}

/// Waits for the writer, but no longer than five seconds, and not at all if a `close` was given up: a disk that hangs must
/// not hold up the end of the process (promise P11). What was acknowledged is on the disk.
impl Drop for SqliteBuffer {
    fn drop(&mut self) {
        drop(self.queue.take());
        let writer = self.writer.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(WriterThread { thread, ended }) = writer else { return };
        let patience = if self.closing.load(Ordering::SeqCst) { Duration::ZERO } else { DROP_WAIT };
        match ended.recv_timeout(patience) {
            Err(RecvTimeoutError::Timeout) => {
                tracing::error!(path = %self.shared.path.display(), "the disk hangs: the buffer's writer is left behind");
            }
            // The writer has logged whatever ended it.
            Ok(()) | Err(RecvTimeoutError::Disconnected) => drop(thread.join()),
        }
    }
}

#[cfg(test)]
mod tests;
