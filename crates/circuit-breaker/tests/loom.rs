//! The real shell under loom: every interleaving of two threads with up to three preemptions, of three with up to two.
//!
//! `RUSTFLAGS="--cfg loom" cargo test -p circuit-breaker --test loom --target-dir target/loom`
#![cfg(loom)]
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, Config, ManualClock, Permit, Rule, State, Window};
use loom::thread;
use std::time::Duration;

const RECOVERY: Duration = Duration::from_secs(60);

fn model(test: impl Fn() + Send + Sync + 'static) {
    model_up_to(3, test);
}

fn model_up_to(preemptions: usize, test: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(preemptions);
    builder.check(test);
}

fn config() -> Config {
    Config::new().failure_threshold(1).success_threshold(1).half_open_max_calls(1)
}

fn breaker(config: Config) -> (CircuitBreaker, ManualClock) {
    let clock = ManualClock::new();
    (CircuitBreaker::builder().config(config).clock(clock.clone()).seed(1).build().unwrap(), clock)
}

fn half_open(config: Config) -> (CircuitBreaker, ManualClock) {
    let (breaker, clock) = breaker(config);
    breaker.try_acquire().unwrap().failure();
    clock.advance(RECOVERY);
    (breaker, clock)
}

fn in_thread<T: 'static>(
    breaker: &CircuitBreaker,
    run: impl FnOnce(CircuitBreaker) -> T + 'static,
) -> thread::JoinHandle<T> {
    let breaker = breaker.clone();
    thread::spawn(move || run(breaker))
}

fn ended(breaker: &CircuitBreaker) -> u64 {
    let s = breaker.snapshot();
    s.successes + s.failures + s.ignored + s.abandoned + s.late
}

// B3, B12
#[test]
fn failures_that_arrive_together_open_the_circuit_once() {
    model_up_to(2, || {
        let (breaker, _) = breaker(config().failure_threshold(2));
        let mut permits: Vec<Permit> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
        let last = permits.pop().unwrap();
        let threads: Vec<_> =
            permits.into_iter().map(|permit| in_thread(&breaker, |_| permit.failure())).collect();
        last.failure();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
        let s = breaker.snapshot();
        assert_eq!((s.state, s.generation, s.opens), (State::Open, 1, 1));
        assert_eq!((s.failures, s.late), (2, 1));
    });
}

// B4, B17: no success is lost between the word and the core.
#[test]
fn plain_successes_are_counted_in_the_window_whatever_comes_in_between() {
    model(|| {
        let window = Window::count(8).minimum_calls(8).failure_rate_threshold(100.0);
        let (breaker, _) = breaker(config().failure_threshold(3).window(window));
        breaker.try_acquire().unwrap().failure();
        let thread = in_thread(&breaker, |breaker| {
            breaker.call(|| Ok::<_, ()>(())).unwrap();
            breaker.call(|| Ok::<_, ()>(())).unwrap();
        });
        breaker.try_acquire().unwrap().failure();
        thread.join().unwrap();
        let s = breaker.snapshot();
        let window = s.window.unwrap();
        assert_eq!((window.calls, window.failures), (4, 2));
        assert_eq!((s.successes, s.failures, s.state), (2, 2, State::Closed));
    });
}

// B7
#[test]
fn no_interleaving_admits_more_probes_than_the_limit() {
    model(|| {
        let (breaker, _) = half_open(config());
        let acquire = |breaker: CircuitBreaker| breaker.try_acquire().ok();
        let thread = in_thread(&breaker, acquire);
        let permits = [breaker.try_acquire().ok(), thread.join().unwrap()];
        assert_eq!(permits.iter().flatten().count(), 1);
        let s = breaker.snapshot();
        assert_eq!((s.in_flight, s.rejected), (1, 1));
    });
}

// B8, B9, B12
#[test]
fn probes_that_end_together_make_one_transition() {
    model(|| {
        let (breaker, _) = half_open(config().success_threshold(2).half_open_max_calls(2));
        let (first, second) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
        let thread = in_thread(&breaker, |_| first.success());
        second.failure();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert_eq!((s.state, s.generation, s.opens), (State::Open, 3, 2));
        assert_eq!(s.successes + s.late, 1);
    });
}

