//! Sliding windows: they slide, and their rules fire when they should.
#![allow(clippy::unwrap_used)]

use circuit_breaker::{CircuitBreaker, Clock, Config, ManualClock, OverdueAs, Rule, State, Window};
use std::collections::VecDeque;
use std::time::Duration;

fn breaker(clock: &ManualClock, window: Window) -> CircuitBreaker {
    CircuitBreaker::builder()
        .failure_threshold(Config::NEVER)
        .window(window)
        .clock(clock.clone())
        .build()
        .unwrap()
}

fn calls(breaker: &CircuitBreaker, times: u32, ok: bool) {
    for _ in 0..times {
        let _ = breaker.call(|| if ok { Ok(()) } else { Err(()) });
    }
}

fn slow_call(breaker: &CircuitBreaker, clock: &ManualClock, took: Duration) {
    let permit = breaker.try_acquire().unwrap();
    clock.advance(took);
    permit.success();
}

// B3
#[test]
fn the_failure_rate_opens_once_minimum_calls_are_there() {
    let breaker =
        breaker(&ManualClock::new(), Window::count(20).minimum_calls(10).failure_rate_threshold(50.0));
    calls(&breaker, 9, false);
    assert_eq!(breaker.state(), State::Closed);
    calls(&breaker, 1, false);
    let explanation = breaker.explain();
    assert_eq!(explanation.to, State::Open);
    assert_eq!(
        (explanation.reason.rule, explanation.reason.seen, explanation.reason.of),
        (Rule::FailureRate, 10, 10)
    );
}

// B3: a success can complete minimum_calls.
#[test]
fn a_success_that_completes_minimum_calls_opens_the_circuit() {
    let breaker =
        breaker(&ManualClock::new(), Window::count(20).minimum_calls(10).failure_rate_threshold(50.0));
    calls(&breaker, 5, false);
    calls(&breaker, 4, true);
    assert_eq!(breaker.state(), State::Closed);
    calls(&breaker, 1, true);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn the_count_window_really_slides() {
    let breaker =
        breaker(&ManualClock::new(), Window::count(100).minimum_calls(100).failure_rate_threshold(51.0));
    calls(&breaker, 100_000, true);
    calls(&breaker, 50, false);
    let window = breaker.snapshot().window.unwrap();
    assert_eq!((window.calls, window.failures), (100, 50));
    assert_eq!(window.failure_rate, 50.0);
    calls(&breaker, 1, false);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn what_slid_out_of_a_count_window_does_not_count() {
    let breaker =
        breaker(&ManualClock::new(), Window::count(70).minimum_calls(70).failure_rate_threshold(50.0));
    for _ in 0..10 {
        calls(&breaker, 34, false);
        calls(&breaker, 70, true);
        assert_eq!(breaker.snapshot().window.unwrap().failures, 0);
    }
    assert_eq!(breaker.state(), State::Closed);
}

#[test]
fn the_time_window_forgets_what_is_older_than_its_buckets() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, Window::time(10, Duration::from_secs(1)).minimum_calls(10));
    calls(&breaker, 9, false);
    clock.advance(Duration::from_secs(9));
    assert_eq!(breaker.snapshot().window.unwrap().calls, 9);
    clock.advance(Duration::from_secs(1));
    assert_eq!(breaker.snapshot().window.unwrap().calls, 0);
    calls(&breaker, 9, false);
    assert_eq!(breaker.state(), State::Closed);
    calls(&breaker, 1, false);
    assert_eq!(breaker.state(), State::Open);
}

// B3: old successes that slide out can make the rate fire at the next outcome.
#[test]
fn the_rate_counts_what_is_left_in_a_time_window() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, Window::time(2, Duration::from_secs(1)).minimum_calls(4));
    calls(&breaker, 20, true);
    clock.advance(Duration::from_secs(1));
    calls(&breaker, 4, false);
    assert_eq!(breaker.state(), State::Closed);
    clock.advance(Duration::from_secs(1));
    assert_eq!(breaker.state(), State::Closed, "a look decides nothing");
    calls(&breaker, 1, true);
    assert_eq!(breaker.state(), State::Open);
}

