use crate::breaker::CircuitBreaker;
use crate::rejected::Rejected;
use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

/// What `poll_ready` does while the circuit rejects. One of your own asks [`CircuitBreaker::would_reject`].
pub trait Wait {
    /// `Ready(Some)`: the next call is to be rejected so. `Ready(None)`: ask the inner service.
    fn poll_wait(&mut self, breaker: &CircuitBreaker, context: &mut Context<'_>) -> Poll<Option<Rejected>>;
}

/// OPEN is ready, then an error.
#[derive(Clone, Copy, Debug, Default)]
pub struct NoWait;

impl Wait for NoWait {
    fn poll_wait(&mut self, breaker: &CircuitBreaker, _: &mut Context<'_>) -> Poll<Option<Rejected>> {
        Poll::Ready(breaker.would_reject())
    }
}

/// OPEN is pending for `retry_after`, then asked again.
pub struct BackPressure<S, F> {
    sleep: S,
    sleeping: Option<Pin<Box<F>>>,
}

impl<S, F> BackPressure<S, F> {
    pub(super) fn new(sleep: S) -> Self {
        BackPressure { sleep, sleeping: None }
    }
}

impl<S: Fn(Duration) -> F, F: Future<Output = ()>> Wait for BackPressure<S, F> {
    fn poll_wait(&mut self, breaker: &CircuitBreaker, context: &mut Context<'_>) -> Poll<Option<Rejected>> {
        loop {
            if let Some(sleeping) = &mut self.sleeping {
                ready!(sleeping.as_mut().poll(context));
                self.sleeping = None;
            }
            match breaker.would_reject() {
                Some(rejected) => self.sleeping = Some(Box::pin((self.sleep)(rejected.retry_after()))),
                None => return Poll::Ready(None),
            }
        }
    }
}

impl<S: Clone, F> Clone for BackPressure<S, F> {
    fn clone(&self) -> Self {
        BackPressure::new(self.sleep.clone())
    }
}

impl<S, F> fmt::Debug for BackPressure<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BackPressure").field("sleeping", &self.sleeping.is_some()).finish_non_exhaustive()
    }
}