// B10: no interleaving loses the slot.
#[test]
fn a_dropped_or_cancelled_probe_frees_its_slot_exactly_once() {
    model(|| {
        let (breaker, _) = half_open(config());
        let first = breaker.try_acquire().unwrap();
        let thread = in_thread(&breaker, |_| drop(first));
        if let Ok(second) = breaker.try_acquire() {
            second.cancel();
        }
        thread.join().unwrap();
        assert_eq!(breaker.snapshot().in_flight, 0);
        breaker.try_acquire().unwrap().success();
        assert_eq!(breaker.state(), State::Closed);
    });
}

// B11, B18
#[test]
fn an_outcome_that_races_with_the_trip_is_counted_once_and_decides_nothing() {
    model(|| {
        let (breaker, _) = breaker(config());
        let (slow, failing) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
        let thread = in_thread(&breaker, |_| slow.success());
        failing.failure();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert_eq!((s.state, s.generation), (State::Open, 1));
        assert_eq!((s.successes + s.late, s.failures), (1, 1));
    });
}

// B11: a success of the generation before does not help to close.
#[test]
fn a_late_success_races_with_half_open_and_does_not_close_it() {
    model(|| {
        let (breaker, clock) = breaker(config());
        let late = breaker.try_acquire().unwrap();
        breaker.try_acquire().unwrap().failure();
        clock.advance(RECOVERY);
        let thread = in_thread(&breaker, |_| late.success());
        let probe = breaker.try_acquire().unwrap();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert_eq!((s.state, s.in_flight, s.late, s.probe_successes), (State::HalfOpen, 1, 1, 0));
        probe.success();
        assert_eq!(breaker.state(), State::Closed);
    });
}

// B15
#[test]
fn a_command_that_races_with_a_trip_makes_one_transition_each() {
    model(|| {
        let (breaker, _) = breaker(config());
        let failing = breaker.try_acquire().unwrap();
        let thread = in_thread(&breaker, |breaker| breaker.force_open("maintenance"));
        failing.failure();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert_eq!(s.state, State::ForcedOpen);
        assert_eq!(s.generation, 1 + s.opens);
        assert_eq!(ended(&breaker), 1);
        assert!(breaker.release());
        assert_eq!(breaker.snapshot().consecutive_failures, 0);
    });
}

// B19c: a rejection without the lock is one cut: it never mixes two generations.
#[test]
fn a_rejection_tells_of_one_generation_only() {
    model(|| {
        let (breaker, _) = breaker(config());
        breaker.try_acquire().unwrap().failure();
        let thread = in_thread(&breaker, |breaker| breaker.force_open("maintenance"));
        let rejected = breaker.try_acquire().unwrap_err();
        thread.join().unwrap();
        match rejected.generation() {
            1 => {
                assert_eq!(rejected.state(), State::Open);
                assert_eq!(rejected.reason().rule, Rule::ConsecutiveFailures);
                assert_eq!(rejected.retry_after(), RECOVERY);
            }
            2 => {
                assert_eq!(rejected.state(), State::ForcedOpen);
                assert_eq!(rejected.reason().rule, Rule::ForcedOpen);
                assert_eq!(rejected.retry_after(), Duration::from_secs(1));
            }
            other => panic!("generation {other}"),
        }
    });
}

// B6: whoever looks first makes the transition, once.
#[test]
fn two_lookers_see_the_deadline_and_one_transition() {
    model(|| {
        let (breaker, _) = half_open(config());
        let thread = in_thread(&breaker, |breaker| breaker.state());
        assert_eq!(breaker.state(), State::HalfOpen);
        assert_eq!(thread.join().unwrap(), State::HalfOpen);
        assert_eq!(breaker.snapshot().generation, 2);
    });
}

// B19
#[test]
fn a_replaced_configuration_loses_no_success_and_no_slot() {
    model(|| {
        let window = Window::count(4).minimum_calls(4).failure_rate_threshold(100.0);
        let (breaker, _) = breaker(config().failure_threshold(3).window(window));
        breaker.try_acquire().unwrap().failure();
        let thread = in_thread(&breaker, |breaker| breaker.call(|| Ok::<_, ()>(())).unwrap());
        breaker.set_config(config().failure_threshold(2).window(window)).unwrap();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert_eq!((s.window.unwrap().calls, s.consecutive_failures, s.successes), (2, 0, 1));
    });
}

