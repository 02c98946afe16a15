//! The start: what an earlier run of the program left is settled before anything is sold.

use super::{Room, device::Device};
use crate::{
    domain::{ids::ReceiptId, lifecycle::State},
    ports::{BufferError, ListFilter},
};
use std::sync::Arc;
use tokio::task::JoinSet;

/// Rows read at once.
const PAGE: usize = 500;

/// What the start found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Recovered {
    /// Documents that were being printed when the program ended.
    pub printing: usize,
    /// Of these, devices could not be asked about so many yet; they are asked before anything else is printed.
    pub unsettled: usize,
    /// Documents that a person must decide on; their devices print nothing.
    pub print_unknown: usize,
    /// Documents that wait to be printed.
    pub buffered: usize,
    /// Documents that were never answered; they wait for the till's retry, a day.
    pub accepted: usize,
}

impl Room {
    /// Counts what waits, blocks the devices that need a person, then settles what was being printed. Devices are
    /// asked side by side, each for `find_timeout` a document at most, until one does not answer.
    pub(super) async fn recover(self: &Arc<Self>) -> Result<Recovered, BufferError> {
        let now = tokio::time::Instant::now();
        let buffered =
            self.each(State::Buffered, |device, _| device.expect_backlog(now, &self.options)).await?;
        let accepted = self.each(State::Accepted, |_, _| {}).await?;
        self.each(State::PrintUnknown, |device, id| {
            device.block(id);
            tracing::error!(
                device = %device.id, document = %id,
                "nobody knows whether a document was printed; the device prints nothing until a person decides"
            );
        })
        .await?;
        let printing = self.each(State::Printing, Device::doubt).await?;
        for device in self.buffer.devices().await? {
            // Known from now on, so that the background looks at its shift.
            self.devices.get(&device);
        }
        crate::fail_point::hit("recover.counted");
        let devices = self.devices.all();
        let mut settling = JoinSet::new();
        for device in devices.iter().filter(|device| !device.unresolved().is_empty()) {
            let (room, device) = (Arc::clone(self), Arc::clone(device));
            settling.spawn(async move {
                let mut bench = device.lock().await;
                if let Err(refusal) = room.settle(&mut bench, &device).await {
                    room.note(&device, refusal);
                }
            });
        }
        while settling.join_next().await.is_some() {}
        crate::fail_point::hit("recover.settled");
        let sum = |of: fn(&Device) -> usize| devices.iter().map(|device| of(device)).sum();
        let unsettled = sum(|device| device.unresolved().len());
        let print_unknown = sum(Device::blocked_count);
        Ok(Recovered { printing, unsettled, print_unknown, buffered, accepted })
    }

    /// Visits every document in a state, page by page, and counts it as unprinted.
    async fn each(&self, state: State, visit: impl Fn(&Device, ReceiptId)) -> Result<usize, BufferError> {
        let mut count = 0;
        let mut cursor = None;
        loop {
            let filter = ListFilter {
                state: Some(state),
                ascending: true,
                cursor,
                limit: PAGE,
                ..ListFilter::default()
            };
            let page = self.buffer.list(filter).await?;
            count += page.entries.len();
            for entry in page.entries {
                let device = self.devices.get(&entry.device);
                device.used_by(&entry.pos_id);
                device.count_unprinted();
                visit(&device, entry.id);
            }
            cursor = page.next;
            if cursor.is_none() {
                return Ok(count);
            }
        }
    }
}
