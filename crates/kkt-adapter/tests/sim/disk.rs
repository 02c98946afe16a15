//! The buffer on a simulated disk: the model in memory, whose writes gather, become durable together a while later, and
//! are answered a while after that. What had not become durable dies with the process.

use super::{scenario::Sabotage, world::World};
use async_trait::async_trait;
use kkt_adapter::{
    buffer::MemoryBuffer,
    domain::{
        document::{DocumentKind, Outgoing},
        entry::{Actor, AuditEvent, Change, Entry, NewEntry, SendOutcome, Settlement},
        ids::{DeviceId, ReceiptId},
        lifecycle::{State, Step},
    },
    ports::{
        Appended, Buffer, BufferError, ListFilter, ListPage, Lookup, Pending, Place, Stats, StoreHealth,
    },
};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};
use tokio::sync::Notify;

/// A write on its way to the disk.
enum Write {
    Append { id: ReceiptId, key: String, device: DeviceId, kind: DocumentKind, print_now: bool },
    Step(ReceiptId, Step, Actor),
    Settle(Vec<(ReceiptId, Step)>),
    Record(String),
}

pub struct Disk {
    world: Arc<World>,
    memory: MemoryBuffer,
    /// As many as the memory holds back, in the same order.
    queue: Mutex<VecDeque<Write>>,
    arrived: Notify,
    committed: Notify,
}

impl Disk {
    pub fn new(world: Arc<World>, memory: MemoryBuffer) -> Arc<Self> {
        memory.hold();
        Arc::new(Self {
            world,
            memory,
            queue: Mutex::default(),
            arrived: Notify::new(),
            committed: Notify::new(),
        })
    }

    /// Every row, oldest first.
    pub fn entries(&self) -> Vec<Entry> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (mut entries, mut cursor) = (Vec::new(), None);
        loop {
            let filter = ListFilter { ascending: true, limit: 1_000, cursor, ..ListFilter::default() };
            let page = runtime.block_on(self.memory.list(filter)).unwrap();
            entries.extend(page.entries);
            cursor = page.next;
            if cursor.is_none() {
                return entries;
            }
        }
    }

    /// The process died.
    pub fn crash(&self) {
        let lost = self.queue.lock().unwrap().drain(..).count();
        if lost > 0 {
            self.world.tell("disk", format_args!("{lost} writes were not durable and are gone"));
        }
        self.memory.crash();
        self.memory.hold();
    }

    /// From now on nothing can be written, until a restart.
    pub fn breaks(&self) {
        self.world.tell("disk", format_args!("breaks"));
        self.queue.lock().unwrap().clear();
        self.memory.fail("EIO");
    }

    /// Carries out the writes, a commit at a time, for ever.
    pub async fn run(self: Arc<Self>) {
        loop {
            if self.queue.lock().unwrap().is_empty() {
                self.arrived.notified().await;
                continue;
            }
            let count = self.queue.lock().unwrap().len();
            let slowest = if self.world.scenario.slow_disk { 3_000 } else { 8 };
            tokio::time::sleep(self.world.millis(0, slowest)).await;
            let is_refused = self.refuses();
            if is_refused {
                self.memory.refuse(0..count);
            }
            self.memory.release_some(count);
            let writes: Vec<Write> = {
                let mut queue = self.queue.lock().unwrap();
                let count = count.min(queue.len());
                queue.drain(..count).collect()
            };
            if is_refused {
                self.world.count("batches refused");
                self.world.tell("disk", format_args!("is full: {} writes are refused", writes.len()));
            } else {
                writes.into_iter().for_each(|write| self.took_effect(write));
            }
            self.committed.notify_waiters();
        }
    }

    /// Whether it is full for this batch.
    fn refuses(&self) -> bool {
        let may = self.world.scenario.disk_refuses && !self.world.notes(|notes| notes.is_healed);
        may && self.world.chance(5)
    }

    fn took_effect(&self, write: Write) {
        let world = &self.world;
        match write {
            Write::Append { id, key, device, kind, print_now } => {
                let now = world.now();
                let is_known = world.notes(|notes| {
                    let known = notes.all().any(|(_, document)| document.key == key);
                    if !known {
                        let document = notes.of(id);
                        (document.key, document.device, document.kind) = (key.clone(), Some(device), kind);
                        document.taken_at = now;
                        document.state = Some(if print_now { State::Printing } else { State::Accepted });
                    }
                    known
                });
                if is_known {
                    return world.tell("buffer", format_args!("{key} is known"));
                }
                let state = if print_now { "printing" } else { "accepted" };
                world.tell("buffer", format_args!("{} ({key}): new → {state}", world.name(id)));
            }
            Write::Step(id, step, by) => {
                self.step(id, step);
                if step == Step::Cancel && by == Actor::system() {
                    self.cancelled_unasked(id);
                }
            }
            Write::Settle(outcomes) => outcomes.into_iter().for_each(|(id, step)| self.step(id, step)),
            Write::Record(what) => world.tell("buffer", format_args!("audit: {what}")),
        }
    }

    fn step(&self, id: ReceiptId, step: Step) {
        let name = self.world.name(id);
        match self.world.notes(|notes| notes.step(id, step)) {
            Some((old, new)) => {
                self.world.tell("buffer", format_args!("{name}: {} → {}", old.as_str(), new.as_str()));
                let may = self.world.document(id, |document| document.may_be_dead);
                if new == State::Dead && !may {
                    self.world.violation(format!("P2: {name} is dead, and the OFD never refused it"));
                }
            }
            None => self.world.tell("buffer", format_args!("{name}: {} came too late", step.as_str())),
        }
    }

    /// A sale nobody was answered about is cancelled after a day, by any clock but the one that jumps (P9).
    fn cancelled_unasked(&self, id: ReceiptId) {
        let age = self.world.now() - self.world.document(id, |document| document.taken_at);
        let is_receipt = self.world.document(id, |document| document.kind == DocumentKind::Receipt);
        let options = &self.world.scenario.fiscalize;
        // Over a restart nobody can know that the clock was set meanwhile.
        let least = if self.world.scenario.jumps { options.forgotten_every } else { options.accepted_age };
        if is_receipt && age < least {
            let name = self.world.name(id);
            self.world.violation(format!("P9: {name} was cancelled unasked at the age of {age:?}"));
        }
    }

    /// Queues a write beside the one that the memory holds back.
    fn write<T: Send + 'static>(&self, write: Write, pending: Pending<T>, eager: Option<T>) -> Pending<T> {
        if self.memory.health().ok {
            self.queue.lock().unwrap().push_back(write);
            self.arrived.notify_one();
        }
        let world = Arc::clone(&self.world);
        if let (Some(answer), Some(Sabotage::EagerBuffer)) = (eager, world.scenario.sabotage) {
            return Box::pin(std::future::ready(Ok(answer)));
        }
        Box::pin(async move {
            let result = pending.await;
            world.dawdle(3).await;
            result
        })
    }
}

