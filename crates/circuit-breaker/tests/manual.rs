//! Manual states and commands (B1, B15), and replacing the configuration (B19).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, Command, Config, EventKind, ManualClock, Ramp, State, Window};
use std::time::Duration;

fn breaker(clock: &ManualClock) -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(2).clock(clock.clone()).build().unwrap()
}

fn fail(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        let _ = breaker.call(|| Err::<(), _>(()));
    }
}

#[test]
fn release_elsewhere_is_a_no_op_that_says_so() {
    let breaker = breaker(&ManualClock::new());
    fail(&breaker, 1);
    assert!(!breaker.release());
    assert_eq!(breaker.by("alice").release("hm"), None);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.generation, snapshot.consecutive_failures), (0, 1));
}

#[test]
fn reset_closes_from_any_state_with_fresh_decision_state() {
    let breaker = breaker(&ManualClock::new());
    fail(&breaker, 1);
    breaker.reset();
    assert_eq!((breaker.snapshot().generation, breaker.snapshot().consecutive_failures), (1, 0));
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::Open);
    breaker.reset();
    assert_eq!(breaker.state(), State::Closed);
    breaker.force_open("x");
    breaker.reset();
    assert_eq!((breaker.state(), breaker.snapshot().opens_in_row), (State::Closed, 0));
}

#[test]
fn a_manual_state_entered_again_only_updates_its_reason() {
    let breaker = breaker(&ManualClock::new());
    let mut events = breaker.subscribe(8);
    breaker.by("alice").force_open("first");
    let explanation = breaker.by("bob").force_open("second");
    assert_eq!((explanation.who.as_deref(), explanation.why.as_deref()), (Some("bob"), Some("second")));
    assert_eq!(explanation.command, Some(Command::ForceOpen));
    assert_eq!(breaker.snapshot().generation, 1);
    assert!(matches!(events.try_recv().unwrap().event.kind, EventKind::Transition(_)));
    assert!(matches!(events.try_recv().unwrap().event.kind, EventKind::ReasonUpdated(_)));
    assert!(explanation.to_string().contains("by bob: second"));
}

#[test]
fn a_persons_text_is_bounded() {
    let breaker = breaker(&ManualClock::new());
    breaker.by("я".repeat(1_000)).force_open("ю".repeat(1_000));
    let explanation = breaker.explain();
    assert_eq!(explanation.who.unwrap().len(), 256);
    assert_eq!(explanation.why.unwrap().len(), 256);
}

// B19
#[test]
fn new_thresholds_apply_from_the_next_outcome_and_state_and_generation_stay() {
    let breaker = CircuitBreaker::builder().failure_threshold(10).build().unwrap();
    fail(&breaker, 5);
    breaker.set_config(Config::new().failure_threshold(3)).unwrap();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.generation, snapshot.consecutive_failures), (State::Closed, 0, 5));
    fail(&breaker, 1);
    assert_eq!(breaker.state(), State::Open);
}

// B19
#[test]
fn an_open_deadline_is_recomputed_from_when_the_circuit_opened() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    fail(&breaker, 2);
    clock.advance(Duration::from_secs(20));
    breaker.set_config(Config::new().recovery_timeout(Duration::from_secs(30))).unwrap();
    assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Duration::from_secs(10));
    breaker.set_config(Config::new().recovery_timeout(Duration::from_secs(10))).unwrap();
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(breaker.snapshot().state_age, Duration::ZERO);
}

// B19
#[test]
fn the_window_is_kept_if_its_shape_is_the_same() {
    let config = |window: Window| Config::new().failure_threshold(Config::NEVER).window(window);
    let breaker = CircuitBreaker::builder().config(config(Window::count(20))).build().unwrap();
    fail(&breaker, 3);
    breaker.set_config(config(Window::count(20).minimum_calls(5))).unwrap();
    assert_eq!(breaker.snapshot().window.unwrap().failures, 3);
    breaker.set_config(config(Window::count(30))).unwrap();
    assert_eq!(breaker.snapshot().window.unwrap().calls, 0);
}

// B19: no permit is revoked, and a threshold that was passed meanwhile does not lock the breaker up.
#[test]
fn a_success_threshold_lowered_while_probing_still_lets_a_probe_decide() {
    let clock = ManualClock::new();
    let breaker =
        CircuitBreaker::builder().failure_threshold(1).success_threshold(3).clock(clock.clone()).build();
    let breaker = breaker.unwrap();
    fail(&breaker, 1);
    clock.advance(Duration::from_secs(60));
    breaker.try_acquire().unwrap().success();
    breaker.set_config(Config::new().success_threshold(1)).unwrap();
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn an_impossible_configuration_is_refused_and_the_old_one_stays() {
    let breaker = breaker(&ManualClock::new());
    let error = breaker.set_config(Config::new().success_threshold(0)).unwrap_err();
    assert_eq!((error.field(), error.value(), error.allowed()), ("success_threshold", "0", "1 or more"));
    assert_eq!(*breaker.config(), Config::new().failure_threshold(2));
}

// B19b
#[test]
fn the_ramp_lets_every_kth_call_through_step_by_step() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .success_threshold(1)
        .ramp(Ramp::new([10, 50], 3))
        .clock(clock.clone())
        .build()
        .unwrap();
    fail(&breaker, 1);
    clock.advance(Duration::from_secs(60));
    breaker.try_acquire().unwrap().success();
    assert_eq!((breaker.state(), breaker.snapshot().ramp_percent), (State::HalfOpen, Some(10)));
    let admitted = |calls: u32| (0..calls).filter(|_| breaker.call(|| Ok::<_, ()>(())).is_ok()).count();
    assert_eq!(admitted(30), 3);
    assert_eq!(breaker.snapshot().ramp_percent, Some(50));
    // half_open_timeout does not run in the ramp.
    clock.advance(Duration::from_secs(6_000));
    assert_eq!(admitted(4), 2);
    assert_eq!(breaker.state(), State::HalfOpen);
    assert_eq!(admitted(2), 1);
    assert_eq!(breaker.state(), State::Closed);
}

// B19b: also where 100 is no multiple of the share.
#[test]
fn the_ramp_lets_exactly_its_share_through() {
    for percent in [1, 7, 30, 67, 99] {
        let clock = ManualClock::new();
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .success_threshold(1)
            .ramp(Ramp::new([percent], 1_000))
            .clock(clock.clone())
            .build()
            .unwrap();
        breaker.try_acquire().unwrap().failure();
        clock.advance(Duration::from_secs(60));
        breaker.try_acquire().unwrap().success();
        let through = (0..1_000).filter(|_| breaker.call(|| Ok::<_, ()>(())).is_ok()).count();
        assert_eq!(through, usize::from(percent) * 10, "{percent} %");
    }
}

// B19b: CLOSED's own rules hold in the ramp.
#[test]
fn a_trip_in_the_ramp_opens_again() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(2)
        .success_threshold(1)
        .ramp(Ramp::new([50], 100))
        .clock(clock.clone())
        .build()
        .unwrap();
    fail(&breaker, 2);
    clock.advance(Duration::from_secs(60));
    breaker.try_acquire().unwrap().success();
    fail(&breaker, 2);
    assert_eq!(breaker.state(), State::HalfOpen, "one failure of two got through");
    fail(&breaker, 2);
    assert_eq!((breaker.state(), breaker.snapshot().opens_in_row), (State::Open, 2));
}
