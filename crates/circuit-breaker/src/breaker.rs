//! The circuit breaker that programs use: a handle to one shared [`Shell`].

mod builder;
mod hold;
mod manual;
mod record;
mod run;
mod shell;
mod word;

pub use builder::Builder;
pub(crate) use hold::{Hold, Mooring};
pub use manual::Commands;
pub(crate) use shell::Shell;

use crate::classify::{Classified, Verdict};
use crate::clock::Tick;
use crate::config::{Config, ConfigError};
use crate::counters::Counters;
use crate::events::{Bus, Event, Subscription};
use crate::permit::Permit;
use crate::rejected::{CallError, Rejected};
use crate::snapshot::{Cut, Explanation, Snapshot};
use crate::state::{Counts, Effects, Grant, Input, State};
use record::Record;
use shell::{Cell, Context};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// A circuit breaker. Cloning it is cheap, and the clones are the same breaker.
pub struct CircuitBreaker {
    shell: Arc<Shell>,
}

impl CircuitBreaker {
    /// Starts with the defaults of [`Config`].
    pub fn builder() -> Builder {
        Builder::new()
    }

    /// Runs `op` if the breaker permits it. `Ok` is a success, `Err` and a panic are failures; for anything else see
    /// [`with_classifier`](CircuitBreaker::with_classifier).
    ///
    /// # Errors
    /// [`CallError::Rejected`] without running `op`, or [`CallError::Inner`] with the error of `op`.
    ///
    /// # Panics
    /// If `op` does: the panic counts as a failure and goes on to the caller (R1).
    #[inline]
    pub fn call<T, E>(&self, op: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
        run::call(&self.shell, op)
    }

    /// Awaits `op` if the breaker permits it, on any executor.
    ///
    /// The permit is taken at the first poll; a rejected future is never polled; dropping the call before its first
    /// poll counts nothing (R2), and after it is a dropped permit (B10).
    ///
    /// # Errors
    /// [`CallError::Rejected`] without polling `op`, or [`CallError::Inner`] with the error of `op`.
    ///
    /// # Panics
    /// If `op` does: the panic counts as a failure and goes on to the caller (R1).
    pub async fn call_async<T, E, F>(&self, op: F) -> Result<T, CallError<E>>
    where
        F: Future<Output = Result<T, E>>,
    {
        run::call_async(&self.shell, op).await
    }

    /// The right to make one call, for whatever `call` does not fit.
    ///
    /// # Errors
    /// The circuit is open, or has no room for a further probe.
    #[inline]
    pub fn try_acquire(&self) -> Result<Permit, Rejected> {
        let grant = match self.shell.acquire_plain() {
            Some(generation) => Grant::untimed(generation),
            None => self.shell.acquire()?,
        };
        Ok(Permit::new(self.hold(), grant))
    }

    /// This breaker for calls whose results mean something of their own: `classifier` sees the whole result and how
    /// long the call took, and says success, failure or ignored (B20).
    ///
    /// ```
    /// use circuit_breaker::{CircuitBreaker, Verdict};
    ///
    /// let breaker = CircuitBreaker::builder().build()?;
    /// let http = breaker.with_classifier(|result: &Result<u16, std::io::Error>, _elapsed| match result {
    ///     Ok(500..) => Verdict::failure().cause("server error"),
    ///     Ok(_) => Verdict::Success,
    ///     Err(_) => Verdict::failure(),
    /// });
    /// let status = http.call(|| Ok(503)).unwrap();
    /// assert_eq!(status, 503);
    /// assert_eq!(breaker.snapshot().failures, 1);
    /// # Ok::<(), circuit_breaker::ConfigError>(())
    /// ```
    pub fn with_classifier<T, E, C>(&self, classifier: C) -> Classified<C>
    where
        C: Fn(&Result<T, E>, Duration) -> Verdict,
    {
        Classified { breaker: self.clone(), classifier }
    }

    pub(crate) fn run<T, E>(
        &self,
        op: impl FnOnce() -> Result<T, E>,
        classifier: &impl Fn(&Result<T, E>, Duration) -> Verdict,
    ) -> Result<T, CallError<E>> {
        run::call_classified(&self.shell, op, classifier)
    }

    pub(crate) async fn run_async<T, E>(
        &self,
        op: impl Future<Output = Result<T, E>>,
        classifier: &impl Fn(&Result<T, E>, Duration) -> Verdict,
    ) -> Result<T, CallError<E>> {
        run::call_async_classified(&self.shell, op, classifier).await
    }

    /// The name it was built with.
    pub fn name(&self) -> &str {
        &self.shell.name
    }

    /// The state, now: an OPEN that is over reads HALF_OPEN without any call (B6).
    pub fn state(&self) -> State {
        self.shell.state()
    }