#[async_trait]
impl Buffer for Disk {
    fn reserve(&self) -> Result<Place, BufferError> {
        self.memory.reserve()
    }

    fn reserve_own(&self) -> Result<Place, BufferError> {
        self.memory.reserve_own()
    }

    fn append(&self, place: Place, entry: NewEntry, print_now: bool) -> Pending<Appended> {
        let write = Write::Append {
            id: entry.id,
            key: if entry.kind == DocumentKind::Receipt { entry.key.to_string() } else { String::new() },
            device: entry.device.clone(),
            kind: entry.kind,
            print_now,
        };
        let write = match write {
            // Keys of our own are UUIDs, which differ from run to run.
            Write::Append { id, device, kind, print_now, .. } if kind != DocumentKind::Receipt => {
                let key = self.world.document(id, |document| {
                    document.kind = kind;
                    format!("own-{}", document.number)
                });
                Write::Append { id, key, device, kind, print_now }
            }
            other => other,
        };
        let pending = self.memory.append(place, entry, print_now);
        self.write(write, pending, Some(Appended::Stored))
    }

    fn apply(&self, id: ReceiptId, change: Change) -> Pending<()> {
        let by = match &change {
            Change::Cancel { by, .. } => by.clone(),
            _ => Actor::system(),
        };
        let write = Write::Step(id, change.step(), by);
        let pending = self.memory.apply(id, change);
        self.write(write, pending, Some(()))
    }

    fn settle(&self, outcomes: Vec<Settlement>) -> Pending<()> {
        let steps = outcomes.iter().map(|one| (one.id, one.outcome.step())).collect();
        debug_assert!(
            outcomes
                .iter()
                .all(|one| !matches!(&one.outcome, SendOutcome::Dead { error } if error.is_empty()))
        );
        let pending = self.memory.settle(outcomes);
        self.write(Write::Settle(steps), pending, Some(()))
    }

    fn record(&self, event: AuditEvent) -> Pending<()> {
        let what = format!("{} {} by {}", event.action, short(&event.subject), event.actor.0);
        let pending = self.memory.record(event);
        self.write(Write::Record(what), pending, Some(()))
    }

    async fn find(&self, by: Lookup) -> Result<Option<Entry>, BufferError> {
        self.world.dawdle(2).await;
        self.memory.find(by).await
    }

    async fn list(&self, filter: ListFilter) -> Result<ListPage, BufferError> {
        self.world.dawdle(2).await;
        self.memory.list(filter).await
    }

    async fn next(
        &self,
        device: &DeviceId,
        after_fd: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Outgoing>, BufferError> {
        self.world.dawdle(2).await;
        let mut lane = self.memory.next(device, after_fd, limit).await?;
        if self.world.scenario.sabotage == Some(Sabotage::ShuffledLane) {
            lane.reverse();
        }
        Ok(lane)
    }

    async fn devices_pending(&self) -> Result<Vec<DeviceId>, BufferError> {
        self.world.dawdle(2).await;
        self.memory.devices_pending().await
    }

    async fn devices(&self) -> Result<Vec<DeviceId>, BufferError> {
        self.memory.devices().await
    }

    async fn last_fd(&self, device: &DeviceId) -> Result<Option<u32>, BufferError> {
        self.memory.last_fd(device).await
    }

    async fn audit(&self, subject: Option<String>, limit: usize) -> Result<Vec<AuditEvent>, BufferError> {
        self.memory.audit(subject, limit).await
    }

    async fn stats(&self) -> Result<Stats, BufferError> {
        self.memory.stats().await
    }

    fn health(&self) -> StoreHealth {
        self.memory.health()
    }

    /// The process stops in good order: what is queued is written first.
    async fn close(&self) {
        while !self.queue.lock().unwrap().is_empty() {
            let committed = self.committed.notified();
            let _ = tokio::time::timeout(Duration::from_secs(10), committed).await;
        }
        self.memory.close().await;
    }
}

/// A breaker's key, or nothing where a UUID stands.
fn short(subject: &str) -> &str {
    if subject.starts_with("breaker:") { subject } else { "a document" }
}
