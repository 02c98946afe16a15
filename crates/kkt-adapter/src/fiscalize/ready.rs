//! What must be true before a document is printed: the driver is open, no earlier document is in doubt, a shift
//! is open and young enough.

use super::{
    Room,
    device::{Bench, Device, Shift},
    print::{Ended, Job, Outcome},
    refusal::{Refusal, no_answer},
};
use crate::{
    domain::{
        document::DocumentKind,
        entry::{Actor, Change, NewEntry},
        ids::{DeviceId, PosId, ReceiptId},
        lifecycle::State,
        receipt::BodyHash,
    },
    ports::{Appended, BufferError, Found, KktDriver, KktError, Lookup, ShiftState},
};
use std::sync::Arc;
use tokio::time::timeout;

/// Shift documents that one receipt may need: a close, an open, and a second try of each.
const SHIFT_DOCUMENTS_MAX: usize = 4;

impl Room {
    /// Makes the bench ready for a receipt, or says why it cannot be.
    pub(super) async fn make_ready(
        self: &Arc<Self>,
        bench: &mut Bench,
        device: &Arc<Device>,
        pos_id: &PosId,
    ) -> Result<(), Refusal> {
        self.open_driver(device).await?;
        self.settle(bench, device).await?;
        for _ in 0..SHIFT_DOCUMENTS_MAX {
            let shift = self.shift_of(bench, device).await?;
            let kind = match shift.state {
                ShiftState::Closed { .. } => DocumentKind::ShiftOpen,
                _ if shift.is_due(self.clock.monotonic(), &self.options) => DocumentKind::ShiftClose,
                _ => return Ok(()),
            };
            match self.shift_document(bench, device, pos_id, kind).await?.1 {
                Ended::Printed(_) | Ended::Changed => {}
                Ended::Kept(refusal) | Ended::Waiting(refusal) => return Err(refusal),
            }
        }
        Err(Refusal::Device("смена не открывается / the shift does not open".into()))
    }

    /// Opens the driver at first use, an emulated ФН with its floor.
    pub(super) async fn open_driver(&self, device: &Device) -> Result<Arc<dyn KktDriver>, Refusal> {
        if let Some(driver) = device.driver.get() {
            return Ok(Arc::clone(driver));
        }
        let driver = self.driver_of(&device.id).await?;
        Ok(Arc::clone(device.driver.get_or_init(|| driver)))
    }

    /// The driver of a device that need not be in use yet.
    pub(super) async fn driver_of(&self, device: &DeviceId) -> Result<Arc<dyn KktDriver>, Refusal> {
        if let Some(last_fd) = self.buffer.last_fd(device).await? {
            self.fleet.floor(device, last_fd);
        }
        self.fleet.driver(device).map_err(|error| Refusal::Device(error.to_string()))
    }

    /// The shift, asked for if it is not known.
    pub(super) async fn shift_of(&self, bench: &mut Bench, device: &Device) -> Result<Shift, Refusal> {
        if let Some(shift) = bench.shift {
            return Ok(shift);
        }
        let within = self.options.find_timeout;
        let driver = self.open_driver(device).await?;
        match timeout(within, driver.shift()).await {
            Ok(Ok(state)) => {
                let shift = Shift::heard(state, &*self.clock);
                bench.shift = Some(shift);
                Ok(shift)
            }
            Ok(Err(KktError::NotPrinted(why) | KktError::Failed(why))) => Err(Refusal::Device(why)),
            Ok(Err(error)) => Err(Refusal::Device(error.to_string())),
            Err(_) => Err(Refusal::Device(no_answer(within))),
        }
    }

    /// Settles every document whose printing is in doubt, by asking, one after the other: the later one goes to the OFD
    /// after the earlier one. The device prints nothing before.
    pub(super) async fn settle(
        self: &Arc<Self>,
        bench: &mut Bench,
        device: &Arc<Device>,
    ) -> Result<(), Refusal> {
        if let Some(id) = device.blocked_by() {
            return Err(Refusal::Blocked(id));
        }
        for id in device.unresolved() {
            match self.buffer.find(Lookup::Id(id)).await {
                Ok(Some(entry)) if entry.state == State::Printing => {
                    bench.shift = None;
                    self.settle_one(device, Job::of(entry)).await?;
                }
                Ok(_) => {}
                // The buffer set it aside and raised its alarm; the device need not stand still for it.
                Err(error @ BufferError::Damaged(_)) => {
                    tracing::error!(device = %device.id, document = %id, %error, "a document in doubt is damaged");
                }
                Err(error) => return Err(error.into()),
            }
            device.resolve(id);
            if let Some(id) = device.blocked_by() {
                return Err(Refusal::Blocked(id));
            }
        }
        Ok(())
    }

