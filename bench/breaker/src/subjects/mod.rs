//! The breakers under measurement, one file each, and the floors of the machine.
//!
//! How nothing is optimised away: the operation's input goes through `black_box`, so the compiler can't know whether
//! it fails; the breaker is reached through `black_box(&breaker)`, so no load is hoisted out of the loop; and the
//! address of every call's result goes through `black_box`, so that the whole result has to be there (by address: handing
//! over the value would copy it, and the larger results pay for the copy). The floor `empty loop` is what this costs by
//! itself; nothing is subtracted from any figure.
pub mod breaker;
pub mod circuit_breaker;
pub mod circuitbreaker_rs;
pub mod failsafe;
pub mod floors;
pub mod ours;
pub mod recloser;
pub mod tower_resilience;

use std::fmt;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use crate::harness::Subject;

/// Long enough that no open breaker wants to probe during a run.
pub const FOREVER: Duration = Duration::from_secs(3_600);

/// The protected operation's error. It is an `Error` because two peers ask for one.
#[derive(Clone, Copy, Debug)]
pub struct Failed;

impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("failed")
    }
}

impl std::error::Error for Failed {}

/// The protected operation: fails on zero.
#[inline(always)]
pub fn operation(input: u32) -> Result<u32, Failed> {
    if input == 0 { Err(Failed) } else { Ok(input) }
}

/// What the n-th call of a loop passes to `operation` where one call in ten fails.
#[inline(always)]
pub fn one_in_ten(n: u32) -> u32 {
    (n + 1) % 10
}

/// Makes the compiler produce all of `result`.
#[inline(always)]
pub fn keep<T>(result: T) {
    black_box(&result);
}

/// Polls a future that must be ready at once.
#[inline(always)]
pub fn ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => unreachable!("nothing in this future waits"),
    }
}

/// A breaker that threads share by cloning its handle.
struct Shared<B> {
    breaker: B,
    hammer: fn(&B, u32),
    fits: fn(&B) -> bool,
}

impl<B: Clone + Send + Sync> Subject for Shared<B> {
    fn worker(&self) -> Box<dyn FnMut(u32) + '_> {
        let breaker = self.breaker.clone();
        let hammer = self.hammer;
        Box::new(move |calls| hammer(&breaker, calls))
    }

    fn fits(&self) -> bool {
        (self.fits)(&self.breaker)
    }
}

/// A subject from a breaker, its loop, and the question whether it is still in the state that was meant.
pub fn shared<B: Clone + Send + Sync + 'static>(
    breaker: B,
    hammer: fn(&B, u32),
    fits: fn(&B) -> bool,
) -> Arc<dyn Subject> {
    Arc::new(Shared { breaker, hammer, fits })
}
