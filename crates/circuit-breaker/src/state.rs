//! The pure core: `(state, now, input) -> (state, effects)`. No clock, no atomics, no I/O, no randomness of its own.
//!
//! Promise: every decision of this crate is made here and nowhere else. The concurrent shell, replay, shadow mode and
//! the model tests all drive this one [`Core`].
//!
//! Invariants:
//! 1. Time never goes back inside: an input with an earlier `now` is taken at the latest time seen.
//! 2. Whatever was due by `now` happens first, in the order in which it was due, stamped with when it was due (B6).
//! 3. Every transition and every manual command, and nothing else, makes the generation grow by one (B15).
//! 4. In HALF_OPEN before a ramp, `in_flight` ≤ half_open_max_calls at every grant (B7).
//! 5. An outcome of another generation changes nothing but the total `late` (B11).
//!
#![doc = concat!("```text\n", include_str!("../docs/state-machine.txt"), "```")]
//!
//! | what goes wrong | what happens |
//! |---|---|
//! | a permit is lost without an outcome | its drop frees the slot (B10); half_open_timeout ends the generation if not (B9) |
//! | a deadline overflows | it saturates to "never" |
//! | a configuration makes a threshold unreachable while probing | one probe at a time is let through (see [`Core::step`]) |
//!
//! # The seam for shared state (B22 and on, not built)
//!
//! A [`Core`] knows no clock, no thread and no chance but its seed, so whoever takes the same inputs makes the same
//! decisions. Replicas that share a key would read one log of [`Input`]s, each into a core of its own: a transition is
//! decided once because all decide it alike (B22), at the times of the store's clock (B26). Probes leased ahead are
//! [`Input::Acquire`]s that a background task appends (B25); the end of a lease is a dropped outcome that anyone may
//! append (B23). A replica that is cut off goes on with its copy (B24), and its own breaker, which has a core of its
//! own, opens at once (B24a). None of it changes the core; the custom backoff function alone would have to be the same.
//! `tests/core.rs` holds what this rests on.

mod effects;
mod kinds;
mod outcome;
mod overdue;
mod phase;
mod reconfigure;
mod slack;
mod timers;
mod trip;

pub use effects::{Change, Denial, Effects, Note, Tally};
pub use kinds::{Command, Grant, Input, Outcome, Reason, Rule, State};
pub(crate) use slack::Published;

use crate::clock::Tick;
use crate::config::Config;
use overdue::InFlight;
use phase::{Phase, Probes};
use std::sync::Arc;
use trip::Trip;

/// Grants name their generation by this many low bits: the shell packs it into one word. A permit would have to stay
/// out for 275 thousand million transitions to meet its number again.
pub(crate) const GENERATION_BITS: u32 = 38;
const GENERATION_MASK: u64 = (1 << GENERATION_BITS) - 1;

/// The state of one breaker.
#[derive(Clone, Debug)]
pub struct Core {
    config: Arc<Config>,
    phase: Phase,
    generation: u64,
    /// When the present state began.
    since: Tick,
    /// The latest time seen.
    last: Tick,
    /// The state of the generator that jitter is drawn from.
    seed: u64,
    /// Opens since the breaker was last CLOSED: the backoff step.
    opens_in_row: u32,
    /// Why it last opened.
    opened_by: Reason,
    /// [`Tick::MAX`]: there has been none.
    last_failure: Tick,
    in_flight: Option<Box<InFlight>>,
    /// Allocated with the first count: a breaker that never had to count is small.
    counts: Option<Box<Counts>>,
}

/// The totals that only the core can know.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Counts {
    /// Times the circuit opened.
    pub opens: u64,
    /// Calls that were charged before they ended.
    pub overdue: u64,
    /// METRICS_ONLY: virtual trips.
    pub would_open: u64,
    /// METRICS_ONLY: calls that an OPEN breaker would have rejected.
    pub would_reject: u64,
    /// Nanoseconds spent in each state, in the order of [`State`], without the present stay.
    pub spent_ns: [u64; State::COUNT],
}

