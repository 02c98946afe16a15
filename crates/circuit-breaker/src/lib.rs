//! A circuit breaker with a pure core, exact half-open limits and lock-free hot paths.
//!
//! A circuit breaker stands in front of something that can fail (a server, a device, a database). While it works, the
//! breaker lets every call through. When it fails, the breaker *opens*: calls are rejected at once, without being made,
//! so that neither the callers nor the failing side are kept busy with what can't work. After a while it lets a few
//! *probes* through and, if they succeed, *closes* again.
//!
#![doc = concat!("```text\n", include_str!("../docs/state-machine.txt"), "```")]
//!
//! # A first example
//!
//! ```
//! use circuit_breaker::{CallError, CircuitBreaker, ManualClock, State};
//! use std::time::Duration;
//!
//! let clock = ManualClock::new(); // Leave the clock out for the machine's own.
//! let breaker = CircuitBreaker::builder()
//!     .name("ofd")
//!     .failure_threshold(3)
//!     .recovery_timeout(Duration::from_secs(60))
//!     .clock(clock.clone())
//!     .build()?;
//!
//! for _ in 0..3 {
//!     let _ = breaker.call(|| Err::<(), _>("connection refused"));
//! }
//! // The circuit is open: the call is not made, and the answer says why and for how long.
//! match breaker.call(|| Ok::<_, &str>("hello")) {
//!     Err(CallError::Rejected(rejected)) => {
//!         assert_eq!(rejected.retry_after(), Duration::from_secs(60));
//!         assert_eq!(rejected.reason().to_string(), "3 failures in a row (threshold 3)");
//!     }
//!     other => panic!("{other:?}"),
//! }
//! // A minute later two probes may show that the other side is back.
//! clock.advance(Duration::from_secs(60));
//! assert_eq!(breaker.state(), State::HalfOpen);
//! assert_eq!(breaker.call(|| Ok::<_, &str>("hello")), Ok("hello"));
//! assert_eq!(breaker.call(|| Ok::<_, &str>("hello")), Ok("hello"));
//! assert_eq!(breaker.state(), State::Closed);
//! # Ok::<(), circuit_breaker::ConfigError>(())
//! ```
//!
//! `call_async` does the same for a future, on any executor; [`CircuitBreaker::try_acquire`] gives a [`Permit`] for
//! everything else; [`layer`] is for tower.
//!
//! # Vocabulary
//!
//! | word | meaning |
//! |---|---|
//! | call | one protected operation |
//! | permit | the right to make one call |
//! | outcome | how a call ended: success, failure or ignored; a [`Verdict`] says which, by default `Ok` and `Err` do |
//! | probe | a call let through in HALF_OPEN |
//! | generation | a number that grows by one at every transition and manual command; a permit belongs to one |
//! | late | the outcome of a permit of an earlier generation: it is counted, and decides nothing |
//! | abandoned | a permit dropped without an outcome: a cancelled future, an early return |
//! | overdue | a call in flight for longer than `overdue_after`: it is charged before it ends |
//! | decision state | what transitions are decided from: failures in a row, the window, successful probes, the backoff step |
//! | totals | counters for people and metrics; they never go down |
//! | a look | a permit request, a state query, a snapshot |
//!
//! # Which settings for what
//!
//! | you have | take |
//! |---|---|
//! | a client with few calls, one endpoint | the defaults: five failures in a row |
//! | many calls, some of which always fail | [`Window::count`] or [`Window::time`] with a failure rate, and `failure_threshold(Config::NEVER)` |
//! | a backend that gets slow before it fails | the window's slow-call rule |
//! | calls that an outer time-out drops | [`OnDrop::FailureAfter`]: by default a dropped call decides nothing, so a backend that hangs would never open the circuit |
//! | calls that can hang without any time-out | [`Config::overdue_after`] |
//! | a server that says Retry-After | [`Verdict::retry_after`] or [`Permit::failure_with`] |
//! | outages of hours | [`Backoff::exponential`] with [jitter](Backoff::jitter) |
//! | a backend that falls over under the returning load | [`Config::ramp`] |
//! | errors that are the caller's own fault (400, not found) | [`CircuitBreaker::with_classifier`] and [`Verdict::Ignored`] or [`Verdict::Success`] |
//! | one breaker a host, device or tenant | [`Registry`] |
//! | two breakers in a row | a permit of each; [`Permit::cancel`] the first when the second rejects |
//! | a caller that would rather not try | [`CircuitBreaker::would_reject`] |
//! | doubts about new settings | [`Builder::shadow`], [`replay()`], [`CircuitBreaker::metrics_only`] |
//!
//! # Features
//!
//! | feature | default | gives |
//! |---|---|---|
//! | `coarse-clock` | yes | Linux: an open circuit rejects in a few nanoseconds (CLOCK_MONOTONIC_COARSE) |
//! | `serde` | | [`Config`], whose documentation shows the form, read and written; [`Snapshot`], [`Event`] and [`Timeline`] written |
//! | `tower` | | [`layer`] |
//! | `tracing`, `metrics` | | [`observe`]: ready-made listeners |
//!
//! # Cost
//!
//! A successful call through a CLOSED breaker without failures to forget reads one shared word and adds one to a counter
//! that only its thread writes: no lock, no shared write, no allocation, no clock. A failure short of the last of the
//! consecutive rule, and the success that makes it forgotten, is one compare-and-swap. A [`Permit`] counts a reference
//! besides, each thread in a place of its own. An open circuit rejects after reading a coarse clock. What some settings add
//! to a call through a CLOSED breaker:
//!
//! | setting | each call also |
//! |---|---|
//! | [`Window::count`] | with a failed or slow call in the window, is a compare-and-swap; that call itself takes the lock |
//! | [`Window::time`] | is a compare-and-swap and reads a coarse clock; a failed call takes the lock |
//! | a slow-call rule | reads the precise clock at its start and its end |
//! | [`OnDrop::FailureAfter`] | reads the precise clock at its start |
//! | [`CircuitBreaker::with_classifier`], the tower [`layer`] | reads the precise clock at its start and its end |
//! | [`Config::overdue_after`], [`Builder::shadow`], METRICS_ONLY | takes the lock, and reads the precise clock, at its start and its end |
//!
//! Probes, transitions, commands and whatever is looked at take the lock too. It is short, and of what is not ours only
//! the [`Clock`] and a [`Backoff::custom`] function run under it.
//!
//! # Limits
//!
//! The breakers of several processes do not share their state (rules B22 and on are not built; [`state`] says where they would join). With panic=abort there is
//! no unwinding, so a panic is not recorded.
#![forbid(unsafe_code)]

