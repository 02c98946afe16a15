//! CLOSED: what opens the circuit, and what does not.
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CallError, CircuitBreaker, Config, ManualClock, Rule, State};
use std::time::Duration;

fn breaker(clock: &ManualClock) -> CircuitBreaker {
    CircuitBreaker::builder().name("ofd").clock(clock.clone()).build().unwrap()
}

fn fail(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        let _ = breaker.call(|| Err::<(), _>("down"));
    }
}

// B2
#[test]
fn a_new_breaker_is_closed_with_zero_totals() {
    let snapshot = breaker(&ManualClock::new()).snapshot();
    assert_eq!(snapshot.state, State::Closed);
    assert_eq!(snapshot.generation, 0);
    assert_eq!(snapshot.consecutive_failures, 0);
    assert_eq!([snapshot.successes, snapshot.failures, snapshot.rejected, snapshot.opens], [0; 4]);
}

// B3
#[test]
fn the_fifth_consecutive_failure_opens_the_circuit_and_the_fourth_does_not() {
    let breaker = breaker(&ManualClock::new());
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
    let explanation = breaker.explain();
    assert_eq!(explanation.reason.rule, Rule::ConsecutiveFailures);
    assert_eq!((explanation.reason.seen, explanation.reason.of), (5, 5));
}

// B4
#[test]
fn a_success_sets_the_consecutive_failures_to_zero() {
    let breaker = breaker(&ManualClock::new());
    fail(&breaker, 4);
    assert_eq!(breaker.call(|| Ok::<_, ()>(7)), Ok(7));
    assert_eq!(breaker.snapshot().consecutive_failures, 0);
    fail(&breaker, 4);
    assert_eq!(breaker.state(), State::Closed);
}

// B4
#[test]
fn an_ignored_outcome_changes_nothing_but_its_total() {
    let breaker = breaker(&ManualClock::new());
    fail(&breaker, 4);
    breaker.try_acquire().unwrap().ignore();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.consecutive_failures, snapshot.ignored), (4, 1));
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn the_error_of_the_call_is_handed_on() {
    let breaker = breaker(&ManualClock::new());
    assert_eq!(breaker.call(|| Err::<(), _>("down")), Err(CallError::Inner("down")));
}

// B3: the rule can be switched off.
#[test]
fn failures_never_open_the_circuit_when_the_rule_is_off() {
    let breaker = CircuitBreaker::builder().failure_threshold(Config::NEVER).build().unwrap();
    fail(&breaker, 1_000);
    assert_eq!(breaker.state(), State::Closed);
}

// B13
#[test]
fn a_retry_after_lengthens_the_open_time_up_to_the_cap_and_never_shortens_it() {
    for (asked, open) in [(300, 300), (5, 60), (9_999, 600)] {
        let clock = ManualClock::new();
        let breaker = breaker(&clock);
        fail(&breaker, 4);
        breaker.try_acquire().unwrap().failure_with(Duration::from_secs(asked), "asked");
        let rejected = breaker.try_acquire().unwrap_err();
        assert_eq!(rejected.retry_after(), Duration::from_secs(open), "asked {asked} s");
    }
}

// Failures that are counted without the lock are seen by whoever looks.
#[test]
fn a_snapshot_knows_the_failures_in_a_row_and_when_the_last_was() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    assert_eq!(breaker.snapshot().last_failure, None);
    fail(&breaker, 1);
    assert_eq!(breaker.snapshot().last_failure, Some(std::time::SystemTime::UNIX_EPOCH));
    clock.advance(Duration::from_secs(7));
    fail(&breaker, 2);
    breaker.try_acquire().unwrap().ignore();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.consecutive_failures, snapshot.failures), (3, 3));
    assert_eq!(snapshot.last_failure, Some(std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(7)));
}

// B3: a threshold beyond what the hot path can count.
#[test]
fn a_very_high_failure_threshold_is_exact_too() {
    let breaker = CircuitBreaker::builder().failure_threshold(40_000).build().unwrap();
    fail(&breaker, 39_999);
    assert_eq!((breaker.state(), breaker.snapshot().consecutive_failures), (State::Closed, 39_999));
    assert_eq!(breaker.call(|| Ok::<_, ()>(1)), Ok(1));
    assert_eq!(breaker.snapshot().consecutive_failures, 0);
    fail(&breaker, 39_999);
    assert_eq!(breaker.state(), State::Closed);
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}
