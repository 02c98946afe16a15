//! Places: who may bring a document in. Reserving is synchronous and takes one short lock, so a full buffer
//! refuses before any work was done (promise P7).
//!
//! Invariant: reserved places + unsettled rows ≤ capacity at every successful `reserve`, and ≤ capacity + a tenth of it,
//! 1,000 at least, at every successful `reserve_own`. An `append` gives its place back only after its row is in the books,
//! so the sum is never too low.

use super::books::{Books, Move};
use crate::ports::{BufferError, Counts, Place};
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

/// When a till that found the buffer full should try again: a lane needs a moment to settle some.
pub(crate) const RETRY_AFTER: Duration = Duration::from_secs(30);

/// Documents of our own that fit in past the capacity, at least; a tenth of it where that is more. A device makes two a
/// day, and only while the OFD takes none.
const OWN_MIN: u64 = 1_000;

#[derive(Debug)]
struct Inner {
    books: Books,
    reserved: u64,
}

/// The counts and the reserved places under one lock.
#[derive(Debug)]
pub(crate) struct Gate {
    capacity: u64,
    inner: Mutex<Inner>,
}

/// The figures at one instant.
pub(crate) struct Figures {
    pub capacity: u64,
    pub used: u64,
    pub total: Counts,
    pub per_pos: Arc<BTreeMap<crate::domain::ids::PosId, Counts>>,
}

impl Gate {
    pub(crate) fn new(capacity: u64, books: Books) -> Arc<Self> {
        Arc::new(Self { capacity, inner: Mutex::new(Inner { books, reserved: 0 }) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // The figures are updated by arithmetic that cannot panic half-way.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Reserves a place.
    pub(crate) fn reserve(self: &Arc<Self>) -> Result<Place, BufferError> {
        self.reserve_below(self.capacity)
    }

    /// Reserves a place for a document of our own.
    pub(crate) fn reserve_own(self: &Arc<Self>) -> Result<Place, BufferError> {
        self.reserve_below(self.capacity.saturating_add(OWN_MIN.max(self.capacity / 10)))
    }

    fn reserve_below(self: &Arc<Self>, limit: u64) -> Result<Place, BufferError> {
        let mut inner = self.lock();
        let unsettled = inner.books.unsettled();
        if unsettled + inner.reserved >= limit {
            let (reserved, capacity) = (inner.reserved, self.capacity);
            return Err(BufferError::Full {
                reason: format!("{unsettled} unsettled and {reserved} arriving receipts of {capacity}"),
                retry_after: RETRY_AFTER,
            });
        }
        inner.reserved += 1;
        drop(inner);
        let gate = Arc::clone(self);
        Ok(Place::new(move || {
            let mut inner = gate.lock();
            inner.reserved = inner.reserved.saturating_sub(1);
        }))
    }

    /// Books what a commit moved.
    pub(crate) fn book(&self, moves: &[Move]) {
        self.lock().books.apply(moves);
    }

    /// Starts the books anew.
    pub(crate) fn replace(&self, books: Books) {
        self.lock().books = books;
    }

    /// The figures.
    pub(crate) fn figures(&self) -> Figures {
        let inner = self.lock();
        Figures {
            capacity: self.capacity,
            used: inner.books.unsettled() + inner.reserved,
            total: inner.books.total().counts,
            per_pos: inner.books.per_pos(),
        }
    }
}
