//! What people do to phase 1: cancel, decide, open and close shifts.

use super::{
    Room,
    device::Device,
    print::{Ended, Job},
    refusal::Refusal,
};
use crate::{
    domain::{
        document::{self, DocumentKind, FiscalDoc},
        entry::{Actor, Change, Entry},
        ids::{DeviceId, PosId, ReceiptId},
        lifecycle::State,
    },
    ports::{BufferError, KktError, ListFilter, Lookup, Sale, SaleStatus, ShiftState, TillError, Verdict},
};
use std::sync::{Arc, atomic::Ordering::Relaxed};

/// Documents beside which the number of a decided one is held.
const NEIGHBOURS: usize = 100;
/// So far may it be off their highest number: documents that were made at the device itself, or wait here.
const NUMBER_OFF_MAX: u32 = 1_000;

/// What to do instead of a cancel.
fn hint(state: State) -> &'static str {
    match state {
        State::Printing => "it is being printed; look again in a moment",
        State::PrintUnknown => "look at the paper and decide whether it was printed",
        State::Printed | State::Synced | State::Dead => "it was printed; make a refund instead",
        State::Accepted | State::Buffered | State::Cancelled => "only a print_unknown document is decided on",
    }
}

impl Room {
    async fn entry(&self, id: ReceiptId) -> Result<Entry, TillError> {
        self.buffer.find(Lookup::Id(id)).await?.ok_or(TillError::NotFound)
    }

    /// Ends a document that was never printed. A second cancel answers as the first did.
    pub(super) async fn cancel(&self, id: ReceiptId, by: Actor, why: String) -> Result<Entry, TillError> {
        let entry = self.entry(id).await?;
        if entry.state == State::Cancelled {
            return Ok(entry);
        }
        match self.buffer.apply(id, Change::Cancel { by, why }).await {
            Ok(()) => {
                let device = self.devices.get(&entry.device);
                device.count_printed();
                let from = entry.state;
                self.tell_state(&device, &Job::of(entry), from, State::Cancelled, "cancelled by a person");
            }
            Err(BufferError::NotAllowed { state: State::Cancelled, .. }) => {}
            Err(BufferError::NotAllowed { state, .. }) => {
                return Err(TillError::State { state, hint: hint(state) });
            }
            Err(BufferError::NotFound) => return Err(TillError::NotFound),
            Err(error) => return Err(error.into()),
        }
        self.entry(id).await
    }

    /// A person says whether a document is on paper; the device goes on.
    pub(super) async fn decide(
        self: &Arc<Self>,
        id: ReceiptId,
        verdict: Verdict,
        by: Actor,
        why: String,
    ) -> Result<Entry, TillError> {
        let entry = self.entry(id).await?;
        if entry.state != State::PrintUnknown {
            return Err(TillError::State { state: entry.state, hint: hint(entry.state) });
        }
        if let Verdict::Printed(fiscal) = &verdict {
            self.check_number(&entry, fiscal).await?;
        }
        let device = self.devices.get(&entry.device);
        let printed = matches!(verdict, Verdict::Printed(_));
        let change = match verdict {
            Verdict::Printed(fiscal) => {
                let wire = document::wire(id, entry.kind, &entry.pos_id, entry.receipt.as_ref(), &fiscal);
                Change::Printed { fiscal, wire, by, why }
            }
            Verdict::NotPrinted => Change::NotPrinted { reason: why, by },
        };
        match self.buffer.apply(id, change).await {
            Ok(()) => {}
            Err(BufferError::NotAllowed { state, .. }) => {
                return Err(TillError::State { state, hint: hint(state) });
            }
            Err(error) => return Err(error.into()),
        }
        // It is decided: whatever follows, the device goes on.
        device.unblock(id);
        let state = if printed { State::Printed } else { State::Buffered };
        let job = Job::of(entry);
        self.tell_state(&device, &job, State::PrintUnknown, state, "decided by a person");
        if printed {
            device.count_printed();
            self.wake(&device.id);
        } else if let Err(error) = self.leave_unprinted(&device, &job).await {
            tracing::warn!(device = %device.id, document = %id, %error, "the background will end it");
        }
        device.works();
        self.nudge.notify_one();
        self.entry(id).await
    }

