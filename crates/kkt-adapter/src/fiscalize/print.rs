//! The way of one document over the bench: everything that happens under the print lock.

use super::{
    Room,
    device::{Bench, BenchGuard, Device, Shift},
    refusal::{Refusal, no_answer},
    write::Write,
};
use crate::{
    domain::{
        document::{self, DocumentKind, FiscalDoc},
        entry::{Actor, Change, Entry},
        ids::{PosId, ReceiptId},
        lifecycle::State,
        receipt::Receipt,
    },
    ports::{BufferError, Event, Found, KktDriver, KktError, ShiftState},
};
use std::sync::Arc;
use tokio::time::{Instant, timeout};

/// A document to be printed; its row is in the buffer.
#[derive(Debug, Clone)]
pub struct Job {
    /// Our key.
    pub id: ReceiptId,
    /// What it is.
    pub kind: DocumentKind,
    /// The till.
    pub pos_id: PosId,
    /// The receipt; `None` for shift documents.
    pub receipt: Option<Receipt>,
    /// Where its row stood when it became a job.
    pub state: State,
    /// Ask the KKT whether it knows it before it is told to print: a row that an earlier run of the program left.
    pub ask_first: bool,
}

impl Job {
    /// The job that a row is.
    pub fn of(entry: Entry) -> Self {
        let Entry { id, kind, pos_id, receipt, state, .. } = entry;
        Self { id, kind, pos_id, receipt, state, ask_first: false }
    }
}

/// What the KKT made of a command.
#[derive(Debug)]
pub enum Outcome {
    /// This document.
    Printed(Box<FiscalDoc>),
    /// Surely nothing.
    NotPrinted(String),
    /// Surely nothing: the shift is not as it must be.
    Shift(ShiftState),
    /// It cannot say.
    Unknown(String),
    /// It cannot be asked.
    Unsettled(String),
}

/// How a try to print ended. [`Room::print`] has noted the refusal; who makes a shift document notes it.
#[derive(Debug)]
pub enum Ended {
    /// On paper, and durable.
    Printed(Box<FiscalDoc>),
    /// Not now, and the KKT was told nothing: the row is as it was.
    Waiting(Refusal),
    /// Not now; the row is durable as the try left it.
    Kept(Refusal),
    /// The row is not what it was: somebody else was quicker. Look again.
    Changed,
}

impl Room {
    /// Prints a document. `printing`: its row is durable as `printing` already. Whatever the KKT does, the row
    /// follows; the lock is given back as soon as the write of the result is queued.
    ///
    /// From its `printing` on the document is in doubt, until the write of what became of it is queued: so no way out of
    /// here, a panic of the driver included, leaves it to itself.
    pub(super) async fn print(
        self: &Arc<Self>,
        mut bench: BenchGuard,
        device: &Arc<Device>,
        job: &Job,
        printing: bool,
    ) -> Result<Ended, BufferError> {
        let mut must_start = !printing;
        let mut last_round = false;
        let mut from = job.state;
        loop {
            if must_start {
                let refusal = match self.make_ready(&mut bench, device, &job.pos_id).await {
                    Ok(()) => match self.buffer.apply(job.id, Change::StartPrinting).await {
                        Ok(()) => None,
                        Err(BufferError::NotAllowed { .. } | BufferError::NotFound) => {
                            return Ok(Ended::Changed);
                        }
                        Err(full @ BufferError::Full { .. }) => Some(Refusal::Storage(full)),
                        Err(error) => return Err(error),
                    },
                    Err(refusal) => Some(refusal),
                };
                if let Some(refusal) = refusal {
                    let refusal = self.note(device, refusal);
                    return Ok(if last_round { Ended::Kept(refusal) } else { Ended::Waiting(refusal) });
                }
                log(device, job, from, State::Printing, "");
            }
            device.doubt(job.id);
            // Queued before our own `printing`, so it has ended by now: this waits for nothing.
            bench.last_written().await;
            let why = if device.is_settled_but_for(job.id) {
                crate::fail_point::hit("print.before_command");
                let outcome = self.command(&mut bench, device, job).await;
                crate::fail_point::hit("print.after_command");
                if !matches!(outcome, Outcome::Shift(_)) || last_round {
                    let write = self.queue_result(device, job, &outcome);
                    crate::fail_point::hit("print.queued");
                    bench.last_write.clone_from(&write);
                    drop(bench);
                    return Ok(match self.conclude(device, job, outcome, write).await? {
                        Ended::Kept(refusal) => Ended::Kept(self.note(device, refusal)),
                        ended => ended,
                    });
                }
                "смена закрыта / the shift is closed"
            } else {
                "итог предыдущего документа не записан / the result of the document before was not written"
            };
            if let Some(ended) = self.put_back(device, job, why).await? {
                return Ok(ended);
            }
            if last_round {
                return Ok(Ended::Kept(self.note(device, Refusal::Device(why.into()))));
            }
            from = State::Buffered;
            (must_start, last_round) = (true, true);
        }
    }

