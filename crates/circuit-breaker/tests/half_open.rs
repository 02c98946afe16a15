//! HALF_OPEN: who gets through, and what decides.
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, ManualClock, Rule, State};
use std::time::Duration;

const RECOVERY: Duration = Duration::from_secs(60);

fn half_open(clock: &ManualClock, max_calls: u32, successes: u32) -> CircuitBreaker {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .half_open_max_calls(max_calls)
        .success_threshold(successes)
        .clock(clock.clone())
        .build()
        .unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(RECOVERY);
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker
}

// B7: in_flight < half_open_max_calls.
#[test]
fn no_more_probes_get_through_at_once_than_configured() {
    let breaker = half_open(&ManualClock::new(), 2, 5);
    let first = breaker.try_acquire().unwrap();
    let _second = breaker.try_acquire().unwrap();
    assert_eq!(breaker.snapshot().in_flight, 2);
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!(rejected.retry_after(), Duration::from_secs(1));
    assert_eq!(rejected.state(), State::HalfOpen);
    first.success();
    assert!(breaker.try_acquire().is_ok());
}

// B7: successes + in_flight < success_threshold.
#[test]
fn no_more_probes_get_through_than_can_still_be_needed() {
    let breaker = half_open(&ManualClock::new(), 10, 2);
    let _first = breaker.try_acquire().unwrap();
    let _second = breaker.try_acquire().unwrap();
    assert!(breaker.try_acquire().is_err());
}

// B7, R4
#[test]
fn ignored_abandoned_and_cancelled_probes_give_their_slot_back() {
    let breaker = half_open(&ManualClock::new(), 1, 1);
    breaker.try_acquire().unwrap().ignore();
    drop(breaker.try_acquire().unwrap());
    breaker.try_acquire().unwrap().cancel();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.in_flight, snapshot.ignored, snapshot.abandoned), (0, 1, 1));
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

// B8
#[test]
fn the_success_threshold_closes_with_fresh_decision_state() {
    let breaker = half_open(&ManualClock::new(), 2, 2);
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::HalfOpen);
    breaker.try_acquire().unwrap().success();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.consecutive_failures), (State::Closed, 0));
    assert_eq!(snapshot.explanation.reason.rule, Rule::ProbesSucceeded);
}

// B9
#[test]
fn the_first_failure_opens_again() {
    let breaker = half_open(&ManualClock::new(), 2, 3);
    breaker.try_acquire().unwrap().success();
    breaker.try_acquire().unwrap().failure();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.opens), (State::Open, 2));
    assert_eq!(snapshot.explanation.reason.rule, Rule::ProbeFailed);
}

// B9
#[test]
fn a_probe_that_never_ends_opens_again_at_half_open_timeout() {
    let clock = ManualClock::new();
    let breaker = half_open(&clock, 1, 1);
    let hanging = breaker.try_acquire().unwrap();
    clock.advance(RECOVERY - Duration::from_nanos(1));
    assert_eq!(breaker.state(), State::HalfOpen);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.explain().reason.rule, Rule::HalfOpenTimeout);
    hanging.success(); // B11
    assert_eq!(breaker.snapshot().late, 1);
    assert_eq!(breaker.state(), State::Open);
}

// B6: half_open_timeout runs from the first permit.
#[test]
fn an_idle_half_open_breaker_waits() {
    let clock = ManualClock::new();
    let breaker = half_open(&clock, 1, 1);
    clock.advance(RECOVERY * 1_000);
    assert_eq!(breaker.state(), State::HalfOpen);
    // R4: a cancelled permit was no probe.
    breaker.try_acquire().unwrap().cancel();
    clock.advance(RECOVERY * 1_000);
    assert_eq!(breaker.snapshot().generation, 2);
}

// B9, R4: the timeout that the first probe began goes on when another one is cancelled.
#[test]
fn a_cancelled_probe_does_not_stop_the_timeout_of_one_in_flight() {
    let clock = ManualClock::new();
    let breaker = half_open(&clock, 2, 2);
    let hanging = breaker.try_acquire().unwrap();
    clock.advance(RECOVERY / 2);
    breaker.try_acquire().unwrap().cancel();
    clock.advance(RECOVERY / 2);
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.explain().reason.rule, Rule::HalfOpenTimeout);
    drop(hanging);
}
