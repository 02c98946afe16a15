//! Running an operation under a permit, with its unwinding guarded (R1, R2).

use super::Shell;
use crate::classify::Verdict;
use crate::rejected::{CallError, Rejected};
use crate::state::{Grant, Outcome};
use std::fmt;
use std::pin::pin;
use std::time::Duration;

/// A running call. Dropped before its end it is an unwind out of the operation (a failure, R1), or, if it is not being
/// run just then, a dropped permit (B10).
struct Running<'a> {
    shell: &'a Shell,
    grant: Grant,
    is_inside: bool,
    is_open: bool,
}

impl<'a> Running<'a> {
    fn new(shell: &'a Shell, grant: Grant, is_inside: bool) -> Self {
        Running { shell, grant, is_inside, is_open: true }
    }

    /// By reference: moving a grant that has just been written stalls.
    #[inline]
    fn end<T, E>(&mut self, result: Result<T, E>) -> Result<T, CallError<E>> {
        self.is_open = false;
        match result {
            Ok(value) => {
                self.shell.success(&self.grant);
                Ok(value)
            }
            Err(error) => {
                self.shell.failure(&self.grant);
                Err(CallError::Inner(error))
            }
        }
    }

    fn end_classified<T, E>(
        &mut self,
        result: Result<T, E>,
        classifier: impl Fn(&Result<T, E>, Duration) -> Verdict,
    ) -> Result<T, CallError<E>> {
        self.is_inside = true; // The classifier is the operation's too, should it panic.
        let elapsed_ns = self.shell.elapsed_ns(self.grant);
        let verdict = classifier(&result, Duration::from_nanos(elapsed_ns));
        self.is_open = false;
        self.shell.conclude(self.grant, verdict);
        result.map_err(CallError::Inner)
    }
}

impl Drop for Running<'_> {
    fn drop(&mut self) {
        if self.is_open {
            let outcome = if self.is_inside { Outcome::FAILURE } else { Outcome::Dropped };
            self.shell.finish(&self.grant, outcome, None);
        }
    }
}

impl Shell {
    /// For how long a timed call has been running.
    pub(crate) fn elapsed_ns(&self, grant: Grant) -> u64 {
        grant.elapsed_ns(self.clock.now()).unwrap_or(0)
    }

    /// Ends a call by its verdict.
    pub(crate) fn conclude(&self, grant: Grant, verdict: Verdict) {
        match verdict {
            Verdict::Success => self.success(&grant),
            Verdict::Ignored => self.ignore(grant),
            Verdict::Failure { retry_after: None, cause: None } => self.failure(&grant),
            Verdict::Failure { retry_after, cause } => {
                let retry_after_ns = retry_after.map_or(0, crate::clock::nanos);
                let cause = cause.as_ref().map(|cause| cause as &dyn fmt::Display);
                self.finish(&grant, Outcome::Failure { retry_after_ns }, cause);
            }
        }
    }

    /// A permit whose call is timed, whatever the configuration needs.
    pub(super) fn acquire_timed(&self) -> Result<Grant, Rejected> {
        let mut grant = self.acquire()?;
        if grant.elapsed_ns(grant.started).is_none() {
            grant.started = self.clock.now();
        }
        Ok(grant)
    }
}

/// A running call that the core need not hear of unless it fails. Dropped, it is an unwind out of the operation (R1).
struct Plain<'a> {
    shell: &'a Shell,
    generation: u64,
}

impl Drop for Plain<'_> {
    fn drop(&mut self) {
        self.shell.failure(&Grant::untimed(self.generation));
    }
}

#[inline]
pub(super) fn call<T, E>(shell: &Shell, op: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
    let Some(generation) = shell.acquire_plain() else { return call_otherwise(shell, op) };
    let running = Plain { shell, generation };
    match op() {
        Ok(value) => {
            std::mem::forget(running);
            shell.success_plain(generation);
            Ok(value)
        }
        Err(error) => {
            drop(running);
            Err(CallError::Inner(error))
        }
    }
}

#[inline(never)]
fn call_otherwise<T, E>(shell: &Shell, op: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
    if let Some(rejected) = shell.rejected_far() {
        return Err(CallError::Rejected(rejected));
    }
    call_told(shell, op)
}

#[inline(never)]
fn call_told<T, E>(shell: &Shell, op: impl FnOnce() -> Result<T, E>) -> Result<T, CallError<E>> {
    let mut running = Running::new(shell, shell.acquire().map_err(CallError::Rejected)?, true);
    let result = op();
    running.end(result)
}

pub(super) fn call_classified<T, E>(
    shell: &Shell,
    op: impl FnOnce() -> Result<T, E>,
    classifier: impl Fn(&Result<T, E>, Duration) -> Verdict,
) -> Result<T, CallError<E>> {
    let mut running = Running::new(shell, shell.acquire_timed().map_err(CallError::Rejected)?, true);
    let result = op();
    running.end_classified(result, classifier)
}

pub(super) async fn call_async<T, E>(
    shell: &Shell,
    op: impl Future<Output = Result<T, E>>,
) -> Result<T, CallError<E>> {
    let grant = match shell.acquire_plain() {
        Some(generation) => Grant::untimed(generation),
        None => shell.acquire().map_err(CallError::Rejected)?,
    };
    let mut running = Running::new(shell, grant, false);
    let result = guarded(&mut running, op).await;
    running.end(result)
}

pub(super) async fn call_async_classified<T, E>(
    shell: &Shell,
    op: impl Future<Output = Result<T, E>>,
    classifier: impl Fn(&Result<T, E>, Duration) -> Verdict,
) -> Result<T, CallError<E>> {
    let mut running = Running::new(shell, shell.acquire_timed().map_err(CallError::Rejected)?, false);
    let result = guarded(&mut running, op).await;
    running.end_classified(result, classifier)
}

/// Polls `op` so that an unwind out of a poll is told apart from a drop between two polls.
async fn guarded<T>(running: &mut Running<'_>, op: impl Future<Output = T>) -> T {
    let mut op = pin!(op);
    std::future::poll_fn(|context| {
        running.is_inside = true;
        let poll = op.as_mut().poll(context);
        // A future that has ended is dropped next, which is the operation's too, should it panic.
        running.is_inside = poll.is_ready();
        poll
    })
    .await
}
