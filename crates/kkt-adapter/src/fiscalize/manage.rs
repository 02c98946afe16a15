//! What people do to phase 1: cancel, decide, open and close shifts.

use super::{
    Room,
    device::Device,
    print::{Ended, Job},
    refusal::Refusal,
};
use crate::{
    domain::{
        document::{self, DocumentKind},
        entry::{Actor, AuditEvent, Change, Entry},
        ids::{DeviceId, PosId, ReceiptId},
        lifecycle::State,
    },
    ports::{BufferError, KktError, Lookup, Sale, SaleStatus, ShiftState, TillError, Verdict},
};
use std::sync::Arc;

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
        let device = self.devices.get(&entry.device);
        let printed = matches!(verdict, Verdict::Printed(_));
        let change = match verdict {
            Verdict::Printed(fiscal) => {
                let wire = document::wire(id, entry.kind, &entry.pos_id, entry.receipt.as_ref(), &fiscal);
                Change::Printed { fiscal, wire, by: by.clone() }
            }
            Verdict::NotPrinted => Change::NotPrinted { reason: why.clone(), by: by.clone() },
        };
        match self.buffer.apply(id, change).await {
            Ok(()) => {}
            Err(BufferError::NotAllowed { state, .. }) => {
                return Err(TillError::State { state, hint: hint(state) });
            }
            Err(error) => return Err(error.into()),
        }
        let action = if printed { "decide_printed" } else { "decide_not_printed" };
        let at = self.clock.wall();
        let event = AuditEvent { at, subject: id.to_string(), action: action.into(), actor: by, detail: why };
        self.buffer.record(event).await?;
        tracing::info!(device = %device.id, document = %id, action, "a person decided on a document");
        let job = Job::of(entry);
        let state = if printed { State::Printed } else { State::Buffered };
        self.tell_state(&device, &job, State::PrintUnknown, state, action);
        if printed {
            device.count_printed();
            self.wake(&device.id);
        } else {
            self.leave_unprinted(&device, &job).await?;
        }
        device.unblock(id);
        device.works();
        self.nudge.notify_one();
        self.entry(id).await
    }

    async fn device_for(&self, pos_id: &PosId) -> Result<Arc<Device>, TillError> {
        let device = self.devices.get(&self.fleet.device_of(pos_id)?);
        device.used_by(pos_id);
        Ok(device)
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
        let device = self.device_for(&pos_id).await?;
        let mut bench = self.lock(&device).await.ok_or_else(|| kkt(Refusal::Busy))?;
        self.settle(&mut bench, &device).await.map_err(kkt)?;
        bench.shift = None;
        let shift = self.shift_of(&mut bench, &device).await.map_err(kkt)?;
        refuse_shift(kind, shift.state)?;
        let (id, ended) = self.shift_document(&mut bench, &device, &pos_id, kind).await.map_err(kkt)?;
        match ended {
            Ended::Printed(fiscal) => Ok(Sale {
                status: SaleStatus::Printed,
                id,
                fiscal: Some(*fiscal),
                message: String::new(),
                replayed: false,
            }),
            Ended::Kept(refusal) | Ended::Waiting(refusal) => Err(kkt(refusal)),
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
        Refusal::Unsettled(_) => TillError::Kkt(KktError::Ambiguous(refusal.reason())),
        _ => TillError::Kkt(KktError::NotPrinted(refusal.reason())),
    }
}
