//! What people read: errors and reasons say what happened and what to do.
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CallError, CircuitBreaker, ManualClock, Ramp, State, Window};
use std::error::Error;
use std::time::Duration;

#[test]
fn a_rejection_says_which_state_since_when_why_and_for_how_long() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(Duration::from_secs(20));
    let error: CallError<std::io::Error> = breaker.try_acquire().unwrap_err().into();
    let text = "circuit is OPEN for 20.0s: 1 failure in a row (threshold 1); retry after 40.0s";
    assert_eq!(error.to_string(), text);
    assert_eq!(error.rejected().unwrap().to_string(), text);
    assert!(error.source().is_none() && error.into_inner().is_none());
}

#[test]
fn an_error_of_the_call_shows_as_itself() {
    let error = CallError::Inner(std::io::Error::other(std::fmt::Error));
    assert_eq!(error.to_string(), std::fmt::Error.to_string());
    assert!(error.rejected().is_none());
    assert_eq!(error.into_inner().unwrap().kind(), std::io::ErrorKind::Other);
}

// B19c
#[test]
fn failures_in_a_row_are_named_in_the_singular_and_the_plural() {
    for (threshold, text) in
        [(1, "1 failure in a row (threshold 1)"), (2, "2 failures in a row (threshold 2)")]
    {
        let breaker = CircuitBreaker::builder().failure_threshold(threshold).build().unwrap();
        (0..threshold).for_each(|_| breaker.try_acquire().unwrap().failure());
        assert_eq!(breaker.explain().to_string(), text);
    }
}

#[test]
fn every_transition_has_its_reason_in_words() {
    let clock = ManualClock::new();
    let slow = Window::count(4).minimum_calls(2).slow_call_duration(Duration::from_secs(1));
    let breaker = CircuitBreaker::builder()
        .failure_threshold(9)
        .success_threshold(2)
        .window(slow.slow_call_rate_threshold(100.0).failure_rate_threshold(100.0))
        .ramp(Ramp::new([50], 1))
        .clock(clock.clone())
        .build()
        .unwrap();
    let why = || breaker.explain().to_string();
    let call = |took_s: u64, ok: bool| {
        let permit = breaker.try_acquire().unwrap();
        clock.advance(Duration::from_secs(took_s));
        if ok { permit.success() } else { permit.failure() }
    };
    assert_eq!(why(), "new");
    call(0, false);
    call(0, false);
    assert_eq!(why(), "2 of 2 calls failed");
    clock.advance(Duration::from_secs(60));
    assert_eq!(why(), "the open time is over (open 1 in a row)");
    call(0, true);
    call(2, true);
    assert_eq!(why(), "a probe was slow after 1 of 2 successes");
    clock.advance(Duration::from_secs(60));
    call(0, false);
    assert_eq!(why(), "a probe failed after 0 of 2 successes");
    clock.advance(Duration::from_secs(60));
    let _hanging = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(60));
    assert_eq!(why(), "probing did not decide in time (0 of 2 successes)");
    clock.advance(Duration::from_secs(60));
    call(0, true);
    call(0, true);
    assert!(breaker.try_acquire().is_err(), "every second call of the ramp");
    call(0, true);
    assert_eq!((breaker.state(), why().as_str()), (State::Closed, "the ramp is completed"));
    call(2, true);
    call(2, true);
    assert_eq!(why(), "2 of 2 calls were slow");
    breaker.by("alice").force_closed("the figures are wrong");
    assert_eq!(why(), "forced closed by alice: the figures are wrong");
    breaker.release();
    assert_eq!(why(), "released");
    breaker.reset();
    assert_eq!(why(), "reset");
    assert_eq!(format!("{:>10}", State::HalfOpen), " HALF_OPEN");
}
