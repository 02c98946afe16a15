//! What a breaker is configured with. Checked once, before a breaker is built from it; never a panic later.

mod error;
#[cfg(feature = "serde")]
mod serde;
mod settings;
mod window;

#[cfg(feature = "serde")]
pub(crate) use self::serde::seconds;
pub use error::ConfigError;
pub use settings::{BackoffSettings, GrowthSettings, RampSettings, Settings, WindowSettings};
pub use window::{Shape, Window};

use crate::backoff::Backoff;
use crate::clock::nanos;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

/// What a permit that is dropped without an outcome does to the decision state (B10). It always frees its slot and
/// counts as `abandoned`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnDrop {
    /// Nothing. A backend that hangs until an outer time-out drops the call never trips the breaker.
    #[default]
    Neutral,
    /// It is a failure.
    Failure,
    /// It is a failure if the call had run for at least this long. Recommended wherever a time-out can drop a call.
    FailureAfter(Duration),
}

/// What a call in flight for longer than `overdue_after` is charged as (B19a).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OverdueAs {
    /// As a slow call where a slow-call rule is configured, as a failure where none is.
    #[default]
    Auto,
    /// As a slow call; needs a slow-call rule.
    Slow,
    /// As a failure.
    Failure,
}

/// Letting traffic back step by step after the probes have succeeded (B19b).
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use = "a ramp does nothing unless it is given to a configuration"]
pub struct Ramp {
    pub(crate) steps: Box<[u8]>,
    pub(crate) hold: u32,
}

impl Ramp {
    /// Lets `steps` percent of the calls through, one step after the other (ascending, 1 to 99), each until `hold`
    /// calls have succeeded in it.
    pub fn new(steps: impl IntoIterator<Item = u8>, hold: u32) -> Self {
        Ramp { steps: steps.into_iter().collect(), hold }
    }
}

impl Default for Ramp {
    /// 10 %, then 50 %, ten successes each.
    fn default() -> Self {
        Ramp::new([10, 50], 10)
    }
}

/// The configuration of a breaker. Setters take any value; [`validate`](Config::validate), which every use of it
/// calls, names the field, the value and the allowed range of the first that is impossible. What it says is read by
/// [`settings`](Config::settings).
///
/// | setting | default |
/// |---|---|
/// | `failure_threshold` | 5 |
/// | `recovery_timeout` | 60 s |
/// | `success_threshold` | 2 |
/// | `half_open_max_calls` | 2 |
/// | `half_open_timeout` | = `recovery_timeout` |
/// | `window` | none |
/// | `backoff` | fixed |
/// | `on_drop` | neutral |
/// | `overdue_after` | none |
/// | `retry_hint` | 1 s |
/// | `retry_after_max` | 10 min |
/// | `slow_probe_fails` | true |
/// | `ramp` | none |
#[cfg_attr(feature = "serde", doc = include_str!("../docs/config-format.md"))]
#[derive(Clone, Debug, PartialEq)]
#[must_use = "a configuration does nothing unless a breaker is given it"]
pub struct Config {
    pub(crate) failure_threshold: u32,
    pub(crate) success_threshold: u32,
    pub(crate) half_open_max_calls: u32,
    pub(crate) slow_probe_fails: bool,
    pub(crate) overdue_as: OverdueAs,
    pub(crate) recovery_timeout_ns: u64,
    pub(crate) half_open_timeout_ns: Option<u64>,
    pub(crate) overdue_after_ns: Option<u64>,
    pub(crate) retry_hint_ns: u64,
    pub(crate) retry_after_max_ns: u64,
    pub(crate) on_drop: OnDrop,
    pub(crate) window: Option<Box<Window>>,
    pub(crate) backoff: Backoff,
    pub(crate) ramp: Option<Box<Ramp>>,
}

