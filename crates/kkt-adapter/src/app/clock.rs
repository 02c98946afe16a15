//! The clocks of the machine.

use crate::ports::{Clock, Monotonic};
use jiff::Timestamp;
use std::time::{Instant, SystemTime};

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

    /// At the nearest end of what a stamp can be, if the machine's clock is set beyond it.
    #[expect(clippy::disallowed_methods, reason = "the port takes it from here")]
    fn wall(&self) -> Timestamp {
        let now = SystemTime::now();
        let end = if now < SystemTime::UNIX_EPOCH { Timestamp::MIN } else { Timestamp::MAX };
        Timestamp::try_from(now).unwrap_or(end)
    }
}
