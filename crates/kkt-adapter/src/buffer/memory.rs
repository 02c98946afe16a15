//! The buffer without a disk: the same rules over plain maps. It is the model that the SQLite buffer is tested
//! against, and the buffer of the deterministic simulation: no thread, no time of its own, no randomness.
//!
//! A write takes effect at its call. With [`MemoryBuffer::hold`] writes gather instead, as in front of a slow
//! disk, until [`MemoryBuffer::release`]; [`MemoryBuffer::crash`] loses those that gathered, as a real crash
//! loses what was never answered; [`MemoryBuffer::fail`] is a disk that breaks, [`MemoryBuffer::refuse`] one that is full
//! for a batch and then goes on.

use super::{
    books::{Books, Column, Move},
    gate::Gate,
    rules::{self, Document, Settled},
};
use crate::{
    domain::{
        document::Outgoing,
        entry::{AuditEvent, Change, Entry, NewEntry, Settlement},
        ids::{DeviceId, ReceiptId},
        lifecycle::State,
        receipt::Receipt,
    },
    ports::{
        Appended, Buffer, BufferError, Clock, ListFilter, ListPage, Lookup, NEXT_BYTES, Oldest, Pending,
        Place, Stats, StoreHealth,
    },
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    future::ready,
    ops::Range,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::oneshot;

#[derive(Debug, Clone)]
struct Row {
    document: Document,
    receipt: Option<Receipt>,
    wire: Option<Vec<u8>>,
}

#[derive(Debug, Default)]
struct World {
    /// In the order of acceptance.
    rows: BTreeMap<u64, Row>,
    by_id: BTreeMap<ReceiptId, u64>,
    by_key: BTreeMap<String, u64>,
    last_fd: BTreeMap<DeviceId, u32>,
    audit: Vec<AuditEvent>,
    next_seq: u64,
}

/// Done later, or told that it will not be.
type Held = Box<dyn FnOnce(&mut World, Option<BufferError>) + Send>;

#[derive(Default)]
struct Inner {
    world: World,
    held: Option<VecDeque<Held>>,
    /// Of the writes to come, counted from the next one, these are refused.
    refused: Range<usize>,
    failed: Option<String>,
    closed: bool,
}

/// A buffer in memory.
pub struct MemoryBuffer {
    inner: Arc<Mutex<Inner>>,
    gate: Arc<Gate>,
    clock: Arc<dyn Clock>,
}

impl MemoryBuffer {
    /// An empty one.
    #[must_use]
    pub fn new(capacity: u64, clock: Arc<dyn Clock>) -> Self {
        Self { inner: Arc::default(), gate: Gate::new(capacity, Books::default()), clock }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // A panic in a test is reported by that test.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// From now on writes gather until `release`.
    pub fn hold(&self) {
        self.lock().held.get_or_insert_default();
    }

    /// Carries out the writes that gathered, in their order; from now on writes take effect at once.
    pub fn release(&self) {
        let mut inner = self.lock();
        for write in inner.held.take().unwrap_or_default() {
            inner.carry_out(write);
        }
    }

    /// Carries out at most `count` of the writes that gathered; says how many are left.
    pub fn release_some(&self, count: usize) -> usize {
        let mut inner = self.lock();
        let Some(mut held) = inner.held.take() else { return 0 };
        for write in held.drain(..count.min(held.len())) {
            inner.carry_out(write);
        }
        let left = held.len();
        inner.held = Some(held);
        left
    }

    /// The disk is full for a moment: of the writes that would take effect from now on, those at these places (0 is the
    /// next one) are refused with `Full` and change nothing.
    pub fn refuse(&self, writes: Range<usize>) {
        self.lock().refused = writes;
    }

    /// A crash and a restart: writes that gathered are lost, all that was answered is there.
    pub fn crash(&self) {
        let mut inner = self.lock();
        for write in inner.held.take().unwrap_or_default() {
            write(&mut inner.world, Some(BufferError::Failed("crashed".into())));
        }
        inner.refused = 0..0;
        inner.failed = None;
        inner.closed = false;
        let mut books = Books::default();
        let moves: Vec<Move> = inner
            .world
            .rows
            .values()
            .map(|row| Move {
                pos_id: row.document.pos_id.clone(),
                from: None,
                to: Some(Column::of(&row.document)),
            })
            .collect();
        books.apply(&moves);
        self.gate.replace(books);
    }

    /// The storage breaks: nothing is acknowledged any more until `crash`.
    pub fn fail(&self, why: &str) {
        let mut inner = self.lock();
        inner.failed = Some(why.into());
        for write in inner.held.take().unwrap_or_default() {
            write(&mut inner.world, Some(BufferError::Failed(why.into())));
        }
    }

    /// As `SqliteBuffer::prune`.
    pub fn prune(
        &self,
        now: Timestamp,
        retention: Duration,
        dlq_retention: Duration,
        slice: usize,
    ) -> Pending<usize> {
        let before = |age: Duration| now.checked_sub(age).unwrap_or(Timestamp::MIN);
        let (settled_before, dead_before) = (before(retention), before(dlq_retention));
        self.write(None, move |world, _, _| {
            let prunable: Vec<u64> = world
                .rows
                .iter()
                .filter(|(_, row)| row.document.is_prunable(settled_before, dead_before))
                .map(|(seq, _)| *seq)
                .take(slice.clamp(1, 1_000))
                .collect();
            for seq in &prunable {
                if let Some(row) = world.rows.get_mut(seq) {
                    row.document.kept = false;
                    row.receipt = None;
                    row.wire = None;
                }
            }
            Ok(prunable.len())
        })
    }

    fn write<T: Send + 'static>(
        &self,
        place: Option<Place>,
        write: impl FnOnce(&mut World, Timestamp, &mut Vec<Move>) -> Result<T, BufferError> + Send + 'static,
    ) -> Pending<T> {
        let mut inner = self.lock();
        if inner.closed || inner.failed.is_some() {
            let why = inner.failed.clone().unwrap_or_else(|| "the store is closed".into());
            drop(inner);
            return Box::pin(ready(Err(BufferError::Failed(why))));
        }
        let (answer, answered) = oneshot::channel();
        let (gate, clock) = (Arc::clone(&self.gate), Arc::clone(&self.clock));
        let held: Held = Box::new(move |world, lost| {
            let result = match lost {
                Some(error) => Err(error),
                None => {
                    let mut moves = Vec::new();
                    let result = write(world, clock.wall(), &mut moves);
                    gate.book(&moves);
                    result
                }
            };
            drop(place);
            // Nobody listening any more does not take the write back.
            let _ = answer.send(result);
        });
        match &mut inner.held {
            Some(queue) => queue.push_back(held),
            None => inner.carry_out(held),
        }
        Box::pin(async move {
            answered.await.unwrap_or_else(|_| Err(BufferError::Failed("the store is gone".into())))
        })
    }

    fn read<T>(&self, read: impl FnOnce(&World) -> T) -> Result<T, BufferError> {
        let inner = self.lock();
        if inner.closed {
            return Err(BufferError::Failed("the store is closed".into()));
        }
        Ok(read(&inner.world))
    }
}

impl Inner {
    fn carry_out(&mut self, write: Held) {
        let is_refused = self.refused.contains(&0);
        self.refused = self.refused.start.saturating_sub(1)..self.refused.end.saturating_sub(1);
        let refusal = is_refused.then(|| BufferError::Full {
            reason: "диск заполнен / the disk is full".into(),
            retry_after: Duration::from_secs(60),
        });
        write(&mut self.world, refusal);
    }
}

impl World {
    fn row_mut(&mut self, id: ReceiptId) -> Option<&mut Row> {
        let seq = self.by_id.get(&id)?;
        self.rows.get_mut(seq)
    }

    fn append(&mut self, new: NewEntry, print_now: bool, now: Timestamp, moves: &mut Vec<Move>) -> Appended {
        let known = self.by_key.get(new.key.as_str()).or_else(|| self.by_id.get(&new.id));
        if let Some(row) = known.and_then(|seq| self.rows.get(seq)) {
            return Appended::Known(Box::new(row.entry()));
        }
        let (document, receipt, audit) = rules::accept(new, print_now, now);
        self.next_seq += 1;
        self.by_id.insert(document.id, self.next_seq);
        self.by_key.insert(document.key.as_str().to_owned(), self.next_seq);
        moves.push(Move { pos_id: document.pos_id.clone(), from: None, to: Some(Column::of(&document)) });
        self.rows.insert(self.next_seq, Row { document, receipt, wire: None });
        self.audit.extend(audit);
        Appended::Stored
    }

    fn apply(
        &mut self,
        id: ReceiptId,
        change: Change,
        now: Timestamp,
        moves: &mut Vec<Move>,
    ) -> Result<(), BufferError> {
        let row = self.row_mut(id).ok_or(BufferError::NotFound)?;
        let from = Some(Column::of(&row.document));
        let changed = rules::change(&mut row.document, change, now)?;
        moves.push(Move { pos_id: row.document.pos_id.clone(), from, to: Some(Column::of(&row.document)) });
        if let Some(wire) = changed.wire {
            row.wire = Some(wire);
            if let Some(fd) = row.document.fd().filter(|fd| *fd <= rules::FD_MAX) {
                let device = row.document.device.clone();
                let last = self.last_fd.entry(device).or_default();
                *last = (*last).max(fd);
            }
        }
        self.audit.push(changed.audit);
        Ok(())
    }

    fn settle(&mut self, outcomes: Vec<Settlement>, now: Timestamp, moves: &mut Vec<Move>) {
        for Settlement { id, outcome } in outcomes {
            let Some(row) = self.row_mut(id) else { continue };
            let from = Some(Column::of(&row.document));
            match rules::settle(&mut row.document, outcome, now) {
                Settled::Skipped => {}
                Settled::AuditOnly(line) => self.audit.push(line),
                Settled::Changed(line) => {
                    let to = Some(Column::of(&row.document));
                    moves.push(Move { pos_id: row.document.pos_id.clone(), from, to });
                    self.audit.push(line);
                }
            }
        }
    }

    fn list(&self, filter: &ListFilter) -> Result<ListPage, BufferError> {
        let limit = filter.limit.clamp(1, 1_000);
        let after = match filter.cursor {
            Some(cursor) => Some(*self.by_id.get(&cursor).ok_or(BufferError::NotFound)?),
            None => None,
        };
        let shown = |row: &&Row| {
            let document = &row.document;
            filter.pos_ids.as_ref().is_none_or(|own| own.contains(&document.pos_id))
                && filter.fd.is_none_or(|fd| document.fd() == Some(fd))
                && filter.device.as_ref().is_none_or(|device| *device == document.device)
                && filter.state.is_none_or(|state| state == document.state)
                && (filter.state != Some(State::Dead) || filter.resolved || document.resolved.is_none())
        };
        let rows: Box<dyn Iterator<Item = &Row>> = match (filter.ascending, after) {
            (true, Some(after)) => Box::new(self.rows.range(after + 1..).map(|(_, row)| row)),
            (true, None) => Box::new(self.rows.values()),
            (false, Some(after)) => Box::new(self.rows.range(..after).rev().map(|(_, row)| row)),
            (false, None) => Box::new(self.rows.values().rev()),
        };
        let mut entries: Vec<Entry> = rows.filter(shown).take(limit + 1).map(Row::entry).collect();
        let more = entries.len() > limit;
        entries.truncate(limit);
        let next = entries.last().filter(|_| more).map(|entry| entry.id);
        Ok(ListPage { entries, next })
    }

    fn next(&self, device: &DeviceId, after_fd: Option<u32>, limit: usize) -> Vec<Outgoing> {
        let of_device = self.rows.values().filter(|row| row.document.device == *device);
        let mut lane: Vec<Outgoing> = of_device.filter_map(Row::outgoing).collect();
        lane.retain(|document| after_fd.is_none_or(|after| document.fd > after));
        lane.sort_by_key(|document| document.fd);
        lane.truncate(limit);
        let mut bytes = 0;
        lane.retain(|document| {
            let is_room = bytes < NEXT_BYTES;
            bytes += document.wire.len();
            is_room
        });
        lane
    }
}

impl Row {
    fn entry(&self) -> Entry {
        self.document.clone().into_entry(self.receipt.clone())
    }

    fn oldest(&self) -> Option<Oldest> {
        let document = &self.document;
        Some(Oldest {
            id: document.id,
            pos_id: document.pos_id.clone(),
            device: document.device.clone(),
            fd: document.fd(),
            state: document.state,
            printed_at: document.printed_at?,
        })
    }

    fn outgoing(&self) -> Option<Outgoing> {
        let document = &self.document;
        (document.state == State::Printed).then_some(())?;
        Some(Outgoing {
            id: document.id,
            pos_id: document.pos_id.clone(),
            device: document.device.clone(),
            fd: document.fd()?,
            attempts: document.attempts,
            request_id: document.request_id.clone(),
            wire: self.wire.clone()?,
        })
    }
}

#[async_trait]
impl Buffer for MemoryBuffer {
    fn reserve(&self) -> Result<Place, BufferError> {
        if let Some(why) = &self.lock().failed {
            return Err(BufferError::Failed(why.clone()));
        }
        self.gate.reserve()
    }

    fn reserve_own(&self) -> Result<Place, BufferError> {
        self.gate.reserve_own()
    }

    fn append(&self, place: Place, entry: NewEntry, print_now: bool) -> Pending<Appended> {
        self.write(Some(place), move |world, now, moves| Ok(world.append(entry, print_now, now, moves)))
    }

    fn apply(&self, id: ReceiptId, change: Change) -> Pending<()> {
        self.write(None, move |world, now, moves| world.apply(id, change, now, moves))
    }

    fn settle(&self, outcomes: Vec<Settlement>) -> Pending<()> {
        self.write(None, move |world, now, moves| {
            world.settle(outcomes, now, moves);
            Ok(())
        })
    }

    fn record(&self, event: AuditEvent) -> Pending<()> {
        self.write(None, move |world, _, _| {
            world.audit.push(AuditEvent { at: rules::stamp(event.at), ..event });
            Ok(())
        })
    }

    async fn find(&self, by: Lookup) -> Result<Option<Entry>, BufferError> {
        self.read(|world| {
            let seq = match &by {
                Lookup::Id(id) => world.by_id.get(id),
                Lookup::Key(key) => world.by_key.get(key.as_str()),
            };
            seq.and_then(|seq| world.rows.get(seq)).map(Row::entry)
        })
    }

    async fn list(&self, filter: ListFilter) -> Result<ListPage, BufferError> {
        self.read(|world| world.list(&filter))?
    }

    async fn next(
        &self,
        device: &DeviceId,
        after_fd: Option<u32>,
        limit: usize,
    ) -> Result<Vec<Outgoing>, BufferError> {
        self.read(|world| world.next(device, after_fd, limit))
    }

    async fn devices_pending(&self) -> Result<Vec<DeviceId>, BufferError> {
        self.read(|world| {
            let printed = world.rows.values().filter(|row| row.document.state == State::Printed);
            printed.map(|row| row.document.device.clone()).collect::<BTreeSet<_>>().into_iter().collect()
        })
    }

    async fn devices(&self) -> Result<Vec<DeviceId>, BufferError> {
        self.read(|world| {
            let all = world.rows.values().map(|row| row.document.device.clone());
            all.collect::<BTreeSet<_>>().into_iter().collect()
        })
    }

    async fn last_fd(&self, device: &DeviceId) -> Result<Option<u32>, BufferError> {
        self.read(|world| world.last_fd.get(device).copied())
    }

    async fn audit(&self, subject: Option<String>, limit: usize) -> Result<Vec<AuditEvent>, BufferError> {
        self.read(|world| {
            let lines = world.audit.iter().rev();
            lines
                .filter(|line| subject.as_ref().is_none_or(|s| *s == line.subject))
                .take(limit)
                .cloned()
                .collect()
        })
    }

    async fn stats(&self) -> Result<Stats, BufferError> {
        let oldest = self.read(|world| {
            let unconfirmed = world.rows.values().filter(|row| row.document.is_unconfirmed());
            unconfirmed.filter_map(Row::oldest).min_by_key(|oldest| oldest.printed_at)
        })?;
        let figures = self.gate.figures();
        Ok(Stats {
            capacity: figures.capacity,
            used: figures.used,
            total: figures.total,
            per_pos: figures.per_pos,
            oldest_unconfirmed: oldest.as_ref().map(|oldest| oldest.printed_at),
            oldest,
            damaged: 0,
            damaged_open: 0,
        })
    }

    fn health(&self) -> StoreHealth {
        let inner = self.lock();
        StoreHealth {
            ok: inner.failed.is_none() && !inner.closed,
            kind: "memory",
            mode: "memory",
            error: inner.failed.clone(),
            refuses: match &inner.failed {
                Some(why) => {
                    Some(format!("хранилище чеков не работает: {why} / the storage has failed: {why}"))
                }
                None => match self.gate.check() {
                    Err(BufferError::Full { reason, .. }) => Some(reason),
                    other => other.err().map(|error| error.to_string()),
                },
            },
            disk: None,
        }
    }

    async fn close(&self) {
        self.release();
        self.lock().closed = true;
    }
}
