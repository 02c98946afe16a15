//! Runs one subject on one or two threads and says how long a call took.
//!
//! What keeps the figures honest:
//! 1. The threads are pinned to different CPUs and meet at a spinning barrier, so that they start together.
//! 2. Whoever has made its calls first stops the others at the end of their current batch, so that nobody runs on
//!    alone. Each thread's start and stop are recorded, and the overlap is computed from them.
//! 3. A round in which a thread lost its CPU (its CPU time is less than the time that passed) or in which the threads
//!    overlapped for less than 90 % is measured again, a bounded number of times, and counted.
//! 4. A call's time is thread time: the time of all threads divided by the calls of all threads. With perfect scaling
//!    two threads show the same figure as one.
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};
use rustix::time::{ClockId, clock_gettime};

/// Something to call in a loop from one or several threads at once.
pub trait Subject: Send + Sync {
    /// The loop for one thread; its argument is the number of calls.
    fn worker(&self) -> Box<dyn FnMut(u32) + '_>;
    /// Whether the subject is still in the state that its case is about. Asked after the measurement.
    fn fits(&self) -> bool;
}

/// How much work a round is.
#[derive(Clone, Copy, Debug)]
pub struct Effort {
    /// Time a round aims at.
    pub round: Duration,
    /// Most calls a thread makes in a round.
    pub calls_max: u32,
    /// The subject's threads may sleep in a call, so time off the CPU belongs to the figure.
    pub parks: bool,
    /// Least part of a round that its threads must run at once, 0 to 1.
    pub overlap_min: f64,
}

/// One thread's part of a round.
#[derive(Clone, Copy, Debug)]
pub struct Lap {
    pub start: Instant,
    pub stop: Instant,
    pub calls: u32,
    pub on_cpu: bool,
}

impl Lap {
    fn time(&self) -> Duration {
        self.stop - self.start
    }
}

/// One round: all threads' laps.
#[derive(Clone, Debug)]
pub struct Round {
    pub laps: Vec<Lap>,
    /// Times this round was measured again because a thread had lost its CPU.
    pub repeats: u32,
}

impl Round {
    /// Thread time a call, in nanoseconds.
    pub fn nanos(&self) -> f64 {
        let time: f64 = self.laps.iter().map(|lap| lap.time().as_nanos() as f64).sum();
        let calls: f64 = self.laps.iter().map(|lap| f64::from(lap.calls)).sum();
        time / calls
    }

    /// The part of the round during which all its threads were running, 0 to 1.
    pub fn overlap(&self) -> f64 {
        let starts = self.laps.iter().map(|lap| lap.start);
        let stops = self.laps.iter().map(|lap| lap.stop);
        let (Some(first), Some(last)) = (starts.clone().min(), stops.clone().max()) else { return 0.0 };
        let (Some(all_on), Some(any_off)) = (starts.max(), stops.min()) else { return 0.0 };
        let together = any_off.saturating_duration_since(all_on);
        together.as_secs_f64() / (last - first).as_secs_f64().max(1e-9)
    }

    fn undisturbed(&self, effort: &Effort) -> bool {
        (effort.parks || self.laps.iter().all(|lap| lap.on_cpu)) && self.overlap() >= effort.overlap_min
    }
}

/// What the threads of one round share.
struct Start {
    subject: Arc<dyn Subject>,
    threads: usize,
    calls: u32,
    batch: u32,
    arrived: AtomicUsize,
    done: AtomicBool,
}

/// Two threads, each on a CPU of its own, that live as long as the bench.
pub struct Machine {
    orders: Vec<Sender<Arc<Start>>>,
    laps: Receiver<Lap>,
    pub cpus: Vec<usize>,
}

const REPEATS_MAX: u32 = 4;

