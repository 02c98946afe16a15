//! The same core in shadow and in replay (B19d).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{
    CircuitBreaker, Config, EventKind, ManualClock, OnDrop, Outcome, Record, Replay, Rule, State, replay,
};
use std::time::Duration;

const MS: Duration = Duration::from_millis(1);

fn record(at_ms: u32, outcome: Outcome, took_ms: u32) -> Record {
    Record { at: MS * at_ms, outcome, duration: MS * took_ms }
}

#[test]
fn a_replay_tells_the_timeline_of_states() {
    let mut trace: Vec<_> = (0..5).map(|n| record(n * 100, Outcome::FAILURE, 10)).collect();
    trace.push(record(1_000, Outcome::Success, 10)); // rejected
    trace.extend((0..2).map(|n| record(61_000 + n * 100, Outcome::Success, 10)));
    let timeline = replay(Config::new(), trace).unwrap();
    let steps: Vec<_> =
        timeline.entries.iter().map(|entry| (entry.at, entry.to, entry.reason.rule)).collect();
    assert_eq!(
        steps,
        [
            (MS * 410, State::Open, Rule::ConsecutiveFailures),
            (MS * 60_410, State::HalfOpen, Rule::RecoveryElapsed),
            (MS * 61_110, State::Closed, Rule::ProbesSucceeded),
        ]
    );
    assert_eq!(timeline.entries[0].open_time, Some(MS * 60_000));
    assert_eq!((timeline.permitted, timeline.rejected), (7, 1));
    assert_eq!((timeline.succeeded, timeline.failed, timeline.end), (2, 5, MS * 61_110));
}

// B7, B11: overlapping calls keep their limits and generations.
#[test]
fn a_replay_knows_which_calls_overlap() {
    let config = || Config::new().failure_threshold(1).success_threshold(1).half_open_max_calls(1);
    let trace = [
        record(0, Outcome::Success, 70_000),
        record(1, Outcome::FAILURE, 1),
        record(61_000, Outcome::Success, 20_000),
        record(61_500, Outcome::Success, 1),
    ];
    let timeline = replay(config(), trace).unwrap();
    assert_eq!((timeline.late, timeline.rejected, timeline.succeeded), (1, 1, 1));
    assert_eq!(timeline.entries.last().unwrap().at, MS * 81_000);
}

#[test]
fn a_replay_counts_ignored_dropped_slow_and_overdue_calls() {
    let config = Config::new().on_drop(OnDrop::Failure).overdue_after(MS * 800);
    let trace = [
        record(0, Outcome::Ignored, 1),
        record(10, Outcome::Dropped, 5),
        record(20, Outcome::Success, 5_000),
        record(9_000, Outcome::Success, 1),
    ];
    let timeline = replay(config, trace).unwrap();
    assert_eq!((timeline.ignored, timeline.abandoned, timeline.overdue, timeline.succeeded), (1, 1, 1, 2));
    assert!(replay(Config::new().failure_threshold(0), []).is_err());
}

#[test]
fn a_trace_can_be_fed_call_by_call_and_in_any_order_at_once() {
    let mut live = Replay::new(Config::new().failure_threshold(1)).unwrap();
    live.push(record(10, Outcome::FAILURE, 1));
    assert_eq!(live.state(), State::Closed);
    live.push(record(20, Outcome::Success, 1));
    assert_eq!(live.state(), State::Open);
    let sorted = live.finish();
    let reversed = [record(20, Outcome::Success, 1), record(10, Outcome::FAILURE, 1)];
    assert_eq!(replay(Config::new().failure_threshold(1), reversed).unwrap(), sorted);
}

#[test]
fn a_shadow_reports_what_it_would_have_done_and_decides_nothing() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(10)
        .shadow(Config::new().failure_threshold(2).success_threshold(1))
        .clock(clock.clone())
        .build()
        .unwrap();
    let mut events = breaker.subscribe(8);
    let (early, also_early) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    for _ in 0..3 {
        breaker.try_acquire().unwrap().failure();
    }
    let shadow = breaker.snapshot().shadow.unwrap();
    assert_eq!((shadow.state, shadow.opens, shadow.rejected), (State::Open, 1, 1));
    assert_eq!((breaker.state(), breaker.snapshot().consecutive_failures), (State::Closed, 3));
    assert!(matches!(
        events.try_recv().unwrap().event.kind,
        EventKind::ShadowTransition { to: State::Open, .. }
    ));
    clock.advance(Duration::from_secs(60));
    // B11 holds in the shadow too, whether it is seen to probe before the outcome or by it.
    early.failure();
    assert_eq!(breaker.snapshot().shadow.unwrap().state, State::HalfOpen);
    also_early.failure();
    assert_eq!(breaker.snapshot().shadow.unwrap().state, State::HalfOpen);
    breaker.try_acquire().unwrap().cancel();
    breaker.call(|| Ok::<_, ()>(())).unwrap();
    assert_eq!(breaker.snapshot().shadow.unwrap().state, State::Closed);
    assert_eq!(breaker.snapshot().successes, 1);
}

// B19a
#[test]
fn a_shadow_charges_calls_that_hang_and_no_others() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .shadow(Config::new().failure_threshold(1).overdue_after(Duration::from_secs(8)))
        .clock(clock.clone())
        .build()
        .unwrap();
    breaker.try_acquire().unwrap().success();
    clock.advance(Duration::from_secs(9));
    assert_eq!(breaker.snapshot().shadow.unwrap().state, State::Closed);
    let _hanging = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(9));
    assert_eq!(breaker.snapshot().shadow.unwrap().state, State::Open);
}

#[test]
fn an_impossible_shadow_is_refused() {
    let error = CircuitBreaker::builder().shadow(Config::new().failure_threshold(0)).build().unwrap_err();
    assert_eq!(error.field(), "failure_threshold");
}
