use super::Classify;
use crate::permit::Permit;
use crate::rejected::{CallError, Rejected};
use pin_project_lite::pin_project;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

pin_project! {
    /// The response of a service behind a breaker. Dropping it drops its permit.
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ResponseFuture<F, C> {
        #[pin]
        state: State<F, C>,
    }
}

pin_project! {
    #[derive(Debug)]
    #[project = Projection]
    enum State<F, C> {
        Rejected { rejected: Rejected },
        Running { #[pin] future: F, permit: Option<Permit>, classifier: C },
    }
}

impl<F, C> ResponseFuture<F, C> {
    pub(super) fn rejected(rejected: Rejected) -> Self {
        ResponseFuture { state: State::Rejected { rejected } }
    }

    pub(super) fn running(future: F, permit: Option<Permit>, classifier: C) -> Self {
        ResponseFuture { state: State::Running { future, permit, classifier } }
    }
}

impl<F, C, T, E> Future for ResponseFuture<F, C>
where
    F: Future<Output = Result<T, E>>,
    C: Classify<T, E>,
{
    type Output = Result<T, CallError<E>>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().state.project() {
            Projection::Rejected { rejected } => Poll::Ready(Err(CallError::Rejected(*rejected))),
            Projection::Running { future, permit, classifier } => {
                let inside = Inside { permit: permit.take() };
                let polled = future.poll(context);
                if polled.is_pending() {
                    *permit = inside.leave();
                    return Poll::Pending;
                }
                let result = ready!(polled);
                if let Some(permit) = &inside.permit {
                    let verdict = classifier.classify(&result, permit.elapsed());
                    if let Some(permit) = inside.leave() {
                        permit.conclude(verdict);
                    }
                }
                Poll::Ready(result.map_err(CallError::Inner))
            }
        }
    }
}

/// A permit while the operation runs: dropped here, it is an unwind out of the operation (R1).
pub(super) struct Inside {
    permit: Option<Permit>,
}

impl Inside {
    pub(super) fn new(permit: Permit) -> Self {
        Inside { permit: Some(permit) }
    }

    pub(super) fn leave(mut self) -> Option<Permit> {
        self.permit.take()
    }
}

impl Drop for Inside {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            permit.failure();
        }
    }
}
