//! Whether the ERP takes the heartbeat, from the outcomes of the posts alone.

use crate::ports::LinkState;

/// Posts in a row that must arrive for `online` (contract).
pub const SUCCESSES: u32 = 2;
/// Posts in a row that must fail for `offline` (contract).
pub const FAILURES: u32 = 3;

/// The state and the counts it comes from: of the two counts one is always 0.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Link {
    state: LinkState,
    successes: u32,
    failures: u32,
}

/// A change of state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Transition {
    /// From here.
    pub from: LinkState,
    /// To there; never the same.
    pub to: LinkState,
}

impl Link {
    /// Where it stands.
    #[must_use]
    pub fn state(self) -> LinkState {
        self.state
    }

    /// Posts in a row that arrived, up to now.
    #[must_use]
    pub fn successes(self) -> u32 {
        self.successes
    }

    /// Posts in a row that failed, up to now.
    #[must_use]
    pub fn failures(self) -> u32 {
        self.failures
    }

    /// A post has ended.
    pub fn step(&mut self, arrived: bool) -> Option<Transition> {
        (self.successes, self.failures) = if arrived {
            (self.successes.saturating_add(1), 0)
        } else {
            (0, self.failures.saturating_add(1))
        };
        let from = self.state;
        if self.successes >= SUCCESSES {
            self.state = LinkState::Online;
        } else if self.failures >= FAILURES {
            self.state = LinkState::Offline;
        }
        (from != self.state).then_some(Transition { from, to: self.state })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use LinkState::{Offline, Online, Unknown};

    /// The states after each outcome: `+` arrived, `-` failed.
    fn states(outcomes: &str) -> Vec<LinkState> {
        let mut link = Link::default();
        outcomes
            .chars()
            .map(|outcome| {
                link.step(outcome == '+');
                link.state()
            })
            .collect()
    }

    #[test]
    fn two_in_a_row_that_arrive_are_online_and_three_in_a_row_that_fail_are_offline() {
        assert_eq!(states("+"), [Unknown]);
        assert_eq!(states("++"), [Unknown, Online]);
        assert_eq!(states("---"), [Unknown, Unknown, Offline]);
        assert_eq!(states("++--+---"), [Unknown, Online, Online, Online, Online, Online, Online, Offline]);
        assert_eq!(states("---+-++")[2..], [Offline, Offline, Offline, Offline, Online]);
        assert!(states(&"+--".repeat(5)).iter().all(|state| *state == Unknown), "never enough in a row");
    }

    #[test]
    fn a_transition_is_told_once_and_one_count_is_always_zero() {
        let mut link = Link::default();
        let told: Vec<_> = "++++----++".chars().map(|outcome| link.step(outcome == '+')).collect();
        let changes = [
            (1, Transition { from: Unknown, to: Online }),
            (6, Transition { from: Online, to: Offline }),
            (9, Transition { from: Offline, to: Online }),
        ];
        for (index, told) in told.into_iter().enumerate() {
            let wanted = changes.iter().find(|(at, _)| *at == index).map(|(_, change)| *change);
            assert_eq!(told, wanted, "{index}");
        }
        assert_eq!((link.successes(), link.failures()), (2, 0));
        link.step(false);
        assert_eq!((link.successes(), link.failures()), (0, 1));
        let mut long = Link { failures: u32::MAX, ..link };
        long.step(false);
        assert_eq!(long.failures(), u32::MAX);
    }
}