impl Core {
    /// A CLOSED breaker with fresh decision state (B2); `seed` feeds the jitter.
    ///
    /// # Panics
    /// A later step may, if `config` is one that [`Config::validate`] refuses.
    pub fn new(config: Arc<Config>, now: Tick, seed: u64) -> Self {
        let trip = Trip::new(&config);
        Core {
            config,
            phase: Phase::Closed(trip),
            generation: 0,
            since: now,
            last: now,
            seed,
            opens_in_row: 0,
            opened_by: Reason::NONE,
            last_failure: Tick::MAX,
            in_flight: None,
            counts: None,
        }
    }

    /// Takes one input at `now` and says what it did. A configuration must be one that [`Config::validate`] allows.
    ///
    /// Where replacing the configuration in HALF_OPEN makes `successes` reach the new success_threshold, B7 by the
    /// letter would never permit the probe whose success has to close the circuit: then one probe at a time is let
    /// through.
    pub fn step(&mut self, now: Tick, input: Input) -> Effects {
        let mut effects = Effects::default();
        let now = now.max(self.last);
        self.settle(now, &mut effects);
        match input {
            Input::Look => {}
            Input::Acquire => effects.admission = Some(self.admit(now)),
            Input::Cancel(grant) => self.cancel(grant),
            Input::Finish(grant, outcome, elapsed_ns) => {
                self.finish(now, grant, outcome, elapsed_ns, &mut effects);
            }
            Input::Command(command) => self.command(now, command, &mut effects),
            Input::Configure(config) => self.reconfigure(now, config, &mut effects),
        }
        effects
    }

    /// The state as of the last step.
    pub fn state(&self) -> State {
        self.phase.state()
    }

    /// Grows by one at every transition and manual command.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// When the present state began.
    pub fn since(&self) -> Tick {
        self.since
    }

    /// What decides the next transition, for people and tests.
    pub fn view(&self) -> View {
        let mut view = View {
            state: self.state(),
            generation: self.generation,
            since: self.since,
            deadline: None,
            consecutive_failures: 0,
            in_flight: 0,
            probe_successes: 0,
            ramp_percent: None,
            opens_in_row: self.opens_in_row,
            opened_by: self.opened_by,
            last_failure: (self.last_failure != Tick::MAX).then_some(self.last_failure),
            window: None,
            counts: self.counts(),
        };
        let trip = match &self.phase {
            Phase::Closed(trip) => Some(trip),
            Phase::MetricsOnly(virtually) => Some(&virtually.trip),
            Phase::Open(open) => {
                view.deadline = Some(open.until);
                None
            }
            Phase::HalfOpen(probes) => {
                view.deadline = probes.deadline();
                view.in_flight = probes.in_flight;
                view.probe_successes = probes.successes;
                view.ramp_percent = probes.ramp.as_ref().map(|ramp| ramp.percent(&self.config));
                probes.ramp.as_ref().map(|ramp| &ramp.trip)
            }
            Phase::ForcedOpen | Phase::ForcedClosed => None,
        };
        if let Some(trip) = trip {
            view.consecutive_failures = trip.consecutive;
            view.window = trip.sums_at(self.last).map(|sums| (sums.calls, sums.failures, sums.slow));
        }
        view
    }

    /// The totals that only the core can know.
    pub fn counts(&self) -> Counts {
        self.counts.as_deref().copied().unwrap_or_default()
    }

    /// The configuration in force.
    pub fn config(&self) -> &Arc<Config> {
        &self.config
    }

    /// Takes in `calls` plain successes that came since the last step, none of which could decide anything.
    pub(crate) fn absorb(&mut self, calls: u32) {
        if let Phase::Closed(trip) = &mut self.phase
            && calls > 0
        {
            trip.absorb(self.last, calls);
        }
    }

    /// Takes in the failures in a row that were counted since the last step, none of which could decide anything.
    pub(crate) fn absorb_failures(&mut self, in_row: u32) {
        if let Phase::Closed(trip) = &mut self.phase {
            trip.consecutive = in_row;
        }
    }

