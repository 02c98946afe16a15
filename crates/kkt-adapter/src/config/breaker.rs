use super::{
    key::*,
    section::{section, words},
};
use std::time::Duration;

words! {
    /// How the time in OPEN grows while the breaker does not get to close.
    BackoffKind {
        /// Not at all: always `recovery_timeout`.
        Fixed = "fixed",
        /// By `multiplier` at each opening in a row, up to `max`.
        Exponential = "exponential",
    }
}

section! {
    /// `[breaker]`: the circuit breakers, the endpoint's and each device's.
    Breaker {
        /// Failures in a row that open it.
        "breaker.failure_threshold" "KKT_BREAKER__FAILURE_THRESHOLD" failure_threshold: u32 = "5", int(1, 1_000_000), reload;
        /// Time in OPEN before probing is allowed.
        "breaker.recovery_timeout" "KKT_BREAKER__RECOVERY_TIMEOUT" recovery_timeout: Duration = "60s", span(1, DAY), reload;
        /// Successful probes that close it.
        "breaker.success_threshold" "KKT_BREAKER__SUCCESS_THRESHOLD" success_threshold: u32 = "2", int(1, 1_000_000), reload;
        /// Probes in flight at once in HALF_OPEN.
        "breaker.half_open_max_calls" "KKT_BREAKER__HALF_OPEN_MAX_CALLS" half_open_max_calls: u32 = "2", int(1, 1_000_000), reload;
        /// HALF_OPEN that has not decided by then goes back to OPEN; `recovery_timeout` if not given.
        "breaker.half_open_timeout" "KKT_BREAKER__HALF_OPEN_TIMEOUT" half_open_timeout: Option<Duration> = "", span(1, DAY), reload;
        /// An OFD that asks for a longer pause (`Retry-After`) lengthens the time in OPEN up to this.
        "breaker.retry_after_max" "KKT_BREAKER__RETRY_AFTER_MAX" retry_after_max: Duration = "10m", span(1, DAY), reload;
        /// How the time in OPEN grows while the breaker does not get to close.
        "breaker.backoff.kind" "KKT_BREAKER__BACKOFF__KIND" backoff_kind: BackoffKind = "fixed", Kind::Choice(BackoffKind::WORDS), reload;
        /// Growth of the time in OPEN at each opening in a row; with `exponential` only.
        "breaker.backoff.multiplier" "KKT_BREAKER__BACKOFF__MULTIPLIER" backoff_multiplier: f64 = "2.0", Kind::Decimal(1.0, 1_000.0), reload;
        /// Longest time in OPEN; at least `recovery_timeout`; with `exponential` only.
        "breaker.backoff.max" "KKT_BREAKER__BACKOFF__MAX" backoff_max: Duration = "10m", span(1, 7 * DAY), reload;
        /// Share of the time in OPEN by which it varies at random, so that many adapters do not come back at the same
        /// instant; 0.2 with `exponential`, 0 with `fixed` if not given.
        "breaker.backoff.jitter" "KKT_BREAKER__BACKOFF__JITTER" backoff_jitter: Option<f64> = "", Kind::Decimal(0.0, 1.0), reload;
    }
}

/// How the time in OPEN grows, with what does not apply left out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Backoff {
    /// Always `recovery_timeout`.
    Fixed {
        /// Share by which it varies, 0 to 1.
        jitter: f64,
    },
    /// Grows at each opening in a row.
    Exponential {
        /// Factor, at least 1.
        multiplier: f64,
        /// Longest time.
        max: Duration,
        /// Share by which it varies, 0 to 1.
        jitter: f64,
    },
}

impl Breaker {
    /// The backoff of the time in OPEN.
    #[must_use]
    pub fn backoff(&self) -> Backoff {
        match self.backoff_kind {
            BackoffKind::Fixed => Backoff::Fixed { jitter: self.backoff_jitter.unwrap_or(0.0) },
            BackoffKind::Exponential => Backoff::Exponential {
                multiplier: self.backoff_multiplier,
                max: self.backoff_max,
                jitter: self.backoff_jitter.unwrap_or(0.2),
            },
        }
    }
}
