//! OPEN: rejects, says why, and is over at its deadline.
#![allow(clippy::unwrap_used)]

use circuit_breaker::{Backoff, CallError, CircuitBreaker, ManualClock, Rule, State};
use std::time::Duration;

fn open_breaker(clock: &ManualClock) -> CircuitBreaker {
    let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap();
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.state(), State::Open);
    breaker
}

// B5, B19c
#[test]
fn open_rejects_without_running_the_call_and_says_how_long_and_why() {
    let clock = ManualClock::new();
    let breaker = open_breaker(&clock);
    clock.advance(Duration::from_secs(20));
    let result = breaker.call(|| -> Result<(), ()> { panic!("must not run") });
    let Err(CallError::Rejected(rejected)) = result else { panic!("not rejected") };
    assert_eq!(rejected.retry_after(), Duration::from_secs(40));
    assert_eq!(rejected.state_age(), Duration::from_secs(20));
    assert_eq!(rejected.reason().rule, Rule::ConsecutiveFailures);
    assert_eq!((rejected.state(), rejected.generation()), (State::Open, 1));
    assert_eq!(breaker.snapshot().rejected, 1);
}

// B6
#[test]
fn open_becomes_half_open_at_the_deadline_without_a_call_and_not_before() {
    let clock = ManualClock::new();
    let breaker = open_breaker(&clock);
    clock.advance(Duration::from_nanos(59_999_999_999));
    assert_eq!(breaker.state(), State::Open);
    clock.advance(Duration::from_nanos(1));
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.snapshot().generation, 2);
}

// B6
#[test]
fn the_transition_is_stamped_with_the_deadline_and_not_with_the_look() {
    let clock = ManualClock::new();
    let breaker = open_breaker(&clock);
    clock.advance(Duration::from_secs(100));
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.state, State::HalfOpen);
    assert_eq!(snapshot.state_age, Duration::from_secs(40));
    assert_eq!(snapshot.time_in_state.of(State::Open), Duration::from_secs(60));
}

// B9: each open in a row is the next step of the backoff.
#[test]
fn the_open_time_grows_by_the_backoff_up_to_its_maximum_and_starts_afresh_once_closed() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .success_threshold(1)
        .recovery_timeout(Duration::from_secs(10))
        .backoff(Backoff::exponential(2.0, Duration::from_secs(35)))
        .clock(clock.clone())
        .build()
        .unwrap();
    for seconds in [10, 20, 35, 35] {
        breaker.try_acquire().unwrap().failure();
        let retry_after = breaker.try_acquire().unwrap_err().retry_after();
        assert_eq!(retry_after, Duration::from_secs(seconds));
        clock.advance(retry_after);
    }
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
    breaker.try_acquire().unwrap().failure();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Duration::from_secs(10));
}

// All deadline arithmetic saturates.
#[test]
fn an_endless_recovery_timeout_is_never_over() {
    let clock = ManualClock::new();
    clock.advance(Duration::from_secs(5));
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .recovery_timeout(Duration::MAX)
        .clock(clock.clone())
        .build()
        .unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(Duration::MAX);
    assert_eq!(breaker.state(), State::Open);
    assert!(breaker.try_acquire().is_err());
}