    fn command(&mut self, now: Tick, command: Command, effects: &mut Effects) {
        let manual = |rule| Reason::new(rule, 0, 0);
        let (phase, reason) = match command {
            Command::ForceOpen => (Phase::ForcedOpen, manual(Rule::ForcedOpen)),
            Command::ForceClosed => (Phase::ForcedClosed, manual(Rule::ForcedClosed)),
            Command::MetricsOnly => (Phase::metrics_only(&self.config), manual(Rule::MetricsOnly)),
            Command::Release => (Phase::Closed(Trip::new(&self.config)), manual(Rule::Released)),
            Command::Reset => (Phase::Closed(Trip::new(&self.config)), manual(Rule::Reset)),
        };
        if command == Command::Release && !self.state().is_manual() {
            effects.notes.push(Note::NothingToRelease);
        } else if phase.state() == self.state() && self.state().is_manual() {
            effects.notes.push(Note::ReasonUpdated);
        } else {
            if phase.state() == State::ForcedOpen {
                self.opened_by = reason;
            }
            self.change(now, phase, reason, effects);
        }
    }

    /// CLOSED or HALF_OPEN → OPEN.
    fn open(&mut self, at: Tick, reason: Reason, asked_ns: u64, effects: &mut Effects) {
        self.opens_in_row = self.opens_in_row.saturating_add(1);
        self.counts_mut().opens += 1;
        self.opened_by = reason;
        let draw = self.draw();
        let open = phase::Open { opened: at, until: Tick::MAX, asked_ns, draw };
        let until = open.deadline(&self.config, self.opens_in_row, reason);
        self.change(at, Phase::Open(phase::Open { until, ..open }), reason, effects);
    }

    fn change(&mut self, at: Tick, phase: Phase, reason: Reason, effects: &mut Effects) {
        let from = self.state();
        let stay_ns = at.nanos_since(self.since);
        let spent_ns = &mut self.counts_mut().spent_ns[from as usize];
        *spent_ns = spent_ns.saturating_add(stay_ns);
        self.phase = phase;
        self.since = at;
        self.generation += 1;
        self.in_flight = None;
        if self.state() == State::Closed {
            self.opens_in_row = 0;
        }
        let deadline = if let Phase::Open(open) = &self.phase { Some(open.until) } else { None };
        let (generation, to) = (self.generation, self.state());
        effects.notes.push(Note::Change(Change { from, to, generation, at, reason, deadline }));
    }

    fn counts_mut(&mut self) -> &mut Counts {
        self.counts.get_or_insert_default()
    }

    /// The next random number (SplitMix64): part of the state, so that a run can be repeated from its seed.
    fn draw(&mut self) -> u64 {
        self.seed = self.seed.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.seed;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    fn half_open(&mut self, at: Tick, effects: &mut Effects) {
        let reason = Reason::new(Rule::RecoveryElapsed, self.opens_in_row, 0);
        self.change(at, Phase::HalfOpen(Probes::default()), reason, effects);
    }

    fn is_current(&self, grant: Grant) -> bool {
        grant.generation == self.generation & GENERATION_MASK
    }
}

/// The decision state, read in one cut (B17).
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct View {
    /// The state.
    pub state: State,
    /// The generation.
    pub generation: u64,
    /// When the state began.
    pub since: Tick,
    /// OPEN: when probing is allowed. HALF_OPEN: when it goes back to OPEN, once a probe has started.
    pub deadline: Option<Tick>,
    /// Consecutive failures of the CLOSED (or virtually CLOSED) breaker.
    pub consecutive_failures: u32,
    /// Probes in flight.
    pub in_flight: u32,
    /// Probes of this generation that succeeded.
    pub probe_successes: u32,
    /// The ramp's present step, in percent.
    pub ramp_percent: Option<u8>,
    /// Opens since the breaker was last CLOSED.
    pub opens_in_row: u32,
    /// Why it last opened.
    pub opened_by: Reason,
    /// When the last failure of any kind was counted.
    pub last_failure: Option<Tick>,
    /// Calls, failures and slow calls in the window.
    pub window: Option<(u32, u32, u32)>,
    /// The core's totals.
    pub counts: Counts,
}

#[cfg(test)]
mod tests {
    use super::*;

    // B19d: a run can be repeated from its seed, by whoever implements the same generator.
    #[test]
    fn jitter_is_drawn_from_splitmix64() {
        let mut core = Core::new(Arc::new(Config::new()), Tick::from_nanos(0), 0);
        let published = [0xE220_A839_7B1D_CDAF, 0x6E78_9E6A_A1B9_65F4, 0x06C4_5D18_8009_454F];
        assert_eq!([core.draw(), core.draw(), core.draw()], published);
    }
}
