//! failsafe 1.3: a state machine and a failure policy behind one mutex.
use std::hint::black_box;
use std::iter::Repeat;
use std::sync::Arc;
use std::time::Duration;

use failsafe::failure_policy::{self, ConsecutiveFailures, SuccessRateOverTimeWindow};
use failsafe::{CircuitBreaker, Config, Error, FailurePolicy, StateMachine, backoff};

use super::{FOREVER, keep, one_in_ten, operation, ready, shared};
use crate::harness::Subject;

type Consecutive = StateMachine<ConsecutiveFailures<Repeat<Duration>>, ()>;
type Timed = StateMachine<SuccessRateOverTimeWindow<Repeat<Duration>>, ()>;

pub fn build() -> Consecutive {
    Config::new().failure_policy(failure_policy::consecutive_failures(5, backoff::constant(FOREVER))).build()
}

pub fn build_timed() -> Timed {
    let window = Duration::from_secs(10);
    let policy = failure_policy::success_rate_over_time_window(0.5, 100, window, backoff::constant(FOREVER));
    Config::new().failure_policy(policy).build()
}

fn permits<P: FailurePolicy>(breaker: &StateMachine<P, ()>) -> bool {
    breaker.call(|| operation(1)).is_ok()
}

fn call_ok<P: FailurePolicy>(breaker: &StateMachine<P, ()>, calls: u32) {
    for _ in 0..calls {
        keep(black_box(breaker).call(|| operation(black_box(1))));
    }
}

pub fn closed_ok() -> Arc<dyn Subject> {
    shared(build(), call_ok, permits)
}

pub fn closed_errors() -> Arc<dyn Subject> {
    let hammer = |breaker: &Consecutive, calls| {
        for n in 0..calls {
            keep(black_box(breaker).call(|| operation(black_box(one_in_ten(n)))));
        }
    };
    shared(build(), hammer, permits)
}

pub fn time_window(calls_in_it: u32) -> Arc<dyn Subject> {
    let breaker = build_timed();
    call_ok(&breaker, calls_in_it);
    shared(breaker, call_ok, permits)
}

/// Its nearest to a permit: ask, then report. Nothing ties the report to the asking.
pub fn acquire_success() -> Arc<dyn Subject> {
    let hammer = |breaker: &Consecutive, calls| {
        for _ in 0..calls {
            if black_box(black_box(breaker).is_call_permitted()) {
                black_box(breaker).on_success();
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
    shared(breaker, call_ok, |breaker| matches!(breaker.call(|| operation(1)), Err(Error::Rejected)))
}

pub fn async_ready() -> Arc<dyn Subject> {
    use failsafe::futures::CircuitBreaker;
    let hammer = |breaker: &Consecutive, calls| {
        for _ in 0..calls {
            let future = CircuitBreaker::call(black_box(breaker), async { operation(black_box(1)) });
            keep(ready(future));
        }
    };
    shared(build(), hammer, permits)
}
