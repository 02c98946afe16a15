//! What is read at the scrape: the figures of buffer, breakers and devices.

use super::{
    labels::OTHER,
    metrics::{Metrics, register},
    names::{self, Metric},
};
use crate::{
    domain::ids::DeviceId,
    ports::{BreakerView, DeviceView, LaneView, Stats, StoreHealth},
};
use circuit_breaker::{Snapshot, State};
use jiff::Timestamp;
use prometheus::{CounterVec, GaugeVec, IntCounterVec, IntGaugeVec, Opts, Registry, proto::MetricFamily};
use std::collections::BTreeMap;

/// What is read at the scrape, besides the buffer's figures.
pub struct Read<'a> {
    /// The breakers.
    pub breakers: &'a [BreakerView],
    /// The devices.
    pub devices: &'a [DeviceView],
    /// Their lanes.
    pub lanes: &'a [LaneView],
    /// How the store is.
    pub store: &'a StoreHealth,
    /// When the process started.
    pub started: Timestamp,
}

/// The families of all of it. `metrics` says which tills have labels of their own; `wall` is the time now.
#[must_use]
pub fn scrape(metrics: &Metrics, stats: &Stats, read: &Read<'_>, wall: Timestamp) -> Vec<MetricFamily> {
    let registry = Registry::new();
    buffer(&registry, metrics, stats, wall);
    store(&registry, read.store);
    gauge(&registry, &names::START_TIME).with_label_values::<&str>(&[]).set(read.started.as_second());
    let blocked = read.devices.iter().map(|view| (&view.device, view.blocked_by.is_some()));
    flags(&registry, &names::DEVICE_BLOCKED, metrics, blocked);
    let stuck = read.lanes.iter().map(|lane| (&lane.device, lane.needs_a_person()));
    flags(&registry, &names::LANE_STUCK, metrics, stuck);
    let rows = Rows::of(metrics, read.breakers);
    rows.write(&registry);
    registry.gather()
}

/// One series a device; of those under one label one that is set counts.
fn flags<'a>(
    registry: &Registry,
    metric: &Metric,
    metrics: &Metrics,
    devices: impl Iterator<Item = (&'a DeviceId, bool)>,
) {
    let family = gauge(registry, metric);
    for (device, is_set) in devices {
        let series = family.with_label_values(&[metrics.device(device.as_str())]);
        series.set(series.get().max(i64::from(is_set)));
    }
}

fn buffer(registry: &Registry, metrics: &Metrics, stats: &Stats, wall: Timestamp) {
    let size = gauge(registry, &names::BUFFER_SIZE);
    for (pos_id, counts) in stats.per_pos.iter() {
        let unsettled = counts.unprinted + counts.pending + counts.dead;
        size.with_label_values(&[metrics.till(pos_id.as_str())]).add(whole(unsettled));
    }
    gauge(registry, &names::BUFFER_CAPACITY).with_label_values::<&str>(&[]).set(whole(stats.capacity));
    gauge(registry, &names::DLQ_SIZE).with_label_values::<&str>(&[]).set(whole(stats.total.dead));
    let percent = stats.used as f64 * 100.0 / stats.capacity.max(1) as f64;
    decimal(registry, &names::BUFFER_PERCENT_FULL).with_label_values::<&str>(&[]).set(percent);
    // A wall clock that was set back makes no document younger than now.
    let age =
        stats.oldest_unconfirmed.map_or(0.0, |oldest| wall.duration_since(oldest).as_secs_f64().max(0.0));
    decimal(registry, &names::OLDEST_PENDING).with_label_values::<&str>(&[]).set(age);
    gauge(registry, &names::DAMAGED).with_label_values::<&str>(&[]).set(whole(stats.damaged_open));
}

fn store(registry: &Registry, store: &StoreHealth) {
    let set = |metric: &Metric, value| gauge(registry, metric).with_label_values::<&str>(&[]).set(value);
    set(&names::ACCEPTING, i64::from(store.refuses.is_none()));
    set(&names::DATABASE_ERROR, i64::from(!store.ok || store.error.is_some()));
    if let Some(disk) = store.disk {
        set(&names::DISK_FREE, whole(disk.free_bytes));
        set(&names::DISK_FLOOR, whole(disk.floor_bytes));
    }
}

