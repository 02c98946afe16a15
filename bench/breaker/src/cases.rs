//! The rows of the table: which subjects stand in each, beside which floor, and what ours is to reach.
use std::sync::Arc;
use std::time::Duration;

use crate::harness::{Effort, Subject};
use crate::subjects::{
    breaker, circuit_breaker, circuitbreaker_rs, failsafe, floors, ours, recloser, tower_resilience,
};

pub const OURS: &str = "ours";

/// One row of the table.
pub struct Case {
    pub name: &'static str,
    pub what: &'static str,
    pub threads: &'static [usize],
    /// The floor beside the row, by number of threads. The floors' own case has none.
    pub floor: Option<fn(usize) -> &'static str>,
    pub entries: Vec<Entry>,
    pub goals: Vec<Goal>,
    /// The subject is made anew for each round, because a round changes what it measures.
    pub fresh: bool,
}

/// One subject in a row.
pub struct Entry {
    pub subject: &'static str,
    pub make: Box<dyn Fn() -> Arc<dyn Subject>>,
    pub effort: Effort,
    /// Most rounds, for a subject that is too slow to prepare for more.
    pub rounds_max: usize,
}

/// What ours is to reach in a row.
#[derive(Clone, Copy)]
pub struct Goal {
    pub threads: usize,
    pub bound: Bound,
}

#[derive(Clone, Copy)]
pub enum Bound {
    /// Nanoseconds a call.
    Nanos(f64),
    /// Times its own figure with one thread, and times what the CPUs' sharing a core costs an empty loop.
    TimesOneThread(f64),
    /// Nanoseconds a call above this floor with as many threads.
    FloorPlus(&'static str, f64),
}

impl Entry {
    fn new(subject: &'static str, make: impl Fn() -> Arc<dyn Subject> + 'static) -> Self {
        let effort =
            Effort { round: Duration::from_millis(1), calls_max: 10_000_000, parks: false, overlap_min: 0.9 };
        Self { subject, make: Box::new(make), effort, rounds_max: usize::MAX }
    }

    /// Its threads wait for each other by sleeping.
    fn parks(mut self) -> Self {
        self.effort.parks = true;
        self
    }

    /// Its calls sleep, so a round is long and its threads do not have to overlap.
    fn sleeps(mut self) -> Self {
        self.effort =
            Effort { round: Duration::from_millis(20), parks: true, overlap_min: 0.0, ..self.effort };
        self.rounds_max = 15;
        self
    }