impl Default for Config {
    fn default() -> Self {
        Config {
            failure_threshold: 5,
            success_threshold: 2,
            half_open_max_calls: 2,
            slow_probe_fails: true,
            overdue_as: OverdueAs::Auto,
            recovery_timeout_ns: 60_000_000_000,
            half_open_timeout_ns: None,
            overdue_after_ns: None,
            retry_hint_ns: 1_000_000_000,
            retry_after_max_ns: 600_000_000_000,
            on_drop: OnDrop::Neutral,
            window: None,
            backoff: Backoff::fixed(),
            ramp: None,
        }
    }
}

impl Config {
    /// As [`failure_threshold`](Config::failure_threshold): consecutive failures never open the circuit.
    pub const NEVER: u32 = u32::MAX;

    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Consecutive failures that open a CLOSED breaker, at least 1; [`Config::NEVER`] switches the rule off.
    pub fn failure_threshold(mut self, failures: u32) -> Self {
        self.failure_threshold = failures;
        self
    }

    /// Time in OPEN before probing is allowed, more than zero.
    pub fn recovery_timeout(mut self, time: Duration) -> Self {
        self.recovery_timeout_ns = nanos(time);
        self
    }

    /// Successful probes that close a HALF_OPEN breaker, at least 1.
    pub fn success_threshold(mut self, successes: u32) -> Self {
        self.success_threshold = successes;
        self
    }

    /// Probes in flight at once in HALF_OPEN, at least 1.
    pub fn half_open_max_calls(mut self, calls: u32) -> Self {
        self.half_open_max_calls = calls;
        self
    }

    /// A HALF_OPEN that has not decided this long after its first permit goes back to OPEN; more than zero. Default:
    /// as long as `recovery_timeout`.
    pub fn half_open_timeout(mut self, time: Duration) -> Self {
        self.half_open_timeout_ns = Some(nanos(time));
        self
    }

    /// Lets half_open_timeout follow `recovery_timeout` again.
    pub fn without_half_open_timeout(mut self) -> Self {
        self.half_open_timeout_ns = None;
        self
    }

    /// Adds the rules of a sliding window to the consecutive rule; whichever fires first opens the circuit.
    pub fn window(mut self, window: Window) -> Self {
        self.window = Some(Box::new(window));
        self
    }

    /// Takes the window away again.
    pub fn without_window(mut self) -> Self {
        self.window = None;
        self
    }

    /// How the open time grows from open to open.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// What a permit dropped without an outcome counts as.
    pub fn on_drop(mut self, policy: OnDrop) -> Self {
        self.on_drop = policy;
        self
    }

    /// Charges a call in flight for longer than this before it ends (B19a), seen late by at most an eighth of it;
    /// at least 8 ns. Every call then takes the breaker's lock.
    ///
    /// Replaced while the breaker runs, it holds for the calls in flight too, which may then be seen late by an eighth of
    /// the former value; but calls that began while it was not set are never charged.
    pub fn overdue_after(mut self, time: Duration) -> Self {
        self.overdue_after_ns = Some(nanos(time));
        self
    }

    /// Does not charge calls before they end.
    pub fn without_overdue_after(mut self) -> Self {
        self.overdue_after_ns = None;
        self
    }

    /// What an overdue call is charged as.
    pub fn overdue_as(mut self, charge: OverdueAs) -> Self {
        self.overdue_as = charge;
        self
    }

    /// What `retry_after` says where there is no deadline (HALF_OPEN, FORCED_OPEN); more than zero.
    pub fn retry_hint(mut self, time: Duration) -> Self {
        self.retry_hint_ns = nanos(time);
        self
    }

    /// The longest open time that a `retry_after` given with a failure can ask for (B13); more than zero.
    pub fn retry_after_max(mut self, time: Duration) -> Self {
        self.retry_after_max_ns = nanos(time);
        self
    }

    /// Whether a probe that succeeds slowly, by the window's `slow_call_duration`, is a failed probe (B9).
    pub fn slow_probe_fails(mut self, fails: bool) -> Self {
        self.slow_probe_fails = fails;
        self
    }

