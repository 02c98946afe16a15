//! What a replaced configuration does to calls that are in flight and to a circuit that is open (B19, B19a).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{Backoff, CircuitBreaker, Config, EventKind, ManualClock, Ramp, State, Window};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

fn breaker(config: Config) -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new();
    (CircuitBreaker::builder().config(config).clock(clock.clone()).build().unwrap(), clock)
}

fn overdue(after: Duration) -> Config {
    Config::new().failure_threshold(2).recovery_timeout(SECOND * 10).overdue_after(after)
}

// B19, B19a: what an operator does while calls hang.
#[test]
fn calls_that_a_lowered_overdue_after_finds_overdue_are_charged_now_and_not_in_the_past() {
    let (breaker, clock) = breaker(overdue(SECOND * 80));
    let mut events = breaker.subscribe(8);
    let _hanging = [breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap()];
    clock.advance(SECOND * 70);
    breaker.set_config(overdue(SECOND * 8)).unwrap();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.overdue, snapshot.generation), (State::Open, 2, 1));
    assert_eq!((snapshot.state_age, snapshot.retry_after), (Duration::ZERO, Some(SECOND * 10)));
    assert_eq!(snapshot.time_in_state.of(State::Closed), SECOND * 70);
    let replaced = events.try_recv().unwrap().event;
    assert_eq!(replaced.kind, EventKind::ConfigReplaced);
    assert_eq!(events.try_recv().unwrap().event.at, replaced.at, "no event is stamped before its cause");
}

// B19a: the same where watching had been off for a while.
#[test]
fn calls_found_overdue_when_overdue_after_is_set_again_are_charged_now() {
    let (breaker, clock) = breaker(overdue(SECOND * 8));
    let _hanging = [breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap()];
    breaker.set_config(Config::new().failure_threshold(2)).unwrap();
    clock.advance(SECOND * 70);
    assert_eq!(breaker.snapshot().overdue, 0);
    breaker.set_config(overdue(SECOND * 8)).unwrap();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.overdue, snapshot.state_age), (State::Open, 2, Duration::ZERO));
}

// B19a: late by at most an eighth, and of the new value.
#[test]
fn a_call_that_starts_after_overdue_after_was_lowered_is_charged_by_the_new_value() {
    let (breaker, clock) = breaker(overdue(SECOND * 80));
    let _long_before = breaker.try_acquire().unwrap();
    clock.advance(SECOND);
    breaker.set_config(overdue(SECOND * 4 / 5)).unwrap();
    clock.advance(SECOND / 10);
    let _after = breaker.try_acquire().unwrap();
    clock.advance(SECOND * 4 / 5);
    assert!(breaker.snapshot().overdue <= 1, "never early");
    clock.advance(SECOND / 10);
    assert_eq!((breaker.snapshot().overdue, breaker.state()), (2, State::Open));
}

fn opened(backoff: Backoff) -> (CircuitBreaker, ManualClock, Config) {
    let config = Config::new().failure_threshold(1).recovery_timeout(SECOND * 100).backoff(backoff);
    let (breaker, clock) = breaker(config.clone());
    breaker.try_acquire().unwrap().failure();
    (breaker, clock, config)
}

// B19: recomputed from when the circuit opened, by the same draw.
#[test]
fn a_jittered_open_time_keeps_its_draw_under_a_replaced_configuration() {
    let (breaker, clock, config) = opened(Backoff::fixed().jitter(0.5));
    let first = breaker.try_acquire().unwrap_err().retry_after();
    assert_ne!(first, SECOND * 100);
    clock.advance(SECOND);
    breaker.set_config(config.clone().recovery_timeout(SECOND * 200)).unwrap();
    let doubled = breaker.try_acquire().unwrap_err().retry_after() + SECOND;
    assert!(doubled.abs_diff(first * 2) < Duration::from_micros(1), "{first:?}, then {doubled:?}");
    breaker.set_config(config).unwrap();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after() + SECOND, first);
}

// B19: a function with chance of its own is asked again only where its answer would be reckoned otherwise.
#[test]
fn a_backoff_function_is_not_asked_again_for_a_configuration_that_changes_no_open_time() {
    let asked = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&asked);
    let backoff = Backoff::custom(move |_, _| SECOND * (10 + count.fetch_add(1, Ordering::Relaxed) as u32));
    let (breaker, _, config) = opened(backoff);
    breaker.set_config(config.clone().retry_hint(SECOND * 3).failure_threshold(9)).unwrap();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), SECOND * 10);
    breaker.set_config(config.recovery_timeout(SECOND * 5)).unwrap();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), SECOND * 11);
}

// B19: what a configuration can say it can also take back.
#[test]
fn every_optional_setting_can_be_taken_back() {
    let plain = Config::new();
    let full = plain.clone().half_open_timeout(SECOND).overdue_after(SECOND).ramp(Ramp::default());
    let full = full.window(Window::count(10));
    assert_ne!(full, plain);
    let back = full.without_half_open_timeout().without_overdue_after().without_ramp().without_window();
    assert_eq!(back, plain);
}

// B19a: a call that was charged before watching was switched off has had its say.
#[test]
fn the_outcome_of_a_charged_call_decides_nothing_after_watching_is_switched_off() {
    for fails in [true, false] {
        let (breaker, clock) = breaker(overdue(SECOND * 8).failure_threshold(3));
        let charged = breaker.try_acquire().unwrap();
        clock.advance(SECOND * 9);
        assert_eq!(breaker.snapshot().consecutive_failures, 1);
        breaker.set_config(Config::new().failure_threshold(3)).unwrap();
        if fails {
            charged.failure()
        } else {
            charged.success()
        }
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.consecutive_failures, 1);
        assert_eq!((snapshot.failures, snapshot.successes), (u64::from(fails), u64::from(!fails)));
    }
}
