//! The metrics that the rooms report as things happen.

use super::{
    labels::{Bounded, TILLS_MAX},
    names::{self, Metric, Type},
};
use crate::{domain::ids::PosId, ports::Observer};
use prometheus::{HistogramOpts, HistogramVec, IntCounterVec, Opts, Registry, proto::MetricFamily};
use std::time::Duration;

/// Routes with a label of their own; there are fewer patterns than this, so it only guards against a caller that
/// passes raw paths.
const ROUTES_MAX: usize = 200;

const METHODS: [&str; 7] = ["GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"];

/// Counters and histograms of this process.
#[derive(Debug)]
pub struct Metrics {
    registry: Registry,
    tills: Bounded,
    breakers: Bounded,
    devices: Bounded,
    routes: Bounded,
    receipts: IntCounterVec,
    receipts_synced: IntCounterVec,
    sync_duration: HistogramVec,
    fsync: HistogramVec,
    ofd_call: HistogramVec,
    http_requests: IntCounterVec,
    http_request: HistogramVec,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// All at zero.
    #[must_use]
    pub fn new() -> Self {
        let registry = Registry::new();
        let metrics = Self {
            tills: Bounded::new(TILLS_MAX),
            breakers: Bounded::new(TILLS_MAX),
            devices: Bounded::new(TILLS_MAX),
            routes: Bounded::new(ROUTES_MAX),
            receipts: counter(&registry, &names::RECEIPTS),
            receipts_synced: counter(&registry, &names::RECEIPTS_SYNCED),
            sync_duration: histogram(&registry, &names::SYNC_DURATION),
            fsync: histogram(&registry, &names::FSYNC),
            ofd_call: histogram(&registry, &names::OFD_CALL),
            http_requests: counter(&registry, &names::HTTP_REQUESTS),
            http_request: histogram(&registry, &names::HTTP_REQUEST),
            registry,
        };
        // Those without labels, and those whose labels are known, are there from the start: a rate over a series that
        // appears with its first event misses that event.
        let _ = metrics.sync_duration.with_label_values::<&str>(&[]);
        let _ = metrics.fsync.with_label_values::<&str>(&[]);
        for outcome in ["accepted", "unavailable", "unauthorised", "rejected", "ambiguous"] {
            let _ = metrics.ofd_call.with_label_values(&[outcome]);
        }
        metrics
    }

    /// The label of a till: its name, or `other` beyond the bound.
    pub(super) fn till<'a>(&self, pos_id: &'a str) -> &'a str {
        self.tills.label(pos_id)
    }

    /// The label of a breaker: its key, or `other` beyond the bound.
    pub(super) fn breaker<'a>(&self, key: &'a str) -> &'a str {
        self.breakers.label(key)
    }

    /// The label of a device: its name, or `other` beyond the bound.
    pub(super) fn device<'a>(&self, device: &'a str) -> &'a str {
        self.devices.label(device)
    }

    /// As they stand.
    #[must_use]
    pub fn gather(&self) -> Vec<MetricFamily> {
        self.registry.gather()
    }
}

impl Observer for Metrics {
    fn receipt(&self, pos_id: &PosId, kind: &'static str, status: &'static str) {
        self.receipts.with_label_values(&[self.till(pos_id.as_str()), kind, status]).inc();
    }

    fn settled(&self, pos_id: &PosId, status: &'static str) {
        self.receipts_synced.with_label_values(&[self.till(pos_id.as_str()), status]).inc();
    }

    fn sync_round(&self, took: Duration) {
        self.sync_duration.with_label_values::<&str>(&[]).observe(took.as_secs_f64());
    }

    fn fsync(&self, took: Duration) {
        self.fsync.with_label_values::<&str>(&[]).observe(took.as_secs_f64());
    }

    fn ofd_call(&self, outcome: &'static str, took: Duration) {
        self.ofd_call.with_label_values(&[outcome]).observe(took.as_secs_f64());
    }

    fn http_request(&self, method: &str, route: &str, status: u16, took: Duration) {
        let method = METHODS.into_iter().find(|known| *known == method).unwrap_or(super::OTHER);
        let route = self.routes.label(route);
        self.http_requests.with_label_values(&[method, route, &status.to_string()]).inc();
        self.http_request.with_label_values(&[method, route]).observe(took.as_secs_f64());
    }
}

fn counter(registry: &Registry, metric: &Metric) -> IntCounterVec {
    debug_assert_eq!(metric.kind, Type::Counter);
    let vec = IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels);
    register(registry, vec)
}

fn histogram(registry: &Registry, metric: &Metric) -> HistogramVec {
    debug_assert_eq!(metric.kind, Type::Histogram);
    let options = HistogramOpts::new(metric.name, metric.help).buckets(metric.buckets.to_vec());
    register(registry, HistogramVec::new(options, metric.labels))
}

/// Puts a metric of the table of names into a registry.
pub(super) fn register<C: prometheus::core::Collector + Clone + 'static>(
    registry: &Registry,
    metric: prometheus::Result<C>,
) -> C {
    let metric = metric.expect("the table's names and labels are valid, as a test checks");
    registry.register(Box::new(metric.clone())).expect("each name stands in the table once");
    metric
}
