//! The numbers of phase 1.

use std::time::Duration;

/// Times and limits of phase 1.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the KKT may take for one document, and a receipt may wait for its turn; default 10 s.
    pub print_timeout: Duration,
    /// How long the KKT may take to answer a question (`find`, `shift`); default 2 s.
    pub find_timeout: Duration,
    /// First pause before a device that refused is tried again; doubled up to `retry_max`; default 2 s.
    pub retry_first: Duration,
    /// Longest pause before it is tried again; default 60 s. A sale that prints ends the pause at once.
    pub retry_max: Duration,
    /// How often the background looks what is due; default 1 s.
    pub tick: Duration,
    /// Age at which a shift is closed and opened again; default 23 h 30 min, the law's limit is 24 h.
    pub shift_age: Duration,
    /// Age at which an `accepted` document whose till never came back is cancelled; default 24 h.
    pub accepted_age: Duration,
    /// How long after the start, and how often from then on, such documents are looked for; default 10 min. So a till has
    /// that long to come back even if the wall clock was set while the adapter was off.
    pub forgotten_every: Duration,
    /// Receipts that are worked on at once, those that wait for their turn included; default 4,096.
    pub in_flight_max: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            print_timeout: Duration::from_secs(10),
            find_timeout: Duration::from_secs(2),
            retry_first: Duration::from_secs(2),
            retry_max: Duration::from_secs(60),
            tick: Duration::from_secs(1),
            shift_age: Duration::from_secs(23 * 3600 + 30 * 60),
            accepted_age: Duration::from_secs(24 * 3600),
            forgotten_every: Duration::from_secs(600),
            in_flight_max: 4_096,
        }
    }
}
