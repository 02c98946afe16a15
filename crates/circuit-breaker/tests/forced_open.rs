//! FORCED_OPEN: rejects everything until a person releases it (B1).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, ManualClock, Rule, State};
use std::time::Duration;

fn breaker(clock: &ManualClock) -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(2).clock(clock.clone()).build().unwrap()
}

#[test]
fn forced_open_rejects_everything_until_it_is_released() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    breaker.by("alice").force_open("maintenance");
    clock.advance(Duration::from_secs(86_400));
    let rejected = breaker.try_acquire().unwrap_err();
    assert_eq!((rejected.state(), rejected.retry_after()), (State::ForcedOpen, Duration::from_secs(1)));
    assert_eq!(rejected.reason().rule, Rule::ForcedOpen); // B19c
    assert!(breaker.release());
    assert_eq!(breaker.state(), State::Closed);
    assert!(breaker.try_acquire().is_ok());
}

// B11: a call from before decides nothing, and a success does not release.
#[test]
fn an_outcome_from_before_changes_nothing() {
    let breaker = breaker(&ManualClock::new());
    let (first, second) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    breaker.force_open("maintenance");
    first.success();
    second.failure();
    assert_eq!((breaker.state(), breaker.snapshot().late), (State::ForcedOpen, 2));
}
