//! The breaker of this repository.
use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use circuit_breaker::{Builder, CallError, CircuitBreaker, Window};

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
fn consecutive() -> Builder {
    CircuitBreaker::builder().failure_threshold(5).recovery_timeout(FOREVER)
}

fn build() -> CircuitBreaker {
    consecutive().build().expect("possible")
}

fn count_windowed() -> Builder {
    consecutive().window(Window::count(100).minimum_calls(100).failure_rate_threshold(50.0))
}

fn time_windowed() -> Builder {
    let window = Window::time(10, Duration::from_secs(1));
    consecutive().window(window.minimum_calls(100).failure_rate_threshold(50.0))
}

/// Many breakers of one configuration, as a registry holds them.
fn hold_built_from(builder: &Builder) -> Bytes {
    hold(|| builder.clone().build().expect("possible"))
}

/// A breaker that two threads have called.
fn called_by_two_threads() -> CircuitBreaker {
    let breaker = build();
    call_ok(&breaker, 1);
    std::thread::scope(|scope| scope.spawn(|| call_ok(&breaker, 1)).join()).expect("a call does not panic");
    breaker
}

/// A kind whose memory is measured: what it is, and how.
type Kind = (&'static str, fn() -> Bytes);

/// The kinds whose memory is measured.
pub fn memory() -> [Kind; 5] {
    [
        ("consecutive", || hold_built_from(&consecutive())),
        ("consecutive, each with a configuration of its own", || hold(build)),
        ("count window 100", || hold_built_from(&count_windowed())),
        ("time window 10 × 1 s", || hold_built_from(&time_windowed())),
        ("consecutive, called by two threads", || hold_many(5_000, called_by_two_threads)),
    ]
}

pub fn count_window() -> Arc<dyn Subject> {
    let breaker = count_windowed().build().expect("possible");
    call_ok(&breaker, 100);
    shared(breaker, call_ok, permits)
}

pub fn time_window(calls_in_it: u32) -> Arc<dyn Subject> {
    let breaker = time_windowed().build().expect("possible");
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
