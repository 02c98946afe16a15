//! The fault plan: which calls are treated how.
//!
//! A plan is a list of [`Rule`]s, tried in order; the first that matches a call decides, and a call that none matches is
//! served as a healthy operator would. Where chance is involved it comes from the plan's seed and from the call (its
//! key and how often that key came), so two runs with the same calls see the same faults however their threads race.
//!
//! The JSON form (`PUT /sim/faults`) is read by [`Plan::from_json`] and written by [`Plan::to_json`].

mod fault;
mod fields;
mod parse;
mod render;
mod rule;

pub use fault::{DownMode, Fault, GarbageForm, RetryAfter};
pub use fields::PlanError;
pub use rule::{Calls, Rule, When};

/// What the simulator does to its callers. [`Plan::ok`] is a healthy operator.
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Seed of everything random in the plan.
    pub seed: u64,
    /// Whether a key is counted once. A real operator does; `false` is for control runs that must show duplicates.
    pub dedup: bool,
    /// Rules in order; at most [`Plan::RULES_MAX`].
    pub rules: Vec<Rule>,
}

impl Default for Plan {
    fn default() -> Self {
        Self { seed: 0, dedup: true, rules: Vec::new() }
    }
}

impl Plan {
    /// Most rules in a plan.
    pub const RULES_MAX: usize = 1000;

    /// A healthy operator.
    #[must_use]
    pub fn ok() -> Self {
        Self::default()
    }

    /// Every call, pings included, is answered with this status until the plan changes.
    #[must_use]
    pub fn fail_always(status: u16) -> Self {
        Self::ok().rule(Rule::fail(status))
    }

    /// The next `times` calls, pings included, are answered with this status; then all is well.
    #[must_use]
    pub fn fail_times(times: u64, status: u16) -> Self {
        Self::ok().rule(Rule::fail(status).times(times))
    }

    /// Every document is stored at its first arrival and the connection cut before the answer; its retry succeeds.
    #[must_use]
    pub fn lost_acknowledgements() -> Self {
        Self::ok().rule(Rule::store_then_cut().attempt(1))
    }

    /// Adds a rule behind the others.
    #[must_use]
    pub fn rule(mut self, rule: Rule) -> Self {
        self.rules.push(rule);
        self
    }

    /// Sets the seed.
    #[must_use]
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Counts every arrival: for control runs.
    #[must_use]
    pub fn dedup_off(mut self) -> Self {
        self.dedup = false;
        self
    }
}
