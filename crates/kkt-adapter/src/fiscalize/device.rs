//! What phase 1 holds of one device: its print lock and what is known of its trouble.

use super::{locked, options::Options};
use crate::{
    domain::ids::{DeviceId, PosId, ReceiptId},
    ports::{Clock, DeviceView, KktDriver, Monotonic, ShiftState},
};
use jiff::Timestamp;
use std::{
    collections::{BTreeSet, HashMap},
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};
use tokio::{
    sync::{Mutex as PrintLock, OwnedMutexGuard},
    time::Instant,
};

/// Longest life of a shift that a ФН allows; it calls an older one expired.
const SHIFT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// What only the holder of the print lock touches.
#[derive(Default)]
pub struct Bench {
    /// The shift as last heard of; `None`: ask.
    pub shift: Option<ShiftState>,
    seen: Option<Seen>,
}

/// An open shift as it was first heard of. Its age grows by the monotonic clock from there: were it the difference of
/// the wall clock here and the clock of the KKT, setting one of them would close shifts for nothing, or leave one open
/// until the ФН refuses (promise P9).
#[derive(Clone, Copy)]
struct Seen {
    number: u32,
    since: Timestamp,
    at: Monotonic,
    age: Duration,
}

/// The print lock, held. FIFO: whoever asked first gets it first.
pub type BenchGuard = OwnedMutexGuard<Bench>;

impl Bench {
    /// Whether a receipt may be printed without anything before it.
    pub fn is_ready(&mut self, device: &Device, clock: &dyn Clock, options: &Options) -> bool {
        device.driver.get().is_some()
            && device.is_settled()
            && matches!(self.shift, Some(ShiftState::Open { .. }))
            && !self.is_shift_due(clock, options)
    }

    /// Whether the shift must be closed; not if none is known.
    pub fn is_shift_due(&mut self, clock: &dyn Clock, options: &Options) -> bool {
        match self.shift {
            None | Some(ShiftState::Closed { .. }) => false,
            Some(ShiftState::Expired { .. }) => true,
            Some(ShiftState::Open { number, since, .. }) => {
                let now = clock.monotonic();
                let seen = match self.seen {
                    Some(seen) if (seen.number, seen.since) == (number, since) => seen,
                    _ => Seen { number, since, at: now, age: age(since, clock.wall()) },
                };
                self.seen = Some(seen);
                seen.age.saturating_add(now.since(seen.at)) >= options.shift_age
            }
        }
    }
}

/// How old an open shift is by the two walls; nothing if they cannot both be right.
fn age(since: Timestamp, wall: Timestamp) -> Duration {
    let age = wall.duration_since(since);
    if age.is_negative() || age.unsigned_abs() >= SHIFT_MAX { Duration::ZERO } else { age.unsigned_abs() }
}

#[derive(Default)]
struct Facts {
    trouble: Option<String>,
    blocked: BTreeSet<ReceiptId>,
    unresolved: BTreeSet<ReceiptId>,
    pos_id: Option<PosId>,
    backlog: bool,
    failures: u32,
    retry_at: Option<Instant>,
}

/// One device.
pub struct Device {
    /// Its name.
    pub id: DeviceId,
    /// Its driver, once it was opened.
    pub driver: OnceLock<Arc<dyn KktDriver>>,
    print_lock: Arc<PrintLock<Bench>>,
    facts: Mutex<Facts>,
    unprinted: AtomicU64,
    /// The background is at work on it.
    pub in_care: AtomicBool,
    /// The background has looked at its shift once.
    pub looked_at: AtomicBool,
}

impl Device {
    fn new(id: DeviceId) -> Self {
        Self {
            id,
            driver: OnceLock::new(),
            print_lock: Arc::default(),
            facts: Mutex::default(),
            unprinted: AtomicU64::new(0),
            in_care: AtomicBool::new(false),
            looked_at: AtomicBool::new(false),
        }
    }

    /// Waits for the print lock.
    pub async fn lock(&self) -> BenchGuard {
        Arc::clone(&self.print_lock).lock_owned().await
    }

    /// The print lock, if nobody has it and nobody waits for it.
    pub fn try_lock(&self) -> Option<BenchGuard> {
        Arc::clone(&self.print_lock).try_lock_owned().ok()
    }

    /// A document that is not printed was taken, or found at the start.
    pub fn count_unprinted(&self) {
        self.unprinted.fetch_add(1, Relaxed);
    }

    /// A document was printed or cancelled.
    pub fn count_printed(&self) {
        let _ = self.unprinted.fetch_update(Relaxed, Relaxed, |count| Some(count.saturating_sub(1)));
    }

    /// The till that used it last, under whose name its shift documents go.
    pub fn pos_id(&self) -> Option<PosId> {
        locked(&self.facts).pos_id.clone()
    }

    /// A till uses it.
    pub fn used_by(&self, pos_id: &PosId) {
        let mut facts = locked(&self.facts);
        if facts.pos_id.as_ref() != Some(pos_id) {
            facts.pos_id = Some(pos_id.clone());
        }
    }

    /// No document's printing is in doubt.
    pub fn is_settled(&self) -> bool {
        let facts = locked(&self.facts);
        facts.unresolved.is_empty() && facts.blocked.is_empty()
    }

    /// The document that a person must decide on first.
    pub fn blocked_by(&self) -> Option<ReceiptId> {
        locked(&self.facts).blocked.first().copied()
    }

    /// Documents that a person must decide on.
    pub fn blocked_count(&self) -> usize {
        locked(&self.facts).blocked.len()
    }

