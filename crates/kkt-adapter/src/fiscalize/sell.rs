//! A sale, from the till's request to its answer.

use super::{
    Room,
    device::{BenchGuard, Device},
    gate::Shut,
    keys::Turn,
    print::{Ended, Job, not_printed},
    refusal::Refusal,
};
use crate::{
    domain::{
        bilingual::together,
        document::DocumentKind,
        entry::{Entry, NewEntry},
        ids::{IdempotencyKey, ReceiptId, RequestId},
        lifecycle::State,
        receipt::{BodyHash, Receipt},
    },
    ports::{Appended, BufferError, Lookup, Sale, SaleStatus, TillError},
};
use std::{sync::Arc, time::Duration};
use tokio::time::Instant;

impl Room {
    /// One sale, to its end: it runs as a task of its own, so that a till that goes away leaves nothing half done.
    pub(super) async fn sell(
        self: Arc<Self>,
        key: IdempotencyKey,
        receipt: Receipt,
        notes: Vec<String>,
        request_id: RequestId,
    ) -> Result<Sale, TillError> {
        let _inside = self.gate.enter(self.options.in_flight_max).map_err(|shut| match shut {
            Shut::Stopping => TillError::Stopping,
            Shut::Crowded => TillError::Buffer(BufferError::Full {
                reason: format!(
                    "уже обрабатывается чеков: {0} / {0} receipts are being worked on already",
                    self.options.in_flight_max
                ),
                retry_after: Duration::from_secs(1),
            }),
        })?;
        let hash = receipt.hash();
        loop {
            match self.keys.take(&key) {
                Turn::Ours(_guard) => return self.first_of_key(key, receipt, hash, notes, request_id).await,
                Turn::Wait(end) => {
                    end.await;
                    let entry = self.buffer.find(Lookup::Key(key.clone())).await?;
                    if let Some(entry) = entry.filter(|entry| entry.state != State::Accepted) {
                        return answer(entry, hash);
                    }
                }
            }
        }
    }

    async fn first_of_key(
        self: &Arc<Self>,
        key: IdempotencyKey,
        receipt: Receipt,
        hash: BodyHash,
        notes: Vec<String>,
        request_id: RequestId,
    ) -> Result<Sale, TillError> {
        let device = self.fleet.device_of(&receipt.pos_id)?;
        let place = match self.buffer.reserve() {
            Ok(place) => place,
            // A retry needs no place: what is stored already is answered although the buffer is full.
            Err(full @ BufferError::Full { .. }) => return self.known_or(full, key, receipt, hash).await,
            Err(error) => return Err(error.into()),
        };
        let device = self.devices.get(&device);
        device.used_by(&receipt.pos_id);
        let id = ReceiptId::new();
        let pos_id = receipt.pos_id.clone();
        let entry = NewEntry {
            id,
            key: key.clone(),
            kind: DocumentKind::Receipt,
            pos_id: pos_id.clone(),
            device: device.id.clone(),
            receipt: Some(receipt.clone()),
            hash,
            notes: notes.clone(),
            request_id: Some(request_id),
            created_at: self.clock.wall(),
        };
        // Nothing in the way: taken and about to be printed in one commit.
        let bench = device.try_lock().filter(|b| b.is_ready(&device, self.clock.monotonic(), &self.options));
        match self.buffer.append(place, entry, bench.is_some()).await {
            Ok(Appended::Stored) => {
                device.count_unprinted();
                let to = if bench.is_some() { State::Printing } else { State::Accepted };
                tracing::info!(device = %device.id, receipt_id = %id, to = to.as_str(), "document taken");
            }
            Ok(Appended::Known(entry)) => {
                drop(bench);
                return self.known(*entry, receipt, hash).await;
            }
            Err(full @ BufferError::Full { .. }) => {
                drop(bench);
                return self.known_or(full, key, receipt, hash).await;
            }
            Err(error) => return Err(error.into()),
        }
        crate::fail_point::hit("sell.appended");
        let (kind, state) = (DocumentKind::Receipt, State::Accepted);
        let job = Job { id, kind, pos_id, receipt: Some(receipt), state, ask_first: false };
        let ended = match bench {
            Some(bench) => self.print(bench, &device, &job, true).await?,
            None => self.print_in_turn(&device, &job, State::Accepted).await?,
        };
        self.sale(&job, ended, &notes).await
    }

    /// Answers a retry, although the buffer is full; what is not stored is refused.
    async fn known_or(
        self: &Arc<Self>,
        full: BufferError,
        key: IdempotencyKey,
        receipt: Receipt,
        hash: BodyHash,
    ) -> Result<Sale, TillError> {
        match self.buffer.find(Lookup::Key(key)).await? {
            Some(entry) => self.known(entry, receipt, hash).await,
            None => Err(full.into()),
        }
    }

