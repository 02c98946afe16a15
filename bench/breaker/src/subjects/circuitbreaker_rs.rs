//! circuitbreaker-rs 0.1: atomics for the counts, three mutexes and two clock reads around them.
use std::hint::black_box;
use std::sync::Arc;

use circuitbreaker_rs::{BreakerError, CircuitBreaker, DefaultPolicy};

use super::{FOREVER, Failed, keep, one_in_ten, operation, ready, shared};
use crate::harness::Subject;

type Breaker = CircuitBreaker<DefaultPolicy, Failed>;

pub fn build() -> Breaker {
    Breaker::builder()
        .failure_threshold(0.5)
        .min_throughput(100)
        .consecutive_failures(5)
        .cooldown(FOREVER)
        .build()
}

fn permits(breaker: &Breaker) -> bool {
    breaker.call(|| operation(1)).is_ok()
}

fn call_ok(breaker: &Breaker, calls: u32) {
    for _ in 0..calls {
        keep(black_box(breaker).call(|| operation(black_box(1))));
    }
}

pub fn closed_ok() -> Arc<dyn Subject> {
    shared(build(), call_ok, permits)
}

pub fn closed_errors() -> Arc<dyn Subject> {
    let hammer = |breaker: &Breaker, calls| {
        for n in 0..calls {
            keep(black_box(breaker).call(|| operation(black_box(one_in_ten(n)))));
        }
    };
    shared(build(), hammer, permits)
}

pub fn open() -> Arc<dyn Subject> {
    let breaker = build();
    breaker.force_open();
    shared(breaker, call_ok, |breaker| matches!(breaker.call(|| operation(1)), Err(BreakerError::Open)))
}

pub fn async_ready() -> Arc<dyn Subject> {
    let hammer = |breaker: &Breaker, calls| {
        for _ in 0..calls {
            keep(ready(black_box(breaker).call_async(async || operation(black_box(1)))));
        }
    };
    shared(build(), hammer, permits)
}