impl Machine {
    /// Starts `threads` workers, pinned to the first CPUs that this process may use.
    pub fn new(threads: usize) -> Self {
        let (sender, laps) = channel();
        let allowed = allowed_cpus();
        let cpus: Vec<usize> = (0..threads).map(|i| allowed[i % allowed.len()]).collect();
        let orders = cpus
            .iter()
            .map(|&cpu| {
                let (orders, inbox) = channel::<Arc<Start>>();
                let sender = sender.clone();
                thread::spawn(move || {
                    pin_to(cpu);
                    // Subjects that allocate must not pay for the counting allocator of `allocations`.
                    allocation_counter::opt_out(|| {
                        for start in inbox {
                            if sender.send(lap(&start)).is_err() {
                                return;
                            }
                        }
                    });
                });
                orders
            })
            .collect();
        Self { orders, laps, cpus }
    }

    /// Finds how many calls a round of `effort.round` takes.
    pub fn calibrate(&self, subject: &Arc<dyn Subject>, threads: usize, effort: &Effort) -> u32 {
        let mut calls = 64.min(effort.calls_max);
        loop {
            let round = self.round_once(subject, threads, calls);
            let took = round.laps.iter().map(Lap::time).max().unwrap_or_default();
            if took * 4 >= effort.round || calls == effort.calls_max {
                let calls = effort.round.as_nanos() as f64 / round.nanos();
                return (calls as u32).clamp(1, effort.calls_max);
            }
            calls = calls.saturating_mul(2).min(effort.calls_max);
        }
    }

    /// Measures one round, again if a thread lost its CPU in it.
    pub fn round(&self, subject: &Arc<dyn Subject>, threads: usize, calls: u32, effort: &Effort) -> Round {
        let mut round = self.round_once(subject, threads, calls);
        while !round.undisturbed(effort) && round.repeats < REPEATS_MAX {
            let repeats = round.repeats + 1;
            round = Round { repeats, ..self.round_once(subject, threads, calls) };
        }
        round
    }

    fn round_once(&self, subject: &Arc<dyn Subject>, threads: usize, calls: u32) -> Round {
        let start = Arc::new(Start {
            subject: Arc::clone(subject),
            threads,
            calls,
            // Whole tens, so that one call in ten is the same share of every batch.
            batch: (calls / 64).next_multiple_of(10).max(10),
            arrived: AtomicUsize::new(0),
            done: AtomicBool::new(false),
        });
        for orders in &self.orders[..threads] {
            orders.send(Arc::clone(&start)).expect("the workers live as long as the machine");
        }
        let laps = (0..threads).map(|_| self.laps.recv().expect("a worker answers every order")).collect();
        Round { laps, repeats: 0 }
    }
}

fn lap(order: &Start) -> Lap {
    let mut work = order.subject.worker();
    work(order.batch); // caches, branch predictors, thread locals
    order.arrived.fetch_add(1, Ordering::AcqRel);
    while order.arrived.load(Ordering::Acquire) < order.threads {
        std::hint::spin_loop();
    }
    let cpu_before = thread_cpu_time();
    let start = Instant::now();
    let mut calls = 0;
    while calls < order.calls && !order.done.load(Ordering::Relaxed) {
        work(order.batch);
        calls += order.batch;
    }
    order.done.store(true, Ordering::Relaxed);
    let stop = Instant::now();
    let cpu = thread_cpu_time().saturating_sub(cpu_before);
    // The clock of CPU time is a system call, so a round of microseconds is let off a microsecond.
    let on_cpu = cpu + Duration::from_micros(1) >= (stop - start).mul_f64(0.97);
    Lap { start, stop, calls, on_cpu }
}

fn thread_cpu_time() -> Duration {
    clock_gettime(ClockId::ThreadCPUTime).try_into().unwrap_or_default()
}

fn allowed_cpus() -> Vec<usize> {
    let set = sched_getaffinity(None).unwrap_or_else(|_| {
        let mut only_first = CpuSet::new();
        only_first.set(0);
        only_first
    });
    (0..CpuSet::MAX_CPU).filter(|&cpu| set.is_set(cpu)).collect()
}

fn pin_to(cpu: usize) {
    let mut set = CpuSet::new();
    set.set(cpu);
    // Unpinned threads measure too, only less steadily; the overlap in the output shows if they ran at once.
    let _ = sched_setaffinity(None, &set);
}
