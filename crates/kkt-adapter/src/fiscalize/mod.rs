//! Phase 1: validate → fsync → print → answer. Never waits for the network.
//!
//! # What it promises
//! - An answer means that the receipt is on stable storage (P1). `printed` means that the document is, too.
//! - One key, one receipt, one printout (P4): over retries, parallel requests, time-outs and crashes.
//! - One device's trouble delays no other (P5).
//!
//! # Invariants
//! 1. The KKT is told to print only what is durable as `printing`.
//! 2. Everything that is told to a device is told under its print lock, first come, first served.
//! 3. A document is in doubt from its durable `printing` until the write of what became of it is queued, and again if that
//!    write is refused. While one is in doubt nothing else is printed on its device: it is asked by `find` first.
//!    `Unknown` blocks the device until a person decides.
//! 4. The lock is given back when the write of the result is *queued*: so the next receipt need not wait for the fsync of
//!    this one. Before the KKT is told anything, though, the write before has ended, which costs nothing, since the
//!    receipt's own `printing` was queued after it: so `printed` documents become durable in ФД order, or not at all.
//! 5. Whatever was begun is finished by a task of its own, also if the till has gone away.
//! 6. Once a receipt is durable, its till is not told that nothing was stored.
//!
//! # What a receipt costs
//! Two commits if nothing is in its way: `accepted` and `printing` in one, which buys P1 and invariant 1, then
//! `printed` with the document, which buys the replayed answer of P4 and the hand-over to phase 2. Three if it
//! had to wait: it is durable before the wait, its `printing` only when its turn has come.
//!
//! # State figure
//! The figure of `docs/lifecycle.txt` up to `printed`; all of it is in the rows. In memory there are, a device:
//! the print lock, the shift as last heard of, documents in doubt, documents a person must decide on.
//!
//! # Failures
//! | what | then |
//! |---|---|
//! | KKT refuses (paper out, off) | `buffered`; tried again with growing pauses, and at once after a sale that prints |
//! | no answer in `print_timeout` | `find`: printed, buffered, or in doubt if it does not answer either |
//! | `find` does not know | `print_unknown`, device blocked, alarm |
//! | device busy for `print_timeout` | `buffered`, printed by the background |
//! | shift closed, or 23 h 30 min old | opened, or closed and opened, before the receipt; a background task does it at night |
//! | buffer full | nothing stored; retries of stored receipts are answered all the same, and shift documents have places of their own, so what is stored gets printed |
//! | full between a receipt and its printing | `buffered`; if not even that can be written, an error that says it is stored, and printed once its till sends it again |
//! | the write of a result is refused (disk full) | `buffered` to the till, with words for paper in its hands; the document is in doubt, and the one behind it goes back to `buffered` untold |
//! | buffer failed | error; what may have been printed is in doubt and settled by `find` |
//! | a driver panics | error to the till; the document is in doubt; the background goes on after a pause |
//! | crash | `recover` at the next start |
//!
//! `Room` is split by what is done in it: `sell`, `print` and `ready` (under the lock), `background`,
//! `recover`, `manage` (people).

mod background;
mod device;
mod gate;
mod keys;
mod manage;
mod options;
mod print;
mod ready;
mod recover;
mod refusal;
mod sell;
mod write;

pub use options::Options;
pub use recover::Recovered;

use crate::{
    domain::{
        document::DocumentKind,
        entry::{Actor, Entry},
        ids::{DeviceId, IdempotencyKey, PosId, ReceiptId, RequestId},
        receipt::Receipt,
    },
    ports::{
        Buffer, BufferError, Clock, DeviceView, KktError, KktFleet, Observer, Sale, SaleStatus, ShiftState,
        Till, TillError, Verdict,
    },
};
use async_trait::async_trait;
use device::Devices;
use gate::Gate;
use keys::Keys;
use std::{
    future::Future,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};
use tokio::{sync::Notify, task::JoinHandle};
use tracing::Instrument as _;

/// Told that a document of a device waits for the OFD.
pub type Wake = Arc<dyn Fn(&DeviceId) + Send + Sync>;

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Room {
    buffer: Arc<dyn Buffer>,
    fleet: Arc<dyn KktFleet>,
    clock: Arc<dyn Clock>,
    observer: Arc<dyn Observer>,
    options: Options,
    devices: Devices,
    keys: Keys,
    gate: Gate,
    /// Something is due in the background.
    nudge: Notify,
    wake: OnceLock<Wake>,
}

