//! The twelve original cases of the library: four states, four transitions, two metrics, two recoveries. (The two
//! integration cases belong to the service.)
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CallError, CircuitBreaker, ManualClock, State};
use std::time::Duration;

fn breaker() -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(5)
        .recovery_timeout(Duration::from_secs(60))
        .success_threshold(2)
        .clock(clock.clone())
        .build()
        .unwrap();
    (breaker, clock)
}

fn fail(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        assert!(breaker.call(|| Err::<(), _>("down")).is_err());
    }
}

fn succeed(breaker: &CircuitBreaker, times: u32) {
    for _ in 0..times {
        assert_eq!(breaker.call(|| Ok::<_, ()>("up")), Ok("up"));
    }
}

mod states {
    use super::*;

    #[test]
    fn the_initial_state_is_closed() {
        assert_eq!(breaker().0.state(), State::Closed);
    }

    #[test]
    fn closed_lets_calls_through() {
        let (breaker, _) = breaker();
        succeed(&breaker, 10);
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn open_rejects_calls_without_running_them() {
        let (breaker, _) = breaker();
        fail(&breaker, 5);
        let result = breaker.call(|| -> Result<(), ()> { panic!("must not run") });
        assert!(matches!(result, Err(CallError::Rejected(_))));
    }

    #[test]
    fn half_open_lets_a_limited_number_of_calls_through() {
        let (breaker, clock) = breaker();
        fail(&breaker, 5);
        clock.advance(Duration::from_secs(60));
        let probes = [breaker.try_acquire(), breaker.try_acquire(), breaker.try_acquire()];
        assert_eq!(probes.iter().filter(|probe| probe.is_ok()).count(), 2);
    }
}

mod transitions {
    use super::*;

    #[test]
    fn closed_to_open_at_the_failure_threshold() {
        let (breaker, _) = breaker();
        fail(&breaker, 4);
        assert_eq!(breaker.state(), State::Closed);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), State::Open);
    }

    #[test]
    fn open_to_half_open_after_the_recovery_timeout() {
        let (breaker, clock) = breaker();
        fail(&breaker, 5);
        clock.advance(Duration::from_secs(60));
        assert_eq!(breaker.state(), State::HalfOpen);
    }

    #[test]
    fn half_open_to_closed_at_the_success_threshold() {
        let (breaker, clock) = breaker();
        fail(&breaker, 5);
        clock.advance(Duration::from_secs(60));
        succeed(&breaker, 2);
        assert_eq!(breaker.state(), State::Closed);
    }

    #[test]
    fn half_open_to_open_at_the_first_failure() {
        let (breaker, clock) = breaker();
        fail(&breaker, 5);
        clock.advance(Duration::from_secs(60));
        succeed(&breaker, 1);
        fail(&breaker, 1);
        assert_eq!(breaker.state(), State::Open);
    }
}

mod metrics {
    use super::*;

    #[test]
    fn successes_and_failures_are_counted() {
        let (breaker, _) = breaker();
        succeed(&breaker, 3);
        fail(&breaker, 2);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.successes, snapshot.failures, snapshot.consecutive_failures), (3, 2, 2));
    }

    #[test]
    fn opens_and_rejections_are_counted() {
        let (breaker, _) = breaker();
        fail(&breaker, 8);
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.opens, snapshot.rejected, snapshot.failures), (1, 3, 5));
    }
}

mod recovery {
    use super::*;

    #[test]
    fn the_breaker_recovers_when_the_other_side_does() {
        let (breaker, clock) = breaker();
        fail(&breaker, 5);
        clock.advance(Duration::from_secs(60));
        succeed(&breaker, 2);
        succeed(&breaker, 10);
        fail(&breaker, 4);
        assert_eq!(breaker.state(), State::Closed, "the count starts afresh");
    }

    #[test]
    fn a_failed_recovery_waits_again() {
        let (breaker, clock) = breaker();
        fail(&breaker, 5);
        clock.advance(Duration::from_secs(60));
        fail(&breaker, 1);
        clock.advance(Duration::from_secs(59));
        assert_eq!(breaker.state(), State::Open);
        clock.advance(Duration::from_secs(1));
        succeed(&breaker, 2);
        assert_eq!(breaker.state(), State::Closed);
    }
}
