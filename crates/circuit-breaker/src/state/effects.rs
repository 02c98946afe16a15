use super::{Grant, Reason, State};
use crate::clock::Tick;
use crate::config::Config;
use std::sync::Arc;

/// What a step did. Nothing is allocated unless there is a note.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Effects {
    /// The answer to an acquire.
    pub admission: Option<Result<Grant, Denial>>,
    /// The total that a finished call goes to.
    pub tally: Option<Tally>,
    /// Whether the finished call also goes to the total `slow`.
    pub slow: bool,
    /// What happened, oldest first.
    pub notes: Vec<Note>,
    /// Where in `notes` stand those that the finished call itself made; what was due before stands earlier.
    pub caused_from: usize,
    /// The configuration that was replaced, so that whoever holds a lock need not drop a user's function under it.
    pub replaced: Option<Arc<Config>>,
}

/// In which total a call ended: exactly one (B18).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub enum Tally {
    Succeeded,
    Failed,
    Ignored,
    Abandoned,
    Late,
}

/// Why a permit was not granted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Denial {
    pub state: State,
    pub generation: u64,
    pub reason: Reason,
    pub since: Tick,
    /// OPEN: when probing is allowed.
    pub deadline: Option<Tick>,
}

/// Something worth telling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Note {
    /// A transition, or a manual command.
    Change(Change),
    /// The manual state that was commanded is already there: only its reason is new.
    ReasonUpdated,
    /// `release` of a breaker that is in no manual state.
    NothingToRelease,
    /// METRICS_ONLY: the circuit would have opened.
    WouldOpen {
        /// By which rule.
        reason: Reason,
        /// When.
        at: Tick,
    },
    /// A breaker under the shadow configuration would have made this transition (B19d).
    Shadow(Change),
    /// The configuration was replaced.
    Configured {
        /// When.
        at: Tick,
    },
}

/// From one state to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
#[allow(missing_docs)]
pub struct Change {
    pub from: State,
    pub to: State,
    /// The generation that it began.
    pub generation: u64,
    /// When it was due: not when somebody looked (B6).
    pub at: Tick,
    pub reason: Reason,
    /// OPEN: when probing will be allowed.
    pub deadline: Option<Tick>,
}
