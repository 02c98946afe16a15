//! What keeps a breaker alive: handles and permits.
//!
//! Two threads that count references to one thing wait for each other at every permit. So a thread that has a place of
//! its own among the counters keeps an anchor there, and its permits count their references to that.
//!
//! Invariants:
//! 1. Whoever has a handle, a permit or an anchor has the shell.
//! 2. Anchors stand in the shell that they keep alive. The last handle takes them out again; only a handle can put one
//!    there, so no shell keeps itself alive.

use super::{CircuitBreaker, Shell};
use crate::sync::lock_std;
use std::ops::Deref;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

/// How many handles there are. Not loom's: it decides nothing but when anchors go.
pub(super) struct Handles(AtomicUsize);

impl Handles {
    /// Of a shell that gets its first handle.
    pub(super) fn one() -> Self {
        Handles(AtomicUsize::new(1))
    }
}

/// The references of one thread's permits, on a cache line of their own.
#[repr(align(64))]
pub(crate) struct Anchor {
    shell: Arc<Shell>,
}

/// Where a thread keeps its anchor. No other thread takes its lock, but for the last handle and a registry's eviction.
#[derive(Default)]
pub(crate) struct Mooring(Mutex<Option<Arc<Anchor>>>);

/// What a permit holds.
pub(crate) enum Hold {
    /// Of the first thread, and of those that have no place.
    Shell(Arc<Shell>),
    Anchor(Arc<Anchor>),
}

impl Deref for Hold {
    type Target = Shell;

    #[inline]
    fn deref(&self) -> &Shell {
        match self {
            Hold::Shell(shell) => shell,
            Hold::Anchor(anchor) => &anchor.shell,
        }
    }
}

impl Mooring {
    fn anchor(&self, shell: &Arc<Shell>) -> Arc<Anchor> {
        let mut anchor = lock_std(&self.0);
        Arc::clone(anchor.get_or_insert_with(|| Arc::new(Anchor { shell: Arc::clone(shell) })))
    }

    fn clear(&self) {
        *lock_std(&self.0) = None;
    }

    /// The anchors here, and the permits that hold them.
    fn count(&self) -> (usize, usize) {
        lock_std(&self.0).as_ref().map_or((0, 0), |anchor| (1, Arc::strong_count(anchor) - 1))
    }
}

impl CircuitBreaker {
    pub(super) fn new(shell: Shell) -> Self {
        CircuitBreaker { shell: Arc::new(shell) }
    }

    /// For a permit of this thread.
    #[inline]
    pub(super) fn hold(&self) -> Hold {
        match self.shell.counters().mooring() {
            Some(mooring) => Hold::Anchor(mooring.anchor(&self.shell)),
            None => Hold::Shell(Arc::clone(&self.shell)),
        }
    }

    /// Whether there is another handle or a permit. A running call borrows a handle.
    pub(crate) fn is_held_elsewhere(&self) -> bool {
        // First: where this is the only handle, no permit and no anchor can come while they are counted.
        if self.shell.handles.0.load(Ordering::Acquire) != 1 {
            return true;
        }
        let counts = self.shell.counters().moorings().map(Mooring::count);
        let (anchors, permits) = counts.fold((0, 0), |sum, count| (sum.0 + count.0, sum.1 + count.1));
        permits > 0 || Arc::strong_count(&self.shell) > 1 + anchors
    }
}

impl Clone for CircuitBreaker {
    fn clone(&self) -> Self {
        self.shell.handles.0.fetch_add(1, Ordering::Relaxed);
        CircuitBreaker { shell: Arc::clone(&self.shell) }
    }
}

impl Drop for CircuitBreaker {
    fn drop(&mut self) {
        if self.shell.handles.0.fetch_sub(1, Ordering::AcqRel) == 1 {
            self.shell.counters().moorings().for_each(Mooring::clear);
        }
    }
}
