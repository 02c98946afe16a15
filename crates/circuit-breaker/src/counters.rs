//! Totals of calls, spread so that threads do not fight over a cache line.
//!
//! Invariants:
//! 1. A total never goes down (B18).
//! 2. No two living threads have the same number. A thread writes its own cells with a load and a store, and shared
//!    ones with an atomic addition; so once calls have come to rest, the sum over all cells is exact (B17).
//!
//! The first thread owns the cell inside the breaker. A second thread makes a row of further cells, once: a breaker
//! that is never contended pays no memory for them.

use crate::breaker::Mooring;
use crate::sync::{AtomicU64, Ordering};
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

type Cell = [AtomicU64; TOTALS];

/// The cells of one thread number on their own pair of cache lines.
#[derive(Default)]
#[repr(align(128))]
struct Place {
    mooring: Mooring,
    /// Written by the thread of this number alone.
    own: Cell,
    /// Written by the threads whose number is beyond the row, and by those that have none.
    shared: Cell,
}

/// Whose the first cell is, and where the others are. Every call reads it and hardly any writes it, so it lies apart
/// from the cells.
#[derive(Default)]
pub(crate) struct Directory {
    first_owner: AtomicU64,
    row: OnceLock<Box<[Place]>>,
}

impl Directory {
    pub(crate) fn new() -> Self {
        let directory = Directory::default();
        // loom does not see std's OnceLock order what is made in it, so there it is made before any thread is.
        #[cfg(loom)]
        directory.row.get_or_init(new_row);
        directory
    }
}

/// The cell of the first thread. At least a cache line away from what other threads read.
#[derive(Debug, Default)]
pub(crate) struct First(Cell);

/// The totals of one breaker.
#[derive(Clone, Copy)]
pub(crate) struct Counters<'a> {
    pub(crate) directory: &'a Directory,
    pub(crate) first: &'a First,
}

impl<'a> Counters<'a> {
    /// Where this thread keeps what is its alone; none for the first, and for those that have no place.
    #[inline]
    pub(crate) fn mooring(self) -> Option<&'a Mooring> {
        let thread = thread::number();
        if thread == NOBODY || self.directory.first_owner.load(Ordering::Relaxed) == thread {
            return None;
        }
        let place = self.directory.row.get()?.get(thread as usize)?;
        Some(&place.mooring)
    }

    /// All such places.
    pub(crate) fn moorings(self) -> impl Iterator<Item = &'a Mooring> {
        self.directory.row.get().map_or(&[][..], |row| row).iter().map(|place| &place.mooring)
    }

    /// Adds one.
    #[inline]
    pub(crate) fn add(self, total: Total) {
        let thread = thread::number();
        if self.directory.first_owner.load(Ordering::Relaxed) == thread && thread != NOBODY {
            return add_alone(&self.first.0, total);
        }
        if let Some(row) = self.directory.row.get()
            && let Some(place) = row.get(thread as usize)
            && thread != NOBODY
        {
            return add_alone(&place.own, total);
        }
        self.add_elsewhere(thread, total);
    }

    #[cold]
    fn add_elsewhere(self, thread: u64, total: Total) {
        let order = Ordering::Relaxed;
        let Directory { first_owner, row } = self.directory;
        if thread != NOBODY && first_owner.compare_exchange(NOBODY, thread, order, order).is_ok() {
            return add_alone(&self.first.0, total);
        }
        let row = row.get_or_init(new_row);
        match row.get(thread as usize) {
            Some(place) if thread != NOBODY => add_alone(&place.own, total),
            _ => {
                let place = &row[thread as usize % row.len()];
                place.shared[total as usize].fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// The sum over all cells.
    pub(crate) fn get(self, total: Total) -> u64 {
        let read = |cell: &Cell| cell[total as usize].load(Ordering::Relaxed);
        let places = self.directory.row.get().map_or(&[][..], |row| row);
        let sum =
            |sum: u64, place: &Place| sum.wrapping_add(read(&place.own)).wrapping_add(read(&place.shared));
        places.iter().fold(read(&self.first.0), sum)
    }
}

#[inline]
fn add_alone(cell: &Cell, total: Total) {
    let count = &cell[total as usize];
    count.store(count.load(Ordering::Relaxed).wrapping_add(1), Ordering::Relaxed);
}

fn new_row() -> Box<[Place]> {
    if cfg!(loom) {
        return Box::new([Place::default()]);
    }
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    // Numbers begin at 1, so that place 0 has no owner.
    (0..(2 * threads + 2).clamp(8, 64)).map(|_| Place::default()).collect()
}

/// Small numbers for the living threads.
#[cfg(not(loom))]
mod thread {
    use super::NOBODY;
    use crate::sync::lock_std;
    use std::cell::Cell;
    use std::sync::Mutex;

    struct Numbers {
        last: u64,
        /// Numbers of threads that have ended. Its lock orders a thread's last write before its successor's first read.
        free: Vec<u64>,
    }

    static NUMBERS: Mutex<Numbers> = Mutex::new(Numbers { last: NOBODY, free: Vec::new() });

    thread_local! {
        static NUMBER: Cell<u64> = const { Cell::new(NOBODY) };
        static LEASE: Lease = const { Lease };
    }

    /// Gives the number back when the thread ends.
    struct Lease;

    impl Drop for Lease {
        fn drop(&mut self) {
            let number = NUMBER.replace(NOBODY);
            if number != NOBODY {
                lock_std(&NUMBERS).free.push(number);
            }
        }
    }

    /// This thread's number; none while it is being torn down.
    #[inline]
    pub(super) fn number() -> u64 {
        let number = NUMBER.get();
        if number == NOBODY { take() } else { number }
    }

    #[cold]
    fn take() -> u64 {
        if LEASE.try_with(|_| ()).is_err() {
            return NOBODY;
        }
        let mut numbers = lock_std(&NUMBERS);
        let number = numbers.free.pop().unwrap_or_else(|| {
            numbers.last += 1;
            numbers.last
        });
        drop(numbers);
        NUMBER.set(number);
        number
    }
}

/// loom's threads are not the operating system's: all count in the shared cells.
#[cfg(loom)]
mod thread {
    pub(super) fn number() -> u64 {
        super::NOBODY
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    // B17: exact once calls have come to rest, whatever the number of threads.
    #[test]
    fn totals_are_exact_over_many_more_threads_than_cells() {
        let (directory, first) = (Directory::new(), First::default());
        let counters = Counters { directory: &directory, first: &first };
        std::thread::scope(|scope| {
            for _ in 0..200 {
                scope.spawn(|| (0..1_000).for_each(|_| counters.add(Total::Rejected)));
            }
        });
        assert_eq!(counters.get(Total::Rejected), 200_000);
        assert_eq!(counters.get(Total::Succeeded), 0);
    }

    #[test]
    fn one_thread_alone_needs_no_row() {
        let (directory, first) = (Directory::new(), First::default());
        let counters = Counters { directory: &directory, first: &first };
        counters.add(Total::Late);
        counters.add(Total::Late);
        assert_eq!(counters.get(Total::Late), 2);
        assert!(directory.row.get().is_none());
    }
}
