//! recloser 1.4: a ring of outcomes in every state, behind a spin lock and epoch-based reclamation.
use std::hint::black_box;
use std::sync::Arc;

use recloser::{AsyncRecloser, Error, Recloser};

use super::{FOREVER, keep, one_in_ten, operation, ready, shared};
use crate::harness::Subject;

/// It has no consecutive rule: a ring of 100 at 50 % stands in all its rows.
pub fn build() -> Recloser {
    Recloser::custom().closed_len(100).error_rate(0.5).half_open_len(2).open_wait(FOREVER).build()
}

fn permits(breaker: &Arc<Recloser>) -> bool {
    breaker.call(|| operation(1)).is_ok()
}

fn full() -> Arc<Recloser> {
    let breaker = Arc::new(build());
    for _ in 0..100 {
        let _ = breaker.call(|| operation(1));
    }
    breaker
}

fn call_ok(breaker: &Arc<Recloser>, calls: u32) {
    for _ in 0..calls {
        keep(black_box(breaker).call(|| operation(black_box(1))));
    }
}

pub fn closed_ok() -> Arc<dyn Subject> {
    shared(full(), call_ok, permits)
}

pub fn closed_errors() -> Arc<dyn Subject> {
    let hammer = |breaker: &Arc<Recloser>, calls| {
        for n in 0..calls {
            keep(black_box(breaker).call(|| operation(black_box(one_in_ten(n)))));
        }
    };
    shared(full(), hammer, permits)
}

pub fn open() -> Arc<dyn Subject> {
    let breaker = Arc::new(build());
    for _ in 0..101 {
        let _ = breaker.call(|| operation(0));
    }
    shared(breaker, call_ok, |breaker| matches!(breaker.call(|| operation(1)), Err(Error::Rejected)))
}

pub fn async_ready() -> Arc<dyn Subject> {
    let hammer = |breaker: &AsyncRecloser, calls| {
        for _ in 0..calls {
            keep(ready(black_box(breaker).call(async { operation(black_box(1)) })));
        }
    };
    shared(AsyncRecloser::from(build()), hammer, |breaker| {
        ready(breaker.call(async { operation(1) })).is_ok()
    })
}
