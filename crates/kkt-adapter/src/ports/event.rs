//! What happens, for people who watch: one value a happening, formatted only where somebody listens.

use crate::domain::{
    entry::Actor,
    ids::{DeviceId, PosId, ReceiptId},
    lifecycle::State,
};
use circuit_breaker::Explanation;
use std::sync::Arc;

/// Something a person at the dashboard wants to see at once. Cheap to make: names are shared, nothing is formatted.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum Event {
    /// A breaker came into a state, or was given a new reason to stay in it.
    Breaker {
        /// `ofd`, `device:<id>`.
        key: Arc<str>,
        /// From where to where, by which rule, who and why.
        explanation: Box<Explanation>,
    },
    /// A person commanded a breaker.
    Command {
        /// `ofd`, `device:<id>`.
        key: String,
        /// `force_open`, `force_closed`, `release`, `reset`.
        command: &'static str,
        /// Who.
        by: Actor,
        /// Why.
        why: String,
    },
    /// A document came into a state, durably.
    Document {
        /// Our key of it.
        id: ReceiptId,
        /// The till, where it is known.
        pos_id: Option<PosId>,
        /// The device.
        device: DeviceId,
        /// Where it stands now.
        state: State,
    },
    /// A document came into the dead letters, or a person did something about it there; durably.
    DeadLetter {
        /// Our key of it.
        id: ReceiptId,
        /// The device.
        device: DeviceId,
        /// `died`, `parked`, `requeued`, `resolved`.
        action: &'static str,
        /// Who: the program, or a person.
        by: Actor,
        /// Why.
        why: String,
    },
}
