//! Time is monotonic; the wall clock is only shown (B14).
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CallError, CircuitBreaker, Clock, ManualClock, Rule, State, SystemClock, Tick};
use std::time::{Duration, SystemTime};

// B14
#[test]
fn a_wall_clock_set_back_or_forward_changes_nothing_but_the_stamps() {
    for wall in [SystemTime::UNIX_EPOCH, SystemTime::UNIX_EPOCH + Duration::from_secs(4_000_000_000)] {
        let clock = ManualClock::new();
        clock.set_wall(SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000));
        let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap();
        breaker.try_acquire().unwrap().failure();
        clock.advance(Duration::from_secs(30));
        clock.set_wall(wall);
        assert_eq!(breaker.try_acquire().unwrap_err().retry_after(), Duration::from_secs(30));
        clock.advance(Duration::from_secs(29));
        assert_eq!(breaker.state(), State::Open);
        clock.advance(Duration::from_secs(1));
        assert_eq!(breaker.state(), State::HalfOpen);
        let snapshot = breaker.snapshot();
        assert_eq!(snapshot.time_in_state.of(State::Open), Duration::from_secs(60));
    }
}

#[test]
fn stamps_for_people_are_of_when_it_was_due() {
    let clock = ManualClock::new();
    let noon = SystemTime::UNIX_EPOCH + Duration::from_secs(1_700_000_000);
    clock.set_wall(noon);
    let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock.clone()).build().unwrap();
    breaker.try_acquire().unwrap().failure();
    clock.advance(Duration::from_secs(3_600));
    let snapshot = breaker.snapshot();
    assert_eq!(snapshot.since, noon + Duration::from_secs(60));
    assert_eq!(snapshot.last_failure, Some(noon));
}

// B6
#[test]
fn the_coarse_clock_is_never_ahead_and_says_how_far_behind_it_can_be() {
    let clock = SystemClock::default();
    let mut far_behind = 0;
    for _ in 0..10_000 {
        let (before, coarse, after) = (clock.now(), clock.coarse(), clock.now());
        assert!(coarse <= after);
        far_behind += u32::from(before.since(coarse) > clock.coarse_lag());
    }
    assert_eq!(far_behind, 0, "of 10,000 readings");
}

/// A clock whose coarse reading is late by as much as it may be.
#[derive(Clone, Debug)]
struct Lagging(ManualClock);

impl Clock for Lagging {
    fn now(&self) -> Tick {
        self.0.now()
    }
    fn coarse(&self) -> Tick {
        Tick::from_nanos(self.0.now().as_nanos().saturating_sub(50_000_000))
    }
    fn coarse_lag(&self) -> Duration {
        Duration::from_millis(50)
    }
}

// B6: the transition itself is neither early nor late, however coarse the cheap clock is.
#[test]
fn a_lagging_coarse_clock_delays_no_transition() {
    let clock = ManualClock::new();
    let breaker =
        CircuitBreaker::builder().failure_threshold(1).clock(Lagging(clock.clone())).build().unwrap();
    for _ in 0..3 {
        breaker.try_acquire().unwrap().failure();
        clock.advance(Duration::from_nanos(59_999_999_999));
        assert_eq!((breaker.state(), breaker.try_acquire().is_err()), (State::Open, true));
        clock.advance(Duration::from_nanos(1));
        assert_eq!(breaker.state(), State::HalfOpen);
        assert!(breaker.snapshot().state_age.is_zero());
    }
}

// B5, B6, B19c: by the machine's clock, whose coarse half answers while the deadline is far and the precise one near it.
#[test]
fn by_the_machines_clock_an_open_circuit_rejects_until_its_deadline_and_not_beyond() {
    let recovery = Duration::from_millis(120); // The coarse clock is asked until 50 ms before.
    let (clock, patience) = (SystemClock::new(), Duration::from_secs(60));
    let breaker = CircuitBreaker::builder().failure_threshold(1).recovery_timeout(recovery).build().unwrap();
    let before = clock.now();
    breaker.call(|| Err::<(), _>("down")).unwrap_err();
    let mut rejections = 0;
    while let Err(error) = breaker.call(|| Ok::<_, &str>(())) {
        let CallError::Rejected(rejected) = error else { panic!("{error:?}") };
        assert!((Duration::from_nanos(1)..=recovery).contains(&rejected.retry_after()), "{rejected:?}");
        assert!(rejected.state_age() <= recovery);
        assert_eq!((rejected.state(), rejected.generation()), (State::Open, 1));
        let reason = rejected.reason();
        assert_eq!((reason.rule, reason.seen, reason.of), (Rule::ConsecutiveFailures, 1, 1));
        let permit = breaker.try_acquire();
        assert!(permit.is_err() || breaker.state() == State::HalfOpen);
        rejections += 1;
        assert!(clock.now().since(before) < patience, "still open");
    }
    let opened_for = breaker.snapshot().time_in_state.of(State::Open);
    assert_eq!(opened_for, recovery, "stamped with the deadline");
    assert!(clock.now().since(before) >= recovery, "not early");
    assert!(rejections > 0);
    assert!(breaker.snapshot().rejected >= rejections);
}

#[test]
fn arithmetic_on_ticks_saturates() {
    let late = Tick::from_nanos(u64::MAX - 1);
    assert_eq!(late.plus(5), Tick::MAX);
    assert_eq!(Tick::from_nanos(3).nanos_since(late), 0);
    assert_eq!(late.since(Tick::from_nanos(1)), Duration::from_nanos(u64::MAX - 2));
    let clock = ManualClock::new();
    clock.advance(Duration::MAX);
    clock.advance(Duration::MAX);
    assert_eq!(clock.now(), Tick::MAX);
}

/// A clock that goes wrong: it runs backwards.
#[derive(Debug)]
struct Backwards(std::sync::atomic::AtomicU64);

impl Clock for Backwards {
    fn now(&self) -> Tick {
        Tick::from_nanos(self.0.fetch_sub(1_000_000_000, std::sync::atomic::Ordering::Relaxed))
    }
}

#[test]
fn a_clock_that_runs_backwards_breaks_nothing() {
    let clock = Backwards(std::sync::atomic::AtomicU64::new(1_000_000_000_000));
    let breaker = CircuitBreaker::builder().failure_threshold(1).clock(clock).build().unwrap();
    assert_eq!(breaker.state(), State::Closed);
    breaker.try_acquire().unwrap().failure();
    assert!(breaker.try_acquire().is_err());
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.snapshot().state_age, Duration::ZERO);
}