// B4: failures counted in the word race with a success, a replaced configuration and the trip.
#[test]
fn failures_counted_without_the_lock_are_all_told_to_the_core() {
    model(|| {
        let (breaker, _) = breaker(config().failure_threshold(4));
        let fail = |breaker: CircuitBreaker| breaker.call(|| Err::<(), _>(())).unwrap_err();
        let thread = in_thread(&breaker, move |breaker| {
            fail(breaker.clone());
            fail(breaker);
        });
        fail(breaker.clone());
        breaker.set_config(config().failure_threshold(5)).unwrap();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert_eq!((s.state, s.consecutive_failures, s.failures), (State::Closed, 3, 3));
        fail(breaker.clone());
        fail(breaker.clone());
        assert_eq!((breaker.state(), breaker.snapshot().generation), (State::Open, 1));
    });
}

// B19, B3: a lowered threshold holds for the next outcome, whoever is just counting one.
#[test]
fn failures_that_reach_a_lowered_threshold_open_the_circuit_whatever_the_order() {
    model(|| {
        let (breaker, _) = breaker(config().failure_threshold(5));
        let fail = |breaker: CircuitBreaker| breaker.call(|| Err::<(), _>(())).unwrap_err();
        fail(breaker.clone());
        let thread = in_thread(&breaker, move |breaker| fail(breaker));
        breaker.set_config(config().failure_threshold(3)).unwrap();
        fail(breaker.clone());
        thread.join().unwrap();
        let s = breaker.snapshot();
        // One came after the configuration, and it was at the latest the third.
        assert_eq!((s.state, s.failures, s.opens), (State::Open, 3, 1));
    });
}

// B4
#[test]
fn a_success_that_races_with_a_failure_leaves_none_or_one_in_a_row() {
    model(|| {
        let (breaker, _) = breaker(config().failure_threshold(3));
        breaker.try_acquire().unwrap().failure();
        let thread = in_thread(&breaker, |breaker| breaker.call(|| Ok::<_, ()>(())).unwrap());
        breaker.try_acquire().unwrap().failure();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert!(s.consecutive_failures <= 1, "{}", s.consecutive_failures);
        assert_eq!((s.successes, s.failures, s.state), (1, 2, State::Closed));
    });
}

// B3, B17: the same in a window of stretches of time.
#[test]
fn plain_successes_are_counted_in_a_time_window_whatever_comes_in_between() {
    model(|| {
        let window = Window::time(4, Duration::from_secs(1)).minimum_calls(8).failure_rate_threshold(100.0);
        let (breaker, clock) = breaker(config().failure_threshold(3).window(window));
        let thread = in_thread(&breaker, |breaker| {
            breaker.call(|| Ok::<_, ()>(())).unwrap();
            breaker.call(|| Ok::<_, ()>(())).unwrap();
        });
        clock.advance(Duration::from_secs(1));
        breaker.try_acquire().unwrap().failure();
        thread.join().unwrap();
        let s = breaker.snapshot();
        let window = s.window.unwrap();
        assert_eq!((window.calls, window.failures, s.state), (3, 1, State::Closed));
    });
}

// B1, B12: a virtual trip is one, too.
#[test]
fn failures_that_arrive_together_in_metrics_only_would_open_the_circuit_once() {
    model(|| {
        let (breaker, _) = breaker(config());
        breaker.metrics_only("trial");
        let (first, second) = (breaker.try_acquire().unwrap(), breaker.try_acquire().unwrap());
        let thread = in_thread(&breaker, |_| first.failure());
        second.failure();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert_eq!((s.state, s.would_open, s.failures), (State::MetricsOnly, 1, 2));
    });
}

// B19, B19a: a call that was charged has had its say, whether watching is still on when it ends or not.
#[test]
fn the_outcome_of_a_charged_call_races_with_the_end_of_watching_and_decides_nothing() {
    model(|| {
        let watching = config().failure_threshold(3).overdue_after(Duration::from_secs(8));
        let (breaker, clock) = breaker(watching);
        let charged = breaker.try_acquire().unwrap();
        clock.advance(Duration::from_secs(9));
        assert_eq!(breaker.snapshot().overdue, 1);
        let thread = in_thread(&breaker, |_| charged.success());
        breaker.set_config(config().failure_threshold(3)).unwrap();
        thread.join().unwrap();
        let s = breaker.snapshot();
        assert_eq!((s.consecutive_failures, s.successes, s.state), (1, 1, State::Closed));
    });
}
