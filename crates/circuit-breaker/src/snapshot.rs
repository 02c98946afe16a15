//! What people and metrics read: one cut of the decision state (B17), the totals (B18), and why (B19c).

use crate::config::Config;
use crate::counters::{Counters, Total};
use crate::shadow::ShadowView;
use crate::state::{Command, Reason, State, View};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// A breaker at one moment.
///
/// `state`, `generation` and everything that decisions are made from are one atomic cut. The totals are exact once
/// calls have come to rest; none ever goes down.
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Snapshot {
    /// The breaker's name.
    pub name: Arc<str>,
    /// The state.
    pub state: State,
    /// Grows by one at every transition and manual command.
    pub generation: u64,
    /// Why it is in this state: the last transition.
    pub explanation: Explanation,
    /// Why the circuit last opened by its rules, in whatever state it is since: the rule, the counts, the cause, when.
    pub last_opened: Option<Explanation>,
    /// When the state began, for people.
    #[cfg_attr(feature = "serde", serde(serialize_with = "unix_seconds"))]
    pub since: SystemTime,
    /// For how long it has been in this state.
    #[cfg_attr(feature = "serde", serde(serialize_with = "seconds"))]
    pub state_age: Duration,
    /// What a rejected caller would be told: OPEN, the time until probing; HALF_OPEN and FORCED_OPEN, the hint.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_seconds"))]
    pub retry_after: Option<Duration>,
    /// HALF_OPEN with a probe begun: the time until it goes back to OPEN.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_seconds"))]
    pub half_open_left: Option<Duration>,
    /// Failures in a row.
    pub consecutive_failures: u32,
    /// Probes in flight.
    pub in_flight: u32,
    /// Probes of this generation that succeeded.
    pub probe_successes: u32,
    /// The ramp's present step, in percent of the calls.
    pub ramp_percent: Option<u8>,
    /// Opens since the breaker was last CLOSED.
    pub opens_in_row: u32,
    /// What the sliding window holds.
    pub window: Option<WindowView>,
    /// When the last failure was counted, for people.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_unix_seconds"))]
    pub last_failure: Option<SystemTime>,
    /// Total: calls that ended in success.
    pub successes: u64,
    /// Total: calls that ended in failure, panics included.
    pub failures: u64,
    /// Total: successes and failures that were slow.
    pub slow: u64,
    /// Total: calls that were to be ignored.
    pub ignored: u64,
    /// Total: permits dropped without an outcome.
    pub abandoned: u64,
    /// Total: calls that ended in a later generation.
    pub late: u64,
    /// Total: calls charged before they ended.
    pub overdue: u64,
    /// Total: permits refused.
    pub rejected: u64,
    /// Total: times the circuit opened.
    pub opens: u64,
    /// Total, METRICS_ONLY: times the circuit would have opened.
    pub would_open: u64,
    /// Total, METRICS_ONLY: calls that would have been rejected.
    pub would_reject: u64,
    /// Total: time spent in each state, the present stay included.
    pub time_in_state: TimeInState,
    /// What a breaker under the shadow configuration would have done.
    pub shadow: Option<ShadowView>,
    /// The configuration in force.
    pub config: Arc<Config>,
}

/// What a sliding window holds.
#[derive(Clone, Copy, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct WindowView {
    /// Calls in it.
    pub calls: u32,
    /// Those that failed.
    pub failures: u32,
    /// Those that were slow.
    pub slow: u32,
    /// The share that failed, in percent; 0 of an empty window.
    pub failure_rate: f64,
    /// The share that was slow, in percent; 0 of an empty window.
    pub slow_rate: f64,
}

/// Time spent in each state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct TimeInState([Duration; State::COUNT]);

impl TimeInState {
    /// The time spent in `state`.
    pub fn of(&self, state: State) -> Duration {
        self.0[state as usize]
    }
}

/// Why a breaker is in its state: its last transition (B19c).
#[derive(Clone, Debug, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Explanation {
    /// The state before.
    pub from: State,
    /// The state since.
    pub to: State,
    /// The generation that the transition began.
    pub generation: u64,
    /// The rule that fired and the counts it saw.
    pub reason: Reason,
    /// When, for people.
    #[cfg_attr(feature = "serde", serde(serialize_with = "unix_seconds"))]
    pub since: SystemTime,
    /// OPEN: for how long, as decided then.
    #[cfg_attr(feature = "serde", serde(serialize_with = "optional_seconds"))]
    pub open_time: Option<Duration>,
    /// What the failure that made the transition came from, if its classifier said so; at most 256 bytes.
    pub cause: Option<Arc<str>>,
    /// The manual command, if a person made the transition.
    pub command: Option<Command>,
    /// Who commanded.
    pub who: Option<Arc<str>>,
    /// The person's reason; at most 256 bytes.
    pub why: Option<Arc<str>>,
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.reason)?;
        if let Some(who) = &self.who {
            write!(f, " by {who}")?;
        }
        for text in [&self.why, &self.cause].into_iter().flatten() {
            write!(f, ": {text}")?;
        }
        Ok(())
    }
}

