//! circuit_breaker 0.1: one std mutex; failures are counted since the last close, successes do not reset them.
use std::hint::black_box;
use std::sync::Arc;

use peer_circuit_breaker::{CircuitBreaker, CircuitState};

use super::{FOREVER, keep, one_in_ten, operation, shared};
use crate::harness::Subject;

pub fn build() -> CircuitBreaker {
    CircuitBreaker::new(5, FOREVER)
}

fn permits(breaker: &Arc<CircuitBreaker>) -> bool {
    breaker.execute(|| operation(1)).is_ok()
}

fn call_ok(breaker: &Arc<CircuitBreaker>, calls: u32) {
    for _ in 0..calls {
        keep(black_box(breaker).execute(|| operation(black_box(1))));
    }
}

pub fn closed_ok() -> Arc<dyn Subject> {
    shared(Arc::new(build()), call_ok, permits)
}

/// With a threshold out of reach: five failures in all would open it, however many successes lie between.
pub fn closed_errors() -> Arc<dyn Subject> {
    let hammer = |breaker: &Arc<CircuitBreaker>, calls| {
        for n in 0..calls {
            keep(black_box(breaker).execute(|| operation(black_box(one_in_ten(n)))));
        }
    };
    shared(Arc::new(CircuitBreaker::new(u32::MAX, FOREVER)), hammer, permits)
}

/// Its nearest to a permit: look at the state, then report.
pub fn acquire_success() -> Arc<dyn Subject> {
    let hammer = |breaker: &Arc<CircuitBreaker>, calls| {
        for _ in 0..calls {
            if black_box(black_box(breaker).state()) != CircuitState::Open {
                black_box(breaker).handle_success();
            }
        }
    };
    shared(Arc::new(build()), hammer, permits)
}

pub fn open() -> Arc<dyn Subject> {
    let breaker = Arc::new(build());
    for _ in 0..5 {
        let _ = breaker.execute(|| operation(0));
    }
    shared(breaker, call_ok, |breaker| breaker.execute(|| operation(1)).is_err())
}
