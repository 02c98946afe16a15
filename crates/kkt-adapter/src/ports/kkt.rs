//! The cash register.

use crate::domain::{
    document::FiscalDoc,
    ids::{DeviceId, PosId, ReceiptId},
    receipt::Receipt,
};
use async_trait::async_trait;
use jiff::Timestamp;
use std::sync::Arc;

/// Why the KKT did not do it, sorted by what the caller must do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum KktError {
    /// Surely nothing was printed: keep the document and try later (paper out, off before the command).
    #[error("the KKT did not print: {0}")]
    NotPrinted(String),
    /// The command may have been carried out: ask `find` before anything else is printed.
    #[error("the KKT did not answer in time: {0}")]
    Ambiguous(String),
    /// The shift must be opened, or closed and opened, first.
    #[error("the shift is {0:?}")]
    Shift(ShiftState),
    /// The driver itself is broken (its state cannot be read or written): a person must look.
    #[error("the KKT driver has failed: {0}")]
    Failed(String),
}

/// What the KKT knows of a document.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Found {
    /// The ФН made this document of it.
    Printed(Box<FiscalDoc>),
    /// It surely did not.
    NotPrinted,
    /// It cannot say: a person must look at the paper.
    Unknown,
}

/// The shift of a device. It lasts at most 24 hours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ShiftState {
    /// None is open; the last one had this number (0: never one).
    Closed {
        /// Number of the last shift.
        last: u32,
    },
    /// Open since then.
    Open {
        /// Its number.
        number: u32,
        /// When it was opened.
        since: Timestamp,
        /// Receipts made in it.
        receipts: u32,
    },
    /// Open for 24 hours: the ФН refuses receipts until it is closed.
    Expired {
        /// Its number.
        number: u32,
    },
}

/// One KKT with its ФН. The caller holds the device's print lock: no two calls run at once, `find` and `shift`
/// apart. A driver need not know a key it has printed before: the caller asks `find` first.
#[async_trait]
pub trait KktDriver: Send + Sync + 'static {
    /// Prints and signs a receipt.
    ///
    /// # Errors
    /// [`KktError`]; after `Ambiguous`, or if the call was dropped, only `find` says what became of it.
    async fn fiscalize(&self, receipt: &Receipt, key: ReceiptId) -> Result<FiscalDoc, KktError>;

    /// Opens a shift; the report is a document with a ФД number of its own.
    ///
    /// # Errors
    /// As `fiscalize`.
    async fn open_shift(&self, key: ReceiptId) -> Result<FiscalDoc, KktError>;

    /// Closes the shift.
    ///
    /// # Errors
    /// As `fiscalize`.
    async fn close_shift(&self, key: ReceiptId) -> Result<FiscalDoc, KktError>;

    /// What became of a document under this key.
    ///
    /// # Errors
    /// [`KktError`]: the KKT could not be asked; ask again later.
    async fn find(&self, key: ReceiptId) -> Result<Found, KktError>;

    /// The shift as the KKT has it.
    ///
    /// # Errors
    /// [`KktError`]: the KKT could not be asked.
    async fn shift(&self) -> Result<ShiftState, KktError>;
}

/// The devices of this adapter, by till and by name.
pub trait KktFleet: Send + Sync + 'static {
    /// Whether documents of these devices are legally fiscal; `false` while emulated.
    fn fiscal(&self) -> bool;

    /// The device that prints for a till. By default each till has a virtual one of its own name.
    ///
    /// # Errors
    /// [`KktError::Failed`] if no device is configured for the till and none may be made, with the text for the till.
    fn device_of(&self, pos_id: &PosId) -> Result<DeviceId, KktError>;

    /// Whether there is such a device already. A virtual one is made at its first use, and a question is no use: what
    /// only reads asks this before it asks for the [`driver`](Self::driver).
    fn exists(&self, device: &DeviceId) -> bool {
        let _ = device;
        true
    }

    /// The driver of a device, made and opened at first use.
    ///
    /// # Errors
    /// [`KktError::Failed`] if it cannot be opened.
    fn driver(&self, device: &DeviceId) -> Result<Arc<dyn KktDriver>, KktError>;

    /// Tells an emulated ФН, before its first use, the highest ФД number the buffer knows, so that it never counts a number
    /// twice although its own state is not fsynced at each document. Real devices ignore it.
    fn floor(&self, device: &DeviceId, last_fd: u32);
}
