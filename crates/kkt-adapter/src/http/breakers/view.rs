//! Breakers as the API shows them.

use super::super::view::Time;
use crate::ports::BreakerView;
use circuit_breaker::State;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::Serialize;
use serde_json::{Map, Value};
use std::time::Duration;

/// The state's name: CLOSED | OPEN | HALF_OPEN | FORCED_….
#[must_use]
pub fn state(view: &BreakerView) -> &'static str {
    view.snapshot.state.as_str()
}

/// The names of all states.
pub fn state_schema(_: &mut SchemaGenerator) -> Schema {
    json_schema!({ "type": "string", "enum": State::ALL.map(State::as_str) })
}

fn seconds(time: Duration) -> f64 {
    time.as_millis() as f64 / 1000.0
}

/// The endpoint's breaker as a component of health, and all of them in short. The counts are totals, which never go
/// down: the failure that opened the circuit is among them.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BreakerHealth")]
pub struct Component {
    #[schemars(schema_with = "state_schema")]
    state: &'static str,
    failure_count: u64,
    success_count: u64,
    consecutive_failures: u32,
    last_failure: Option<Time>,
    last_state_change: Time,
    /// Time until probing is allowed.
    retry_after_seconds: Option<f64>,
    /// Why it is in this state, in words.
    reason: Option<String>,
    breakers: Vec<Brief>,
}

impl Component {
    /// Shows it.
    pub fn of(endpoint: &BreakerView, all: &[BreakerView]) -> Self {
        Self {
            state: state(endpoint),
            failure_count: endpoint.snapshot.failures,
            success_count: endpoint.snapshot.successes,
            consecutive_failures: endpoint.snapshot.consecutive_failures,
            last_failure: endpoint.last_failure.map(Time),
            last_state_change: Time(endpoint.since),
            retry_after_seconds: endpoint.retry_after.map(seconds),
            reason: endpoint.reason.clone(),
            breakers: all.iter().map(Brief::of).collect(),
        }
    }
}

/// A breaker in short.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BreakerBrief")]
struct Brief {
    /// `ofd` for the endpoint, `device:<id>` for a KKT.
    key: String,
    /// The till, where the device is one till's own; else empty.
    pos_id: String,
    #[schemars(schema_with = "state_schema")]
    state: &'static str,
    reason: Option<String>,
    since: Time,
    retry_after_seconds: Option<f64>,
    failure_count: u64,
    success_count: u64,
}

impl Brief {
    fn of(view: &BreakerView) -> Self {
        Self {
            key: view.key.clone(),
            pos_id: view.pos_id.clone(),
            state: state(view),
            reason: view.reason.clone(),
            since: Time(view.since),
            retry_after_seconds: view.retry_after.map(seconds),
            failure_count: view.snapshot.failures,
            success_count: view.snapshot.successes,
        }
    }
}

/// A circuit breaker.
#[derive(Serialize, JsonSchema)]
pub struct Breaker {
    /// `ofd` for the endpoint, `device:<id>` for a KKT.
    key: String,
    /// The till, where the device is one till's own; else empty.
    pos_id: String,
    #[schemars(schema_with = "state_schema")]
    state: &'static str,
    /// Grows by one at every transition and command.
    generation: u64,
    /// Why it is in this state, in words.
    reason: Option<String>,
    since: Time,
    /// Time until probing is allowed.
    retry_after_seconds: Option<f64>,
    /// When a force-open with an end is released.
    forced_until: Option<Time>,
    last_failure: Option<Time>,
    consecutive_failures: u32,
    /// Probes in flight.
    in_flight: u32,
    probe_successes: u32,
    /// Opens since it was last CLOSED.
    opens_in_row: u32,
    /// What its sliding window holds; `null`: it has none.
    window: Option<Window>,
    counters: Counters,
    /// The numbers in force, times in seconds: `failure_threshold`, `recovery_timeout`, `success_threshold`, ….
    configuration: Map<String, Value>,
}

/// Calls of the sliding window; rates in percent.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Window {
    calls: u32,
    failures: u32,
    slow: u32,
    failure_rate: f64,
    slow_rate: f64,
}

/// Totals since the adapter started; none ever goes down.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BreakerCounters")]
struct Counters {
    successes: u64,
    failures: u64,
    /// Successes and failures that were slow.
    slow: u64,
    ignored: u64,
    /// Calls that ended without an outcome.
    abandoned: u64,
    /// Calls that ended in a later generation.
    late: u64,
    /// Calls charged before they ended.
    overdue: u64,
    /// Calls that were not made.
    rejected: u64,
    opens: u64,
    /// Seconds spent in each state.
    state_seconds: Map<String, Value>,
}

impl Breaker {
    /// Shows it.
    pub fn of(view: &BreakerView) -> Self {
        let snapshot = &view.snapshot;
        let window = snapshot.window.map(|window| Window {
            calls: window.calls,
            failures: window.failures,
            slow: window.slow,
            failure_rate: window.failure_rate,
            slow_rate: window.slow_rate,
        });
        Self {
            key: view.key.clone(),
            pos_id: view.pos_id.clone(),
            state: state(view),
            generation: snapshot.generation,
            reason: view.reason.clone(),
            since: Time(view.since),
            retry_after_seconds: view.retry_after.map(seconds),
            forced_until: view.forced_until.map(Time),
            last_failure: view.last_failure.map(Time),
            consecutive_failures: snapshot.consecutive_failures,
            in_flight: snapshot.in_flight,
            probe_successes: snapshot.probe_successes,
            opens_in_row: snapshot.opens_in_row,
            window,
            counters: Counters::of(snapshot),
            configuration: match serde_json::to_value(&*snapshot.config) {
                Ok(Value::Object(map)) => map,
                _ => Map::new(),
            },
        }
    }
}

impl Counters {
    fn of(snapshot: &circuit_breaker::Snapshot) -> Self {
        let spent = |state: State| seconds(snapshot.time_in_state.of(state)).into();
        Self {
            successes: snapshot.successes,
            failures: snapshot.failures,
            slow: snapshot.slow,
            ignored: snapshot.ignored,
            abandoned: snapshot.abandoned,
            late: snapshot.late,
            overdue: snapshot.overdue,
            rejected: snapshot.rejected,
            opens: snapshot.opens,
            state_seconds: State::ALL
                .map(|state| (state.as_str().to_owned(), spent(state)))
                .into_iter()
                .collect(),
        }
    }
}