    /// Goes on with what an earlier request under the key began.
    async fn known(
        self: &Arc<Self>,
        entry: Entry,
        receipt: Receipt,
        hash: BodyHash,
    ) -> Result<Sale, TillError> {
        let goes_on = matches!(entry.state, State::Accepted | State::Buffered | State::Printing);
        if entry.hash != hash || entry.kind != DocumentKind::Receipt || !goes_on {
            return answer(entry, hash);
        }
        let device = self.devices.get(&entry.device);
        device.used_by(&entry.pos_id);
        let state = entry.state;
        let notes = entry.notes.clone();
        let job = Job { receipt: Some(receipt), ask_first: state == State::Accepted, ..Job::of(entry) };
        let ended = self.print_in_turn(&device, &job, state).await?;
        self.sale(&job, ended, &notes).await
    }

    /// Waits for the print lock, in order, and prints; gives up the wait after `print_timeout` or at the stop.
    async fn print_in_turn(
        self: &Arc<Self>,
        device: &Arc<Device>,
        job: &Job,
        state: State,
    ) -> Result<Ended, TillError> {
        let ended = match self.lock(device).await {
            Some(bench) => {
                if state == State::Printing {
                    device.doubt(job.id);
                }
                self.print(bench, device, job, false).await?
            }
            None => Ended::Waiting(self.note(device, Refusal::Busy)),
        };
        // The row is made to wait where the adapter prints it by itself. It is still `accepted`: only the holder of its
        // key takes a row on from there, or a person cancels it.
        if let (Ended::Waiting(refusal), State::Accepted) = (&ended, state) {
            match self.buffer.apply(job.id, not_printed(&refusal.reason())).await {
                Ok(()) => {
                    device.expect_backlog(Instant::now(), &self.options);
                    let why = refusal.reason();
                    self.tell_state(device, job, State::Accepted, State::Buffered, &why);
                }
                // A person was quicker: nobody will print it.
                Err(BufferError::NotAllowed { .. }) => return Ok(Ended::Changed),
                // It stays `accepted`, which the background never prints: so the till is promised nothing.
                Err(BufferError::Full { reason, retry_after }) => {
                    return Err(TillError::Unprinted { id: job.id, reason, retry_after });
                }
                Err(error) => return Err(error.into()),
            }
        }
        Ok(ended)
    }

    /// The print lock, or `None` after `print_timeout` or at the stop.
    pub(super) async fn lock(&self, device: &Device) -> Option<BenchGuard> {
        tokio::select! {
            biased;
            bench = device.lock() => Some(bench),
            () = tokio::time::sleep(self.options.print_timeout) => None,
            () = self.gate.closed() => None,
        }
    }

    async fn sale(&self, job: &Job, ended: Ended, notes: &[String]) -> Result<Sale, TillError> {
        match ended {
            Ended::Printed(fiscal) => Ok(Sale {
                status: SaleStatus::Printed,
                id: job.id,
                fiscal: Some(*fiscal),
                message: together(notes.iter().map(String::as_str)),
                replayed: false,
            }),
            Ended::Kept(refusal) | Ended::Waiting(refusal) => Ok(buffered(job.id, notes, &refusal)),
            Ended::Changed => {
                let entry = self.buffer.find(Lookup::Id(job.id)).await?.ok_or(TillError::NotFound)?;
                let hash = entry.hash;
                answer(entry, hash)
            }
        }
    }
}

fn buffered(id: ReceiptId, notes: &[String], refusal: &Refusal) -> Sale {
    let why = refusal.message(id);
    let message = together(notes.iter().map(String::as_str).chain([why.as_str()]));
    Sale { status: SaleStatus::Buffered, id, fiscal: None, message, replayed: false }
}

/// The answer that a stored document gives to a retry of its key, without touching the device.
fn answer(entry: Entry, hash: BodyHash) -> Result<Sale, TillError> {
    if entry.hash != hash {
        return Err(TillError::KeyReused(entry.id));
    }
    let Entry { id, state, fiscal, notes, last_error, .. } = entry;
    match (state, fiscal) {
        (State::Cancelled, _) => Err(TillError::Cancelled(id)),
        (State::PrintUnknown, _) => Ok(buffered(id, &notes, &Refusal::Blocked(id))),
        (State::Printing, _) => {
            Ok(buffered(id, &notes, &Refusal::Unsettled("он печатается / it is being printed".into())))
        }
        (_, Some(fiscal)) => Ok(Sale {
            status: SaleStatus::Printed,
            id,
            fiscal: Some(fiscal),
            message: together(notes.iter().map(String::as_str)),
            replayed: true,
        }),
        (_, None) => {
            let why = last_error.unwrap_or_else(|| "касса не готова / the KKT is not ready".into());
            Ok(buffered(id, &notes, &Refusal::Device(why)))
        }
    }
}