impl Snapshot {
    pub(crate) fn read(cut: Cut, counters: Counters<'_>) -> Self {
        let Cut {
            name,
            view,
            explanation,
            last_opened,
            shadow,
            config,
            now_age,
            retry_after,
            half_open_left,
            last_failure,
        } = cut;
        let mut time_in_state = TimeInState(view.counts.spent_ns.map(Duration::from_nanos));
        let stay = &mut time_in_state.0[view.state as usize];
        *stay = stay.saturating_add(now_age);
        Snapshot {
            name,
            state: view.state,
            generation: view.generation,
            since: explanation.since,
            explanation,
            last_opened,
            state_age: now_age,
            retry_after,
            half_open_left,
            consecutive_failures: view.consecutive_failures,
            in_flight: view.in_flight,
            probe_successes: view.probe_successes,
            ramp_percent: view.ramp_percent,
            opens_in_row: view.opens_in_row,
            window: view.window.map(|(calls, failures, slow)| WindowView::new(calls, failures, slow)),
            last_failure,
            successes: counters.get(Total::Succeeded),
            failures: counters.get(Total::Failed),
            slow: counters.get(Total::Slow),
            ignored: counters.get(Total::Ignored),
            abandoned: counters.get(Total::Abandoned),
            late: counters.get(Total::Late),
            overdue: view.counts.overdue,
            rejected: counters.get(Total::Rejected),
            opens: view.counts.opens,
            would_open: view.counts.would_open,
            would_reject: view.counts.would_reject,
            time_in_state,
            shadow,
            config,
        }
    }
}

/// The cut that was taken under the lock.
pub(crate) struct Cut {
    pub(crate) name: Arc<str>,
    pub(crate) view: View,
    pub(crate) explanation: Explanation,
    pub(crate) last_opened: Option<Explanation>,
    pub(crate) shadow: Option<ShadowView>,
    pub(crate) config: Arc<Config>,
    pub(crate) now_age: Duration,
    pub(crate) retry_after: Option<Duration>,
    pub(crate) half_open_left: Option<Duration>,
    pub(crate) last_failure: Option<SystemTime>,
}

impl WindowView {
    fn new(calls: u32, failures: u32, slow: u32) -> Self {
        let rate = |part: u32| if calls == 0 { 0.0 } else { f64::from(part) * 100.0 / f64::from(calls) };
        WindowView { calls, failures, slow, failure_rate: rate(failures), slow_rate: rate(slow) }
    }
}

#[cfg(feature = "serde")]
mod serialize {
    use super::{State, TimeInState};
    use serde::Serializer;
    use serde::ser::SerializeMap;
    use std::time::{Duration, SystemTime};

    pub(crate) fn seconds<S: Serializer>(time: &Duration, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(time.as_secs_f64())
    }

    pub(crate) fn optional_seconds<S: Serializer>(time: &Option<Duration>, to: S) -> Result<S::Ok, S::Error> {
        match time {
            Some(time) => to.serialize_some(&time.as_secs_f64()),
            None => to.serialize_none(),
        }
    }

    fn since_epoch(wall: &SystemTime) -> f64 {
        wall.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64()
    }

    pub(crate) fn unix_seconds<S: Serializer>(wall: &SystemTime, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_f64(since_epoch(wall))
    }

    pub(crate) fn optional_unix_seconds<S: Serializer>(
        wall: &Option<SystemTime>,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        match wall {
            Some(wall) => to.serialize_some(&since_epoch(wall)),
            None => to.serialize_none(),
        }
    }

    impl serde::Serialize for TimeInState {
        fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
            let mut map = to.serialize_map(Some(State::COUNT))?;
            for state in State::ALL {
                map.serialize_entry(state.as_str(), &self.of(state).as_secs_f64())?;
            }
            map.end()
        }
    }
}
#[cfg(feature = "serde")]
pub(crate) use serialize::{optional_seconds, optional_unix_seconds, seconds, unix_seconds};