    /// Everything there is to know, in one cut (B17).
    pub fn snapshot(&self) -> Snapshot {
        let shell = &self.shell;
        let read = |cell: &Cell, _: &Effects, now| {
            let shadow = cell.shadow.as_ref().map(|shadow| shadow.view());
            let explained = (self.explanation(cell, now), cell.last_opened().map(Record::explain));
            (now, cell.core.view(), shadow, Arc::clone(cell.core.config()), explained)
        };
        let (_, (now, view, shadow, config, (explanation, last_opened))) =
            shell.enter(Context::default(), |_| Input::Look, read);
        let last_failure = view.last_failure.max(shell.last_untold_failure());
        let hint = Duration::from_nanos(config.retry_hint_ns);
        let left = view.deadline.map(|deadline| deadline.since(now));
        let (retry_after, half_open_left) = match view.state {
            State::Open => (left, None),
            State::HalfOpen => (Some(hint), left),
            State::ForcedOpen => (Some(hint), None),
            State::Closed | State::ForcedClosed | State::MetricsOnly => (None, None),
        };
        let cut = Cut {
            name: Arc::clone(&shell.name),
            explanation,
            last_opened,
            shadow,
            config,
            now_age: now.since(view.since),
            retry_after,
            half_open_left,
            last_failure: last_failure.map(|at| shell.clock.wall_at(at, now)),
            view,
        };
        Snapshot::read(cut, shell.counters())
    }

    /// Why the breaker is in its state: the rule that fired, the counts it saw, who and why (B19c).
    pub fn explain(&self) -> Explanation {
        let read = |cell: &Cell, _: &Effects, now| self.explanation(cell, now);
        self.shell.enter(Context::default(), |_| Input::Look, read).1
    }

    fn explanation(&self, cell: &Cell, now: Tick) -> Explanation {
        match &cell.record {
            Some(record) => record.explain(),
            None => Record::explain_new(self.shell.clock.wall_at(cell.core.since(), now)),
        }
    }

    /// The configuration in force.
    pub fn config(&self) -> Arc<Config> {
        Arc::clone(self.shell.lock_cell().core.config())
    }

    /// Replaces the configuration while the breaker runs (B19): state, generation and permits stay; new thresholds
    /// apply from the next outcome; an OPEN deadline is recomputed from when the circuit opened. What that puts into the
    /// past, the charge of an overdue call included, happens now.
    ///
    /// The virtual open time of METRICS_ONLY is not recomputed, and the shadow keeps the configuration that it was built
    /// with.
    ///
    /// # Errors
    /// The first setting that is impossible; then the old configuration stays.
    pub fn set_config(&self, config: Config) -> Result<(), ConfigError> {
        config.validate()?;
        self.set_shared_config(config.shared());
        Ok(())
    }

    /// The same, for a valid configuration that other breakers share.
    pub(crate) fn set_shared_config(&self, config: Arc<Config>) {
        // The old one, and a user's function in it, goes with the effects: after the lock.
        self.shell.enter(Context::default(), |_| Input::Configure(config), |_, _, _| ());
    }

    /// A bounded queue (1 to 65,536 events) of what happens from now on (B16).
    pub fn subscribe(&self, capacity: usize) -> Subscription {
        self.shell.bus().subscribe(capacity)
    }

    /// Calls `listener` for every event from now on, for the life of the breaker.
    ///
    /// It runs inside whichever call made or first saw the event, outside every lock, and delays that caller; and that
    /// caller goes on to deliver what other threads' calls make meanwhile, as long as there is more. So be quick, or hand
    /// the event on. Listeners get events one at a time and in order. A panic in one is caught. It may
    /// call the breaker: events that this makes come after the present one. Should 1,024 events be waiting, the
    /// oldest are lost; the gap shows in [`Event::sequence`].
    /// A listener that holds a clone of the breaker keeps it alive for good.
    pub fn on_event(&self, listener: impl Fn(&Event) + Send + Sync + 'static) {
        self.shell.bus().listen(Arc::new(listener));
    }

    /// As [`try_acquire`](CircuitBreaker::try_acquire), with the call timed whatever the configuration needs.
    #[cfg(feature = "tower")]
    pub(crate) fn try_acquire_timed(&self) -> Result<Permit, Rejected> {
        let grant = self.shell.acquire_timed()?;
        Ok(Permit::new(self.hold(), grant))
    }

    /// How a permit would be rejected right now, without asking for one: nothing is counted and no probe slot is taken.
    /// `None` promises nothing: somebody else may be faster, and in a [ramp](Config::ramp), where only every k-th request
    /// is let through, it is always `None`.
    pub fn would_reject(&self) -> Option<Rejected> {
        self.shell.would_reject()
    }

    #[cfg(feature = "tower")]
    pub(crate) fn count_rejected(&self) {
        self.shell.counters().add(crate::counters::Total::Rejected);
    }

    /// The core's totals, without a look.
    pub(crate) fn counts(&self) -> Counts {
        self.shell.lock_cell().core.counts()
    }

    /// The totals of calls.
    pub(crate) fn counters(&self) -> Counters<'_> {
        self.shell.counters()
    }

    /// CLOSED as last published, without a look: tells nobody anything.
    pub(crate) fn reads_closed(&self) -> bool {
        self.shell.reads_closed()
    }
}

impl Shell {
    fn bus(&self) -> &Bus {
        self.bus.get_or_init(Box::default)
    }
}

impl fmt::Debug for CircuitBreaker {
    /// Shows the state of the last look, and is none: what is printed to find a fault must not change anything.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut shown = f.debug_struct("CircuitBreaker");
        shown.field("name", &self.name());
        if let Some(state) = self.shell.published_state() {
            shown.field("state", &state);
        }
        shown.finish_non_exhaustive()
    }
}
