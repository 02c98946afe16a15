//! Time, as two types: deadlines take the monotonic one, stamps for people and the law take the wall's.

use jiff::Timestamp;
use std::time::Duration;

/// A point of monotonic time, since the clock was made. Setting the wall clock does not move it (promise P9).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Monotonic(pub Duration);

impl Monotonic {
    /// Time passed since `earlier`; zero if it is later.
    #[must_use]
    pub fn since(self, earlier: Self) -> Duration {
        self.0.saturating_sub(earlier.0)
    }
}

/// Both clocks.
pub trait Clock: Send + Sync + 'static {
    /// For deadlines and durations.
    fn monotonic(&self) -> Monotonic;
    /// For stamps.
    fn wall(&self) -> Timestamp;
}

/// The wall clock for ages of days, such as retention's: it never leaps ahead (promise P9). Where the wall says more than
/// this process has lived through since it began, it was set, and what counts is the time lived through. A clock that was
/// set back makes an age smaller: what depends on it happens later, never too early.
#[derive(Debug, Clone, Copy)]
pub struct Calendar {
    began: Timestamp,
    at: Monotonic,
}

impl Calendar {
    /// Begins to watch now.
    #[must_use]
    pub fn new(clock: &dyn Clock) -> Self {
        Self { began: clock.wall(), at: clock.monotonic() }
    }

    /// The earlier of what the wall says and of what it would say had nobody set it.
    #[must_use]
    pub fn now(&self, clock: &dyn Clock) -> Timestamp {
        let lived = clock.monotonic().since(self.at);
        // Only a clock at the end of time overflows.
        let unset = self.began.checked_add(lived).unwrap_or(Timestamp::MAX);
        clock.wall().min(unset)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Hands(Mutex<(Duration, Timestamp)>);

    impl Clock for Hands {
        fn monotonic(&self) -> Monotonic {
            Monotonic(self.0.lock().unwrap().0)
        }
        fn wall(&self) -> Timestamp {
            self.0.lock().unwrap().1
        }
    }

    // P9
    #[test]
    fn a_clock_that_is_set_ahead_makes_nothing_older_and_one_set_back_nothing_older_either() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let hour = Duration::from_secs(3_600);
        let clock = Hands(Mutex::new((hour, at("2026-11-26T10:00:00Z"))));
        let calendar = Calendar::new(&clock);
        for (lived, wall, now) in [
            (hour * 2, "2026-11-26T11:00:00Z", "2026-11-26T11:00:00Z"),
            (hour * 2, "2036-11-26T11:00:00Z", "2026-11-26T11:00:00Z"),
            (hour * 2, "2016-11-26T11:00:00Z", "2016-11-26T11:00:00Z"),
            (hour * 26, "2026-11-27T11:00:01Z", "2026-11-27T11:00:00Z"),
        ] {
            *clock.0.lock().unwrap() = (lived, at(wall));
            assert_eq!(calendar.now(&clock), at(now), "{wall}");
        }
    }
}
