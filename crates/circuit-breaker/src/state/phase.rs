use super::{Reason, State, Trip};
use crate::clock::Tick;
use crate::config::Config;

/// The state, each with what it decides from.
#[derive(Clone, Debug)]
pub(super) enum Phase {
    Closed(Trip),
    Open(Open),
    HalfOpen(Probes),
    ForcedOpen,
    ForcedClosed,
    MetricsOnly(Box<Virtual>),
}

#[derive(Clone, Debug)]
pub(super) struct Open {
    pub(super) opened: Tick,
    pub(super) until: Tick,
    /// What the failure that opened the circuit asked for (B13).
    pub(super) asked_ns: u64,
    /// The jitter's draw, kept so that a replaced configuration finds the same (B19).
    pub(super) draw: u64,
}

#[derive(Clone, Debug, Default)]
pub(super) struct Probes {
    pub(super) successes: u32,
    pub(super) in_flight: u32,
    /// Permits of this generation that were not cancelled.
    pub(super) started: u32,
    /// When half_open_timeout began to run, and when it ends; none before the first permit (B6).
    pub(super) timeout: Option<Timeout>,
    pub(super) ramp: Option<Box<Climb>>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Timeout {
    pub(super) from: Tick,
    pub(super) until: Tick,
}

/// A ramp in progress (B19b).
#[derive(Clone, Debug)]
pub(super) struct Climb {
    pub(super) step: usize,
    pub(super) successes: u32,
    /// Grows by the step's percentage at every request; a request that fills it to 100 is let through.
    meter: u32,
    pub(super) trip: Trip,
}

/// The virtual breaker of METRICS_ONLY.
#[derive(Clone, Debug)]
pub(super) struct Virtual {
    pub(super) trip: Trip,
    /// Virtually OPEN until then.
    pub(super) until: Option<Tick>,
    pub(super) epoch: u32,
}

impl Phase {
    pub(super) fn state(&self) -> State {
        match self {
            Phase::Closed(_) => State::Closed,
            Phase::Open(_) => State::Open,
            Phase::HalfOpen(_) => State::HalfOpen,
            Phase::ForcedOpen => State::ForcedOpen,
            Phase::ForcedClosed => State::ForcedClosed,
            Phase::MetricsOnly(_) => State::MetricsOnly,
        }
    }

    pub(super) fn metrics_only(config: &Config) -> Self {
        Phase::MetricsOnly(Box::new(Virtual { trip: Trip::new(config), until: None, epoch: 0 }))
    }
}

impl Open {
    /// When probing is allowed: the backoff's step, lengthened by what was asked for up to the cap (B13).
    pub(super) fn deadline(&self, config: &Config, opens: u32, reason: Reason) -> Tick {
        let step_ns = config.backoff.open_ns(config.recovery_timeout_ns, opens, reason, self.draw);
        self.opened.plus(step_ns.max(self.asked_ns.min(config.retry_after_max_ns)))
    }
}

impl Probes {
    /// B7. See [`Core::step`](super::Core::step) for the `max`.
    pub(super) fn has_room(&self, config: &Config) -> bool {
        let needed = config.success_threshold.max(self.successes.saturating_add(1));
        self.in_flight < config.half_open_max_calls && self.successes.saturating_add(self.in_flight) < needed
    }

    /// half_open_timeout does not run in the ramp (B19b).
    pub(super) fn deadline(&self) -> Option<Tick> {
        if self.ramp.is_some() { None } else { self.timeout.map(|timeout| timeout.until) }
    }
}

impl Climb {
    pub(super) fn new(config: &Config) -> Self {
        Climb { step: 0, successes: 0, meter: 0, trip: Trip::new(config) }
    }

    /// The share of calls let through; 100 once a replaced configuration has fewer steps.
    pub(super) fn percent(&self, config: &Config) -> u8 {
        config.ramp.as_ref().and_then(|ramp| ramp.steps.get(self.step).copied()).unwrap_or(100)
    }

    /// Whether this request is the k-th.
    pub(super) fn admit(&mut self, config: &Config) -> bool {
        self.meter += u32::from(self.percent(config));
        let full = self.meter >= 100;
        if full {
            self.meter -= 100;
        }
        full
    }

    /// Counts a success; says whether the ramp is completed.
    pub(super) fn advance(&mut self, config: &Config) -> bool {
        let Some(ramp) = &config.ramp else { return true };
        self.successes = self.successes.saturating_add(1);
        if self.successes >= ramp.hold {
            self.step += 1;
            self.successes = 0;
        }
        self.step >= ramp.steps.len()
    }
}
