//! Phase 1 as the HTTP side sees it.

use super::{BufferError, KktError, ShiftState};
use crate::domain::{
    bilingual::both,
    document::FiscalDoc,
    entry::{Actor, Entry},
    ids::{DeviceId, IdempotencyKey, PosId, ReceiptId, RequestId},
    lifecycle::State,
    receipt::Receipt,
};
use async_trait::async_trait;
use std::time::Duration;

/// How a sale ended for the till.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SaleStatus {
    /// On paper, signed.
    Printed,
    /// Safe, not printed yet.
    Buffered,
}

/// The answer to a receipt.
#[derive(Debug, Clone)]
pub struct Sale {
    /// Printed or buffered.
    pub status: SaleStatus,
    /// Our key of it.
    pub id: ReceiptId,
    /// Present exactly if printed.
    pub fiscal: Option<FiscalDoc>,
    /// What people should know: notes of the validation, why it was not printed.
    pub message: String,
    /// The answer of an earlier call with this key, given again.
    pub replayed: bool,
}

/// Why there is no sale, sorted by what the till must do.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum TillError {
    /// Give up: the key was used for another receipt.
    #[error("this Idempotency-Key was used for another receipt ({0}); use a new key for a new receipt")]
    KeyReused(ReceiptId),
    /// Give up: the sale under this key was cancelled.
    #[error("the receipt under this Idempotency-Key was cancelled ({0}); use a new key to sell again")]
    Cancelled(ReceiptId),
    /// Give up: its state does not allow what was asked.
    #[error("the receipt is {}: {hint}", state.as_str())]
    State {
        /// Where it stands.
        state: State,
        /// What to do instead.
        hint: &'static str,
    },
    /// Give up: the ФД number cannot be this document's.
    #[error("ФД {number} cannot be this document's: {why}")]
    FiscalNumber {
        /// The number given.
        number: u32,
        /// Why not, and what is allowed.
        why: String,
    },
    /// Give up: there is no such receipt.
    #[error("no such receipt")]
    NotFound,
    /// The shift is already as asked, or the device cannot change it now.
    #[error("{0}")]
    Shift(String),
    /// The adapter is stopping: the same key again, once it is back.
    #[error("the adapter is stopping; send the receipt again under the same Idempotency-Key")]
    Stopping,
    /// The same key again after a while: the receipt is stored, but it was not printed, and nobody will print it unasked.
    #[error("{}", unprinted(*id, reason, *retry_after))]
    Unprinted {
        /// Our key of it.
        id: ReceiptId,
        /// What the buffer could not write, for people: `по-русски / in English`.
        reason: String,
        /// When to try again.
        retry_after: Duration,
    },
    /// The buffer did not do it.
    #[error(transparent)]
    Buffer(#[from] BufferError),
    /// The device cannot be used.
    #[error(transparent)]
    Kkt(#[from] KktError),
}

fn unprinted(id: ReceiptId, reason: &str, retry_after: Duration) -> String {
    let ((russian, english), seconds) = (both(reason), retry_after.as_secs());
    format!(
        "чек {id} сохранён, но не напечатан и сам не напечатается ({russian}): отправьте его ещё раз с тем же \
         Idempotency-Key через {seconds} с / receipt {id} is stored, but it is not printed and will not be by itself \
         ({english}): send it again under the same Idempotency-Key after {seconds} s"
    )
}

/// A person's decision on a document of which the KKT cannot say whether it was printed.
#[derive(Debug, Clone)]
pub enum Verdict {
    /// It is on paper, with this ФД number and sign.
    Printed(Box<FiscalDoc>),
    /// It is not; the adapter will print it.
    NotPrinted,
}

/// A device as health and the dashboard show it.
#[derive(Debug, Clone)]
pub struct DeviceView {
    /// Its name.
    pub device: DeviceId,
    /// The last thing the device said; `None`: it works.
    pub trouble: Option<String>,
    /// The document whose printing a person must decide on, if any: nothing is printed until then.
    pub blocked_by: Option<ReceiptId>,
    /// Documents that wait to be printed.
    pub unprinted: u64,
}

/// Validate → fsync → print → answer. Never waits for the network.
#[async_trait]
pub trait Till: Send + Sync + 'static {
    /// Takes a valid receipt that a request brought.
    ///
    /// # Errors
    /// [`TillError`].
    async fn sell(
        &self,
        key: IdempotencyKey,
        receipt: Receipt,
        notes: Vec<String>,
        request_id: RequestId,
    ) -> Result<Sale, TillError>;

    /// Ends a sale that was never printed.
    ///
    /// # Errors
    /// [`TillError::State`] if it was, or may have been.
    async fn cancel(&self, id: ReceiptId, by: Actor, why: String) -> Result<Entry, TillError>;

    /// A person decides on a `print_unknown` document.
    ///
    /// # Errors
    /// [`TillError::State`] if it is not one; [`TillError::FiscalNumber`] if the number read off the paper is another
    /// document's, or far from all that are known of its ФН.
    async fn decide(
        &self,
        id: ReceiptId,
        verdict: Verdict,
        by: Actor,
        why: String,
    ) -> Result<Entry, TillError>;

    /// Opens the shift of a till's device.
    ///
    /// # Errors
    /// [`TillError::Shift`] if one is open.
    async fn open_shift(&self, pos_id: PosId) -> Result<Sale, TillError>;

    /// Closes it.
    ///
    /// # Errors
    /// [`TillError::Shift`] if none is open.
    async fn close_shift(&self, pos_id: PosId) -> Result<Sale, TillError>;

    /// The shift as the device has it.
    ///
    /// # Errors
    /// [`TillError::Kkt`] if the device cannot be asked.
    async fn shift(&self, pos_id: PosId) -> Result<(DeviceId, ShiftState), TillError>;

    /// The devices in use, for health.
    fn devices(&self) -> Vec<DeviceView>;

    /// Whether printed documents are legally fiscal.
    fn fiscal(&self) -> bool;
}
