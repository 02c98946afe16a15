//! The sliding windows at work: what they hold, and when their rules fire.
//!
//! Invariants:
//! 1. `calls`, `failures` and `slow` are the sums over what the window holds now: nothing that slid out counts (B3).
//! 2. Pushing costs the same whatever the window holds; the time window pays once for each bucket it moves on.
//! 3. After a push that fired no rule, the next [`slack`](Sliding::slack) plain successes fire none either.

mod count;
mod time;

use crate::clock::Tick;
use crate::config::{Shape, Window};
use crate::state::{Reason, Rule};
use count::CountRing;
use time::TimeRing;

/// One call as a window sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Mark {
    pub(crate) failed: bool,
    pub(crate) slow: bool,
}

/// What a window holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(crate) struct Sums {
    pub(crate) calls: u32,
    pub(crate) failures: u32,
    pub(crate) slow: u32,
}

/// A sliding window of either shape.
#[derive(Clone, Debug)]
pub(crate) enum Sliding {
    Count(CountRing),
    Time(TimeRing),
}

impl Sliding {
    pub(crate) fn new(shape: Shape) -> Self {
        match shape {
            Shape::Count(calls) => Sliding::Count(CountRing::new(calls)),
            Shape::Time { buckets, bucket } => {
                Sliding::Time(TimeRing::new(buckets, crate::clock::nanos(bucket)))
            }
        }
    }

    pub(crate) fn push(&mut self, at: Tick, mark: Mark) {
        match self {
            Sliding::Count(ring) => ring.push(mark),
            Sliding::Time(ring) => ring.push(at, mark),
        }
    }

    /// Takes in `calls` plain successes that came since the last push, before anything else did.
    pub(crate) fn absorb(&mut self, at: Tick, calls: u32) {
        match self {
            Sliding::Count(ring) => ring.absorb(calls),
            Sliding::Time(ring) => ring.absorb(at, calls),
        }
    }

    pub(crate) fn sums(&self) -> Sums {
        match self {
            Sliding::Count(ring) => ring.sums(),
            Sliding::Time(ring) => ring.sums(),
        }
    }

    /// What the window holds at `at`, without moving it.
    pub(crate) fn sums_at(&self, at: Tick) -> Sums {
        match self {
            Sliding::Count(ring) => ring.sums(),
            Sliding::Time(ring) => ring.sums_at(at),
        }
    }

    /// How many plain successes, up to [`valid_until`](Sliding::valid_until), decide nothing; `None`: any number,
    /// and they leave the window as it is.
    pub(crate) fn slack(&self, rules: &Window) -> Option<u32> {
        let sums = self.sums();
        let room = match self {
            Sliding::Count(ring) => {
                if sums.failures == 0 && sums.slow == 0 {
                    return if ring.is_full() { None } else { Some(ring.size() - sums.calls) };
                }
                ring.size()
            }
            Sliding::Time(_) => u32::MAX,
        };
        if fired(rules, sums).is_some() {
            return Some(0); // Loosened rules or a bucket gone: the next outcome decides.
        }
        let harmless = sums.failures == 0 && sums.slow == 0;
        if sums.calls < rules.minimum_calls && !harmless {
            // The success that completes minimum_calls decides (B3).
            return Some(rules.minimum_calls - sums.calls - 1);
        }
        Some(room)
    }

    /// Until when plain successes may be absorbed unseen.
    pub(crate) fn valid_until(&self) -> Tick {
        match self {
            Sliding::Count(_) => Tick::MAX,
            Sliding::Time(ring) => ring.bucket_end(),
        }
    }
}

/// The rule that fires on `sums`, if one does.
pub(crate) fn fired(rules: &Window, sums: Sums) -> Option<Reason> {
    if sums.calls < rules.minimum_calls {
        return None;
    }
    let reaches = |part: u32, percent: Option<f64>| {
        percent.is_some_and(|percent| f64::from(part) * 100.0 >= percent * f64::from(sums.calls))
    };
    if reaches(sums.failures, rules.failure_rate) {
        return Some(Reason::new(Rule::FailureRate, sums.failures, sums.calls));
    }
    if reaches(sums.slow, rules.slow_rate) {
        return Some(Reason::new(Rule::SlowCallRate, sums.slow, sums.calls));
    }
    None
}
