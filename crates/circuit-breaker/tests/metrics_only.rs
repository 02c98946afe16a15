//! METRICS_ONLY: permits everything and runs a virtual breaker beside (B1).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, EventKind, ManualClock, State};
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
fn metrics_only_permits_everything_and_reports_once_what_it_would_have_done() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    breaker.metrics_only("trial");
    let mut events = breaker.subscribe(8);
    fail(&breaker, 5);
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.would_open, snapshot.would_reject), (State::MetricsOnly, 1, 3));
    assert_eq!((snapshot.opens, snapshot.rejected, snapshot.failures), (0, 0, 5));
    assert!(matches!(events.try_recv().unwrap().event.kind, EventKind::WouldOpen { .. }));
    assert!(events.try_recv().is_none());
    // Virtually CLOSED again after recovery_timeout.
    clock.advance(Duration::from_secs(60));
    fail(&breaker, 1);
    assert_eq!(breaker.snapshot().would_reject, 3);
    fail(&breaker, 1);
    assert_eq!(breaker.snapshot().would_open, 2);
}

// An outcome of the virtual period before is late to the virtual breaker.
#[test]
fn metrics_only_does_not_count_a_call_from_before_the_virtual_trip() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock);
    breaker.metrics_only("trial");
    let (early, also_early) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
    fail(&breaker, 2);
    clock.advance(Duration::from_secs(60));
    early.failure();
    also_early.failure();
    assert_eq!((breaker.snapshot().would_open, breaker.snapshot().consecutive_failures), (1, 0));
}