#[test]
fn a_time_window_survives_a_very_long_pause() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, Window::time(3, Duration::from_nanos(1)).minimum_calls(2));
    calls(&breaker, 1, false);
    clock.advance(Duration::MAX);
    calls(&breaker, 1, false);
    assert_eq!(breaker.snapshot().window.unwrap().calls, 1);
    calls(&breaker, 1, false);
    assert_eq!(breaker.state(), State::Open);
}

/// A simple generator of bits, so that every run is the same.
fn random(seed: &mut u64) -> u64 {
    *seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
    *seed >> 33
}

/// Makes 3,000 calls in runs of good, bad and slow ones and compares the window with a list of (start of bucket,
/// failed, slow) that `keep` shortens.
fn compare_with_a_list(window: Window, keep: impl Fn(&mut VecDeque<(u64, bool, bool)>, u64)) {
    const SLOW_MS: u64 = 50;
    let clock = ManualClock::new();
    // Rates that only a window of nothing else could reach, and one success is always in it.
    let rules = window
        .minimum_calls(1)
        .failure_rate_threshold(100.0)
        .slow_call_duration(Duration::from_millis(SLOW_MS))
        .slow_call_rate_threshold(100.0);
    let breaker = breaker(&clock, rules);
    let (mut list, mut seed) = (VecDeque::new(), 1);
    for n in 0..3_000 {
        let (is_bad, is_slow) = (random(&mut seed).is_multiple_of(3), random(&mut seed).is_multiple_of(4));
        let (is_bad, is_slow) = if list.is_empty() { (false, false) } else { (is_bad, is_slow) };
        let in_runs = n / 200 % 2 == 0; // Every second 200 calls are plain successes, which the shell absorbs.
        let (failed, slow) = (is_bad && in_runs, is_slow && in_runs);
        let permit = breaker.try_acquire().unwrap();
        clock.advance(Duration::from_millis(if slow { SLOW_MS } else { 1 }));
        let now_ms = clock.now().as_nanos() / 1_000_000;
        list.push_back((now_ms, failed, slow));
        keep(&mut list, now_ms);
        // One good and quick call must stay in the window, or it would open.
        let would_open = list.iter().all(|call| call.1) || list.iter().all(|call| call.2);
        if would_open {
            list.pop_back();
            permit.cancel();
            continue;
        }
        if failed {
            permit.failure()
        } else {
            permit.success()
        }
        let count =
            |part: fn(&(u64, bool, bool)) -> bool| list.iter().filter(|call| part(call)).count() as u32;
        let seen = breaker.snapshot().window.unwrap();
        assert_eq!(
            (seen.calls, seen.failures, seen.slow),
            (list.len() as u32, count(|call| call.1), count(|call| call.2)),
            "after {n} calls"
        );
    }
    assert_eq!(breaker.state(), State::Closed);
}

// B3: around the edges of the ring's words.
#[test]
fn a_count_window_of_any_size_holds_exactly_the_last_calls() {
    for size in [1, 2, 63, 64, 65, 127, 128, 129, 700] {
        compare_with_a_list(Window::count(size), |list, _| {
            while list.len() > size as usize {
                list.pop_front();
            }
        });
    }
}

// B3
#[test]
fn a_time_window_of_any_shape_holds_exactly_the_calls_of_its_buckets() {
    for (buckets, bucket_ms) in [(1, 100), (2, 7), (10, 30), (60, 3)] {
        compare_with_a_list(Window::time(buckets, Duration::from_millis(bucket_ms)), |list, now_ms| {
            let oldest = (now_ms / bucket_ms).saturating_sub(u64::from(buckets) - 1);
            list.retain(|call| call.0 / bucket_ms >= oldest);
        });
    }
}

fn slow_window() -> Window {
    Window::count(10)
        .minimum_calls(4)
        .failure_rate_threshold(100.0)
        .slow_call_duration(Duration::from_secs(1))
        .slow_call_rate_threshold(50.0)
}

