use crate::clock::Tick;
use crate::state::{Denial, Reason, State};
use std::fmt;
use std::time::Duration;

/// The breaker did not let the call through. The operation was not run.
///
/// What the caller must do: try again after [`retry_after`](Rejected::retry_after), or do without.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Rejected {
    retry_after_ns: u64,
    since_ns: u64,
    generation: u64,
    reason: Reason,
    state: State,
}

impl Rejected {
    #[inline(always)]
    pub(crate) fn new(denial: Denial, now: Tick, retry_hint_ns: u64) -> Self {
        let now = now.max(denial.since); // A coarse clock may be behind.
        let retry_after_ns = denial.deadline.map_or(retry_hint_ns, |deadline| deadline.nanos_since(now));
        Rejected {
            retry_after_ns,
            since_ns: now.nanos_since(denial.since),
            generation: denial.generation,
            reason: denial.reason,
            state: denial.state,
        }
    }

    /// The same, given when the breaker rejects no more.
    #[cfg(feature = "tower")]
    pub(crate) fn overtaken(self) -> Self {
        Rejected { retry_after_ns: 0, ..self }
    }

    /// OPEN: how long until probing is allowed. Otherwise the configured `retry_hint`.
    pub fn retry_after(&self) -> Duration {
        Duration::from_nanos(self.retry_after_ns)
    }

    /// Which state rejected: OPEN, HALF_OPEN or FORCED_OPEN.
    pub fn state(&self) -> State {
        self.state
    }

    /// Why the circuit opened: the rule that fired and the counts it saw (B19c).
    pub fn reason(&self) -> Reason {
        self.reason
    }

    /// The generation that rejected.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// For how long the breaker has been in this state.
    pub fn state_age(&self) -> Duration {
        Duration::from_nanos(self.since_ns)
    }
}

impl fmt::Display for Rejected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (state, age, retry) = (self.state, self.state_age(), self.retry_after());
        write!(f, "circuit is {state} for {age:.1?}: {}; retry after {retry:.1?}", self.reason)
    }
}

impl std::error::Error for Rejected {}

/// What [`CircuitBreaker::call`](crate::CircuitBreaker::call) can fail with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CallError<E> {
    /// The breaker did not let the call through.
    Rejected(Rejected),
    /// The call was made and ended with this error.
    Inner(E),
}

impl<E> CallError<E> {
    /// The error of the call, if it was made.
    pub fn into_inner(self) -> Option<E> {
        match self {
            CallError::Rejected(_) => None,
            CallError::Inner(error) => Some(error),
        }
    }

    /// Either error as a boxed one, for callers that take any: a stack of tower services, `anyhow`. A rejection is found
    /// in it by `downcast_ref::<Rejected>()`.
    ///
    /// Needed where `E` is itself a box: that is not an [`Error`](std::error::Error), so neither is this then.
    pub fn into_boxed(self) -> Box<dyn std::error::Error + Send + Sync>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        match self {
            CallError::Rejected(rejected) => rejected.into(),
            CallError::Inner(error) => error.into(),
        }
    }

    /// The rejection, if the call was not made.
    pub fn rejected(&self) -> Option<Rejected> {
        match self {
            CallError::Rejected(rejected) => Some(*rejected),
            CallError::Inner(_) => None,
        }
    }
}

impl<E: fmt::Display> fmt::Display for CallError<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            CallError::Rejected(rejected) => rejected.fmt(f),
            CallError::Inner(error) => error.fmt(f),
        }
    }
}

impl<E: std::error::Error> std::error::Error for CallError<E> {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            // Display shows the error itself, so what is behind it is its source.
            CallError::Rejected(_) => None,
            CallError::Inner(error) => error.source(),
        }
    }
}

impl<E> From<Rejected> for CallError<E> {
    fn from(rejected: Rejected) -> Self {
        CallError::Rejected(rejected)
    }
}
