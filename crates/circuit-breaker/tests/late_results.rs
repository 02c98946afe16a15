//! Outcomes of an earlier generation decide nothing (B11).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, ManualClock, State};
use std::time::Duration;

fn opened_with_a_call_in_flight(clock: &ManualClock) -> (CircuitBreaker, circuit_breaker::Permit) {
    let breaker =
        CircuitBreaker::builder().failure_threshold(1).success_threshold(1).clock(clock.clone()).build();
    let breaker = breaker.unwrap();
    let early = breaker.try_acquire().unwrap();
    breaker.try_acquire().unwrap().failure();
    (breaker, early)
}

#[test]
fn a_failure_that_began_before_the_trip_does_not_open_the_half_open_breaker() {
    let clock = ManualClock::new();
    let (breaker, early) = opened_with_a_call_in_flight(&clock);
    clock.advance(Duration::from_secs(60));
    let _probe = breaker.try_acquire().unwrap();
    early.failure();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.late, snapshot.failures), (State::HalfOpen, 1, 1));
}

#[test]
fn a_success_that_began_before_the_trip_does_not_help_to_close() {
    let clock = ManualClock::new();
    let (breaker, early) = opened_with_a_call_in_flight(&clock);
    clock.advance(Duration::from_secs(60));
    let _probe = breaker.try_acquire().unwrap();
    early.success();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.late, snapshot.successes), (State::HalfOpen, 1, 0));
    assert_eq!(snapshot.in_flight, 1);
}

#[test]
fn late_ignored_dropped_and_cancelled_permits_change_nothing() {
    let clock = ManualClock::new();
    let (breaker, ignored) = opened_with_a_call_in_flight(&clock);
    breaker.reset();
    let (dropped, cancelled) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    breaker.try_acquire().unwrap().failure();
    ignored.ignore();
    drop(dropped);
    cancelled.cancel();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.late, snapshot.ignored, snapshot.abandoned), (2, 0, 0));
}

// B11, B13
#[test]
fn a_late_retry_after_does_not_lengthen_the_open_time() {
    let (breaker, early) = opened_with_a_call_in_flight(&ManualClock::new());
    early.failure_with(Duration::from_secs(500), "late");
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Duration::from_secs(60));
    assert_eq!(breaker.explain().cause, None);
}

// B15: a reset is a new generation too.
#[test]
fn a_failure_from_before_a_reset_does_not_count() {
    let (breaker, _) = opened_with_a_call_in_flight(&ManualClock::new());
    breaker.reset();
    let early = breaker.try_acquire().unwrap();
    breaker.reset();
    early.failure();
    assert_eq!((breaker.state(), breaker.snapshot().consecutive_failures), (State::Closed, 0));
}