#[test]
fn slow_calls_open_the_circuit_by_their_rate() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, slow_window());
    slow_call(&breaker, &clock, Duration::from_millis(999));
    slow_call(&breaker, &clock, Duration::from_millis(999));
    slow_call(&breaker, &clock, Duration::from_secs(1));
    slow_call(&breaker, &clock, Duration::from_secs(2));
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.state, snapshot.slow, snapshot.successes), (State::Open, 2, 4));
    assert_eq!(snapshot.explanation.reason.rule, Rule::SlowCallRate);
}

// B3: slow calls alone wait for it too.
#[test]
fn a_success_that_completes_minimum_calls_opens_the_circuit_by_the_slow_rate() {
    let clock = ManualClock::new();
    let breaker = breaker(&clock, slow_window());
    slow_call(&breaker, &clock, Duration::from_secs(1));
    slow_call(&breaker, &clock, Duration::from_secs(1));
    calls(&breaker, 1, true);
    assert_eq!(breaker.state(), State::Closed);
    calls(&breaker, 1, true);
    assert_eq!(breaker.explain().reason.rule, Rule::SlowCallRate);
}

// B9
#[test]
fn a_slow_probe_is_a_failure_unless_configured_otherwise() {
    for (fails, state) in [(true, State::Open), (false, State::Closed)] {
        let clock = ManualClock::new();
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .success_threshold(1)
            .window(slow_window())
            .slow_probe_fails(fails)
            .clock(clock.clone())
            .build()
            .unwrap();
        calls(&breaker, 1, false);
        clock.advance(Duration::from_secs(60));
        slow_call(&breaker, &clock, Duration::from_secs(3));
        assert_eq!(breaker.state(), state);
    }
}

// B3: the rules are OR-ed; adding one takes none away.
#[test]
fn a_slow_rule_leaves_the_default_failure_rate_in_force() {
    let window = Window::count(10).slow_call_duration(Duration::from_secs(1)).slow_call_rate_threshold(80.0);
    for (window, state) in [(window, State::Open), (window.without_failure_rate(), State::Closed)] {
        let breaker = breaker(&ManualClock::new(), window);
        calls(&breaker, 5, true);
        calls(&breaker, 5, false);
        assert_eq!(breaker.state(), state);
    }
}

// B19a
#[test]
fn calls_that_hang_open_the_circuit_before_they_end() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(3)
        .overdue_after(Duration::from_secs(8))
        .clock(clock.clone())
        .build()
        .unwrap();
    let hanging: Vec<_> = (0..3).map(|_| breaker.try_acquire().unwrap()).collect();
    clock.advance(Duration::from_secs(8));
    assert_eq!(breaker.state(), State::Closed, "never early");
    clock.advance(Duration::from_secs(1));
    assert_eq!(breaker.state(), State::Open, "late by at most an eighth");
    assert_eq!((breaker.snapshot().overdue, breaker.snapshot().failures), (3, 0));
    hanging.into_iter().for_each(|permit| permit.failure());
    assert_eq!(breaker.snapshot().late, 3);
}

// B19a: charged once; the later outcome goes to the totals only.
#[test]
fn an_overdue_call_is_charged_once() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(2)
        .overdue_after(Duration::from_secs(8))
        .clock(clock.clone())
        .build()
        .unwrap();
    let hanging = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(9));
    assert_eq!(breaker.snapshot().consecutive_failures, 1);
    hanging.failure();
    let snapshot = breaker.snapshot();
    assert_eq!((snapshot.consecutive_failures, snapshot.failures, snapshot.overdue), (1, 1, 1));
    // One that ends in time is not charged.
    breaker.try_acquire().unwrap().success();
    clock.advance(Duration::from_secs(100));
    assert_eq!((breaker.snapshot().overdue, breaker.snapshot().consecutive_failures), (1, 0));
}

