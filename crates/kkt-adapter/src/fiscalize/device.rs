//! What phase 1 holds of one device: its print lock and what is known of its trouble.

use super::{locked, options::Options, write::Write};
use crate::{
    domain::ids::{DeviceId, PosId, ReceiptId},
    ports::{Clock, DeviceView, KktDriver, Monotonic, ShiftState},
};
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

/// What only the holder of the print lock touches.
#[derive(Default)]
pub struct Bench {
    /// The shift as last heard of; `None`: ask.
    pub shift: Option<Shift>,
    /// The result of the document before, as long as nobody under the lock has waited for it to be written.
    pub last_write: Option<Arc<Write>>,
}

/// The print lock, held. FIFO: whoever asked first gets it first.
pub type BenchGuard = OwnedMutexGuard<Bench>;

/// A shift as the device told it, and how old it was then. From there on its age grows with the monotonic clock: whoever
/// sets the wall clock makes no shift older or younger (P9).
#[derive(Debug, Clone, Copy)]
pub struct Shift {
    /// What the device said.
    pub state: ShiftState,
    age: Duration,
    heard: Monotonic,
}

/// A shift lasts at most so long (ofd-protocol, «Offline law»).
const SHIFT_AGE_MAX: Duration = Duration::from_secs(24 * 3600);

impl Shift {
    /// Just heard. An age that no open shift can have says that the device's clock and ours disagree: then it is counted
    /// from now, and the device itself says when it has expired.
    pub fn heard(state: ShiftState, clock: &dyn Clock) -> Self {
        let age = match state {
            ShiftState::Open { since, .. } => Duration::try_from(clock.wall().duration_since(since)),
            _ => Ok(Duration::ZERO),
        };
        let age = age.ok().filter(|age| *age < SHIFT_AGE_MAX).unwrap_or_default();
        Self { state, age, heard: clock.monotonic() }
    }

    /// Whether it must be closed.
    pub fn is_due(&self, now: Monotonic, options: &Options) -> bool {
        match self.state {
            ShiftState::Closed { .. } => false,
            ShiftState::Expired { .. } => true,
            ShiftState::Open { .. } => self.age + now.since(self.heard) >= options.shift_age,
        }
    }
}

impl Bench {
    /// Waits until the result of the document before is written or refused; if it was refused, that document is in doubt
    /// from then on. The buffer keeps the order of the calls: once a later write has ended, so has this one.
    pub async fn last_written(&mut self) {
        if let Some(write) = &self.last_write {
            // Whoever queued it answers its till; here only the doubt counts.
            let _ = write.end().await;
            self.last_write = None;
        }
    }

    /// Whether a receipt may be printed without anything before it.
    pub fn is_ready(&self, device: &Device, now: Monotonic, options: &Options) -> bool {
        device.driver.get().is_some()
            && device.is_settled()
            && self.shift.is_some_and(|shift| {
                matches!(shift.state, ShiftState::Open { .. }) && !shift.is_due(now, options)
            })
    }
}

#[derive(Default)]
struct Facts {
    trouble: Option<String>,
    blocked: BTreeSet<ReceiptId>,
    /// In the order in which they came into doubt.
    unresolved: Vec<ReceiptId>,
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

    /// The printing of no other document than this one is in doubt.
    pub fn is_settled_but_for(&self, id: ReceiptId) -> bool {
        let facts = locked(&self.facts);
        facts.unresolved.iter().all(|one| *one == id) && facts.blocked.is_empty()
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
        locked(&self.facts).blocked.insert(id);
    }

    /// A person decided.
    pub fn unblock(&self, id: ReceiptId) {
        locked(&self.facts).blocked.remove(&id);
    }

    /// Documents of which the device must be asked before it prints anything, oldest first.
    pub fn unresolved(&self) -> Vec<ReceiptId> {
        locked(&self.facts).unresolved.clone()
    }

    /// The device must be asked about this document.
    pub fn doubt(&self, id: ReceiptId) {
        let mut facts = locked(&self.facts);
        // A blocked one is past asking.
        if !facts.blocked.contains(&id) && !facts.unresolved.contains(&id) {
            facts.unresolved.push(id);
        }
    }

