use super::ConfigError;
use crate::clock::nanos;
use std::time::Duration;

/// Which calls a sliding window looks at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Shape {
    /// The last this many calls (1 to 1,000,000); two bits each.
    Count(u32),
    /// The calls of the last `buckets` (1 to 3,600) stretches of time of `bucket` each, the running one included;
    /// twelve bytes a bucket, whatever the number of calls (which is counted up to 4,294,967,295).
    Time {
        /// How many stretches.
        buckets: u32,
        /// How long each is.
        bucket: Duration,
    },
}

/// A sliding window over the calls of a CLOSED breaker, and the rules on it.
///
/// ```
/// use circuit_breaker::{CircuitBreaker, Window};
/// use std::time::Duration;
///
/// // Opens when at least 20 of the last 100 calls are known and half of them failed, or 80 % took a second.
/// let breaker = CircuitBreaker::builder()
///     .window(
///         Window::count(100)
///             .minimum_calls(20)
///             .failure_rate_threshold(50.0)
///             .slow_call_duration(Duration::from_secs(1))
///             .slow_call_rate_threshold(80.0),
///     )
///     .build()?;
/// # Ok::<(), circuit_breaker::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
#[must_use = "a window does nothing unless it is given to a configuration"]
pub struct Window {
    pub(crate) shape: Shape,
    pub(crate) minimum_calls: u32,
    pub(crate) failure_rate: Option<f64>,
    pub(crate) slow_call_ns: Option<u64>,
    pub(crate) slow_rate: Option<f64>,
}

/// In percent.
const DEFAULT_FAILURE_RATE: f64 = 50.0;
const DEFAULT_MINIMUM_CALLS: u32 = 10;

impl Window {
    /// The last `calls` calls. Defaults: `minimum_calls` is 10 or the size if that is smaller, failures 50 %.
    pub fn count(calls: u32) -> Self {
        Window {
            shape: Shape::Count(calls),
            minimum_calls: DEFAULT_MINIMUM_CALLS.min(calls),
            failure_rate: Some(DEFAULT_FAILURE_RATE),
            slow_call_ns: None,
            slow_rate: None,
        }
    }

    /// The last `buckets` stretches of `bucket` each. Defaults: `minimum_calls` is 10, failures 50 %.
    pub fn time(buckets: u32, bucket: Duration) -> Self {
        Window {
            shape: Shape::Time { buckets, bucket },
            minimum_calls: DEFAULT_MINIMUM_CALLS,
            ..Window::count(1)
        }
    }

    /// How many calls the window must hold before its rules are looked at, at least 1.
    pub fn minimum_calls(mut self, calls: u32) -> Self {
        self.minimum_calls = calls;
        self
    }

    /// The share of failed calls, in percent (more than 0, at most 100), from which the circuit opens; 50 by default,
    /// also beside a slow-call rule.
    pub fn failure_rate_threshold(mut self, percent: f64) -> Self {
        self.failure_rate = Some(percent);
        self
    }

    /// Lets no share of failed calls open the circuit: the slow-call rule alone looks at the window.
    pub fn without_failure_rate(mut self) -> Self {
        self.failure_rate = None;
        self
    }

    /// From how long on a call is slow, successful or not; more than zero.
    pub fn slow_call_duration(mut self, time: Duration) -> Self {
        self.slow_call_ns = Some(nanos(time));
        self
    }

    /// The share of slow calls, in percent (more than 0, at most 100), from which the circuit opens.
    pub fn slow_call_rate_threshold(mut self, percent: f64) -> Self {
        self.slow_rate = Some(percent);
        self
    }

    /// Which calls it looks at.
    pub fn shape(&self) -> Shape {
        self.shape
    }

    pub(super) fn validate(&self) -> Result<(), ConfigError> {
        match self.shape {
            Shape::Count(calls) => {
                if !(1..=1_000_000).contains(&calls) {
                    return Err(ConfigError::new("window.calls", calls, "1 to 1000000"));
                }
                if self.minimum_calls > calls {
                    let (value, allowed) = (self.minimum_calls, "1 to the window's size");
                    return Err(ConfigError::new("minimum_calls", value, allowed));
                }
            }
            Shape::Time { buckets, bucket } => {
                if !(1..=3_600).contains(&buckets) {
                    return Err(ConfigError::new("window.buckets", buckets, "1 to 3600"));
                }
                if bucket.is_zero() {
                    return Err(ConfigError::new("window.bucket", "0s", "more than 0s"));
                }
            }
        }
        if self.minimum_calls == 0 {
            return Err(ConfigError::new("minimum_calls", 0, "1 or more"));
        }
        for (field, rate) in
            [("failure_rate_threshold", self.failure_rate), ("slow_call_rate_threshold", self.slow_rate)]
        {
            if let Some(percent) = rate
                && !(percent > 0.0 && percent <= 100.0)
            {
                return Err(ConfigError::new(field, percent, "more than 0 %, at most 100 %"));
            }
        }
        if self.slow_call_ns == Some(0) {
            return Err(ConfigError::new("slow_call_duration", "0s", "more than 0s"));
        }
        if self.slow_rate.is_some() && self.slow_call_ns.is_none() {
            return Err(ConfigError::new("slow_call_duration", "none", "set, with slow_call_rate_threshold"));
        }
        if self.slow_call_ns.is_some() && self.slow_rate.is_none() {
            return Err(ConfigError::new("slow_call_rate_threshold", "none", "set, with slow_call_duration"));
        }
        if self.failure_rate.is_none() && self.slow_rate.is_none() {
            let allowed = "set, unless slow_call_rate_threshold is";
            return Err(ConfigError::new("failure_rate_threshold", "none", allowed));
        }
        Ok(())
    }
}
