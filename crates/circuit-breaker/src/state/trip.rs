use super::{Reason, Rule};
use crate::clock::Tick;
use crate::config::Config;
use crate::window::{Mark, Sliding, Sums, fired};

/// What the trip rules of CLOSED decide from (B3).
#[derive(Clone, Debug)]
pub(super) struct Trip {
    pub(super) consecutive: u32,
    pub(super) window: Option<Box<Sliding>>,
}

/// What an outcome means to the trip rules.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Sign {
    Success {
        slow: bool,
    },
    Failure {
        slow: bool,
    },
    /// An overdue call charged as slow: how it will end is not known.
    Slow,
}

impl Trip {
    pub(super) fn new(config: &Config) -> Self {
        let window = config.window.as_ref().map(|window| Box::new(Sliding::new(window.shape())));
        Trip { consecutive: 0, window }
    }

    /// Takes in one outcome and says which rule fires.
    pub(super) fn record(&mut self, config: &Config, at: Tick, sign: Sign) -> Option<Reason> {
        let mark = match sign {
            Sign::Success { slow } => {
                self.consecutive = 0; // B4
                Mark { failed: false, slow }
            }
            Sign::Failure { slow } => {
                self.consecutive = self.consecutive.saturating_add(1);
                Mark { failed: true, slow }
            }
            Sign::Slow => Mark { failed: false, slow: true },
        };
        if let Some(window) = &mut self.window {
            window.push(at, mark);
        }
        if self.consecutive >= config.failure_threshold && config.failure_threshold != Config::NEVER {
            return Some(Reason::new(Rule::ConsecutiveFailures, self.consecutive, config.failure_threshold));
        }
        match (&self.window, &config.window) {
            (Some(window), Some(rules)) => fired(rules, window.sums()),
            _ => None,
        }
    }

    pub(super) fn absorb(&mut self, at: Tick, calls: u32) {
        self.consecutive = 0;
        if let Some(window) = &mut self.window {
            window.absorb(at, calls);
        }
    }

    pub(super) fn sums_at(&self, at: Tick) -> Option<Sums> {
        self.window.as_ref().map(|window| window.sums_at(at))
    }

    /// How many plain successes decide nothing; `None`: any number, and they change nothing either.
    pub(super) fn slack(&self, config: &Config) -> Option<u32> {
        let (Some(window), Some(rules)) = (&self.window, &config.window) else {
            return if self.consecutive == 0 { None } else { Some(0) };
        };
        // `None` is a window full of successes: one came last, so there are no failures in a row to forget.
        window.slack(rules)
    }
}
