//! breaker 2.0: async only; a state machine with a ring of outcomes behind a read-write lock.
use std::hint::black_box;
use std::sync::Arc;

use breaker::{CircuitBreaker, CircuitBreakerConfig, CircuitBreakerError, State};

use super::{FOREVER, keep, one_in_ten, operation, ready, shared};
use crate::harness::Subject;

/// Its ring is always there; the size is that of the row with a count window.
pub fn build() -> CircuitBreaker {
    let config = CircuitBreakerConfig::builder()
        .consecutive_failures(5)
        .failure_rate_threshold(0.5)
        .sliding_window_size(100)
        .wait_duration(FOREVER)
        .build();
    CircuitBreaker::new(config)
}

fn permits(breaker: &CircuitBreaker) -> bool {
    ready(breaker.call(async || operation(1))).is_ok()
}

fn call_ok(breaker: &CircuitBreaker, calls: u32) {
    for _ in 0..calls {
        keep(ready(black_box(breaker).call(async || operation(black_box(1)))));
    }
}

fn full() -> CircuitBreaker {
    let breaker = build();
    call_ok(&breaker, 100);
    breaker
}

pub fn closed_ok() -> Arc<dyn Subject> {
    shared(full(), call_ok, permits)
}

pub fn closed_errors() -> Arc<dyn Subject> {
    let hammer = |breaker: &CircuitBreaker, calls| {
        for n in 0..calls {
            keep(ready(black_box(breaker).call(async || operation(black_box(one_in_ten(n))))));
        }
    };
    shared(full(), hammer, permits)
}

/// Its nearest to a permit: look at the state, then report.
pub fn acquire_success() -> Arc<dyn Subject> {
    let hammer = |breaker: &CircuitBreaker, calls| {
        for _ in 0..calls {
            if black_box(black_box(breaker).state()) != State::Open {
                black_box(breaker).record_success();
            }
        }
    };
    shared(full(), hammer, permits)
}

pub fn open() -> Arc<dyn Subject> {
    let breaker = build();
    breaker.trip();
    let rejects = |breaker: &CircuitBreaker| {
        matches!(ready(breaker.call(async || operation(1))), Err(CircuitBreakerError::CircuitOpen))
    };
    shared(breaker, call_ok, rejects)
}
