//! Totals of calls, spread so that threads do not fight over a cache line.
//!
//! Invariants:
//! 1. A total never goes down (B18).
//! 2. Once calls have come to rest, the sum over all cells is exact (B17): an owned cell is written by the one thread
//!    that owns it, with a load and a store; the shared cell by anybody, with an atomic addition.
//!
//! The first thread owns the cell inside the breaker. A second thread makes a row of further cells, once: a breaker
//! that is never contended pays no memory for them.

use crate::sync::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::cell::Cell as ThreadCell;
use std::sync::OnceLock;

/// Which total.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Total {
    Succeeded = 0,
    Failed = 1,
    Slow = 2,
    Ignored = 3,
    Abandoned = 4,
    Late = 5,
    Rejected = 6,
}

const TOTALS: usize = 7;
/// No thread has this number.
const NOBODY: u64 = 0;

#[derive(Debug, Default)]
struct Cell {
    owner: AtomicU64,
    counts: [AtomicU64; TOTALS],
}

/// A cell on its own pair of cache lines.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Padded(Cell);

/// The totals of one breaker.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    first: Cell,
    row: OnceLock<Box<Row>>,
}

#[derive(Debug)]
struct Row {
    owned: Box<[Padded]>,
    /// For threads that found their cell taken.
    shared: Padded,
}

#[cfg(not(loom))]
#[inline]
fn thread_number() -> u64 {
    static NEXT: std::sync::atomic::AtomicU64 = std::sync::atomic::AtomicU64::new(1);
    thread_local! {
        // Numbers are never used twice, so that an owner is one thread for good.
        static NUMBER: ThreadCell<u64> = const { ThreadCell::new(NOBODY) };
    }
    #[cold]
    fn take() -> u64 {
        NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed)
    }
    // While a thread is torn down it has no number any more and counts in the shared cell.
    NUMBER
        .try_with(|number| {
            if number.get() == NOBODY {
                number.set(take());
            }
            number.get()
        })
        .unwrap_or(NOBODY)
}

/// loom's threads are not the operating system's: all count in the shared cell.
#[cfg(loom)]
fn thread_number() -> u64 {
    NOBODY
}

impl Cell {
    #[inline]
    fn add_owned(&self, total: Total) {
        let count = &self.counts[total as usize];
        count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
    }

    /// Makes `thread` the owner if nobody is.
    fn claim(&self, thread: u64) -> bool {
        thread != NOBODY
            && self.owner.compare_exchange(NOBODY, thread, Ordering::Relaxed, Ordering::Relaxed).is_ok()
    }
}

impl Row {
    fn new() -> Self {
        let threads = std::thread::available_parallelism().map_or(1, usize::from);
        let cells = (2 * threads).next_power_of_two().clamp(4, 64);
        Row { owned: (0..cells).map(|_| Padded::default()).collect(), shared: Padded::default() }
    }

    #[inline]
    fn cell_of(&self, thread: u64) -> &Cell {
        &self.owned[(thread as usize) & (self.owned.len() - 1)].0
    }
}

impl Counters {
    /// Adds one.
    #[inline]
    pub(crate) fn add(&self, total: Total) {
        let thread = thread_number();
        if self.first.owner.load(Ordering::Relaxed) == thread && thread != NOBODY {
            return self.first.add_owned(total);
        }
        if let Some(row) = self.row.get() {
            let cell = row.cell_of(thread);
            if cell.owner.load(Ordering::Relaxed) == thread && thread != NOBODY {
                return cell.add_owned(total);
            }
        }
        self.add_elsewhere(thread, total);
    }

    #[cold]
    fn add_elsewhere(&self, thread: u64, total: Total) {
        if self.first.claim(thread) {
            return self.first.add_owned(total);
        }
        let row = self.row.get_or_init(|| Box::new(Row::new()));
        let cell = row.cell_of(thread);
        if cell.claim(thread) {
            cell.add_owned(total);
        } else {
            row.shared.0.counts[total as usize].fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The sum over all cells.
    pub(crate) fn get(&self, total: Total) -> u64 {
        let read = |cell: &Cell| cell.counts[total as usize].load(Ordering::Relaxed);
        let row = self.row.get().map_or(0, |row| {
            row.owned.iter().map(|padded| read(&padded.0)).fold(read(&row.shared.0), u64::wrapping_add)
        });
        read(&self.first).wrapping_add(row)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    // B17: exact once calls have come to rest, whatever the number of threads.
    #[test]
    fn totals_are_exact_over_many_more_threads_than_cells() {
        let counters = Counters::default();
        std::thread::scope(|scope| {
            for _ in 0..150 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.add(Total::Rejected)));
            }
        });
        assert_eq!(counters.get(Total::Rejected), 150_000);
        assert_eq!(counters.get(Total::Succeeded), 0);
    }

    #[test]
    fn one_thread_alone_needs_no_row() {
        let counters = Counters::default();
        counters.add(Total::Late);
        counters.add(Total::Late);
        assert_eq!(counters.get(Total::Late), 2);
        assert!(counters.row.get().is_none());
    }
}
