use crate::clock::Tick;
use std::collections::VecDeque;

/// The calls in flight of the present generation, by the time they started (B19a).
///
/// Invariants:
/// 1. Buckets do not overlap and stand in order of time.
/// 2. A bucket is at most an eighth of the overdue_after in force when its first call started wide, and takes no call
///    that started after that was replaced. So there are ten, whatever the number of calls, and at most one more for
///    each replacement since the oldest call in flight.
/// 3. No call is found overdue at a time before the configuration that makes it so.
#[derive(Clone, Debug, Default)]
pub(super) struct InFlight {
    buckets: VecDeque<Bucket>,
    /// When overdue_after was last replaced.
    not_before: Tick,
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
        self.buckets.front().map(|bucket| bucket.to.plus(overdue_after_ns).max(self.not_before))
    }

    /// overdue_after is another one from `now` on: the running bucket, made for the old one, takes no more calls.
    pub(super) fn replace_limit(&mut self, now: Tick) {
        self.not_before = now;
        if let Some(last) = self.buckets.back_mut() {
            last.to = last.to.min(now.plus(1)); // Whatever is in it has started by now.
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.buckets.is_empty()
    }

    pub(super) fn take_oldest(&mut self) -> Option<u32> {
        self.buckets.pop_front().map(|bucket| bucket.calls)
    }
}
