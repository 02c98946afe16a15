//! tower-resilience-circuitbreaker 0.14: a tower service with a boxed future over a tokio mutex.
//!
//! It is called as tower's contract asks: `poll_ready`, then `call`, in a tokio runtime, because with two threads its
//! mutex waits, and its `poll_ready` sleeps a millisecond when it finds the lock of an open breaker taken. A call that
//! waits is polled again at once: if its thread slept instead, its figures with two threads would be 20 times these.
use std::convert::identity;
use std::future::{Ready, poll_fn, ready};
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tower::{Service, ServiceExt};
use tower_resilience_circuitbreaker::{
    CircuitBreaker, CircuitBreakerConfigBuilder, CircuitBreakerError, CircuitBreakerLayer, DefaultClassifier,
    SlidingWindowType,
};

use super::{FOREVER, Failed, keep, one_in_ten, operation};
use crate::harness::Subject;

/// The inner service: the operation, ready at once.
#[derive(Clone)]
pub struct Operation;

impl Service<u32> for Operation {
    type Response = u32;
    type Error = Failed;
    type Future = Ready<Result<u32, Failed>>;

    fn poll_ready(&mut self, _: &mut std::task::Context<'_>) -> std::task::Poll<Result<(), Failed>> {
        std::task::Poll::Ready(Ok(()))
    }

    fn call(&mut self, input: u32) -> Self::Future {
        ready(operation(black_box(input)))
    }
}

type Breaker = CircuitBreaker<Operation, DefaultClassifier>;
type Config = CircuitBreakerConfigBuilder<DefaultClassifier>;

struct Tower {
    breaker: Breaker,
    input: fn(u32) -> u32,
    open: bool,
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime needs only memory")
}

async fn call(breaker: &mut Breaker, input: u32) -> Result<u32, CircuitBreakerError<Failed>> {
    let mut call = pin!(async { breaker.ready().await?.call(input).await });
    poll_fn(|cx| {
        let poll = call.as_mut().poll(cx);
        if poll.is_pending() {
            cx.waker().wake_by_ref();
        }
        poll
    })
    .await
}

impl Subject for Tower {
    fn worker(&self) -> Box<dyn FnMut(u32) + '_> {
        let (mut breaker, input, runtime) = (self.breaker.clone(), self.input, runtime());
        Box::new(move |calls| {
            runtime.block_on(async {
                for n in 0..calls {
                    keep(call(black_box(&mut breaker), black_box(input(n))).await);
                }
            });
        })
    }

    fn fits(&self) -> bool {
        let mut breaker = self.breaker.clone();
        let result = runtime().block_on(call(&mut breaker, 1));
        matches!(result, Err(CircuitBreakerError::OpenCircuit)) == self.open
    }
}

fn subject(config: impl FnOnce(Config) -> Config, input: fn(u32) -> u32) -> Tower {
    Tower { breaker: build(config), input, open: false }
}

/// The breaker of the rows: 100 calls in its window, and whatever `config` adds.
pub fn build(config: impl FnOnce(Config) -> Config) -> Breaker {
    let builder = CircuitBreakerLayer::builder().sliding_window_size(100).wait_duration_in_open(FOREVER);
    config(builder).build().expect("the configuration is possible").layer_fn(Operation)
}

pub fn consecutive(config: Config) -> Config {
    config.consecutive_failures(5)
}

pub fn closed_ok() -> Arc<dyn Subject> {
    Arc::new(subject(consecutive, |_| 1))
}

pub fn closed_errors() -> Arc<dyn Subject> {
    Arc::new(subject(consecutive, one_in_ten))
}

pub fn count_window() -> Arc<dyn Subject> {
    Arc::new(subject(identity, |_| 1))
}

pub fn time_window(calls_in_it: u32) -> Arc<dyn Subject> {
    let ten_seconds = |config: Config| {
        config
            .sliding_window_type(SlidingWindowType::TimeBased)
            .sliding_window_duration(Duration::from_secs(10))
            .minimum_number_of_calls(100)
    };
    let subject = subject(ten_seconds, |_| 1);
    subject.worker()(calls_in_it);
    Arc::new(subject)
}

pub fn open() -> Arc<dyn Subject> {
    let mut subject = subject(consecutive, |_| 1);
    runtime().block_on(subject.breaker.force_open());
    subject.open = true;
    Arc::new(subject)
}
