//! The life cycle of a document, as data.
//!
//! ```text
#![doc = include_str!("../../../../docs/lifecycle.txt")]
//! ```
//!
//! Every change is one durable transition in one transaction with its audit event. A change that is not in
//! [`ALLOWED`] is refused by every buffer, whoever asks for it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Where a document stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Stored; nobody was answered yet and nothing was sent to the KKT.
    Accepted,
    /// The KKT was told to print it; the result is not known yet.
    Printing,
    /// Safe, but surely not printed (paper out, KKT off, time-out that `find` settled).
    Buffered,
    /// Printed and signed by the ФН; waits for the OFD. «Pending» in the API.
    Printed,
    /// The KKT cannot say whether it printed: the device is blocked until a person decides.
    PrintUnknown,
    /// The OFD confirmed it. Final.
    Synced,
    /// In the dead-letter queue, where a person sees it.
    Dead,
    /// Ended before it was ever printed. Final.
    Cancelled,
}

impl State {
    /// All states, in the order of the figure.
    pub const ALL: [Self; 8] = [
        Self::Accepted,
        Self::Printing,
        Self::Buffered,
        Self::Printed,
        Self::PrintUnknown,
        Self::Synced,
        Self::Dead,
        Self::Cancelled,
    ];

    /// The name the API and the buffer use.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Printing => "printing",
            Self::Buffered => "buffered",
            Self::Printed => "printed",
            Self::PrintUnknown => "print_unknown",
            Self::Synced => "synced",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// Reads the name back.
    #[must_use]
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == name)
    }

    /// Whether a row in this state takes up capacity (contract, «Buffer»: unprinted, printed, dead).
    #[must_use]
    pub fn is_unsettled(self) -> bool {
        !matches!(self, Self::Synced | Self::Cancelled)
    }
}

/// What may happen to a document.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Step {
    /// The KKT is about to be told to print.
    StartPrinting,
    /// The ФН made the document.
    Printed,
    /// The KKT surely did not print.
    NotPrinted,
    /// The KKT cannot say.
    PrintUnknown,
    /// Ended by a person, or by age where nobody was ever answered.
    Cancel,
    /// The OFD confirmed.
    Synced,
    /// An attempt that was charged to the document itself failed.
    AttemptFailed,
    /// Refused for good, or out of attempts.
    Die,
    /// A person takes a printed document that holds up its lane out of it.
    Park,
    /// A person sends a dead document back to its lane.
    Requeue,
    /// A person closed a dead document with a note.
    Resolve,
}

impl Step {
    /// The name the audit uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::StartPrinting => "start_printing",
            Self::Printed => "printed",
            Self::NotPrinted => "not_printed",
            Self::PrintUnknown => "print_unknown",
            Self::Cancel => "cancel",
            Self::Synced => "synced",
            Self::AttemptFailed => "attempt_failed",
            Self::Die => "die",
            Self::Park => "park",
            Self::Requeue => "requeue",
            Self::Resolve => "resolve",
        }
    }
}

/// The figure as a table: from, step, to. Nothing else is allowed.
pub const ALLOWED: &[(State, Step, State)] = &[
    (State::Accepted, Step::StartPrinting, State::Printing),
    // Answered without the KKT having been told: it was busy with others for too long.
    (State::Accepted, Step::NotPrinted, State::Buffered),
    (State::Accepted, Step::Cancel, State::Cancelled),
    (State::Printing, Step::Printed, State::Printed),
    (State::Printing, Step::NotPrinted, State::Buffered),
    (State::Printing, Step::PrintUnknown, State::PrintUnknown),
    (State::Buffered, Step::StartPrinting, State::Printing),
    (State::Buffered, Step::Cancel, State::Cancelled),
    (State::PrintUnknown, Step::Printed, State::Printed),
    (State::PrintUnknown, Step::NotPrinted, State::Buffered),
    (State::Printed, Step::Synced, State::Synced),
    (State::Printed, Step::AttemptFailed, State::Printed),
    (State::Printed, Step::Die, State::Dead),
    (State::Printed, Step::Park, State::Dead),
    (State::Dead, Step::Requeue, State::Printed),
    (State::Dead, Step::Resolve, State::Dead),
];

/// Where `step` leads from `from`, if it is allowed.
#[must_use]
pub fn after(from: State, step: Step) -> Option<State> {
    ALLOWED.iter().find(|(state, taken, _)| *state == from && *taken == step).map(|(_, _, to)| *to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIGURE: &str = include_str!("../../../../docs/lifecycle.txt");

    #[test]
    fn the_figure_in_the_docs_lists_exactly_the_allowed_transitions() {
        let mut drawn: Vec<String> = FIGURE
            .lines()
            .filter(|line| line.contains(" --") && line.contains("--> "))
            .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
            .collect();
        let mut coded: Vec<String> = ALLOWED
            .iter()
            .map(|(from, step, to)| format!("{} --{}--> {}", from.as_str(), step.as_str(), to.as_str()))
            .collect();
        drawn.sort();
        coded.sort();
        assert_eq!(drawn, coded);
    }

    #[test]
    fn final_states_have_no_way_out() {
        for step in ALLOWED.iter().map(|(_, step, _)| *step) {
            assert_eq!(after(State::Synced, step), None);
            assert_eq!(after(State::Cancelled, step), None);
        }
    }

    #[test]
    fn names_read_back() {
        for state in State::ALL {
            assert_eq!(State::from_name(state.as_str()), Some(state));
        }
        assert_eq!(State::from_name("paid"), None);
    }
}
