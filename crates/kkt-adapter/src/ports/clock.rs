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

/// The wall clock as it would be if nobody had set it since this was made: by it the age of what bears a stamp is told, so
/// that a clock that is set makes nothing old at once (promise P9).
#[derive(Debug, Clone, Copy)]
pub struct SteadyWall {
    wall: Timestamp,
    monotonic: Monotonic,
}

impl SteadyWall {
    /// Begins with what the wall clock shows.
    #[must_use]
    pub fn new(clock: &dyn Clock) -> Self {
        Self { wall: clock.wall(), monotonic: clock.monotonic() }
    }

    /// The time now; at most [`Timestamp::MAX`].
    #[must_use]
    pub fn now(&self, clock: &dyn Clock) -> Timestamp {
        self.wall.checked_add(clock.monotonic().since(self.monotonic)).unwrap_or(Timestamp::MAX)
    }
}
