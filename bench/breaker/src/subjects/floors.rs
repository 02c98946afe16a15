//! What the machine itself costs: no breaker that does the same work can be below these.
use std::hint::black_box;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use rustix::time::{ClockId, clock_gettime};

use super::{keep, shared};
use crate::harness::Subject;

/// An atomic on a cache line of its own.
#[derive(Default)]
#[repr(align(128))]
struct Alone(AtomicU64);

pub fn empty_loop() -> Arc<dyn Subject> {
    let hammer = |_: &(), calls| {
        for n in 0..calls {
            keep(super::operation(black_box(n | 1)));
        }
    };
    shared((), hammer, |()| true)
}

pub fn relaxed_load() -> Arc<dyn Subject> {
    let hammer = |word: &Arc<Alone>, calls| {
        for _ in 0..calls {
            black_box(black_box(word).0.load(Ordering::Relaxed));
        }
    };
    shared(Arc::new(Alone::default()), hammer, |_| true)
}

pub fn fetch_add() -> Arc<dyn Subject> {
    let hammer = |word: &Arc<Alone>, calls| {
        for _ in 0..calls {
            black_box(black_box(word).0.fetch_add(1, Ordering::Relaxed));
        }
    };
    shared(Arc::new(Alone::default()), hammer, |_| true)
}

pub fn two_fetch_adds() -> Arc<dyn Subject> {
    let hammer = |word: &Arc<Alone>, calls| {
        for _ in 0..calls {
            black_box(black_box(word).0.fetch_add(1, Ordering::AcqRel));
            black_box(black_box(word).0.fetch_add(1, Ordering::AcqRel));
        }
    };
    shared(Arc::new(Alone::default()), hammer, |_| true)
}

pub fn instant_now() -> Arc<dyn Subject> {
    let hammer = |_: &(), calls| {
        for _ in 0..calls {
            black_box(Instant::now());
        }
    };
    shared((), hammer, |()| true)
}

pub fn coarse_clock() -> Arc<dyn Subject> {
    let hammer = |_: &(), calls| {
        for _ in 0..calls {
            // As one number: to have both halves in memory costs as much again.
            let time = clock_gettime(ClockId::MonotonicCoarse);
            black_box(time.tv_sec * 1_000_000_000 + time.tv_nsec);
        }
    };
    shared((), hammer, |()| true)
}

pub fn mutex() -> Arc<dyn Subject> {
    let hammer = |word: &Arc<Mutex<u64>>, calls| {
        for _ in 0..calls {
            *black_box(word).lock().expect("no thread panics with this lock") += 1;
        }
    };
    shared(Arc::new(Mutex::new(0)), hammer, |_| true)
}
