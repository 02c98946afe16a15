//! `GET /metrics`.

use super::{Metrics, Read, scrape};
use crate::ports::{BreakerControl, Buffer, BufferError, Clock, DeviceView, LaneView, MetricsPage};
use async_trait::async_trait;
use jiff::Timestamp;
use prometheus::TextEncoder;
use std::sync::Arc;

/// The page: what the rooms reported, and what is read at the scrape.
pub struct Page {
    /// What the rooms reported.
    pub metrics: Arc<Metrics>,
    /// Gives its figures.
    pub buffer: Arc<dyn Buffer>,
    /// Give theirs.
    pub breakers: Arc<dyn BreakerControl>,
    /// Tells which devices are blocked.
    pub devices: Arc<dyn Fn() -> Vec<DeviceView> + Send + Sync>,
    /// Tells which lanes are stuck: of all of them, however many.
    pub lanes: Arc<dyn Fn() -> Vec<LaneView> + Send + Sync>,
    /// For the age of the oldest document.
    pub clock: Arc<dyn Clock>,
    /// When the process started.
    pub started: Timestamp,
}

#[async_trait]
impl MetricsPage for Page {
    async fn render(&self) -> Result<String, BufferError> {
        let stats = self.buffer.stats().await?;
        let (breakers, devices, lanes) = (self.breakers.breakers(), (self.devices)(), (self.lanes)());
        let store = self.buffer.health();
        let read = Read {
            breakers: &breakers,
            devices: &devices,
            lanes: &lanes,
            store: &store,
            started: self.started,
        };
        let mut families = scrape(&self.metrics, &stats, &read, self.clock.wall());
        families.extend(self.metrics.gather());
        families.sort_by(|a, b| a.name().cmp(b.name()));
        TextEncoder::new()
            .encode_to_string(&families)
            .map_err(|error| BufferError::Failed(format!("the metrics cannot be written: {error}")))
    }
}