impl Room {
    fn wake(&self, device: &DeviceId) {
        if let Some(wake) = self.wake.get() {
            wake(device);
        }
    }
}

/// Phase 1. Cheap to clone: all clones are the same room.
#[derive(Clone)]
pub struct Fiscalizer(Arc<Room>);

impl Fiscalizer {
    /// Joins the buffer and the devices. Nothing runs yet: [`Self::recover`], then [`Self::start`].
    #[must_use]
    pub fn new(
        buffer: Arc<dyn Buffer>,
        fleet: Arc<dyn KktFleet>,
        clock: Arc<dyn Clock>,
        observer: Arc<dyn Observer>,
        options: Options,
    ) -> Self {
        Self(Arc::new(Room {
            buffer,
            fleet,
            clock,
            observer,
            options,
            devices: Devices::default(),
            keys: Keys::default(),
            gate: Gate::new(),
            nudge: Notify::new(),
            wake: OnceLock::new(),
        }))
    }

    /// Who is told of printed documents; the first call counts.
    pub fn on_printed(&self, wake: Wake) {
        let _ = self.0.wake.set(wake);
    }

    /// Settles what an earlier run of the program left; to be called once, before the first sale.
    ///
    /// # Errors
    /// [`BufferError`]: the buffer cannot be read or written.
    pub async fn recover(&self) -> Result<Recovered, BufferError> {
        self.0.recover().await
    }

    /// Starts the background: it prints what waits, changes shifts, cancels what was forgotten. Ends at the stop.
    pub fn start(&self) -> JoinHandle<()> {
        tokio::spawn(Arc::clone(&self.0).background())
    }

    /// Takes no new work and waits until what is being printed has ended; receipts that wait for their turn are
    /// answered as buffered at once. `false`: something still hung after `patience`; its row is in doubt and is
    /// settled at the next start.
    pub async fn stop(&self, patience: Duration) -> bool {
        self.0.gate.close(patience).await
    }

    /// Runs to the end although the caller may go away (invariant 5).
    async fn finish<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, TillError>> + Send + 'static,
    ) -> Result<T, TillError> {
        tokio::spawn(work.in_current_span()).await.unwrap_or_else(|error| {
            tracing::error!(%error, "a task of phase 1 ended early");
            Err(TillError::Kkt(KktError::Ambiguous("an internal error; send the same key again".into())))
        })
    }
}

#[async_trait]
impl Till for Fiscalizer {
    async fn sell(
        &self,
        key: IdempotencyKey,
        receipt: Receipt,
        notes: Vec<String>,
        request_id: RequestId,
    ) -> Result<Sale, TillError> {
        let room = Arc::clone(&self.0);
        self.finish(async move {
            let (pos_id, kind) = (receipt.pos_id.clone(), receipt.kind.as_str());
            let sale = Arc::clone(&room).sell(key, receipt, notes, request_id).await;
            let status = match &sale {
                Ok(Sale { replayed: true, .. }) => "replayed",
                Ok(Sale { status: SaleStatus::Printed, .. }) => "printed",
                Ok(Sale { status: SaleStatus::Buffered, .. }) => "buffered",
                Err(_) => "failed",
            };
            room.observer.receipt(&pos_id, kind, status);
            sale
        })
        .await
    }

    async fn cancel(&self, id: ReceiptId, by: Actor, why: String) -> Result<Entry, TillError> {
        let room = Arc::clone(&self.0);
        self.finish(async move { room.cancel(id, by, why).await }).await
    }

    async fn decide(
        &self,
        id: ReceiptId,
        verdict: Verdict,
        by: Actor,
        why: String,
    ) -> Result<Entry, TillError> {
        let room = Arc::clone(&self.0);
        self.finish(async move { room.decide(id, verdict, by, why).await }).await
    }

    async fn open_shift(&self, pos_id: PosId) -> Result<Sale, TillError> {
        self.finish(Arc::clone(&self.0).change_shift(pos_id, DocumentKind::ShiftOpen)).await
    }

    async fn close_shift(&self, pos_id: PosId) -> Result<Sale, TillError> {
        self.finish(Arc::clone(&self.0).change_shift(pos_id, DocumentKind::ShiftClose)).await
    }

    async fn shift(&self, pos_id: PosId) -> Result<(DeviceId, ShiftState), TillError> {
        self.0.shift(pos_id).await
    }

    fn devices(&self) -> Vec<DeviceView> {
        self.0.devices.all().iter().map(|device| device.view()).collect()
    }

    fn fiscal(&self) -> bool {
        self.0.fleet.fiscal()
    }
}
