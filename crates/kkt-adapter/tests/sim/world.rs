//! What everybody in the simulation shares: the time, the chance, the trace, and what is known of each document.

use super::{
    notes::{Document, Notes},
    rng::Rng,
    scenario::Scenario,
};
use jiff::{SignedDuration, Timestamp};
use kkt_adapter::ports::{Clock, Event, Monotonic, Observer};
use std::{
    fmt::{Arguments, Write as _},
    sync::{Arc, Mutex, MutexGuard},
    time::Duration,
};
use tokio::time::Instant;

/// When every run begins.
const DAWN: &str = "2026-03-02T08:00:00Z";

/// The world. Everybody holds it; one thread runs it.
pub struct World {
    pub scenario: Scenario,
    inner: Mutex<Inner>,
}

struct Inner {
    rng: Rng,
    /// Virtual time when this life of the process began, and tokio's idea of that instant; `None`: nobody lives.
    began: (Duration, Option<Instant>),
    wall_offset: SignedDuration,
    trace: Option<String>,
    violations: Vec<String>,
    notes: Notes,
}

impl World {
    pub fn new(scenario: Scenario, seed: u64, traced: bool) -> Arc<Self> {
        let inner = Inner {
            rng: Rng::new(seed),
            began: (Duration::ZERO, None),
            wall_offset: SignedDuration::ZERO,
            trace: traced.then(String::new),
            violations: Vec::new(),
            notes: Notes::default(),
        };
        Arc::new(Self { scenario, inner: Mutex::new(inner) })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap()
    }

    /// The process is started, in the runtime of the caller.
    pub fn begin_life(&self) {
        self.lock().began.1 = Some(Instant::now());
    }

    /// The process is dead: time stands still until the next one, `after` later.
    pub fn end_life(&self, after: Duration) {
        let now = self.now();
        self.lock().began = (now + after, None);
    }

    /// Whether a process lives. What is dropped with a dead one does nothing any more.
    pub fn is_alive(&self) -> bool {
        self.lock().began.1.is_some()
    }

    /// Virtual time since the run began.
    pub fn now(&self) -> Duration {
        let (base, began) = self.lock().began;
        base + began.map_or(Duration::ZERO, |began| began.elapsed())
    }

    /// The world's true time, which no administrator sets: what a device's own clock shows.
    pub fn true_time(&self) -> Timestamp {
        let dawn: Timestamp = DAWN.parse().unwrap();
        dawn + self.now()
    }

    /// Sets the wall clock of the machine.
    pub fn jump(&self, by: SignedDuration) {
        let mut inner = self.lock();
        inner.wall_offset = inner.wall_offset.saturating_add(by);
    }

    pub fn chance(&self, percent: u64) -> bool {
        self.lock().rng.chance(percent)
    }

    pub fn between(&self, low: u64, high: u64) -> u64 {
        self.lock().rng.between(low, high)
    }

    pub fn millis(&self, low: u64, high: u64) -> Duration {
        Duration::from_millis(self.between(low, high))
    }

    pub fn pick<'a, T>(&self, from: &'a [T]) -> &'a T {
        self.lock().rng.pick(from)
    }

    /// A pause of at most so many milliseconds, most often none: everything that crosses a seam may take time, and so
    /// the tasks meet in ever other orders.
    pub async fn dawdle(&self, millis_max: u64) {
        if self.chance(25) {
            tokio::time::sleep(self.millis(0, millis_max)).await;
        }
    }

    /// Counts something for the table of all runs.
    pub fn count(&self, what: &'static str) {
        *self.lock().notes.tally.entry(what).or_default() += 1;
    }

    /// A line of the trace.
    pub fn tell(&self, who: &str, what: Arguments<'_>) {
        let now = self.now();
        let mut inner = self.lock();
        if let Some(trace) = &mut inner.trace {
            let (seconds, millis) = (now.as_secs(), now.subsec_millis());
            writeln!(trace, "{seconds:>7}.{millis:03}  {who:<10} {what}").unwrap();
        }
    }

    /// A promise is broken.
    pub fn violation(&self, what: String) {
        self.tell("VIOLATION", format_args!("{what}"));
        self.lock().violations.push(what);
    }

    pub fn violations(&self) -> Vec<String> {
        self.lock().violations.clone()
    }

    pub fn take_trace(&self) -> String {
        self.lock().trace.take().unwrap_or_default()
    }

    /// What is known of the documents, under the lock: no call back into the world.
    pub fn notes<T>(&self, look: impl FnOnce(&mut Notes) -> T) -> T {
        look(&mut self.lock().notes)
    }

    /// What is known of one document.
    pub fn document<T>(
        &self,
        id: kkt_adapter::domain::ids::ReceiptId,
        look: impl FnOnce(&mut Document) -> T,
    ) -> T {
        self.notes(|notes| look(notes.of(id)))
    }

    /// The name of a document in the trace.
    pub fn name(&self, id: kkt_adapter::domain::ids::ReceiptId) -> String {
        self.notes(|notes| notes.name(id))
    }
}

/// The clock of the machine that the adapter runs on.
pub struct MachineClock(pub Arc<World>);

impl Clock for MachineClock {
    fn monotonic(&self) -> Monotonic {
        Monotonic(self.0.now())
    }

    fn wall(&self) -> Timestamp {
        let offset = self.0.lock().wall_offset;
        self.0.true_time().saturating_add(offset).unwrap()
    }
}

/// Writes down what the breakers tell.
pub struct Watcher(pub Arc<World>);

impl Observer for Watcher {
    fn event(&self, event: Event) {
        if !self.0.is_alive() {
            return;
        }
        if let Event::Command { key, command, .. } = &event
            && key == "ofd"
            && *command != "force_open"
        {
            self.0.notes(|notes| notes.watch.lift_pauses());
        }
        if let Event::Breaker { key, explanation } = event {
            let (from, to) = (explanation.from, explanation.to);
            self.0.tell("breaker", format_args!("{key}: {from} → {to}: {explanation}"));
            if &*key == "ofd" {
                self.0.count("transitions of the OFD's breaker");
                // The transition counts from when it was due, not from when somebody looked (B6).
                let wall = MachineClock(Arc::clone(&self.0)).wall();
                let since = Timestamp::try_from(explanation.since).unwrap();
                let due = self.0.now().saturating_sub(wall.duration_since(since).unsigned_abs());
                self.0.notes(|notes| notes.watch.transition(due, &explanation));
            }
        }
    }
}