// B19a: starts are told apart by eighths of overdue_after.
#[test]
fn a_call_that_ended_is_not_taken_for_one_that_hangs_since_the_eighth_before() {
    let clock = ManualClock::new();
    let breaker =
        CircuitBreaker::builder().overdue_after(Duration::from_secs(8)).clock(clock.clone()).build().unwrap();
    let _hanging = breaker.try_acquire().unwrap();
    clock.advance(Duration::from_secs(1));
    breaker.try_acquire().unwrap().success();
    clock.advance(Duration::from_secs(8));
    assert_eq!(breaker.snapshot().overdue, 1, "late by at most an eighth");
    clock.advance(Duration::from_secs(100));
    assert_eq!(breaker.snapshot().overdue, 1, "the one that ended is not charged");
}

// B19a
#[test]
fn overdue_calls_are_slow_calls_where_there_is_a_slow_rule() {
    let clock = ManualClock::new();
    let breaker = CircuitBreaker::builder()
        .failure_threshold(1)
        .window(slow_window())
        .overdue_after(Duration::from_secs(8))
        .clock(clock.clone())
        .build()
        .unwrap();
    let hanging: Vec<_> = (0..4).map(|_| breaker.try_acquire().unwrap()).collect();
    clock.advance(Duration::from_secs(9));
    assert_eq!(breaker.state(), State::Open);
    assert_eq!(breaker.explain().reason.rule, Rule::SlowCallRate);
    drop(hanging);
}

// B19a
#[test]
fn an_overdue_probe_opens_again() {
    for charge in [OverdueAs::Auto, OverdueAs::Failure] {
        let clock = ManualClock::new();
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .overdue_after(Duration::from_secs(8))
            .overdue_as(charge)
            .clock(clock.clone())
            .build()
            .unwrap();
        calls(&breaker, 1, false);
        clock.advance(Duration::from_secs(60));
        let probe = breaker.try_acquire().unwrap();
        clock.advance(Duration::from_secs(9));
        assert_eq!(breaker.explain().reason.rule, Rule::OverdueProbe);
        assert_eq!(breaker.state(), State::Open);
        probe.success();
        assert_eq!((breaker.snapshot().late, breaker.snapshot().opens), (1, 2));
    }
}

// B9, B19a: charged as slow, a probe that hangs is what a slow probe is configured to be.
#[test]
fn an_overdue_probe_that_is_charged_as_slow_opens_again_unless_configured_otherwise() {
    for (fails, state, opens) in [(true, State::Open, 2), (false, State::HalfOpen, 1)] {
        let clock = ManualClock::new();
        let breaker = CircuitBreaker::builder()
            .failure_threshold(1)
            .half_open_timeout(Duration::from_secs(3_600))
            .window(slow_window())
            .overdue_after(Duration::from_secs(8))
            .slow_probe_fails(fails)
            .clock(clock.clone())
            .build()
            .unwrap();
        calls(&breaker, 1, false);
        clock.advance(Duration::from_secs(60));
        let probe = breaker.try_acquire().unwrap();
        clock.advance(Duration::from_secs(9));
        let snapshot = breaker.snapshot();
        assert_eq!((snapshot.state, snapshot.opens, snapshot.overdue), (state, opens, 1));
        assert_eq!(snapshot.explanation.reason.rule == Rule::OverdueProbe, fails);
        probe.success();
        // Charged already: it frees its slot and decides nothing more.
        assert_eq!((breaker.state(), breaker.snapshot().probe_successes), (state, 0));
        assert_eq!(breaker.try_acquire().is_ok(), !fails);
    }
}

// B19a: a call that is charged before it ends is slow if it had run for that long by then, and only then.
#[test]
fn an_overdue_failure_is_slow_too_where_it_had_run_for_long_enough() {
    for (slow_after, slow) in [(1, 1), (8, 1), (9, 0), (60, 0)] {
        let clock = ManualClock::new();
        let breaker = CircuitBreaker::builder()
            .window(slow_window().slow_call_duration(Duration::from_secs(slow_after)))
            .overdue_after(Duration::from_secs(8))
            .overdue_as(OverdueAs::Failure)
            .clock(clock.clone())
            .build()
            .unwrap();
        let _hanging = breaker.try_acquire().unwrap();
        clock.advance(Duration::from_secs(9));
        let window = breaker.snapshot().window.unwrap();
        assert_eq!((window.calls, window.failures, window.slow), (1, 1, slow), "slow after {slow_after} s");
    }
}
