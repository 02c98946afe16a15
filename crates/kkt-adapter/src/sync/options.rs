//! The numbers of phase 2.

use std::time::Duration;

/// What a lane does after a document that the OFD refused for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnRejected {
    /// Goes on with the next one.
    Park,
    /// Stops until a person has requeued or resolved it.
    Stop,
}

/// `[sync]` of the configuration.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// Safety net: how often lanes look for work although nobody woke them.
    pub interval: Duration,
    /// Pause of a lane after a failed send that was not the document's own fault.
    pub retry_after: Duration,
    /// Charged attempts after which a document is dead.
    pub attempts_max: u32,
    /// Pause after the first failure that was the document's own; doubled at each further one.
    pub backoff_initial: Duration,
    /// Longest such pause.
    pub backoff_max: Duration,
    /// Lanes that send at once.
    pub lanes_max: usize,
    /// After a refusal for good.
    pub on_rejected: OnRejected,
    /// Of what is drawn at random; another one for each run of the program.
    pub seed: u64,
}

/// Longest pause that a `Retry-After` of the OFD is believed.
pub(super) const RETRY_AFTER_MAX: Duration = Duration::from_secs(300);

/// Documents a lane reads at once; it goes to the end of the queue after each such page.
pub(super) const PAGE: usize = 64;

/// The same while more lanes wait than may send at once: none of them waits long for its turn.
pub(super) const CROWDED_TURN: usize = 8;

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            interval: Duration::from_secs(10),
            retry_after: Duration::from_secs(1),
            attempts_max: 20,
            backoff_initial: Duration::from_secs(5),
            backoff_max: Duration::from_secs(300),
            lanes_max: 64,
            on_rejected: OnRejected::Park,
            seed: 0,
        }
    }
}

impl SyncOptions {
    /// Pause after the `attempts`-th charged failure.
    pub(super) fn backoff(&self, attempts: u32) -> Duration {
        let doublings = attempts.saturating_sub(1).min(31);
        self.backoff_initial.saturating_mul(1_u32 << doublings).min(self.backoff_max)
    }
}