mod backoff;
mod breaker;
mod classify;
mod clock;
mod config;
mod counters;
mod events;
#[cfg(feature = "tower")]
pub mod layer;
#[cfg(any(feature = "tracing", feature = "metrics"))]
pub mod observe;
mod permit;
mod registry;
mod rejected;
mod replay;
mod shadow;
mod snapshot;
pub mod state;
mod sync;
mod window;

pub use backoff::Backoff;
pub use breaker::{Builder, CircuitBreaker, Commands};
pub use classify::{Cause, Classified, Verdict};
pub use clock::{Clock, ManualClock, SystemClock, Tick};
pub use config::{
    BackoffSettings, Config, ConfigError, GrowthSettings, OnDrop, OverdueAs, Ramp, RampSettings, Settings,
    Shape, Window, WindowSettings,
};
pub use events::{Delivery, Event, EventKind, Subscription};
#[cfg(feature = "tower")]
pub use layer::{CircuitBreakerLayer, CircuitBreakerService};
pub use permit::Permit;
pub use registry::{Registry, RegistryBuilder, RegistryError, RegistryTotals};
pub use rejected::{CallError, Rejected};
pub use replay::{Record, Replay, Timeline, TimelineEntry, replay};
pub use shadow::ShadowView;
pub use snapshot::{Explanation, Snapshot, TimeInState, WindowView};
pub use state::{Command, Outcome, Reason, Rule, State};
