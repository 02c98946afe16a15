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
                // Watching that was switched off goes on for the calls that are in its list.
                let watched = self.in_flight.as_ref().is_some_and(|calls| !calls.is_empty());
                published.told = config.overdue_after_ns.is_some() || watched;
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

#[cfg(test)]
mod tests {
    use super::super::{Input, Outcome};
    use super::*;
    use crate::config::{Config, Window};
    use std::sync::Arc;
    use std::time::Duration;

    const SECOND_NS: u64 = 1_000_000_000;

    fn core(config: Config) -> Core {
        Core::new(Arc::new(config.failure_threshold(Config::NEVER)), Tick::from_nanos(0), 0)
    }

    fn call(core: &mut Core, outcome: Outcome, took_ns: u64) {
        let at = Tick::from_nanos(0);
        let grant = core.step(at, Input::Acquire).admission.expect("an answer").expect("a permit");
        core.step(at, Input::Finish(grant, outcome, Some(took_ns)));
    }

    fn window() -> Window {
        Window::count(10).minimum_calls(4).failure_rate_threshold(100.0)
    }

    // A word to compare is cheap, a lock is not: what decides nothing is not told.
    #[test]
    fn successes_of_a_breaker_that_has_nothing_to_forget_are_neither_told_nor_timed() {
        let mut core = core(Config::new());
        let published = core.published();
        assert_eq!((published.slack, published.failures, published.deadline), (None, Some(0), Tick::MAX));
        assert_eq!((published.told, published.timed, published.checked), (false, false, false));
        call(&mut core, Outcome::FAILURE, 0);
        assert_eq!((core.published().slack, core.published().failures), (Some(0), Some(1)));
    }

    // B19: the next failure opens, so it has to be told.
    #[test]
    fn failures_that_reach_a_lowered_threshold_are_no_longer_counted_outside() {
        let mut core = Core::new(Arc::new(Config::new()), Tick::from_nanos(0), 0);
        (0..2).for_each(|_| call(&mut core, Outcome::FAILURE, 0));
        assert_eq!(core.published().failures, Some(2));
        let lowered = Arc::new(Config::new().failure_threshold(2));
        core.step(Tick::from_nanos(0), Input::Configure(lowered));
        assert_eq!((core.published().failures, core.published().slack), (None, Some(0)));
    }

    // B19a: a breaker that watches for nothing any more is as cheap as one that never did.
    #[test]
    fn calls_are_told_until_the_last_one_watched_has_ended_after_watching_is_switched_off() {
        let at = Tick::from_nanos(0);
        let mut core = core(Config::new().overdue_after(Duration::from_secs(8)));
        let mut start = || core.step(at, Input::Acquire).admission.expect("an answer").expect("a permit");
        let grants = [start(), start()];
        core.step(at, Input::Configure(Arc::new(Config::new())));
        for grant in grants {
            assert!(core.published().told);
            core.step(at, Input::Finish(grant, Outcome::Success, None));
        }
        assert!(!core.published().told);
    }

    #[test]
    fn successes_alone_are_told_until_they_fill_a_count_window() {
        let mut core = core(Config::new().window(window()));
        assert_eq!(core.published().slack, Some(10));
        (0..3).for_each(|_| call(&mut core, Outcome::Success, 0));
        assert_eq!(core.published().slack, Some(7));
        (0..7).for_each(|_| call(&mut core, Outcome::Success, 0));
        assert_eq!((core.published().slack, core.published().deadline), (None, Tick::MAX));
    }

    // B3: the success that completes minimum_calls decides.
    #[test]
    fn with_a_failed_or_slow_call_in_the_window_successes_decide_nothing_but_for_the_one_that_completes_minimum_calls()
     {
        let slow = window().slow_call_duration(Duration::from_secs(1)).slow_call_rate_threshold(100.0);
        for (outcome, took_ns) in [(Outcome::FAILURE, 0), (Outcome::Success, SECOND_NS)] {
            let mut core = core(Config::new().window(slow));
            call(&mut core, outcome, took_ns);
            assert_eq!(core.published().slack, Some(2));
            (0..3).for_each(|_| call(&mut core, Outcome::Success, 0));
            assert_eq!(core.published().slack, Some(10));
            assert!(core.published().timed && core.published().checked);
        }
    }

    #[test]
    fn in_a_time_window_successes_decide_nothing_until_its_bucket_ends() {
        let window = Window::time(3, Duration::from_secs(1)).minimum_calls(4).failure_rate_threshold(100.0);
        let mut core = core(Config::new().window(window));
        let published = core.published();
        assert_eq!((published.slack, published.deadline), (Some(u32::MAX), Tick::from_nanos(SECOND_NS)));
        assert!(published.checked && !published.timed);
        core.step(Tick::from_nanos(5 * SECOND_NS / 2), Input::Look);
        call(&mut core, Outcome::Success, 0);
        assert_eq!(core.published().deadline, Tick::from_nanos(3 * SECOND_NS));
    }
}