    /// What became of it is known.
    pub fn resolve(&self, id: ReceiptId) {
        locked(&self.facts).unresolved.retain(|one| *one != id);
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

    /// It answers, and nothing waits for it: whatever was wrong with it is over as far as anybody can know.
    pub fn answers(&self) {
        let mut facts = locked(&self.facts);
        if facts.backlog || !facts.unresolved.is_empty() || !facts.blocked.is_empty() {
            return;
        }
        if facts.trouble.take().is_some() {
            tracing::info!(device = %self.id, "the device answers again");
        }
        facts.failures = 0;
        facts.retry_at = None;
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

    /// Whether the background should try to settle or print what waits. Whoever holds the print lock sees to what is in
    /// doubt: a document that is being printed right now is among that.
    pub fn is_retry_due(&self, now: Instant) -> bool {
        let facts = locked(&self.facts);
        facts.blocked.is_empty()
            && facts.is_pause_over(now)
            && (facts.backlog || (!facts.unresolved.is_empty() && self.print_lock.try_lock().is_ok()))
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

/// The devices in use. A name comes in with a document that has its place in the buffer, or once the fleet has opened
/// the device: so there are no more than the fleet and the buffer allow, whatever names tills invent.
#[derive(Default)]
pub struct Devices(Mutex<HashMap<DeviceId, Arc<Device>>>);

impl Devices {
    /// The device of this name, if it is in use already.
    pub fn known(&self, id: &DeviceId) -> Option<Arc<Device>> {
        locked(&self.0).get(id).cloned()
    }

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

    /// The driver of a device in use, if it was opened.
    pub fn driver(&self, id: &DeviceId) -> Option<Arc<dyn KktDriver>> {
        locked(&self.0).get(id)?.driver.get().cloned()
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
    use jiff::{SignedDuration, Timestamp};

    struct Still(Timestamp);

    impl Clock for Still {
        fn monotonic(&self) -> Monotonic {
            Monotonic(Duration::from_secs(1_000))
        }
        fn wall(&self) -> Timestamp {
            self.0
        }
    }

    // P5: they are settled in this order, and a lane sends what is settled at once.
    #[test]
    fn documents_in_doubt_keep_the_order_in_which_they_came_whatever_their_keys() {
        let device = Device::new("kkt-1".parse().unwrap());
        let ids: Vec<ReceiptId> =
            [3_u128, 1, 2].map(|n| uuid::Uuid::from_u128(n).to_string().parse().unwrap()).into();
        for id in [0, 1, 0, 2].map(|at: usize| ids[at]) {
            device.doubt(id);
        }
        assert_eq!(device.unresolved(), ids);
        device.block(ids[0]);
        device.unblock(ids[0]);
        assert_eq!(device.unresolved(), ids);
        device.resolve(ids[1]);
        assert!(!device.is_settled_but_for(ids[0]));
        device.resolve(ids[2]);
        assert!(device.is_settled_but_for(ids[0]) && !device.is_settled());
    }

    // P4: the background queued behind every printing would take the lock from the next sale.
    #[test]
    fn a_document_is_retried_only_once_whoever_prints_it_has_let_go_of_the_device() {
        let device = Device::new("kkt-1".parse().unwrap());
        let now = Instant::now();
        let bench = device.try_lock().unwrap();
        device.doubt(ReceiptId::new());
        assert!(!device.is_retry_due(now), "it is being printed");
        drop(bench);
        assert!(device.is_retry_due(now), "nobody saw to it");
        let _bench = device.try_lock().unwrap();
        device.expect_backlog(now, &Options { retry_first: Duration::ZERO, ..Options::default() });
        assert!(device.is_retry_due(now), "others wait as well");
    }

    fn due_after(age: SignedDuration) -> Duration {
        let since: Timestamp = "2026-03-02T08:00:00Z".parse().unwrap();
        let shift = Shift::heard(
            ShiftState::Open { number: 1, since, receipts: 0 },
            &Still(since.checked_add(age).unwrap()),
        );
        let options = Options::default();
        let minutes = (0..=24 * 60).map(|minute| Duration::from_secs(60 * minute));
        let heard = Duration::from_secs(1_000);
        minutes.into_iter().find(|later| shift.is_due(Monotonic(heard + *later), &options)).unwrap()
    }

    // P9
    #[test]
    fn a_shift_grows_old_by_the_monotonic_clock_and_a_wall_clock_that_is_years_off_makes_it_neither_old_nor_young()
     {
        let hours = SignedDuration::from_hours;
        let minutes = |minutes: u64| Duration::from_secs(60 * minutes);
        assert_eq!(due_after(hours(0)), minutes(23 * 60 + 30));
        assert_eq!(due_after(hours(20)), minutes(3 * 60 + 30));
        assert_eq!(due_after(hours(23) + SignedDuration::from_mins(45)), Duration::ZERO);
        // The device says that it is open, so it cannot be so old.
        assert_eq!(due_after(hours(24 * 3_652)), minutes(23 * 60 + 30));
        assert_eq!(due_after(-hours(24 * 3_652)), minutes(23 * 60 + 30));
    }
}
