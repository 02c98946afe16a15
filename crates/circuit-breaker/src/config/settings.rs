use super::{Config, OnDrop, OverdueAs, Shape, Window};
use crate::backoff::{Backoff, Growth};
use std::time::Duration;

/// What a [`Config`] says, to be read: each field is named after the setter. Made by [`Config::settings`].
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Settings {
    /// [`Config::NEVER`]: the rule is off.
    pub failure_threshold: u32,
    /// Before the backoff.
    pub recovery_timeout: Duration,
    /// Successful probes that close the circuit.
    pub success_threshold: u32,
    /// Probes in flight at once.
    pub half_open_max_calls: u32,
    /// As it is in force: `recovery_timeout`, unless it was set.
    pub half_open_timeout: Duration,
    /// The window's rules.
    pub window: Option<WindowSettings>,
    /// How the open time grows.
    pub backoff: BackoffSettings,
    /// What a dropped permit counts as.
    pub on_drop: OnDrop,
    /// None: hanging calls are not charged.
    pub overdue_after: Option<Duration>,
    /// What an overdue call is charged as.
    pub overdue_as: OverdueAs,
    /// What a rejection says where there is no deadline.
    pub retry_hint: Duration,
    /// The longest open time that can be asked for.
    pub retry_after_max: Duration,
    /// Whether a slow probe is a failed one.
    pub slow_probe_fails: bool,
    /// None: the last probe closes the circuit.
    pub ramp: Option<RampSettings>,
}

/// What a [`Window`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct WindowSettings {
    /// Which calls it looks at.
    pub shape: Shape,
    /// Calls that it must hold before it decides.
    pub minimum_calls: u32,
    /// In percent; none: there is no such rule.
    pub failure_rate_threshold: Option<f64>,
    /// None: no call is slow.
    pub slow_call_duration: Option<Duration>,
    /// In percent; none: there is no such rule.
    pub slow_call_rate_threshold: Option<f64>,
}

/// What a [`Backoff`] says.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct BackoffSettings {
    /// How the open time grows.
    pub growth: GrowthSettings,
    /// By what part of itself an open time is spread.
    pub jitter: f64,
}

/// How the open time grows.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum GrowthSettings {
    /// Not at all.
    Fixed,
    /// By a factor.
    Exponential {
        /// The factor.
        multiplier: f64,
        /// The longest.
        max: Duration,
    },
    /// As a function says.
    Custom,
}

/// What a [`Ramp`](super::Ramp) says.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RampSettings {
    /// In percent of the calls.
    pub steps: Vec<u8>,
    /// Successes that each step takes.
    pub hold: u32,
}

impl Config {
    /// What it says, to be read.
    ///
    /// ```
    /// use circuit_breaker::CircuitBreaker;
    ///
    /// let breaker = CircuitBreaker::builder().failure_threshold(3).build()?;
    /// assert_eq!(breaker.config().settings().failure_threshold, 3);
    /// # Ok::<(), circuit_breaker::ConfigError>(())
    /// ```
    pub fn settings(&self) -> Settings {
        Settings {
            failure_threshold: self.failure_threshold,
            recovery_timeout: Duration::from_nanos(self.recovery_timeout_ns),
            success_threshold: self.success_threshold,
            half_open_max_calls: self.half_open_max_calls,
            half_open_timeout: Duration::from_nanos(self.half_open_ns()),
            window: self.window.as_deref().map(Window::settings),
            backoff: self.backoff.settings(),
            on_drop: self.on_drop,
            overdue_after: self.overdue_after_ns.map(Duration::from_nanos),
            overdue_as: self.overdue_as,
            retry_hint: Duration::from_nanos(self.retry_hint_ns),
            retry_after_max: Duration::from_nanos(self.retry_after_max_ns),
            slow_probe_fails: self.slow_probe_fails,
            ramp: self.ramp.as_ref().map(|ramp| RampSettings { steps: ramp.steps.to_vec(), hold: ramp.hold }),
        }
    }
}

impl Window {
    /// What it says, to be read.
    pub fn settings(&self) -> WindowSettings {
        WindowSettings {
            shape: self.shape,
            minimum_calls: self.minimum_calls,
            failure_rate_threshold: self.failure_rate,
            slow_call_duration: self.slow_call_ns.map(Duration::from_nanos),
            slow_call_rate_threshold: self.slow_rate,
        }
    }
}

impl Backoff {
    /// What it says, to be read.
    pub fn settings(&self) -> BackoffSettings {
        let growth = match self.growth {
            Growth::Fixed => GrowthSettings::Fixed,
            Growth::Exponential { multiplier, max_ns } => {
                GrowthSettings::Exponential { multiplier, max: Duration::from_nanos(max_ns) }
            }
            Growth::Custom(_) => GrowthSettings::Custom,
        };
        BackoffSettings { growth, jitter: self.jitter }
    }
}