    /// Whether a ФД number that was read off paper can be this document's: a slip of the pen would be another document's,
    /// or make an emulated ФН count on from there. Another ФН than the one known here has its own count.
    async fn check_number(&self, entry: &Entry, fiscal: &FiscalDoc) -> Result<(), TillError> {
        let number = fiscal.fiscal_doc_number;
        let filter =
            ListFilter { device: Some(entry.device.clone()), limit: NEIGHBOURS, ..ListFilter::default() };
        let page = self.buffer.list(filter).await?;
        let of_this_fn =
            |one: Entry| Some((one.fiscal.filter(|doc| doc.fn_number == fiscal.fn_number)?, one.id));
        let mut latest = None;
        for (doc, id) in page.entries.into_iter().filter_map(of_this_fn) {
            if doc.fiscal_doc_number == number {
                let why = format!("ФД {number} is document {id}; copy the number from the paper of this one");
                return Err(TillError::FiscalNumber { number, why });
            }
            latest = latest.max(Some(doc.fiscal_doc_number));
        }
        match latest {
            Some(latest) if latest.abs_diff(number) > NUMBER_OFF_MAX => {
                let (from, to) =
                    (latest.saturating_sub(NUMBER_OFF_MAX).max(1), latest.saturating_add(NUMBER_OFF_MAX));
                let why = format!(
                    "the latest known one of this ФН is ФД {latest}; must be from {from} to {to}, \
                     or name the ФН in fn_number if it was replaced"
                );
                Err(TillError::FiscalNumber { number, why })
            }
            _ => Ok(()),
        }
    }

    /// The device of a till, once the fleet has opened it.
    fn device_for(&self, pos_id: &PosId) -> Result<Arc<Device>, TillError> {
        let id = self.fleet.device_of(pos_id)?;
        if let Some(device) = self.devices.known(&id) {
            return Ok(device);
        }
        // The buffer knows nothing of it, so an emulated ФН needs no floor.
        self.fleet.driver(&id).map_err(|error| kkt(Refusal::Device(error.to_string())))?;
        Ok(self.devices.get(&id))
    }

    /// The shift of a till's device, as the device has it. Asking makes no device: one that was never used has had no
    /// shift (P10: reads are what any page in the shop's browser can send).
    pub(super) async fn shift(&self, pos_id: PosId) -> Result<(DeviceId, ShiftState), TillError> {
        let device = self.fleet.device_of(&pos_id)?;
        let driver = match self.devices.driver(&device) {
            Some(driver) => driver,
            None if !self.fleet.exists(&device) => return Ok((device, ShiftState::Closed { last: 0 })),
            None => self.driver_of(&device).await.map_err(kkt)?,
        };
        // `shift` needs no print lock; its answer is not kept, since it may be older than the next document.
        match tokio::time::timeout(self.options.find_timeout, driver.shift()).await {
            Ok(shift) => Ok((device, shift?)),
            Err(_) => Err(kkt(Refusal::Device(super::refusal::no_answer(self.options.find_timeout)))),
        }
    }

    /// Opens or closes the shift by call.
    pub(super) async fn change_shift(
        self: Arc<Self>,
        pos_id: PosId,
        kind: DocumentKind,
    ) -> Result<Sale, TillError> {
        let _inside = self.gate.enter(usize::MAX).map_err(|_| TillError::Stopping)?;
        let device = self.device_for(&pos_id)?;
        device.used_by(&pos_id);
        let mut bench = self.lock(&device).await.ok_or_else(|| kkt(Refusal::Busy))?;
        self.settle(&mut bench, &device).await.map_err(kkt)?;
        bench.shift = None;
        let shift = self.shift_of(&mut bench, &device).await.map_err(kkt)?;
        refuse_shift(kind, shift.state)?;
        let (id, ended) = self.shift_document(&mut bench, &device, &pos_id, kind).await.map_err(kkt)?;
        // Nobody may sell in it: the background asks once how old it is.
        device.looked_at.store(false, Relaxed);
        match ended {
            Ended::Printed(fiscal) => Ok(Sale {
                status: SaleStatus::Printed,
                id,
                fiscal: Some(*fiscal),
                message: String::new(),
                replayed: false,
            }),
            Ended::Kept(refusal) | Ended::Waiting(refusal) => Err(kkt(self.note(&device, refusal))),
            Ended::Changed => {
                let shift = self.shift_of(&mut bench, &device).await.map_err(kkt)?;
                refuse_shift(kind, shift.state)?;
                Err(TillError::Shift("смена изменилась, повторите / the shift has changed, try again".into()))
            }
        }
    }
}

fn refuse_shift(kind: DocumentKind, shift: ShiftState) -> Result<(), TillError> {
    match (kind, shift) {
        (DocumentKind::ShiftOpen, ShiftState::Open { number, .. } | ShiftState::Expired { number }) => {
            Err(TillError::Shift(format!(
                "смена {number} уже открыта / shift {number} is open already; close it first"
            )))
        }
        (DocumentKind::ShiftClose, ShiftState::Closed { .. }) => {
            Err(TillError::Shift("смена не открыта / no shift is open".into()))
        }
        _ => Ok(()),
    }
}

fn kkt(refusal: Refusal) -> TillError {
    match refusal {
        Refusal::Storage(error) => error.into(),
        Refusal::Unsettled(_) | Refusal::Unwritten(..) => {
            TillError::Kkt(KktError::Ambiguous(refusal.reason()))
        }
        _ => TillError::Kkt(KktError::NotPrinted(refusal.reason())),
    }
}
