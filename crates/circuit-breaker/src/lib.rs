//! A circuit breaker with a pure core, exact half-open limits and lock-free hot paths.
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
pub use config::{Config, ConfigError, OnDrop, OverdueAs, Ramp, Shape, Window};
pub use events::{Delivery, Event, EventKind, Subscription};
#[cfg(feature = "tower")]
pub use layer::{CircuitBreakerLayer, CircuitBreakerService};
pub use permit::Permit;
pub use registry::{Registry, RegistryBuilder, RegistryError};
pub use rejected::{CallError, Rejected};
pub use replay::{Record, Replay, Timeline, TimelineEntry, replay};
pub use shadow::ShadowView;
pub use snapshot::{Explanation, Snapshot, TimeInState, WindowView};
pub use state::{Command, Outcome, Reason, Rule, State};
