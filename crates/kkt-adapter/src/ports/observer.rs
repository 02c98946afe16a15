//! What the rooms tell the metrics and the event log. Every method has an empty default, so a test takes [`Silent`].

use super::Event;
use crate::domain::ids::PosId;
use std::time::Duration;

/// Told of what happens; must not block.
pub trait Observer: Send + Sync + 'static {
    /// A receipt was answered: `kind` sale | refund | correction, `status` printed | buffered | replayed | failed.
    fn receipt(&self, pos_id: &PosId, kind: &'static str, status: &'static str) {
        let _ = (pos_id, kind, status);
    }
    /// A document left its lane: `status` synced | dead.
    fn settled(&self, pos_id: &PosId, status: &'static str) {
        let _ = (pos_id, status);
    }
    /// From printing to the OFD's confirmation of one round of a lane.
    fn sync_round(&self, took: Duration) {
        let _ = took;
    }
    /// One commit of the buffer, fsync included.
    fn fsync(&self, took: Duration) {
        let _ = took;
    }
    /// One call of the OFD: `outcome` accepted | unavailable | unauthorised | rejected | ambiguous.
    fn ofd_call(&self, outcome: &'static str, took: Duration) {
        let _ = (outcome, took);
    }
    /// One HTTP request of a client; `route` is the matched pattern, never the raw path.
    fn http_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let _ = (method, route, status, took);
    }
    /// Something that people who watch want to see; called once it is durable where it has to be.
    fn event(&self, event: Event) {
        let _ = event;
    }
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Observer for Silent {}

/// The page that Prometheus scrapes.
#[async_trait::async_trait]
pub trait MetricsPage: Send + Sync + 'static {
    /// Renders it in the text exposition format 0.0.4.
    ///
    /// # Errors
    /// [`super::BufferError`] if the buffer cannot give its figures.
    async fn render(&self) -> Result<String, super::BufferError>;
}
