//! The durable buffer. No SQL and no transaction leaks out of it.

use crate::domain::{
    document::Outgoing,
    entry::{AuditEvent, Change, Entry, NewEntry, Settlement},
    ids::{DeviceId, IdempotencyKey, PosId, ReceiptId},
    lifecycle::{State, Step},
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{collections::BTreeMap, future::Future, pin::Pin, sync::Arc, time::Duration};

/// A write that has been queued. The order of the calls is the order of the commits; it completes once the
/// change is on stable storage. Dropping it does not take the write back.
pub type Pending<T> = Pin<Box<dyn Future<Output = Result<T, BufferError>> + Send + 'static>>;

/// [`Buffer::next`] ends once the documents it gives have so many bytes to send: so a lane holds no more than this and one
/// document, whatever the documents are like. A page of receipts of the usual size is smaller.
pub const NEXT_BYTES: usize = 128 * 1_024;

/// Why the buffer did not do it, sorted by what the caller must do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum BufferError {
    /// Try later: the capacity or the floor of free disk is reached; nothing was stored.
    #[error("the buffer is full ({reason}); nothing was stored, try again after {} s", retry_after.as_secs())]
    Full {
        /// Which limit, with its numbers.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// Give up: the document is in a state from which this step is not allowed; nothing was changed.
    #[error("a document that is {} does not allow {}", state.as_str(), step.as_str())]
    NotAllowed {
        /// Where it stands.
        state: State,
        /// What was asked.
        step: Step,
    },
    /// Give up: what the OFD would be sent is not there (it was never printed as far as is known, or retention has removed
    /// it); nothing was changed.
    #[error("there is nothing to send of it; settle it by other means and resolve it with a note")]
    NothingToSend,
    /// Give up: there is no such document.
    #[error("no such document")]
    NotFound,
    /// Give up: the stored document failed its checksum and is set aside; a person must look. Its name stays
    /// taken, so that it is never printed a second time.
    #[error("the stored document {0} is damaged and set aside; a person must look at it")]
    Damaged(String),
    /// Stop: the store has failed; nothing more is acknowledged until it was reopened and checked.
    #[error("the buffer's storage has failed: {0}")]
    Failed(String),
}

/// A place in the buffer, reserved before any work on a request begins. Dropping it gives it back; an
/// `append` uses it up.
#[must_use]
pub struct Place(Option<Box<dyn FnOnce() + Send>>);

impl Place {
    /// A place that runs `give_back` when it is dropped unused.
    pub fn new(give_back: impl FnOnce() + Send + 'static) -> Self {
        Self(Some(Box::new(give_back)))
    }

    /// Uses the place up: from now on the stored row counts instead of it.
    pub fn use_up(mut self) {
        self.0 = None;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(give_back) = self.0.take() {
            give_back();
        }
    }
}

impl std::fmt::Debug for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Place")
    }
}

/// What became of an `append`.
#[derive(Debug, Clone)]
pub enum Appended {
    /// It is stored, on stable storage.
    Stored,
    /// The key was known: nothing was stored or changed, here is what it names.
    Known(Box<Entry>),
}

/// By which name a document is looked up.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// Our key.
    Id(ReceiptId),
    /// The till's key.
    Key(IdempotencyKey),
}

/// Which documents a list shows, newest first.
#[derive(Debug, Clone, Default)]
pub struct ListFilter {
    /// Only of this till.
    pub pos_id: Option<PosId>,
    /// Only of this device.
    pub device: Option<DeviceId>,
    /// Only in this state; dead letters that a person closed are left out unless `resolved`.
    pub state: Option<State>,
    /// With `state = Dead`: also those that a person closed.
    pub resolved: bool,
    /// Oldest first instead.
    pub ascending: bool,
    /// Documents after this one, in the order of the list.
    pub cursor: Option<ReceiptId>,
    /// At most so many; 1 to 1,000.
    pub limit: usize,
}

/// One page of a list.
#[derive(Debug, Clone)]
pub struct ListPage {
    /// The documents.
    pub entries: Vec<Entry>,
    /// Where the next page begins; `None` on the last one.
    pub next: Option<ReceiptId>,
}

/// How many documents stand where.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Taken, not printed: accepted, printing, buffered, print_unknown.
    pub unprinted: u64,
    /// Printed and not yet synced.
    pub pending: u64,
    /// Confirmed by the OFD, over the life of the buffer.
    pub synced: u64,
    /// In the dead-letter queue, those closed by a person left out.
    pub dead: u64,
    /// Cancelled, over the life of the buffer.
    pub cancelled: u64,
}