    /// Each call makes the next one dearer, or the preparation takes long.
    fn at_most(mut self, calls: u32, rounds: usize) -> Self {
        self.effort.calls_max = calls;
        self.rounds_max = rounds;
        self
    }
}

/// All rows, the floors first.
pub fn all() -> Vec<Case> {
    vec![
        floor_case(),
        closed_ok(),
        closed_ok_after_churn(),
        closed_errors(),
        count_window(),
        time_window(
            "time-window-1k",
            "`call`, CLOSED, Ok, time window 10 × 1 s with 1,000 calls in it",
            1_000,
        ),
        time_window("time-window-30k", "the same with 30,000 calls in it", 30_000),
        acquire_success(),
        open_rejected(),
        async_ready(),
    ]
}

fn floor_case() -> Case {
    Case {
        name: "floor",
        what: "what the machine itself costs",
        threads: &[1, 2],
        floor: None,
        entries: vec![
            Entry::new("empty loop", floors::empty_loop),
            Entry::new("relaxed load", floors::relaxed_load),
            Entry::new("fetch_add", floors::fetch_add),
            Entry::new("two fetch_adds", floors::two_fetch_adds),
            Entry::new("Instant::now", floors::instant_now),
            Entry::new("coarse clock", floors::coarse_clock),
            Entry::new("Mutex lock", floors::mutex).parks(),
        ],
        goals: vec![],
        fresh: false,
    }
}

fn closed_ok() -> Case {
    Case {
        name: "closed-ok",
        what: "`call`, CLOSED, Ok, consecutive rule (recloser and breaker have only a ring)",
        threads: &[1, 2],
        floor: Some(|threads| if threads == 1 { "fetch_add" } else { "relaxed load" }),
        entries: vec![
            Entry::new(OURS, ours::closed_ok),
            Entry::new("recloser", recloser::closed_ok),
            Entry::new("failsafe", failsafe::closed_ok).parks(),
            Entry::new("circuit_breaker", circuit_breaker::closed_ok).parks(),
            Entry::new("breaker", breaker::closed_ok).parks(),
            Entry::new("circuitbreaker-rs", circuitbreaker_rs::closed_ok).parks(),
            Entry::new("tower-resilience", tower_resilience::closed_ok).parks(),
        ],
        goals: vec![
            Goal { threads: 1, bound: Bound::Nanos(4.0) },
            Goal { threads: 2, bound: Bound::TimesOneThread(1.2) },
        ],
        fresh: false,
    }
}

fn closed_ok_after_churn() -> Case {
    Case {
        name: "closed-ok-after-churn",
        what: "the same after 200 threads have called it and ended",
        threads: &[1, 2],
        floor: Some(|threads| if threads == 1 { "fetch_add" } else { "relaxed load" }),
        entries: vec![Entry::new(OURS, ours::closed_ok_after_churn)],
        goals: vec![
            Goal { threads: 1, bound: Bound::Nanos(4.0) },
            Goal { threads: 2, bound: Bound::TimesOneThread(1.2) },
        ],
        fresh: false,
    }
}

fn closed_errors() -> Case {
    Case {
        name: "closed-10%-errors",
        what: "`call`, CLOSED, one call in ten fails, consecutive rule",
        threads: &[1, 2],
        floor: Some(|_| "fetch_add"),
        entries: vec![
            Entry::new(OURS, ours::closed_errors),
            Entry::new("recloser", recloser::closed_errors),
            Entry::new("failsafe", failsafe::closed_errors).parks(),
            Entry::new("circuit_breaker", circuit_breaker::closed_errors).parks(),
            Entry::new("breaker", breaker::closed_errors).parks(),
            Entry::new("circuitbreaker-rs", circuitbreaker_rs::closed_errors).parks(),
            Entry::new("tower-resilience", tower_resilience::closed_errors).parks(),
        ],
        goals: vec![],
        fresh: false,
    }
}

fn count_window() -> Case {
    Case {
        name: "count-window-100",
        what: "`call`, CLOSED, Ok, window of the last 100 calls (tower-resilience's counts since the last transition)",
        threads: &[1, 2],
        floor: Some(|_| "fetch_add"),
        entries: vec![
            Entry::new(OURS, ours::count_window),
            Entry::new("recloser", recloser::closed_ok),
            Entry::new("breaker", breaker::closed_ok).parks(),
            Entry::new("tower-resilience", tower_resilience::count_window).parks(),
        ],
        goals: vec![
            Goal { threads: 1, bound: Bound::Nanos(8.0) },
            Goal { threads: 2, bound: Bound::Nanos(25.0) },
        ],
        fresh: false,
    }
}

fn time_window(name: &'static str, what: &'static str, calls_in_it: u32) -> Case {
    let many = calls_in_it > 10_000;
    Case {
        name,
        what,
        threads: if many { &[1] } else { &[1, 2] },
        floor: Some(|_| "Instant::now"),
        entries: vec![
            Entry::new(OURS, move || ours::time_window(calls_in_it)),
            Entry::new("failsafe", move || failsafe::time_window(calls_in_it)).parks(),
            // Each of its calls adds a record that every later call walks over, so a round stays short.
            Entry::new("tower-resilience", move || tower_resilience::time_window(calls_in_it))
                .parks()
                .at_most(calls_in_it / 20, if many { 5 } else { usize::MAX }),
        ],
        goals: vec![Goal { threads: 1, bound: Bound::FloorPlus("Instant::now", 8.0) }],
        fresh: true,
    }
}

fn acquire_success() -> Case {
    Case {
        name: "acquire-success",
        what: "`try_acquire` + `success` (the peers: ask, then report; they have no permit)",
        threads: &[1, 2],
        floor: Some(|_| "two fetch_adds"),
        entries: vec![
            Entry::new(OURS, ours::acquire_success),
            Entry::new("failsafe", failsafe::acquire_success).parks(),
            Entry::new("circuit_breaker", circuit_breaker::acquire_success).parks(),
            Entry::new("breaker", breaker::acquire_success).parks(),
        ],
        goals: vec![Goal { threads: 1, bound: Bound::Nanos(15.0) }],
        fresh: false,
    }
}

fn open_rejected() -> Case {
    Case {
        name: "open-rejected",
        what: "`call`, OPEN, rejected",
        threads: &[1, 2],
        floor: Some(|_| "Instant::now"),
        entries: vec![
            Entry::new(OURS, ours::open),
            Entry::new("recloser", recloser::open),
            Entry::new("failsafe", failsafe::open).parks(),
            Entry::new("circuit_breaker", circuit_breaker::open).parks(),
            Entry::new("breaker", breaker::open).parks(),
            Entry::new("circuitbreaker-rs", circuitbreaker_rs::open).parks(),
            // With two threads its calls sleep a millisecond each time they meet at its lock.
            Entry::new("tower-resilience", tower_resilience::open).sleeps(),
        ],
        goals: vec![
            Goal { threads: 1, bound: Bound::Nanos(10.0) },
            Goal { threads: 2, bound: Bound::TimesOneThread(1.2) },
        ],
        fresh: false,
    }
}

fn async_ready() -> Case {
    Case {
        name: "async-ready",
        what: "an async call, CLOSED, whose future is ready at once",
        threads: &[1, 2],
        floor: Some(|_| "fetch_add"),
        entries: vec![
            Entry::new(OURS, ours::async_ready),
            Entry::new("recloser", recloser::async_ready),
            Entry::new("failsafe", failsafe::async_ready).parks(),
            Entry::new("breaker", breaker::closed_ok).parks(),
            Entry::new("circuitbreaker-rs", circuitbreaker_rs::async_ready).parks(),
            Entry::new("tower-resilience", tower_resilience::closed_ok).parks(),
        ],
        goals: vec![],
        fresh: false,
    }
}
