use crate::clock::Tick;
use crate::config::Config;
use std::fmt;
use std::sync::Arc;

/// What a breaker does with calls (B1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "SCREAMING_SNAKE_CASE"))]
pub enum State {
    /// Permits everything and watches.
    Closed = 0,
    /// Rejects everything until the open time is over.
    Open = 1,
    /// Permits a few probes, which decide.
    HalfOpen = 2,
    /// Rejects everything until it is released.
    ForcedOpen = 3,
    /// Permits everything and never trips.
    ForcedClosed = 4,
    /// Permits everything and reports what it would have done.
    MetricsOnly = 5,
}

impl State {
    pub(crate) const COUNT: usize = 6;

    /// Every state, in the order of its number.
    pub const ALL: [State; State::COUNT] = [
        State::Closed,
        State::Open,
        State::HalfOpen,
        State::ForcedOpen,
        State::ForcedClosed,
        State::MetricsOnly,
    ];

    /// CLOSED, OPEN, HALF_OPEN, FORCED_OPEN, FORCED_CLOSED or METRICS_ONLY.
    pub const fn as_str(self) -> &'static str {
        match self {
            State::Closed => "CLOSED",
            State::Open => "OPEN",
            State::HalfOpen => "HALF_OPEN",
            State::ForcedOpen => "FORCED_OPEN",
            State::ForcedClosed => "FORCED_CLOSED",
            State::MetricsOnly => "METRICS_ONLY",
        }
    }

    /// Whether a person put the breaker into this state and has to release it.
    pub const fn is_manual(self) -> bool {
        matches!(self, State::ForcedOpen | State::ForcedClosed | State::MetricsOnly)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The rule by which a transition was made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
#[allow(missing_docs)] // Each is named after its rule; `Reason`'s Display says it in words.
pub enum Rule {
    None = 0,
    ConsecutiveFailures = 1,
    FailureRate = 2,
    SlowCallRate = 3,
    ProbeFailed = 4,
    SlowProbe = 5,
    OverdueProbe = 6,
    HalfOpenTimeout = 7,
    RecoveryElapsed = 8,
    ProbesSucceeded = 9,
    RampCompleted = 10,
    ForcedOpen = 11,
    ForcedClosed = 12,
    MetricsOnly = 13,
    Released = 14,
    Reset = 15,
}

impl Rule {
    const ALL: [Rule; 16] = [
        Rule::None,
        Rule::ConsecutiveFailures,
        Rule::FailureRate,
        Rule::SlowCallRate,
        Rule::ProbeFailed,
        Rule::SlowProbe,
        Rule::OverdueProbe,
        Rule::HalfOpenTimeout,
        Rule::RecoveryElapsed,
        Rule::ProbesSucceeded,
        Rule::RampCompleted,
        Rule::ForcedOpen,
        Rule::ForcedClosed,
        Rule::MetricsOnly,
        Rule::Released,
        Rule::Reset,
    ];

    pub(crate) fn from_number(number: u64) -> Rule {
        Self::ALL.get(number as usize).copied().unwrap_or(Rule::None)
    }
}

/// Why a transition was made: the rule and the counts it saw (B19c).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Reason {
    /// The rule that fired.
    pub rule: Rule,
    /// How many it saw: failures in a row, failed or slow calls, successes, opens in a row.
    pub seen: u32,
    /// Of how many: the threshold, or the calls in the window.
    pub of: u32,
}

impl Reason {
    /// There has been no transition yet.
    pub const NONE: Reason = Reason::new(Rule::None, 0, 0);

    pub(crate) const fn new(rule: Rule, seen: u32, of: u32) -> Self {
        Reason { rule, seen, of }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Reason { rule, seen, of } = *self;
        match rule {
            Rule::None => f.write_str("new"),
            Rule::ConsecutiveFailures if seen == 1 => write!(f, "1 failure in a row (threshold {of})"),
            Rule::ConsecutiveFailures => write!(f, "{seen} failures in a row (threshold {of})"),
            Rule::FailureRate => write!(f, "{seen} of {of} calls failed"),
            Rule::SlowCallRate => write!(f, "{seen} of {of} calls were slow"),
            Rule::ProbeFailed => write!(f, "a probe failed after {seen} of {of} successes"),
            Rule::SlowProbe => write!(f, "a probe was slow after {seen} of {of} successes"),
            Rule::OverdueProbe => write!(f, "a probe was overdue after {seen} of {of} successes"),
            Rule::HalfOpenTimeout => write!(f, "probing did not decide in time ({seen} of {of} successes)"),
            Rule::RecoveryElapsed => write!(f, "the open time is over (open {seen} in a row)"),
            Rule::ProbesSucceeded => write!(f, "{seen} of {of} probes succeeded"),
            Rule::RampCompleted => f.write_str("the ramp is completed"),
            Rule::ForcedOpen => f.write_str("forced open"),
            Rule::ForcedClosed => f.write_str("forced closed"),
            Rule::MetricsOnly => f.write_str("set to metrics only"),
            Rule::Released => f.write_str("released"),
            Rule::Reset => f.write_str("reset"),
        }
    }
}

