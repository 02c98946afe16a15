//! What a breaker tells: bounded subscriptions and inline listeners (B16).
//!
//! Invariants:
//! 1. Events are lined up under the breaker's lock, so their order is the order of what happened.
//! 2. A queue is bounded: a subscriber that does not read loses the oldest events and is told how many.
//! 3. Listeners and wakers run outside every lock. One thread at a time delivers to the listeners; what happens
//!    meanwhile, a listener's own calls of the breaker included, is delivered by that thread afterwards.
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | a listener panics | caught; the next listener gets the event |
//! | a listener never returns | its thread is gone; every other thread goes on, and 1,024 events wait, then the oldest go |
//! | a subscriber is dropped | its queue goes with the next event |
//! | the breaker is dropped | subscribers read what is left, then `None` |

mod bus;
mod subscription;

pub(crate) use bus::{Bus, Pending};
pub use subscription::{Delivery, Subscription};

use crate::clock::Tick;
use crate::snapshot::Explanation;
use crate::state::{Reason, State};
use std::sync::Arc;
use std::time::SystemTime;

/// Something that happened to a breaker.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Event {
    /// Grows by one with every event of this breaker, whether or not anybody listened.
    pub sequence: u64,
    /// The generation after it.
    pub generation: u64,
    /// The breaker's name.
    pub breaker: Arc<str>,
    /// When it was due, on the breaker's clock.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub at: Tick,
    /// The same for people.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::snapshot::unix_seconds"))]
    pub wall: SystemTime,
    /// What happened.
    pub kind: EventKind,
}

/// What happened to a breaker.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "snake_case"))]
#[non_exhaustive]
pub enum EventKind {
    /// From one state to another, by a rule or by a person; `reset` of a CLOSED breaker is one too.
    Transition(Explanation),
    /// A manual state was commanded again: only who and why are new.
    ReasonUpdated(Explanation),
    /// METRICS_ONLY: the circuit would have opened (once a virtual trip).
    WouldOpen {
        /// By which rule.
        reason: Reason,
    },
    /// A breaker under the shadow configuration would have made this transition (B19d).
    ShadowTransition {
        /// From this state.
        from: State,
        /// To this state.
        to: State,
        /// By this rule.
        reason: Reason,
    },
    /// The configuration was replaced.
    ConfigReplaced,
}
