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
