//! Health, for people and for supervisors.
//!
//! | status | when |
//! |---|---|
//! | unhealthy | buffer ≥ 100 %, more than 100 dead letters, or the database fails |
//! | degraded | any breaker not CLOSED, any device blocked or in trouble, any lane stuck (its first document has not got through for 10 minutes) or stopped, buffer ≥ 80 %, more than 50 dead letters, oldest pending > 3 days |
//! | healthy | else |

use super::{
    breakers::{self, Component},
    buffer::{Lane, oldest_pending_seconds, percent_full},
    pages::NOT_FISCAL,
    router::{App, Shared},
    view::json,
};
use crate::{
    domain::ids::{DeviceId, ReceiptId},
    ports::{DeviceView, LaneView, Stats},
};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;

const BUFFER_DEGRADED_PERCENT: u64 = 80;
const DLQ_DEGRADED: u64 = 50;
const DLQ_UNHEALTHY: u64 = 100;
const OLDEST_DEGRADED_SECONDS: i64 = 3 * 24 * 3_600;

/// How it goes; the worse one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Health {
    /// All is well.
    Healthy,
    /// It works, somebody should look.
    Degraded,
    /// Somebody must look now.
    Unhealthy,
}

impl Health {
    fn degraded_if(condition: bool) -> Self {
        if condition { Self::Degraded } else { Self::Healthy }
    }
}

/// The figures that health looks at. Exact numbers: 79.999 % is not 80 %.
fn of_buffer(stats: &Stats, oldest_seconds: Option<i64>) -> Health {
    let dead = stats.total.dead;
    if stats.used >= stats.capacity || dead > DLQ_UNHEALTHY {
        return Health::Unhealthy;
    }
    let full =
        u128::from(stats.used) * 100 >= u128::from(stats.capacity) * u128::from(BUFFER_DEGRADED_PERCENT);
    let old = oldest_seconds.is_some_and(|seconds| seconds > OLDEST_DEGRADED_SECONDS);
    Health::degraded_if(full || dead > DLQ_DEGRADED || old)
}

/// Health as a whole; the worst component wins.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HealthReport")]
pub struct Report {
    pub status: Health,
    /// Whether what is sold here has legal force: neither the KKT nor the OFD is emulated.
    fiscal: bool,
    /// Says so while something is.
    notice: Option<&'static str>,
    components: Components,
    version: &'static str,
}

#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Components {
    buffer: BufferHealth,
    circuit_breaker: Component,
    database: DatabaseHealth,
    sync: SyncHealth,
    kkt: KktHealth,
}

/// The buffer's figures; `null` where the storage does not answer.
#[derive(Serialize, JsonSchema)]
struct BufferHealth {
    status: Health,
    percent_full: Option<f64>,
    dlq_size: Option<u64>,
    pending: Option<u64>,
    unprinted: Option<u64>,
    oldest_pending_seconds: Option<i64>,
    /// Documents that failed their checksum and were set aside.
    damaged: Option<u64>,
}

#[derive(Serialize, JsonSchema)]
struct DatabaseHealth {
    status: Health,
    #[serde(rename = "type")]
    kind: &'static str,
    mode: &'static str,
    error: Option<String>,
}

#[derive(Serialize, JsonSchema)]
struct SyncHealth {
    status: Health,
    /// Lanes that need a person: the first document has not got through for ten minutes, or the lane is `stopped` or `failed`.
    stuck: Vec<Lane>,
}

#[derive(Serialize, JsonSchema)]
struct KktHealth {
    status: Health,
    devices: Vec<DeviceHealth>,
}

/// One KKT.
#[derive(Serialize, JsonSchema)]
struct DeviceHealth {
    device: DeviceId,
    /// The last thing it said; `null`: it works.
    trouble: Option<String>,
    /// The document whose printing a person must decide on; nothing is printed until then.
    blocked_by: Option<ReceiptId>,
    /// Documents that wait to be printed.
    unprinted: u64,
}

impl BufferHealth {
    fn of(stats: Option<&Stats>, now: Timestamp) -> Self {
        let oldest = stats.and_then(|stats| oldest_pending_seconds(stats, now));
        Self {
            status: stats.map_or(Health::Unhealthy, |stats| of_buffer(stats, oldest)),
            percent_full: stats.map(percent_full),
            dlq_size: stats.map(|stats| stats.total.dead),
            pending: stats.map(|stats| stats.total.pending),
            unprinted: stats.map(|stats| stats.total.unprinted),
            oldest_pending_seconds: oldest,
            damaged: stats.map(|stats| stats.damaged),
        }
    }
}

impl SyncHealth {
    fn of(stuck: Vec<LaneView>) -> Self {
        Self {
            status: Health::degraded_if(!stuck.is_empty()),
            stuck: stuck.into_iter().map(Lane::from).collect(),
        }
    }
}

impl KktHealth {
    fn of(devices: Vec<DeviceView>) -> Self {
        let blocked = devices.iter().any(|device| device.blocked_by.is_some() || device.trouble.is_some());
        let devices = devices.into_iter().map(|view| DeviceHealth {
            device: view.device,
            trouble: view.trouble,
            blocked_by: view.blocked_by,
            unprinted: view.unprinted,
        });
        Self { status: Health::degraded_if(blocked), devices: devices.collect() }
    }
}

/// Looks at everything.
pub async fn report(app: &App) -> Report {
    let ports = &app.ports;
    let stats = ports.buffer.stats().await;
    let store = ports.buffer.health();
    let breakers = ports.breakers.breakers();
    let closed = breakers.iter().all(|view| breakers::state(view) == "CLOSED");
    let works = store.ok && stats.is_ok();
    let database = DatabaseHealth {
        status: if works { Health::Healthy } else { Health::Unhealthy },
        kind: store.kind,
        mode: store.mode,
        error: store.error.or_else(|| stats.as_ref().err().map(ToString::to_string)),
    };
    let buffer = BufferHealth::of(stats.as_ref().ok(), ports.clock.wall());
    let kkt = KktHealth::of(ports.till.devices());
    let sync = SyncHealth::of(ports.sync.stuck());
    let status = buffer.status.max(database.status).max(kkt.status).max(sync.status);
    let status = status.max(Health::degraded_if(!closed));
    let fiscal = ports.fiscal();
    let circuit_breaker = Component::of(&ports.breakers.endpoint(), &breakers);
    Report {
        status,
        fiscal,
        notice: (!fiscal).then_some(NOT_FISCAL),
        components: Components { buffer, circuit_breaker, database, sync, kkt },
        version: ports.options.version,
    }
}

/// `GET /v1/health`: 200 also when unhealthy, clients read the body.
pub async fn health(State(app): State<Shared>) -> Response {
    json(StatusCode::OK, &report(&app).await)
}

/// `GET /livez`: the process answers.
pub async fn livez() -> StatusCode {
    StatusCode::OK
}

/// `GET /readyz`: 503 when unhealthy.
pub async fn readyz(State(app): State<Shared>) -> Response {
    let unhealthy = report(&app).await.status == Health::Unhealthy;
    if unhealthy { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK }.into_response()
}
