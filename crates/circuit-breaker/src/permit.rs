//! The right to make one call.
//!
//! Invariants:
//! 1. A permit ends exactly once: in one of the five outcomes' totals, or cancelled and uncounted (B18, R4).
//! 2. It carries the generation that granted it; an outcome in any other decides nothing (B11).
//! 3. Dropped without an outcome it frees its slot at once, whatever the reason (B10).

use crate::breaker::Hold;
use crate::classify::Verdict;
use crate::state::{Grant, Outcome};
use std::fmt;
use std::time::Duration;

/// The right to make one call. Say how the call ended, or drop it: then `on_drop` says what that means (B10).
#[must_use = "a permit dropped at once counts as abandoned; say how the call ended"]
pub struct Permit {
    shell: Hold,
    grant: Grant,
    is_open: bool,
}

impl Permit {
    #[inline]
    pub(crate) fn new(shell: Hold, grant: Grant) -> Self {
        Permit { shell, grant, is_open: true }
    }

    /// The call worked.
    #[inline]
    pub fn success(mut self) {
        self.is_open = false;
        self.shell.success(&self.grant);
    }

    /// The call failed.
    pub fn failure(mut self) {
        self.is_open = false;
        self.shell.failure(&self.grant);
    }

    /// The call failed, and the other side asked to be left alone for a while; should this failure open the circuit,
    /// that lengthens the open time up to `retry_after_max` (B13), and `cause` is what
    /// [`explain`](crate::CircuitBreaker::explain) says. `cause` is formatted only then.
    pub fn failure_with(mut self, retry_after: impl Into<Option<Duration>>, cause: impl fmt::Display) {
        self.is_open = false;
        let retry_after_ns = retry_after.into().map_or(0, crate::clock::nanos);
        self.shell.finish(&self.grant, Outcome::Failure { retry_after_ns }, Some(&cause));
    }

    /// The call says nothing about the other side.
    pub fn ignore(mut self) {
        self.is_open = false;
        self.shell.ignore(self.grant);
    }

    /// The call was never started: gives the slot back and counts nothing (R4).
    pub fn cancel(mut self) {
        self.is_open = false;
        self.shell.cancel(self.grant);
    }

    /// The call ended as a classifier said (B20).
    pub fn conclude(mut self, verdict: Verdict) {
        self.is_open = false;
        self.shell.conclude(self.grant, verdict);
    }

    /// The generation that granted it: an outcome in any other is late (B11). It is the low 38 bits of
    /// [`Snapshot::generation`](crate::Snapshot::generation).
    pub fn generation(&self) -> u64 {
        self.grant.generation
    }

    /// For how long the call has been running.
    #[cfg(feature = "tower")]
    pub(crate) fn elapsed(&self) -> Duration {
        Duration::from_nanos(self.shell.elapsed_ns(self.grant))
    }
}

impl Drop for Permit {
    #[inline]
    fn drop(&mut self) {
        if self.is_open {
            self.shell.finish(&self.grant, Outcome::Dropped, None);
        }
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("generation", &self.grant.generation).finish_non_exhaustive()
    }
}
