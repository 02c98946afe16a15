//! The breaker of this repository.
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use circuit_breaker::{CallError, CircuitBreaker, Window};

use super::{FOREVER, keep, one_in_ten, operation, ready, shared};
use crate::harness::Subject;
use crate::memory::{Bytes, hold, hold_many};

fn permits(breaker: &CircuitBreaker) -> bool {
    breaker.call(|| operation(1)).is_ok()
}

fn call_ok(breaker: &CircuitBreaker, calls: u32) {
    for _ in 0..calls {
        keep(black_box(breaker).call(|| operation(black_box(1))));
    }
}

/// The consecutive rule alone, as configured by default.
pub fn build() -> CircuitBreaker {
    CircuitBreaker::builder().failure_threshold(5).recovery_timeout(FOREVER).build().expect("possible")
}

fn count_windowed() -> CircuitBreaker {
    let window = Window::count(100).minimum_calls(100).failure_rate_threshold(50.0);
    windowed(window)
}

fn time_windowed() -> CircuitBreaker {
    let window = Window::time(10, Duration::from_secs(1)).minimum_calls(100).failure_rate_threshold(50.0);
    windowed(window)
}

fn windowed(window: Window) -> CircuitBreaker {
    let builder = CircuitBreaker::builder().failure_threshold(5).recovery_timeout(FOREVER);
    builder.window(window).build().expect("possible")
}

/// A breaker that two threads have called.
fn called_by_two_threads() -> CircuitBreaker {
    let breaker = build();
    call_ok(&breaker, 1);
    std::thread::scope(|scope| scope.spawn(|| call_ok(&breaker, 1)).join()).expect("a call does not panic");
    breaker
}

/// The kinds whose memory is measured, with what they are.
pub fn memory() -> [(&'static str, fn() -> Bytes); 4] {
    [
        ("consecutive", || hold(build)),
        ("count window 100", || hold(count_windowed)),
        ("time window 10 × 1 s", || hold(time_windowed)),
        ("consecutive, called by two threads", || hold_many(5_000, called_by_two_threads)),
    ]
}

pub fn count_window() -> Arc<dyn Subject> {
    let breaker = count_windowed();
    call_ok(&breaker, 100);
    shared(breaker, call_ok, permits)
}

pub fn time_window(calls_in_it: u32) -> Arc<dyn Subject> {
    let breaker = time_windowed();
    call_ok(&breaker, calls_in_it);
    shared(breaker, call_ok, permits)
}

pub fn closed_ok() -> Arc<dyn Subject> {
    shared(build(), call_ok, permits)
}

/// The same, after 200 threads have called it and ended.
pub fn closed_ok_after_churn() -> Arc<dyn Subject> {
    let breaker = build();
    for _ in 0..200 {
        let breaker = breaker.clone();
        std::thread::spawn(move || call_ok(&breaker, 100)).join().expect("a call does not panic");
    }
    shared(breaker, call_ok, permits)
}

pub fn closed_errors() -> Arc<dyn Subject> {
    let hammer = |breaker: &CircuitBreaker, calls| {
        for n in 0..calls {
            keep(black_box(breaker).call(|| operation(black_box(one_in_ten(n)))));
        }
    };
    shared(build(), hammer, permits)
}

pub fn acquire_success() -> Arc<dyn Subject> {
    let hammer = |breaker: &CircuitBreaker, calls| {
        for _ in 0..calls {
            if let Ok(permit) = black_box(breaker).try_acquire() {
                permit.success();
            }
        }
    };
    shared(build(), hammer, permits)
}

pub fn open() -> Arc<dyn Subject> {
    let breaker = build();
    for _ in 0..5 {
        let _ = breaker.call(|| operation(0));
    }
    shared(breaker, call_ok, |breaker| matches!(breaker.call(|| operation(1)), Err(CallError::Rejected(_))))
}

pub fn async_ready() -> Arc<dyn Subject> {
    let hammer = |breaker: &CircuitBreaker, calls| {
        for _ in 0..calls {
            keep(ready(black_box(breaker).call_async(async { operation(black_box(1)) })));
        }
    };
    shared(build(), hammer, permits)
}
