//! The clocks of the machine.

use crate::ports::{Clock, Monotonic};
use jiff::Timestamp;
use std::time::Instant;

/// The machine's monotonic and wall clock.
pub(super) struct SystemClock {
    origin: Instant,
}

impl SystemClock {
    pub fn new() -> Self {
        Self { origin: Instant::now() }
    }
}

impl Clock for SystemClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.origin.elapsed())
    }

    fn wall(&self) -> Timestamp {
        Timestamp::now()
    }
}