/// A manual command (B15).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[allow(missing_docs)] // Named after the methods of `CircuitBreaker`.
pub enum Command {
    ForceOpen,
    ForceClosed,
    MetricsOnly,
    Release,
    Reset,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(rename_all = "snake_case"))]
pub enum Outcome {
    /// It worked.
    Success,
    /// It failed.
    Failure {
        /// How long the other side asked to be left alone, in nanoseconds; zero: it did not ask (B13).
        #[cfg_attr(feature = "serde", serde(default))]
        retry_after_ns: u64,
    },
    /// It says nothing about the other side's health.
    Ignored,
    /// Its permit was dropped without an outcome (B10).
    Dropped,
}

impl Outcome {
    /// A failure of a side that did not ask to be left alone.
    pub const FAILURE: Outcome = Outcome::Failure { retry_after_ns: 0 };
}

/// The right to make one call, as the core names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Grant {
    pub(crate) generation: u64,
    /// [`Tick::MAX`]: the call is not timed.
    pub(crate) started: Tick,
    /// See the constants below. One field as wide as the others, so that copying a grant does not stall on stores of
    /// different widths.
    mark: u64,
}

/// The call stands in the list of calls in flight (B19a).
const TRACKED: u64 = 1;
/// The shadow has permitted the call; it is tracked there.
const SHADOWED: u64 = 1 << 1;
const SHADOW_TRACKED: u64 = 1 << 2;
/// The low bits of the shadow's generation.
const SHADOW_SHIFT: u32 = 3;
const SHADOW_MASK: u64 = (1 << 29) - 1;
/// METRICS_ONLY: the virtual CLOSED period.
const EPOCH_SHIFT: u32 = 32;

impl Grant {
    pub(crate) const fn untimed(generation: u64) -> Self {
        Grant { generation, started: Tick::MAX, mark: 0 }
    }

    pub(super) fn told(generation: u64, started: Tick, epoch: u32, tracked: bool) -> Self {
        Grant { generation, started, mark: u64::from(epoch) << EPOCH_SHIFT | u64::from(tracked) }
    }

    /// METRICS_ONLY: which virtual CLOSED period it belongs to.
    pub(super) fn epoch(&self) -> u32 {
        (self.mark >> EPOCH_SHIFT) as u32
    }

    /// Whether it stands in the list of calls in flight (B19a).
    pub(crate) fn is_tracked(&self) -> bool {
        self.mark & TRACKED != 0
    }

    /// Notes that the shadow has permitted the call too.
    pub(crate) fn set_shadow(&mut self, shadow: Grant) {
        let tracked = if shadow.is_tracked() { SHADOW_TRACKED } else { 0 };
        self.mark |= SHADOWED | tracked | (shadow.generation & SHADOW_MASK) << SHADOW_SHIFT;
    }

    /// The shadow's grant, if it permitted the call; `current` is its generation now.
    pub(crate) fn shadow(&self, current: u64) -> Option<Grant> {
        let low_bits = self.mark >> SHADOW_SHIFT & SHADOW_MASK;
        // What is not of this generation is late, whichever it was of.
        let generation = if low_bits == current & SHADOW_MASK { current } else { current.wrapping_sub(1) };
        let tracked = self.mark & SHADOW_TRACKED != 0;
        let grant = Grant::told(generation & super::GENERATION_MASK, self.started, 0, tracked);
        self.is_shadowed().then_some(grant)
    }

    fn is_shadowed(&self) -> bool {
        self.mark & SHADOWED != 0
    }

    /// Nanoseconds from the start of the call to `now`, if it is timed.
    pub(crate) fn elapsed_ns(&self, now: Tick) -> Option<u64> {
        (self.started != Tick::MAX).then(|| now.nanos_since(self.started))
    }
}

/// What can happen to a [`Core`](super::Core).
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Input {
    /// Somebody looks (B6).
    Look,
    /// Somebody asks for a permit.
    Acquire,
    /// A call ended, after so many nanoseconds if it was timed.
    Finish(Grant, Outcome, Option<u64>),
    /// A permit was given back: its call was never started (R4).
    Cancel(Grant),
    /// A person commands.
    Command(Command),
    /// The configuration is replaced by this one, which [`Config::validate`] allows (B19).
    Configure(Arc<Config>),
}