/// The figures of the buffer. Taking them costs the same whatever the number of rows.
#[derive(Debug, Clone)]
pub struct Stats {
    /// Rows that may be unsettled at once.
    pub capacity: u64,
    /// Unsettled rows and reserved places.
    pub used: u64,
    /// Over all tills.
    pub total: Counts,
    /// By till.
    pub per_pos: Arc<BTreeMap<PosId, Counts>>,
    /// When the oldest document that the OFD has not confirmed was printed: pending and dead ones, closed dead
    /// letters left out (the 30-day rule counts from it).
    pub oldest_unconfirmed: Option<Timestamp>,
    /// Rows whose checksum was wrong and that were set aside.
    pub damaged: u64,
}

impl Stats {
    /// How full the buffer is, in percent with two decimals, never rounded up to 100; 100 too when documents of our own
    /// are past the capacity.
    #[must_use]
    pub fn percent_full(&self) -> f64 {
        if self.capacity == 0 {
            return 100.0;
        }
        let hundredths = u128::from(self.used.min(self.capacity)) * 10_000 / u128::from(self.capacity);
        hundredths as f64 / 100.0
    }

    /// Age of the oldest document that the OFD has not confirmed, in seconds.
    #[must_use]
    pub fn oldest_pending_seconds(&self, now: Timestamp) -> Option<i64> {
        self.oldest_unconfirmed.map(|oldest| now.duration_since(oldest).as_secs().max(0))
    }
}

/// Whether the store works, for health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreHealth {
    /// It accepts writes.
    pub ok: bool,
    /// `SQLite`, `memory`.
    pub kind: &'static str,
    /// Journal mode, `WAL`.
    pub mode: &'static str,
    /// Why it does not.
    pub error: Option<String>,
}

/// The durable buffer.
///
/// Invariants that every implementation holds, and the conformance suite tests:
/// 1. A write that answered `Ok` survives a crash at any later instant.
/// 2. Writes take effect in the order in which they were called.
/// 3. A document changes only along `lifecycle::ALLOWED`, each change with its audit event or not at all.
/// 4. One key names one document for ever.
/// 5. `next` gives the printed documents of a device in ФД order, requeued ones included.
#[async_trait]
pub trait Buffer: Send + Sync + 'static {
    /// Reserves a place, before any other work.
    ///
    /// # Errors
    /// [`BufferError::Full`], [`BufferError::Failed`].
    fn reserve(&self) -> Result<Place, BufferError>;

    /// Reserves a place for a document of our own (a shift's opening or closing), past the capacity and the floor of free
    /// disk: without it what is in the buffer could not be printed, and never leave it. How far past is bounded.
    ///
    /// # Errors
    /// As [`Self::reserve`].
    fn reserve_own(&self) -> Result<Place, BufferError>;

    /// Stores a document as `accepted`, or straight as `printing` (both steps in one transaction, both audited),
    /// if `print_now`.
    fn append(&self, place: Place, entry: NewEntry, print_now: bool) -> Pending<Appended>;

    /// Makes one change.
    fn apply(&self, id: ReceiptId, change: Change) -> Pending<()>;

    /// Makes what the sends did durable, in one transaction. A document that is no longer `printed` (a person
    /// was quicker) is skipped, not an error; a confirmation of a dead document is recorded in the audit only.
    fn settle(&self, outcomes: Vec<Settlement>) -> Pending<()>;

    /// Writes a line of the audit trail that belongs to no document (a breaker's command).
    fn record(&self, event: AuditEvent) -> Pending<()>;

    /// One document.
    async fn find(&self, by: Lookup) -> Result<Option<Entry>, BufferError>;

    /// A page of documents.
    async fn list(&self, filter: ListFilter) -> Result<ListPage, BufferError>;

    /// The printed documents of a device in ФД order, those after `after_fd` only; at most `limit`, and none after the
    /// one with which they come to [`NEXT_BYTES`]. A requeued document may have a lower ФД number than ones already sent:
    /// it is found by asking from the start again.
    async fn next(
        &self,
        device: &DeviceId,
        after_fd: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Outgoing>, BufferError>;

    /// Devices with printed documents that wait for the OFD.
    async fn devices_pending(&self) -> Result<Vec<DeviceId>, BufferError>;

    /// Every device that any document names.
    async fn devices(&self) -> Result<Vec<DeviceId>, BufferError>;

    /// The highest ФД number the buffer knows of a device; the floor for an emulated ФН.
    async fn last_fd(&self, device: &DeviceId) -> Result<Option<u32>, BufferError>;

    /// The latest lines of the audit trail of a subject (`None`: of all), newest first; at most `limit`.
    async fn audit(&self, subject: Option<String>, limit: usize) -> Result<Vec<AuditEvent>, BufferError>;

    /// The figures.
    async fn stats(&self) -> Result<Stats, BufferError>;

    /// Whether the store works.
    fn health(&self) -> StoreHealth;

    /// Finishes what is queued and closes the store; later writes fail.
    async fn close(&self);
}
