//! FORCED_CLOSED: permits everything, never trips, and counts (B1).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, ManualClock, State};

fn breaker(clock: &ManualClock) -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(2).clock(clock.clone()).build().unwrap()
}

fn fail(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        let _ = breaker.call(|| Err::<(), _>(()));
    }
}

#[test]
fn forced_closed_permits_everything_never_trips_and_counts() {
    let breaker = breaker(&ManualClock::new());
    fail(&breaker, 2);
    breaker.force_closed("the monitoring is wrong");
    fail(&breaker, 10);
    assert_eq!(breaker.call(|| Ok::<_, ()>(1)), Ok(1));
    breaker.try_acquire().unwrap().ignore();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.failures), (State::ForcedClosed, 12));
    assert_eq!((snapshot.successes, snapshot.ignored, snapshot.consecutive_failures), (1, 1, 0));
}
