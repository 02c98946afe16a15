//! The breaker as a tower layer (feature `tower`).
//!
//! 1. The permit is taken in `Service::call`, never held by `poll_ready` (R3): a service that is ready and never
//!    called holds no probe slot.
//! 2. While the circuit rejects, `poll_ready` is `Ready` without asking the inner service, and the call that follows is
//!    rejected; the inner service is never called without having been ready. With
//!    [`back_pressure`](CircuitBreakerLayer::back_pressure) `poll_ready` waits instead. It can't promise a permit: where
//!    more callers wait than there are probe slots, those that come late are rejected by `call`; and in a
//!    [ramp](crate::Config::ramp) `call` rejects what is over the share.
//! 3. The error is a [`CallError`]. tower's own layers want one that becomes a box; where the inner service's error is a
//!    box already, as behind tower's `timeout`, put [`CallError::into_boxed`] in between:
//!
//! ```text
//! ServiceBuilder::new()
//!     .load_shed()                                    // or any other of tower's
//!     .map_err(CallError::into_boxed)
//!     .layer(CircuitBreakerLayer::new(breaker))       // outside the time-out, which is a failure then
//!     .timeout(Duration::from_secs(2))
//!     .service(client)
//! ```
//!
//! 4. A response future that is dropped is a dropped permit (B10); a panic in a poll is a failure (R1).
//!
//! ```text
//! poll_ready ──► would the breaker reject? ──no──► inner.poll_ready ──► Ready ──► call ──► permit ──► inner.call
//!                     │yes                                                              └no─► Err(Rejected)
//!                     ├─ (default) ──► Ready ──► call ──► Err(Rejected)
//!                     └─ (back-pressure) ──► sleep(retry_after) ──► ask again
//! ```

mod future;
mod wait;

pub use future::ResponseFuture;
pub use wait::{BackPressure, NoWait, Wait};

use crate::breaker::CircuitBreaker;
use crate::classify::Verdict;
use crate::rejected::{CallError, Rejected};
use std::task::{Context, Poll};
use std::time::Duration;
use tower_layer::Layer;
use tower_service::Service;

/// What a response means to the breaker (B20). Every `Fn(&Result<Response, Error>, Duration) -> Verdict` is one.
pub trait Classify<T, E> {
    /// What `result`, after `elapsed`, means.
    fn classify(&self, result: &Result<T, E>, elapsed: Duration) -> Verdict;
}

impl<T, E, F: Fn(&Result<T, E>, Duration) -> Verdict> Classify<T, E> for F {
    fn classify(&self, result: &Result<T, E>, elapsed: Duration) -> Verdict {
        self(result, elapsed)
    }
}

/// `Ok` is a success, `Err` a failure.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByResult;

impl<T, E> Classify<T, E> for ByResult {
    fn classify(&self, result: &Result<T, E>, _elapsed: Duration) -> Verdict {
        if result.is_ok() { Verdict::Success } else { Verdict::failure() }
    }
}

/// Puts services behind a breaker.
#[derive(Clone, Debug)]
pub struct CircuitBreakerLayer<C = ByResult, W = NoWait> {
    breaker: CircuitBreaker,
    classifier: C,
    wait: W,
}

impl CircuitBreakerLayer {
    /// All services of this layer share `breaker`.
    pub fn new(breaker: CircuitBreaker) -> Self {
        CircuitBreakerLayer { breaker, classifier: ByResult, wait: NoWait }
    }
}

impl<C, W> CircuitBreakerLayer<C, W> {
    /// Says what responses mean.
    ///
    /// For a closure, name its argument's type: `|result: &Result<Response, Error>, elapsed| …`.
    pub fn classifier<D>(self, classifier: D) -> CircuitBreakerLayer<D, W> {
        CircuitBreakerLayer { breaker: self.breaker, classifier, wait: self.wait }
    }

    /// Makes `poll_ready` wait while the circuit rejects; who has waited may still be rejected, see the
    /// [module](crate::layer). `sleep` is the runtime's, for example `tokio::time::sleep`: this crate has no timers.
    pub fn back_pressure<S, F>(self, sleep: S) -> CircuitBreakerLayer<C, BackPressure<S, F>>
    where
        S: Fn(Duration) -> F,
        F: Future<Output = ()>,
    {
        CircuitBreakerLayer {
            breaker: self.breaker,
            classifier: self.classifier,
            wait: BackPressure::new(sleep),
        }
    }
}

impl<S, C: Clone, W: Clone> Layer<S> for CircuitBreakerLayer<C, W> {
    type Service = CircuitBreakerService<S, C, W>;

    fn layer(&self, inner: S) -> Self::Service {
        CircuitBreakerService {
            inner,
            breaker: self.breaker.clone(),
            classifier: self.classifier.clone(),
            wait: self.wait.clone(),
            refused: None,
        }
    }
}

/// A service behind a breaker.
#[derive(Debug)]
pub struct CircuitBreakerService<S, C = ByResult, W = NoWait> {
    inner: S,
    breaker: CircuitBreaker,
    classifier: C,
    wait: W,
    /// `poll_ready` found the circuit rejecting and did not ask the inner service: the next call is rejected too.
    refused: Option<Rejected>,
}

impl<S: Clone, C: Clone, W: Clone> Clone for CircuitBreakerService<S, C, W> {
    fn clone(&self) -> Self {
        CircuitBreakerService {
            inner: self.inner.clone(),
            breaker: self.breaker.clone(),
            classifier: self.classifier.clone(),
            wait: self.wait.clone(),
            refused: None, // A clone has not been polled.
        }
    }
}

impl<S, C, W> CircuitBreakerService<S, C, W> {
    /// The breaker in front.
    pub fn breaker(&self) -> &CircuitBreaker {
        &self.breaker
    }
}

impl<S, C, W, Request> Service<Request> for CircuitBreakerService<S, C, W>
where
    S: Service<Request>,
    C: Classify<S::Response, S::Error> + Clone,
    W: Wait,
{
    type Response = S::Response;
    type Error = CallError<S::Error>;
    type Future = ResponseFuture<S::Future, C>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.refused = std::task::ready!(self.wait.poll_wait(&self.breaker, context));
        if self.refused.is_some() {
            return Poll::Ready(Ok(()));
        }
        self.inner.poll_ready(context).map_err(CallError::Inner)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        if let Some(rejected) = self.refused.take() {
            self.breaker.count_rejected();
            // `poll_ready` may have been long ago.
            let rejected = self.breaker.would_reject().unwrap_or_else(|| rejected.overtaken());
            return ResponseFuture::rejected(rejected);
        }
        match self.breaker.try_acquire_timed() {
            Ok(permit) => {
                // Should `inner.call` panic, the permit is dropped by the unwind: a failure (R1).
                let guard = future::Inside::new(permit);
                let future = self.inner.call(request);
                ResponseFuture::running(future, guard.leave(), self.classifier.clone())
            }
            Err(rejected) => ResponseFuture::rejected(rejected),
        }
    }
}