    /// Takes back the `printing` of a document that was surely not printed, under the lock. `Some`: there is nothing to
    /// take back, or it could not be written, and then the document stays in doubt.
    async fn put_back(&self, device: &Device, job: &Job, why: &str) -> Result<Option<Ended>, BufferError> {
        match self.buffer.apply(job.id, not_printed(why)).await {
            Ok(()) => {
                device.resolve(job.id);
                log(device, job, State::Printing, State::Buffered, why);
                Ok(None)
            }
            Err(BufferError::NotAllowed { .. } | BufferError::NotFound) => {
                device.resolve(job.id);
                Ok(Some(Ended::Changed))
            }
            // Not `Unwritten`: nobody need look for it on paper.
            Err(full @ BufferError::Full { .. }) => {
                Ok(Some(Ended::Kept(self.note(device, Refusal::Storage(full)))))
            }
            Err(error) => Err(error),
        }
    }

    /// Tells the KKT and makes sure of what it did.
    pub(super) async fn command(&self, bench: &mut Bench, device: &Device, job: &Job) -> Outcome {
        let driver = match self.open_driver(device).await {
            Ok(driver) => driver,
            Err(refusal) => return Outcome::NotPrinted(refusal.reason()),
        };
        let outcome = self.tell(&*driver, job).await;
        match (&outcome, &mut bench.shift) {
            (Outcome::Printed(_), Some(Shift { state: ShiftState::Open { receipts, .. }, .. }))
                if job.kind == DocumentKind::Receipt =>
            {
                *receipts += 1;
            }
            (_, shift) => *shift = None,
        }
        outcome
    }

    async fn tell(&self, driver: &dyn KktDriver, job: &Job) -> Outcome {
        if job.ask_first
            && let Ok(Found::Printed(doc)) = self.ask(driver, job.id).await
        {
            return Outcome::Printed(doc);
        }
        let call = match (job.kind, &job.receipt) {
            (DocumentKind::Receipt, Some(receipt)) => driver.fiscalize(receipt, job.id),
            (DocumentKind::Receipt, None) => {
                return Outcome::NotPrinted("тела чека нет / the receipt has no body".into());
            }
            (DocumentKind::ShiftOpen, _) => driver.open_shift(job.id),
            (DocumentKind::ShiftClose, _) => driver.close_shift(job.id),
        };
        let within = self.options.print_timeout;
        let why = match timeout(within, call).await {
            Ok(Ok(doc)) => return Outcome::Printed(Box::new(doc)),
            Ok(Err(KktError::NotPrinted(why))) => return Outcome::NotPrinted(why),
            Ok(Err(KktError::Shift(shift))) => return Outcome::Shift(shift),
            Ok(Err(KktError::Ambiguous(why) | KktError::Failed(why))) => why,
            Err(_) => no_answer(within),
        };
        match self.ask(driver, job.id).await {
            Ok(Found::Printed(doc)) => Outcome::Printed(doc),
            Ok(Found::NotPrinted) => Outcome::NotPrinted(why),
            Ok(Found::Unknown) => Outcome::Unknown(why),
            Err(_) => Outcome::Unsettled(why),
        }
    }

    /// Asks the KKT about a document, within `find_timeout`.
    pub(super) async fn ask(&self, driver: &dyn KktDriver, id: ReceiptId) -> Result<Found, String> {
        let within = self.options.find_timeout;
        match timeout(within, driver.find(id)).await {
            Ok(Ok(found)) => Ok(found),
            Ok(Err(KktError::NotPrinted(why) | KktError::Failed(why))) => Err(why),
            Ok(Err(error)) => Err(error.to_string()),
            Err(_) => Err(no_answer(within)),
        }
    }

    /// Queues the result of a command. From here on its order among the writes is set, and the document is no more in
    /// doubt, unless the write is refused.
    pub(super) fn queue_result(
        &self,
        device: &Arc<Device>,
        job: &Job,
        outcome: &Outcome,
    ) -> Option<Arc<Write>> {
        let write = self.write(device, job, outcome);
        if !matches!(outcome, Outcome::Unknown(_) | Outcome::Unsettled(_)) {
            device.resolve(job.id);
        }
        write
    }

