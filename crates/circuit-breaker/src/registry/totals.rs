use super::{Registry, Shard, read};
use crate::breaker::CircuitBreaker;
use crate::counters::Total;
use crate::sync::lock_std;
use std::ops::AddAssign;
use std::sync::RwLockReadGuard;

/// The sums over every breaker that a [`Registry`] has and has had. None ever goes down (B18).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RegistryTotals {
    /// Calls that ended in success.
    pub successes: u64,
    /// Calls that ended in failure, panics included.
    pub failures: u64,
    /// Successes and failures that were slow.
    pub slow: u64,
    /// Calls that were to be ignored.
    pub ignored: u64,
    /// Permits dropped without an outcome.
    pub abandoned: u64,
    /// Calls that ended in a later generation.
    pub late: u64,
    /// Calls charged before they ended.
    pub overdue: u64,
    /// Permits refused.
    pub rejected: u64,
    /// Times that a circuit opened.
    pub opens: u64,
    /// METRICS_ONLY: times that a circuit would have opened.
    pub would_open: u64,
    /// METRICS_ONLY: calls that would have been rejected.
    pub would_reject: u64,
}

impl Registry {
    /// The totals of all keys together, those that have been evicted or removed included: what to write to metrics
    /// where keys come and go. New keys wait while it adds up.
    pub fn totals(&self) -> RegistryTotals {
        // All shards at once, so that no breaker leaves for the sum of those that have gone in between.
        let shards: Vec<RwLockReadGuard<'_, Shard>> = self.shards.iter().map(read).collect();
        let mut totals = *lock_std(&self.gone);
        let entries = shards.iter().flat_map(|shard| shard.values());
        entries.for_each(|entry| totals += entry.breaker.totals());
        totals
    }
}

impl CircuitBreaker {
    /// The totals as they are, without a look.
    pub(super) fn totals(&self) -> RegistryTotals {
        let (counts, counters) = (self.counts(), self.counters());
        RegistryTotals {
            successes: counters.get(Total::Succeeded),
            failures: counters.get(Total::Failed),
            slow: counters.get(Total::Slow),
            ignored: counters.get(Total::Ignored),
            abandoned: counters.get(Total::Abandoned),
            late: counters.get(Total::Late),
            overdue: counts.overdue,
            rejected: counters.get(Total::Rejected),
            opens: counts.opens,
            would_open: counts.would_open,
            would_reject: counts.would_reject,
        }
    }
}

impl AddAssign for RegistryTotals {
    fn add_assign(&mut self, more: Self) {
        self.successes += more.successes;
        self.failures += more.failures;
        self.slow += more.slow;
        self.ignored += more.ignored;
        self.abandoned += more.abandoned;
        self.late += more.late;
        self.overdue += more.overdue;
        self.rejected += more.rejected;
        self.opens += more.opens;
        self.would_open += more.would_open;
        self.would_reject += more.would_reject;
    }
}