    /// Lets traffic back step by step after the probes have succeeded.
    pub fn ramp(mut self, ramp: Ramp) -> Self {
        self.ramp = Some(Box::new(ramp));
        self
    }

    /// Lets the last probe close the circuit. A ramp in progress ends with its next success.
    pub fn without_ramp(mut self) -> Self {
        self.ramp = None;
        self
    }

    /// Checks every field. Everything that takes a configuration calls it.
    ///
    /// # Errors
    /// The first field whose value is impossible, with what is allowed.
    pub fn validate(&self) -> Result<(), ConfigError> {
        for (field, value) in [
            ("failure_threshold", self.failure_threshold),
            ("success_threshold", self.success_threshold),
            ("half_open_max_calls", self.half_open_max_calls),
        ] {
            if value == 0 {
                return Err(ConfigError::new(field, value, "1 or more"));
            }
        }
        for (field, value_ns) in [
            ("recovery_timeout", Some(self.recovery_timeout_ns)),
            ("half_open_timeout", self.half_open_timeout_ns),
            ("retry_hint", Some(self.retry_hint_ns)),
            ("retry_after_max", Some(self.retry_after_max_ns)),
        ] {
            if value_ns == Some(0) {
                return Err(ConfigError::new(field, "0s", "more than 0s"));
            }
        }
        if let Some(after_ns @ 0..8) = self.overdue_after_ns {
            return Err(ConfigError::new("overdue_after", format!("{after_ns}ns"), "8ns or more"));
        }
        if self.overdue_as == OverdueAs::Slow && self.slow_call_ns().is_none() {
            return Err(ConfigError::new("overdue_as", "slow", "failure, unless slow_call_duration is set"));
        }
        if let Some(window) = &self.window {
            window.validate()?;
        }
        if let Some(ramp) = &self.ramp {
            ramp.validate()?;
        }
        self.backoff.validate(self.recovery_timeout_ns)
    }

    /// How long HALF_OPEN may take to decide, in nanoseconds.
    pub(crate) fn half_open_ns(&self) -> u64 {
        self.half_open_timeout_ns.unwrap_or(self.recovery_timeout_ns)
    }

    /// Whether an open time is reckoned as under `other`.
    pub(crate) fn opens_like(&self, other: &Config) -> bool {
        (self.recovery_timeout_ns, self.retry_after_max_ns)
            == (other.recovery_timeout_ns, other.retry_after_max_ns)
            && self.backoff == other.backoff
    }

    /// From how many nanoseconds on a call is slow, if there is a slow-call rule.
    pub(crate) fn slow_call_ns(&self) -> Option<u64> {
        self.window.as_ref().and_then(|window| window.slow_call_ns)
    }

    /// Whether an overdue call is charged as a failure rather than as slow.
    pub(crate) fn overdue_fails(&self) -> bool {
        match self.overdue_as {
            OverdueAs::Auto => self.slow_call_ns().is_none(),
            OverdueAs::Slow => false,
            OverdueAs::Failure => true,
        }
    }

    /// Shares the defaults between all breakers that use them.
    pub(crate) fn shared(self) -> Arc<Config> {
        static DEFAULT: OnceLock<Arc<Config>> = OnceLock::new();
        let default = DEFAULT.get_or_init(|| Arc::new(Config::default()));
        if self == **default { Arc::clone(default) } else { Arc::new(self) }
    }
}

impl Ramp {
    fn validate(&self) -> Result<(), ConfigError> {
        const ALLOWED: &str = "1 to 16 ascending percentages from 1 to 99";
        let ascending = self.steps.windows(2).all(|pair| pair[0] < pair[1]);
        let in_range = self.steps.iter().all(|step| (1..=99).contains(step));
        if !(1..=16).contains(&self.steps.len()) || !ascending || !in_range {
            return Err(ConfigError::new("ramp.steps", format!("{:?}", self.steps), ALLOWED));
        }
        if self.hold == 0 {
            return Err(ConfigError::new("ramp.hold", 0, "1 or more"));
        }
        Ok(())
    }
}
