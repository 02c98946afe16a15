//! One test for each fault that other circuit breakers for Rust have (the end of the rules).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, Config, ManualClock, OnDrop, State, Window};
use std::sync::Barrier;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

const RECOVERY: Duration = Duration::from_secs(60);

fn half_open(clock: &ManualClock) -> CircuitBreaker {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .success_threshold(1)
        .clock(clock.clone())
        .build()
        .unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(RECOVERY);
    breaker
}

// Three of six let all 64 through.
#[test]
fn of_64_simultaneous_callers_half_open_lets_only_the_probes_through() {
    for _ in 0..20 {
        let clock = ManualClock::new();
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .success_threshold(5)
            .half_open_max_calls(3)
            .clock(clock.clone())
            .build()
            .unwrap();
        breaker.try_acquire().unwrap().failure();
        clock.advance(RECOVERY);
        let (start, done) = (Barrier::new(64), Barrier::new(64));
        let admitted = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..64 {
                scope.spawn(|| {
                    start.wait();
                    let permit = breaker.try_acquire().ok();
                    admitted.fetch_add(usize::from(permit.is_some()), Ordering::SeqCst);
                    done.wait(); // Every permit is held until all have asked.
                    drop(permit);
                });
            }
        });
        assert_eq!(admitted.load(Ordering::SeqCst), 3);
        assert_eq!(breaker.snapshot().in_flight, 0);
    }
}

// One stays HALF_OPEN and rejects for ever.
#[test]
fn a_cancelled_probe_does_not_leave_the_breaker_stuck() {
    let breaker = half_open(&ManualClock::new());
    drop(breaker.try_acquire().unwrap());
    breaker.try_acquire().unwrap().success();
    assert_eq!(breaker.state(), State::Closed);
}

// All lose the call.
#[test]
fn a_panic_is_counted() {
    let breaker = CircuitBreaker::builder().failure_threshold(1).build().unwrap();
    let panicking = std::panic::AssertUnwindSafe(|| breaker.call(|| -> Result<(), ()> { panic!("boom") }));
    assert!(std::panic::catch_unwind(panicking).is_err());
    assert_eq!((breaker.snapshot().failures, breaker.state()), (1, State::Open));
}

// All open again.
#[test]
fn a_failure_that_began_before_the_trip_does_not_open_the_half_open_breaker_again() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap();
    let early = breaker.try_acquire().unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(RECOVERY);
    assert_eq!(breaker.state(), State::HalfOpen);
    early.failure();
    assert_eq!(breaker.state(), State::HalfOpen);
}

// Five of six count it.
#[test]
fn a_success_that_began_before_the_trip_does_not_count_towards_closing() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .success_threshold(1)
        .clock(clock.clone())
        .build()
        .unwrap();
    let early = breaker.try_acquire().unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(RECOVERY);
    assert_eq!(breaker.state(), State::HalfOpen);
    early.success();
    assert_eq!(breaker.state(), State::HalfOpen);
}

// Three go on saying OPEN until somebody calls.
#[test]
fn the_state_is_half_open_after_the_time_out_without_a_call() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(RECOVERY);
    assert_eq!(breaker.state(), State::HalfOpen);
}

// None can be tested with paused time; every test here is.
#[test]
fn thirty_days_of_outage_pass_in_no_time() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap();
    for _ in 0..43_200 {
        breaker.try_acquire().unwrap().failure();
        clock.advance(RECOVERY);
    }
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.opens, 43_200);
    assert_eq!(snapshot.time_in_state.of(State::Open), Duration::from_secs(30 * 86_400));
}

// In two, 100,000 good calls hide 100,000 bad ones.
#[test]
fn a_sliding_window_slides() {
    let breaker = CircuitBreaker::builder()
        .failure_threshold(Config::NEVER)
        .window(Window::count(100).minimum_calls(10).failure_rate_threshold(50.0))
        .build()
        .unwrap();
    for _ in 0..100_000 {
        breaker.call(|| Ok::<_, ()>(())).unwrap();
    }
    let needed = (1..=100_000).find(|_| {
        let _ = breaker.call(|| Err::<(), _>(()));
        breaker.state() == State::Open
    });
    assert_eq!(needed, Some(50));
}

// In none do hung or dropped calls ever trip it.
#[test]
fn calls_that_hang_or_are_dropped_by_a_time_out_open_the_circuit() {
    let clock = ManualClock::new();
    let dropped = CircuitBreaker::builder()
        .failure_threshold(2)
        .on_drop(OnDrop::FailureAfter(Duration::from_secs(1)))
        .clock(clock.clone())
        .build()
        .unwrap();
    let hung = CircuitBreaker::builder()
        .failure_threshold(2)
        .overdue_after(Duration::from_secs(8))
        .clock(clock.clone())
        .build()
        .unwrap();
    let to_drop = [dropped.try_acquire().unwrap(), dropped.try_acquire().unwrap()];
    let _hanging = [hung.try_acquire().unwrap(), hung.try_acquire().unwrap()];
    clock.advance(Duration::from_secs(9));
    drop(to_drop);
    assert_eq!((dropped.state(), hung.state()), (State::Open, State::Open));
}