    /// Queues the change that follows from what the KKT did.
    pub(super) fn write(&self, device: &Arc<Device>, job: &Job, outcome: &Outcome) -> Option<Arc<Write>> {
        let change = match outcome {
            Outcome::Printed(fiscal) => Change::Printed {
                wire: document::wire(job.id, job.kind, &job.pos_id, job.receipt.as_ref(), fiscal),
                fiscal: fiscal.clone(),
                by: Actor::system(),
                why: String::new(),
            },
            Outcome::NotPrinted(why) => not_printed(why),
            Outcome::Shift(shift) => not_printed(&format!("смена / the shift: {shift:?}")),
            Outcome::Unknown(why) => {
                device.block(job.id);
                tracing::error!(
                    device = %device.id, document = %job.id, why,
                    "nobody knows whether a document was printed; the device prints nothing until a person decides"
                );
                Change::PrintUnknown { reason: why.clone() }
            }
            Outcome::Unsettled(why) => {
                device.doubt(job.id);
                tracing::warn!(device = %device.id, document = %job.id, why, "the device cannot be asked about a document");
                return None;
            }
        };
        let is_unknown = matches!(outcome, Outcome::Unknown(_));
        let pending = self.buffer.apply(job.id, change);
        Some(Arc::new(Write::queued(pending, device, job.id, is_unknown)))
    }

    /// Waits until the change is durable and says how the try ended. The document is safe, so its till is never told that
    /// nothing was stored: it may hold the paper in its hands. A refusal is not noted yet.
    pub(super) async fn conclude(
        self: &Arc<Self>,
        device: &Device,
        job: &Job,
        outcome: Outcome,
        write: Option<Arc<Write>>,
    ) -> Result<Ended, BufferError> {
        if let Some(write) = write {
            match write.end().await {
                Ok(()) => {}
                Err(error @ BufferError::NotAllowed { .. }) => {
                    tracing::error!(document = %job.id, %error, "a document was changed under the print lock");
                    return Ok(Ended::Changed);
                }
                Err(BufferError::Full { reason, .. }) => {
                    return Ok(Ended::Kept(Refusal::Unwritten(job.id, reason)));
                }
                Err(error) => return Err(error),
            }
        }
        crate::fail_point::hit("print.durable");
        let refusal = match outcome {
            Outcome::Printed(fiscal) => {
                device.count_printed();
                if device.works() {
                    self.nudge.notify_one();
                }
                self.wake(&device.id);
                self.tell_state(device, job, State::Printing, State::Printed, "");
                return Ok(Ended::Printed(fiscal));
            }
            Outcome::NotPrinted(why) => {
                self.tell_state(device, job, State::Printing, State::Buffered, &why);
                Refusal::Device(why)
            }
            Outcome::Shift(shift) => {
                let why = format!("смена не открыта / the shift is not open ({shift:?})");
                self.tell_state(device, job, State::Printing, State::Buffered, &why);
                Refusal::Device(why)
            }
            Outcome::Unknown(why) => {
                self.tell_state(device, job, State::Printing, State::PrintUnknown, &why);
                Refusal::Blocked(job.id)
            }
            Outcome::Unsettled(why) => Refusal::Unsettled(why),
        };
        Ok(Ended::Kept(refusal))
    }

    /// Tells the log, and people who watch, where a document stands now; its change is durable.
    pub(super) fn tell_state(&self, device: &Device, job: &Job, from: State, state: State, why: &str) {
        log(device, job, from, state, why);
        let (pos_id, device) = (Some(job.pos_id.clone()), device.id.clone());
        self.observer.event(Event::Document { id: job.id, pos_id, device, state });
    }

    /// Takes note of a refusal in the device's view and plans the next try: once each, since every note doubles the pause.
    pub(super) fn note(&self, device: &Device, refusal: Refusal) -> Refusal {
        let now = Instant::now();
        if !matches!(refusal, Refusal::Busy) {
            device.fails(&refusal.reason(), now, &self.options);
        }
        device.expect_backlog(now, &self.options);
        refusal
    }
}

/// One line a transition, once it is durable.
fn log(device: &Device, job: &Job, from: State, to: State, why: &str) {
    let (from, to) = (from.as_str(), to.as_str());
    tracing::info!(device = %device.id, receipt_id = %job.id, from, to, why, "document");
}

/// Surely not printed, says the program.
pub fn not_printed(why: &str) -> Change {
    Change::NotPrinted { reason: why.into(), by: Actor::system() }
}
