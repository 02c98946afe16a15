//! How long the circuit stays open: the steps of the recovery time.

use crate::clock::nanos;
use crate::config::ConfigError;
use crate::state::Reason;
use crate::sync::caught;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How the open time grows while the breaker keeps opening without having been CLOSED in between.
///
/// Every step starts from `recovery_timeout`, and can be spread by [`jitter`](Backoff::jitter), so that many
/// breakers that opened together do not probe together.
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a backoff does nothing unless it is given to a configuration"]
pub struct Backoff {
    pub(crate) growth: Growth,
    pub(crate) jitter: f64,
}

#[derive(Clone)]
pub(crate) enum Growth {
    Fixed,
    Exponential { multiplier: f64, max_ns: u64 },
    Custom(Custom),
}

type Function = dyn Fn(u32, Reason) -> Duration + Send + Sync;

/// A user's function.
#[derive(Clone)]
pub(crate) struct Custom(Arc<Function>);

// A panic in it is caught, and what it may have left half done is its own: the breaker keeps R1's promise either way.
impl std::panic::UnwindSafe for Custom {}
impl std::panic::RefUnwindSafe for Custom {}

impl Backoff {
    /// `recovery_timeout` every time.
    pub const fn fixed() -> Self {
        Backoff { growth: Growth::Fixed, jitter: 0.0 }
    }

    /// `recovery_timeout`, then `multiplier` times as long at each further open in a row, at most `max`.
    pub fn exponential(multiplier: f64, max: Duration) -> Self {
        Backoff { growth: Growth::Exponential { multiplier, max_ns: nanos(max) }, jitter: 0.0 }
    }

    /// Any function of the number of opens in a row (1 at the first) and of why it opened.
    ///
    /// It runs while the breaker decides, so it must be quick and must not call the breaker. Should it panic,
    /// `recovery_timeout` is taken. It is asked again when a replaced configuration changes what open times are reckoned
    /// from; so it should give the same answer to the same question, and leave chance to [`jitter`](Backoff::jitter).
    pub fn custom<F>(function: F) -> Self
    where
        F: Fn(u32, Reason) -> Duration + Send + Sync + 'static,
    {
        Backoff { growth: Growth::Custom(Custom(Arc::new(function))), jitter: 0.0 }
    }

    /// Spreads each open time evenly over ± `ratio` (0.0 to 1.0) of itself. Steps that this could take over the `max` of
    /// an exponential backoff are shortened first, to `max` / (1 + `ratio`): so in a long outage too, breakers are spread
    /// evenly, the longest open time being `max`.
    pub fn jitter(mut self, ratio: f64) -> Self {
        self.jitter = ratio;
        self
    }

    pub(crate) fn validate(&self, recovery_timeout_ns: u64) -> Result<(), ConfigError> {
        if !(0.0..=1.0).contains(&self.jitter) {
            return Err(ConfigError::new("backoff.jitter", self.jitter, "0.0 to 1.0"));
        }
        let Growth::Exponential { multiplier, max_ns } = self.growth else { return Ok(()) };
        if !(1.0..=1_000.0).contains(&multiplier) {
            return Err(ConfigError::new("backoff.multiplier", multiplier, "1.0 to 1000.0"));
        }
        if max_ns < recovery_timeout_ns {
            let value = format!("{:?}", Duration::from_nanos(max_ns));
            return Err(ConfigError::new("backoff.max", value, "at least recovery_timeout"));
        }
        Ok(())
    }

    /// The open time in nanoseconds of the `opens`-th open in a row; `draw` is the random part, all bits used.
    pub(crate) fn open_ns(&self, recovery_timeout_ns: u64, opens: u32, reason: Reason, draw: u64) -> u64 {
        let (step_ns, max_ns) = match &self.growth {
            Growth::Fixed => (recovery_timeout_ns, u64::MAX),
            Growth::Exponential { multiplier, max_ns } => {
                let exponent = i32::try_from(opens.saturating_sub(1)).unwrap_or(i32::MAX);
                // A float that does not fit saturates when it is cast back.
                let grown_ns = (recovery_timeout_ns as f64 * multiplier.powi(exponent)) as u64;
                (grown_ns.min(*max_ns), *max_ns)
            }
            Growth::Custom(Custom(function)) => {
                let asked = caught(|| function(opens, reason));
                (asked.map_or(recovery_timeout_ns, nanos), u64::MAX)
            }
        };
        if self.jitter == 0.0 {
            return step_ns;
        }
        let middle_ns = (step_ns as f64).min(max_ns as f64 / (1.0 + self.jitter));
        let unit = (draw >> 11) as f64 / (1u64 << 53) as f64;
        let factor = 1.0 + self.jitter * (2.0 * unit - 1.0);
        ((middle_ns * factor) as u64).min(max_ns)
    }
}

impl Default for Backoff {
    fn default() -> Self {
        Backoff::fixed()
    }
}

impl fmt::Debug for Growth {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Growth::Fixed => f.write_str("Fixed"),
            Growth::Exponential { multiplier, max_ns } => {
                write!(
                    f,
                    "Exponential {{ multiplier: {multiplier}, max: {:?} }}",
                    Duration::from_nanos(*max_ns)
                )
            }
            Growth::Custom(_) => f.write_str("Custom"),
        }
    }
}

impl PartialEq for Growth {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Growth::Fixed, Growth::Fixed) => true,
            (
                Growth::Exponential { multiplier: a, max_ns: b },
                Growth::Exponential { multiplier: c, max_ns: d },
            ) => a == c && b == d,
            (Growth::Custom(a), Growth::Custom(b)) => Arc::ptr_eq(&a.0, &b.0),
            _ => false,
        }
    }
}
