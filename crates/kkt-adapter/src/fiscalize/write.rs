//! The write of what became of a document: queued under the print lock, waited for outside it, and heard of by whoever
//! holds the lock next before the device is told anything.

use super::device::Device;
use crate::{
    domain::{ids::ReceiptId, lifecycle::State},
    ports::{BufferError, Pending},
};
use std::sync::{Arc, Weak};
use tokio::sync::Mutex;

enum Stage {
    Queued(Pending<()>),
    Ended(Result<(), BufferError>),
}

/// A result on its way to the disk. If it is refused, its document is in doubt before anybody hears of it, and once only:
/// a doubt that came again later would be of a document that was settled meanwhile.
///
/// A document of which nobody knows is in doubt until that is written, although its device is blocked: so it keeps its
/// place among those in doubt if the write is refused.
pub struct Write {
    stage: Mutex<Stage>,
    /// Weak, since the device's bench holds the write.
    device: Weak<Device>,
    document: ReceiptId,
    /// What is written is that nobody knows; the device was blocked with it.
    is_unknown: bool,
}

impl Write {
    /// One that was queued just now.
    pub fn queued(pending: Pending<()>, device: &Arc<Device>, document: ReceiptId, is_unknown: bool) -> Self {
        Self {
            stage: Mutex::new(Stage::Queued(pending)),
            device: Arc::downgrade(device),
            document,
            is_unknown,
        }
    }

    /// Waits for its end. Any number may wait; all hear the same.
    pub async fn end(&self) -> Result<(), BufferError> {
        let mut stage = self.stage.lock().await;
        match &mut *stage {
            Stage::Ended(result) => result.clone(),
            Stage::Queued(pending) => {
                let result = pending.await;
                self.take_note(&result);
                *stage = Stage::Ended(result.clone());
                result
            }
        }
    }

    fn take_note(&self, result: &Result<(), BufferError>) {
        let Some(device) = self.device.upgrade() else { return };
        match result {
            Ok(()) if self.is_unknown => device.resolve(self.document),
            Ok(()) => {}
            // What was queued before it settled the document already.
            Err(BufferError::NotAllowed { state, .. }) => {
                if self.is_unknown && *state != State::PrintUnknown {
                    device.unblock(self.document);
                }
            }
            // The row still says `printing`: before anything else is printed the KKT is asked.
            Err(_) => {
                if self.is_unknown {
                    device.unblock(self.document);
                }
                device.doubt(self.document);
            }
        }
    }
}
