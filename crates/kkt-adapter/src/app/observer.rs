//! Passes on what the rooms report: everything to the metrics, events to the log that people watch.

use crate::{
    domain::ids::PosId,
    http::EventLog,
    ports::{Event, Observer},
    telemetry::Metrics,
};
use std::{sync::Arc, time::Duration};

pub(super) struct Reported {
    pub metrics: Arc<Metrics>,
    pub events: Arc<EventLog>,
}

impl Observer for Reported {
    fn receipt(&self, pos_id: &PosId, kind: &'static str, status: &'static str) {
        self.metrics.receipt(pos_id, kind, status);
    }
    fn settled(&self, pos_id: &PosId, status: &'static str) {
        self.metrics.settled(pos_id, status);
    }
    fn sync_round(&self, took: Duration) {
        self.metrics.sync_round(took);
    }
    fn fsync(&self, took: Duration) {
        self.metrics.fsync(took);
    }
    fn ofd_call(&self, outcome: &'static str, took: Duration) {
        self.metrics.ofd_call(outcome, took);
    }
    fn http_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        self.metrics.http_request(method, route, status, took);
    }
    fn event(&self, event: Event) {
        self.events.event(event);
    }
}