    async fn settle_one(&self, device: &Arc<Device>, job: Job) -> Result<(), Refusal> {
        let driver = self.open_driver(device).await?;
        let outcome = match self.ask(&*driver, job.id).await {
            Ok(Found::Printed(doc)) => Outcome::Printed(doc),
            Ok(Found::NotPrinted) => {
                Outcome::NotPrinted("не напечатан, ответила касса / not printed, says the KKT".into())
            }
            Ok(Found::Unknown) => Outcome::Unknown("касса не знает / the KKT does not know".into()),
            Err(why) => return Err(Refusal::Unsettled(why)),
        };
        if let Some(write) = self.write(device, &job, &outcome) {
            match write.end().await {
                Ok(()) => {}
                // What was queued before this write settled it already.
                Err(BufferError::NotAllowed { .. }) => return Ok(()),
                Err(BufferError::Full { reason, .. }) => return Err(Refusal::Unwritten(job.id, reason)),
                Err(error) => return Err(error.into()),
            }
        }
        match outcome {
            Outcome::Printed(_) => {
                device.count_printed();
                self.wake(&device.id);
            }
            Outcome::NotPrinted(_) => self.leave_unprinted(device, &job).await?,
            _ => {}
        }
        Ok(())
    }

    /// A receipt that was not printed waits for its turn; a shift document is made anew when it is needed.
    pub(super) async fn leave_unprinted(&self, device: &Device, job: &Job) -> Result<(), BufferError> {
        if job.kind == DocumentKind::Receipt {
            device.expect_backlog(tokio::time::Instant::now(), &self.options);
            return Ok(());
        }
        let why = "the KKT did not make the shift document; a new one is made when it is needed".into();
        match self.buffer.apply(job.id, Change::Cancel { by: Actor::system(), why }).await {
            Ok(()) => {
                device.count_printed();
                Ok(())
            }
            Err(BufferError::NotAllowed { .. }) => Ok(()),
            Err(error) => {
                // The background comes upon it when it looks for what waits.
                device.expect_backlog(tokio::time::Instant::now(), &self.options);
                Err(error)
            }
        }
    }

    /// Makes a shift document, as an entry of its own: it has a ФД number and travels in the lane. A full buffer does not
    /// keep it from being made: what waits to be printed needs an open shift to leave the buffer (P7).
    pub(super) async fn shift_document(
        self: &Arc<Self>,
        bench: &mut Bench,
        device: &Arc<Device>,
        pos_id: &PosId,
        kind: DocumentKind,
    ) -> Result<(ReceiptId, Ended), Refusal> {
        bench.last_written().await;
        if !device.is_settled() {
            self.settle(bench, device).await?;
        }
        let id = ReceiptId::new();
        let place = self.buffer.reserve_own()?;
        let entry = NewEntry {
            id,
            key: id.to_string().parse().expect("a UUID is printable ASCII"),
            kind,
            pos_id: pos_id.clone(),
            device: device.id.clone(),
            receipt: None,
            hash: BodyHash::of(format!("{}:{id}", kind.as_str()).as_bytes()),
            notes: Vec::new(),
            request_id: None,
            created_at: self.clock.wall(),
        };
        if let Appended::Known(_) = self.buffer.append(place, entry, true).await? {
            return Err(BufferError::Failed(format!("the new key {id} is taken already")).into());
        }
        device.count_unprinted();
        device.doubt(id);
        let job =
            Job { id, kind, pos_id: pos_id.clone(), receipt: None, state: State::Printing, ask_first: false };
        let outcome = self.command(bench, device, &job).await;
        let shift = match outcome {
            Outcome::Shift(shift) => Some(shift),
            _ => None,
        };
        let surely_not = matches!(outcome, Outcome::NotPrinted(_) | Outcome::Shift(_));
        let write = self.queue_result(device, &job, &outcome);
        let mut ended = self.conclude(device, &job, outcome, write).await?;
        if surely_not {
            self.leave_unprinted(device, &job).await?;
        }
        if shift.is_some() {
            // The KKT's own buttons were quicker: go by what it says now.
            bench.shift = shift.map(|state| Shift::heard(state, &*self.clock));
            ended = Ended::Changed;
        }
        Ok((id, ended))
    }
}
