//! A recorded trace against any configuration (B19d): what would the breaker have done?
//!
//! The same core as in a running breaker takes the trace's calls, each at its start and at its end, in the order of
//! time. A call that it rejects has no end. What a trace can't tell is how the other side would have fared with less
//! load: read a replay as "when would it have opened", not "how many calls would have failed".

use crate::clock::{Tick, nanos};
use crate::config::{Config, ConfigError};
use crate::state::{Change, Core, Effects, Grant, Input, Note, Outcome, Reason, State, Tally};
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

/// One recorded call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Record {
    /// When it started, since the trace began.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::seconds"))]
    pub at: Duration,
    /// How it ended.
    pub outcome: Outcome,
    /// How long it took.
    #[cfg_attr(feature = "serde", serde(with = "crate::config::seconds"))]
    pub duration: Duration,
}

/// One transition of the replayed breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct TimelineEntry {
    /// When, since the trace began.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::snapshot::seconds"))]
    pub at: Duration,
    /// The state before.
    pub from: State,
    /// The state after.
    pub to: State,
    /// Why.
    pub reason: Reason,
    /// OPEN: for how long.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::snapshot::optional_seconds"))]
    pub open_time: Option<Duration>,
}

/// What the breaker would have done.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Timeline {
    /// The transitions, in order. Before the first the breaker is CLOSED.
    pub entries: Vec<TimelineEntry>,
    /// Calls that it would have let through.
    pub permitted: u64,
    /// Calls that it would have rejected.
    pub rejected: u64,
    /// Of the permitted: ended in success.
    pub succeeded: u64,
    /// Of the permitted: ended in failure.
    pub failed: u64,
    /// Of the succeeded and failed: slow.
    pub slow: u64,
    /// Of the permitted: ignored.
    pub ignored: u64,
    /// Of the permitted: dropped.
    pub abandoned: u64,
    /// Of the permitted: ended in a later generation.
    pub late: u64,
    /// Of the permitted: charged before they ended.
    pub overdue: u64,
    /// The end of the last call.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::snapshot::seconds"))]
    pub end: Duration,
}

/// Replays a trace; feed it in order of time, or use [`replay`].
#[derive(Clone, Debug)]
#[must_use = "finish() says what the breaker would have done"]
pub struct Replay {
    core: Core,
    now: Tick,
    /// The ends of the calls in flight: when, then the order of arrival.
    ends: BinaryHeap<Reverse<(Tick, u64)>>,
    /// By arrival number; taken when the call ends.
    calls: std::collections::HashMap<u64, (Grant, Outcome, u64)>,
    arrivals: u64,
    timeline: Timeline,
}

/// What a breaker under `config` would have done with these calls, in whatever order they are given.
///
/// # Errors
/// The first setting that is impossible.
pub fn replay(config: Config, records: impl IntoIterator<Item = Record>) -> Result<Timeline, ConfigError> {
    let mut records: Vec<Record> = records.into_iter().collect();
    records.sort_by_key(|record| record.at);
    let mut replay = Replay::new(config)?;
    records.into_iter().for_each(|record| replay.push(record));
    Ok(replay.finish())
}

impl Replay {
    /// A CLOSED breaker at the beginning of the trace. Jitter is drawn from a fixed seed, so a replay repeats.
    ///
    /// # Errors
    /// The first setting that is impossible.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        config.validate()?;
        Ok(Replay {
            core: Core::new(config.shared(), Tick::default(), 0),
            now: Tick::default(),
            ends: BinaryHeap::new(),
            calls: std::collections::HashMap::new(),
            arrivals: 0,
            timeline: Timeline::default(),
        })
    }

    /// The next call; one that started before its predecessor is taken as having started with it.
    pub fn push(&mut self, record: Record) {
        let start = Tick::from_nanos(nanos(record.at)).max(self.now);
        self.end_until(start);
        let effects = self.step(start, Input::Acquire);
        let Some(Ok(grant)) = effects.admission else {
            self.timeline.rejected += 1;
            return;
        };
        self.timeline.permitted += 1;
        let ran_ns = nanos(record.duration);
        self.ends.push(Reverse((start.plus(ran_ns), self.arrivals)));
        self.calls.insert(self.arrivals, (grant, record.outcome, ran_ns));
        self.arrivals += 1;
    }

    /// The state after the last call pushed.
    pub fn state(&self) -> State {
        self.core.state()
    }

    /// Ends the calls in flight and hands the timeline over.
    pub fn finish(mut self) -> Timeline {
        self.end_until(Tick::MAX);
        self.timeline.overdue = self.core.view().counts.overdue;
        self.timeline.end = Duration::from_nanos(self.now.as_nanos());
        self.timeline
    }

    fn end_until(&mut self, limit: Tick) {
        while let Some(&Reverse((end, arrival))) = self.ends.peek()
            && end <= limit
        {
            self.ends.pop();
            let Some((grant, outcome, ran_ns)) = self.calls.remove(&arrival) else { continue };
            let effects = self.step(end, Input::Finish(grant, outcome, Some(ran_ns)));
            let timeline = &mut self.timeline;
            match effects.tally {
                Some(Tally::Succeeded) => timeline.succeeded += 1,
                Some(Tally::Failed) => timeline.failed += 1,
                Some(Tally::Ignored) => timeline.ignored += 1,
                Some(Tally::Abandoned) => timeline.abandoned += 1,
                Some(Tally::Late) | None => timeline.late += 1,
            }
            timeline.slow += u64::from(effects.slow);
        }
    }

    fn step(&mut self, at: Tick, input: Input) -> Effects {
        self.now = self.now.max(at);
        let effects = self.core.step(at, input);
        for note in &effects.notes {
            if let Note::Change(Change { from, to, at, reason, deadline, .. }) = *note {
                let open_time = deadline.map(|deadline| deadline.since(at));
                let at = Duration::from_nanos(at.as_nanos());
                self.timeline.entries.push(TimelineEntry { at, from, to, reason, open_time });
            }
        }
        effects
    }
}