    /// Nothing is printed until a person decided on this document.
    pub fn block(&self, id: ReceiptId) {
        let mut facts = locked(&self.facts);
        facts.unresolved.remove(&id);
        facts.blocked.insert(id);
    }

    /// A person decided.
    pub fn unblock(&self, id: ReceiptId) {
        locked(&self.facts).blocked.remove(&id);
    }

    /// Documents of which the device must be asked before it prints anything, oldest first.
    pub fn unresolved(&self) -> Vec<ReceiptId> {
        locked(&self.facts).unresolved.iter().copied().collect()
    }

    /// The device must be asked about this document.
    pub fn doubt(&self, id: ReceiptId) {
        let mut facts = locked(&self.facts);
        // A blocked one is past asking.
        if !facts.blocked.contains(&id) {
            facts.unresolved.insert(id);
        }
    }

    /// It was asked.
    pub fn resolve(&self, id: ReceiptId) {
        locked(&self.facts).unresolved.remove(&id);
    }

    /// There are `buffered` documents, or may be. The first try again comes after the first pause.
    pub fn expect_backlog(&self, now: Instant, options: &Options) {
        let mut facts = locked(&self.facts);
        facts.backlog = true;
        if facts.retry_at.is_none() {
            facts.retry_at = Some(now + options.retry_first);
        }
    }

    /// Takes the note that there are `buffered` documents; whoever takes it looks for them.
    pub fn take_backlog(&self) -> bool {
        std::mem::take(&mut locked(&self.facts).backlog)
    }

    /// It printed: what waits is tried now. Answers whether anything waits.
    pub fn works(&self) -> bool {
        let mut facts = locked(&self.facts);
        if facts.trouble.take().is_some() {
            tracing::info!(device = %self.id, "the device prints again");
        }
        facts.failures = 0;
        facts.retry_at = None;
        facts.backlog
    }

    /// It did not print.
    pub fn fails(&self, why: &str, now: Instant, options: &Options) {
        let mut facts = locked(&self.facts);
        if facts.trouble.as_deref() != Some(why) {
            tracing::warn!(device = %self.id, why, "the device does not print");
            facts.trouble = Some(why.into());
        }
        facts.failures = facts.failures.saturating_add(1);
        let doublings = facts.failures.saturating_sub(1).min(16);
        let pause = options.retry_first.saturating_mul(1 << doublings).min(options.retry_max);
        facts.retry_at = Some(now + pause);
    }

    /// Whether the background should try to settle or print what waits.
    pub fn is_retry_due(&self, now: Instant) -> bool {
        let facts = locked(&self.facts);
        facts.blocked.is_empty()
            && (facts.backlog || !facts.unresolved.is_empty())
            && facts.is_pause_over(now)
    }

    /// Whether a pause after a failure is over.
    pub fn is_pause_over(&self, now: Instant) -> bool {
        locked(&self.facts).is_pause_over(now)
    }

    /// The device for people.
    pub fn view(&self) -> DeviceView {
        let facts = locked(&self.facts);
        DeviceView {
            device: self.id.clone(),
            trouble: facts.trouble.clone(),
            blocked_by: facts.blocked.first().copied(),
            unprinted: self.unprinted.load(Relaxed),
        }
    }
}

impl Facts {
    fn is_pause_over(&self, now: Instant) -> bool {
        self.retry_at.is_none_or(|at| at <= now)
    }
}

/// The devices in use. As many as the fleet allows.
#[derive(Default)]
pub struct Devices(Mutex<HashMap<DeviceId, Arc<Device>>>);

impl Devices {
    /// The device of this name.
    pub fn get(&self, id: &DeviceId) -> Arc<Device> {
        let mut map = locked(&self.0);
        if let Some(device) = map.get(id) {
            return Arc::clone(device);
        }
        let device = Arc::new(Device::new(id.clone()));
        map.insert(id.clone(), Arc::clone(&device));
        device
    }

    /// All of them, by name.
    pub fn all(&self) -> Vec<Arc<Device>> {
        let mut all: Vec<_> = locked(&self.0).values().cloned().collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        all
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Mutex;

    struct Hands(Mutex<(Duration, Timestamp)>);

    impl Clock for Hands {
        fn monotonic(&self) -> Monotonic {
            Monotonic(locked(&self.0).0)
        }
        fn wall(&self) -> Timestamp {
            locked(&self.0).1
        }
    }

    // P9: the shift's deadline.
    #[test]
    fn a_clock_that_is_set_closes_no_shift_early_and_keeps_none_open() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let minutes = |count: u64| Duration::from_secs(count * 60);
        // By the clock of the KKT: an hour ago; years ago, so one of the clocks is wrong.
        for (since, left) in
            [("2026-11-26T09:00:00Z", 22 * 60 + 30_u64), ("2016-11-26T09:00:00Z", 23 * 60 + 30)]
        {
            let clock = Hands(Mutex::new((minutes(500), at("2026-11-26T10:00:00Z"))));
            let open = ShiftState::Open { number: 7, since: at(since), receipts: 1 };
            let mut bench = Bench { shift: Some(open), seen: None };
            let mut due = |passed: u64, wall: &str| {
                *locked(&clock.0) = (minutes(500 + passed), at(wall));
                bench.is_shift_due(&clock, &Options::default())
            };
            assert!(!due(0, "2026-11-26T10:00:00Z"));
            assert!(!due(1, "2036-11-26T10:00:00Z"), "ten years ahead");
            assert!(!due(left - 1, "2016-11-26T10:00:00Z"), "ten years back");
            assert!(due(left, "2016-11-26T10:00:00Z"), "its time has come although the clock is back");
        }
    }
}
