//! What phase 1 does unasked: prints what a device refused once it is back, changes shifts before 24 hours,
//! cancels what was never answered. Each device has a task of its own, so that one that hangs delays no other.

use super::{
    Room,
    device::Device,
    print::{Ended, Job},
    refusal::Refusal,
};
use crate::{
    domain::{
        document::DocumentKind,
        entry::{Actor, Change},
        ids::PosId,
        lifecycle::State,
    },
    ports::{BufferError, ListFilter, ShiftState, SteadyWall},
};
use jiff::Timestamp;
use std::sync::{Arc, atomic::Ordering::Relaxed};
use tokio::time::{Instant, MissedTickBehavior};

/// Rows read at once.
const PAGE: usize = 32;
/// Devices whose shift is looked at for the first time in one round.
const FIRST_LOOKS: usize = 16;

/// Marks a device as cared for, until it is dropped.
struct Care {
    room: Arc<Room>,
    device: Arc<Device>,
}

impl Drop for Care {
    fn drop(&mut self) {
        let Self { room, device } = self;
        if std::thread::panicking() {
            // What was being printed is in doubt; what else waits is looked for again, after a pause.
            let why = "внутренняя ошибка драйвера / an internal error of the driver";
            tracing::error!(device = %device.id, "the background's work at a device ended early");
            room.note(device, Refusal::Device(why.into()));
        }
        device.in_care.store(false, Relaxed);
    }
}

impl Room {
    /// Looks after the devices until the gate is closed.
    pub(super) async fn background(self: Arc<Self>) {
        let mut tick = tokio::time::interval(self.options.tick);
        tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let wall = SteadyWall::new(&*self.clock);
        let mut forgotten_at = Instant::now() + self.options.forgotten_every;
        loop {
            tokio::select! {
                biased;
                () = self.gate.closed() => return,
                () = self.nudge.notified() => {}
                _ = tick.tick() => {}
            }
            self.look_round();
            if forgotten_at <= Instant::now() {
                forgotten_at = Instant::now() + self.options.forgotten_every;
                if let Err(error) = self.cancel_forgotten(wall.now(&*self.clock)).await {
                    tracing::warn!(%error, "forgotten documents could not be cancelled");
                }
            }
        }
    }

    fn look_round(self: &Arc<Self>) {
        let now = Instant::now();
        let mut first_looks = FIRST_LOOKS;
        for device in self.devices.all() {
            let needs_care = device.is_retry_due(now) || self.needs_shift(&device, now, &mut first_looks);
            if needs_care && !device.in_care.swap(true, Relaxed) {
                let care = Care { room: Arc::clone(self), device };
                tokio::spawn(Arc::clone(self).care(care));
            }
        }
    }

    fn needs_shift(&self, device: &Device, now: Instant, first_looks: &mut usize) -> bool {
        if !device.is_pause_over(now) || device.blocked_by().is_some() {
            return false;
        }
        let Some(bench) = device.try_lock() else { return false };
        match bench.shift {
            Some(shift) => shift.is_due(self.clock.monotonic(), &self.options),
            None if *first_looks > 0 && !device.looked_at.load(Relaxed) => {
                *first_looks -= 1;
                true
            }
            None => false,
        }
    }

    async fn care(self: Arc<Self>, care: Care) {
        let Ok(_inside) = self.gate.enter(usize::MAX) else { return };
        let device = &care.device;
        let ended = async {
            self.settle_and_change_shift(device).await?;
            device.looked_at.store(true, Relaxed);
            // Whoever had the lock before may have failed meanwhile, and then what waits has a pause before it.
            if device.is_pause_over(Instant::now()) {
                self.print_backlog(device).await?;
                device.answers();
            }
            Ok::<(), Refusal>(())
        };
        if let Err(refusal) = ended.await {
            self.note(device, refusal);
        }
    }

