use crate::clock::Tick;
use std::collections::VecDeque;

/// The calls in flight of the present generation, by the time they started (B19a).
///
/// Invariants: buckets do not overlap and stand in order of time; a bucket is an eighth of overdue_after wide; so
/// there are ten at most, whatever the number of calls.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    buckets: VecDeque<Bucket>,
}

#[derive(Clone, Copy, Debug)]
struct Bucket {
    from: Tick,
    /// The first instant after it.
    to: Tick,
    calls: u32,
}

impl InFlight {
    pub(super) fn start(&mut self, at: Tick, overdue_after_ns: u64) {
        if let Some(last) = self.buckets.back_mut()
            && at < last.to
        {
            last.calls = last.calls.saturating_add(1);
            return;
        }
        let width_ns = (overdue_after_ns / 8).max(1);
        let to = Tick::from_nanos((at.as_nanos() / width_ns).saturating_add(1).saturating_mul(width_ns));
        // From this call on: an earlier one of the same eighth has ended or been charged, and must not be taken for it.
        self.buckets.push_back(Bucket { from: at, to, calls: 1 });
    }

    /// Takes a call out that started at `at`; false: it has been charged already.
    pub(super) fn end(&mut self, at: Tick) -> bool {
        let Some(place) = self.buckets.iter().position(|bucket| bucket.from <= at && at < bucket.to) else {
            return false;
        };
        self.buckets[place].calls = self.buckets[place].calls.saturating_sub(1);
        if self.buckets[place].calls == 0 {
            self.buckets.remove(place);
        }
        true
    }

    /// When the oldest bucket's calls are overdue, every one of them.
    pub(super) fn next_due(&self, overdue_after_ns: u64) -> Option<Tick> {
        self.buckets.front().map(|bucket| bucket.to.plus(overdue_after_ns))
    }

    pub(super) fn take_oldest(&mut self) -> Option<u32> {
        self.buckets.pop_front().map(|bucket| bucket.calls)
    }
}