/// One row a pair of labels `key`, `pos_id`.
#[derive(Default)]
struct Rows(BTreeMap<(String, String), Row>);

#[derive(Default)]
struct Row {
    state: Option<State>,
    opens: u64,
    /// By outcome, in the order of [`OUTCOMES`].
    calls: [u64; 6],
    /// By state, in the order of [`State::ALL`].
    seconds: [f64; 6],
}

const OUTCOMES: [&str; 6] = ["succeeded", "failed", "ignored", "abandoned", "late", "rejected"];
const FAILED: usize = 1;

impl Rows {
    fn of(metrics: &Metrics, breakers: &[BreakerView]) -> Self {
        let mut rows = Self::default();
        for view in breakers {
            let key = metrics.breaker(&view.key);
            let pos_id = if key == view.key { view.pos_id.as_str() } else { OTHER };
            rows.0.entry((key.to_owned(), pos_id.to_owned())).or_default().add(&view.snapshot);
        }
        rows
    }

    fn write(&self, registry: &Registry) {
        let state = gauge(registry, &names::BREAKER_STATE);
        let failures = counter(registry, &names::BREAKER_FAILURES);
        let opens = counter(registry, &names::BREAKER_OPENS);
        let calls = counter(registry, &names::BREAKER_CALLS);
        let name = &names::BREAKER_STATE_SECONDS;
        let seconds = register(registry, CounterVec::new(Opts::new(name.name, name.help), name.labels));
        for ((key, pos_id), row) in &self.0 {
            let (key, pos_id) = (key.as_str(), pos_id.as_str());
            state.with_label_values(&[key, pos_id]).set(row.state.map_or(0, |state| state as i64));
            failures.with_label_values(&[key, pos_id]).inc_by(row.calls[FAILED]);
            opens.with_label_values(&[key, pos_id]).inc_by(row.opens);
            for (outcome, count) in OUTCOMES.into_iter().zip(row.calls) {
                calls.with_label_values(&[key, pos_id, outcome]).inc_by(count);
            }
            for (state, spent) in State::ALL.into_iter().zip(row.seconds) {
                seconds.with_label_values(&[key, pos_id, state.as_str()]).inc_by(spent);
            }
        }
    }
}

impl Row {
    fn add(&mut self, snapshot: &Snapshot) {
        self.state = Some(self.state.map_or(snapshot.state, |before| worse(before, snapshot.state)));
        self.opens = self.opens.saturating_add(snapshot.opens);
        let calls = [
            snapshot.successes,
            snapshot.failures,
            snapshot.ignored,
            snapshot.abandoned,
            snapshot.late,
            snapshot.rejected,
        ];
        for (sum, count) in self.calls.iter_mut().zip(calls) {
            *sum = sum.saturating_add(count);
        }
        for (sum, state) in self.seconds.iter_mut().zip(State::ALL) {
            *sum += snapshot.time_in_state.of(state).as_secs_f64();
        }
    }
}

/// Of two breakers under one label: OPEN before all, CLOSED only if both are.
fn worse(a: State, b: State) -> State {
    match (a, b) {
        (State::Open, _) | (_, State::Open) => State::Open,
        (State::Closed, other) | (other, _) => other,
    }
}

fn whole(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

fn gauge(registry: &Registry, metric: &Metric) -> IntGaugeVec {
    register(registry, IntGaugeVec::new(Opts::new(metric.name, metric.help), metric.labels))
}

fn decimal(registry: &Registry, metric: &Metric) -> GaugeVec {
    register(registry, GaugeVec::new(Opts::new(metric.name, metric.help), metric.labels))
}

fn counter(registry: &Registry, metric: &Metric) -> IntCounterVec {
    register(registry, IntCounterVec::new(Opts::new(metric.name, metric.help), metric.labels))
}