    /// Settles what is in doubt and closes a shift that is old enough. It is opened again if anything was sold
    /// in it; an idle device's opens with its next sale, so that it makes no empty shifts for ever.
    async fn settle_and_change_shift(self: &Arc<Self>, device: &Arc<Device>) -> Result<(), Refusal> {
        let mut bench = self.lock(device).await.ok_or(Refusal::Busy)?;
        self.settle(&mut bench, device).await?;
        let shift = self.shift_of(&mut bench, device).await?;
        if !shift.is_due(self.clock.monotonic(), &self.options) {
            return Ok(());
        }
        let Some(pos_id) = self.pos_of(device).await? else { return Ok(()) };
        let was_used = !matches!(shift.state, ShiftState::Open { receipts: 0, .. });
        let (_, closed) = self.shift_document(&mut bench, device, &pos_id, DocumentKind::ShiftClose).await?;
        match closed {
            Ended::Printed(_) if was_used => self.make_ready(&mut bench, device, &pos_id).await,
            Ended::Printed(_) | Ended::Changed => Ok(()),
            Ended::Kept(refusal) | Ended::Waiting(refusal) => Err(refusal),
        }
    }

    /// Under which till's name the shift documents of a device go.
    async fn pos_of(&self, device: &Device) -> Result<Option<PosId>, BufferError> {
        if let Some(pos_id) = device.pos_id() {
            return Ok(Some(pos_id));
        }
        let filter = ListFilter { device: Some(device.id.clone()), limit: 1, ..ListFilter::default() };
        Ok(self.buffer.list(filter).await?.entries.into_iter().next().map(|entry| entry.pos_id))
    }

    /// Prints what waits, in the order of acceptance, a document at a time: sales come in between. Stops at the
    /// first that is not printed, which is noted.
    async fn print_backlog(self: &Arc<Self>, device: &Arc<Device>) -> Result<(), Refusal> {
        if !device.take_backlog() {
            return Ok(());
        }
        let mut cursor = None;
        loop {
            let filter = ListFilter {
                device: Some(device.id.clone()),
                state: Some(State::Buffered),
                ascending: true,
                cursor,
                limit: PAGE,
                ..ListFilter::default()
            };
            let page = self.buffer.list(filter).await?;
            for entry in page.entries {
                if self.gate.is_closed() {
                    return Ok(());
                }
                let job = Job::of(entry);
                if job.kind != DocumentKind::Receipt || job.receipt.is_none() {
                    self.set_aside(device, &job).await?;
                    continue;
                }
                let bench = self.lock(device).await.ok_or(Refusal::Busy)?;
                if let Ended::Kept(_) | Ended::Waiting(_) = self.print(bench, device, &job, false).await? {
                    return Ok(());
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }

    async fn set_aside(&self, device: &Device, job: &Job) -> Result<(), BufferError> {
        if job.kind == DocumentKind::Receipt {
            tracing::error!(device = %device.id, document = %job.id, "a receipt that was not printed has no body");
            return Ok(());
        }
        self.leave_unprinted(device, job).await
    }

    /// Cancels `accepted` documents whose till never came back for a day: nobody was answered, nothing printed.
    pub(super) async fn cancel_forgotten(&self, now: Timestamp) -> Result<(), BufferError> {
        let mut cursor = None;
        loop {
            let filter = ListFilter {
                state: Some(State::Accepted),
                ascending: true,
                cursor,
                limit: PAGE,
                ..ListFilter::default()
            };
            let page = self.buffer.list(filter).await?;
            for entry in page.entries {
                let age = now.duration_since(entry.created_at);
                // One with a stamp of the future was taken under a clock that was wrong: its neighbours were not.
                if age.is_negative() || age.unsigned_abs() < self.options.accepted_age {
                    continue;
                }
                if self.keys.contains(&entry.key) {
                    continue;
                }
                let why = "never answered, and its till did not come back for a day".into();
                match self.buffer.apply(entry.id, Change::Cancel { by: Actor::system(), why }).await {
                    Ok(()) => self.devices.get(&entry.device).count_printed(),
                    Err(BufferError::NotAllowed { .. }) => {}
                    Err(error) => return Err(error),
                }
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(());
            }
        }
    }
}
