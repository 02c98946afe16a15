use super::{Core, GENERATION_MASK, Phase, Reason, State};
use crate::clock::Tick;
use crate::config::OnDrop;

/// What the shell may do without asking the core, until the next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Published {
    pub(crate) state: State,
    pub(crate) generation: u64,
    /// Plain successes that decide nothing; `None`: any number, and they need not be told either. In HALF_OPEN zero
    /// means that there is no room for a probe before the deadline.
    pub(crate) slack: Option<u32>,
    /// A call has to be timed from its start.
    pub(crate) timed: bool,
    /// A success has to be compared with `slow_ns` or `deadline`.
    pub(crate) checked: bool,
    /// CLOSED with the consecutive rule alone: the failures in a row. A further failure before the `failure_limit`-th
    /// decides nothing, and a success sets it to zero.
    pub(crate) failures: Option<u32>,
    pub(crate) failure_limit: u32,
    /// Every permit and every outcome has to be told to the core.
    pub(crate) told: bool,
    /// Until when this holds.
    pub(crate) deadline: Tick,
    pub(crate) since: Tick,
    pub(crate) reason: Reason,
    pub(crate) slow_ns: u64,
    pub(crate) retry_hint_ns: u64,
}

impl Core {
    /// What holds until the next step.
    pub(crate) fn published(&self) -> Published {
        let config = &*self.config;
        let slow_ns = config.slow_call_ns().unwrap_or(u64::MAX);
        let mut published = Published {
            state: self.state(),
            generation: self.generation & GENERATION_MASK,
            slack: Some(0),
            timed: slow_ns != u64::MAX || matches!(config.on_drop, OnDrop::FailureAfter(_)),
            checked: slow_ns != u64::MAX,
            failures: None,
            failure_limit: config.failure_threshold,
            told: false,
            deadline: Tick::MAX,
            since: self.since,
            reason: self.opened_by,
            slow_ns,
            retry_hint_ns: config.retry_hint_ns,
        };
        match &self.phase {
            Phase::Closed(trip) => {
                published.slack = trip.slack(config);
                if let Some(window) = &trip.window {
                    published.deadline = window.valid_until();
                    published.checked |= published.deadline != Tick::MAX;
                }
                published.told = config.overdue_after_ns.is_some() || self.in_flight.is_some();
                if trip.window.is_none() && !published.told && trip.consecutive < config.failure_threshold {
                    published.failures = Some(trip.consecutive);
                }
            }
            Phase::ForcedClosed => published.slack = None,
            Phase::Open(open) => published.deadline = open.until,
            Phase::HalfOpen(probes) => {
                let full = probes.ramp.is_none() && !probes.has_room(config);
                published.slack = Some(u32::from(!full));
                published.deadline = probes.deadline().unwrap_or(Tick::MAX);
                if config.overdue_after_ns.is_some() {
                    published.slack = Some(1);
                }
                published.told = true;
            }
            Phase::ForcedOpen => {}
            Phase::MetricsOnly(_) => published.told = true,
        }
        published
    }
}
