//! Health, for people and for supervisors.
//!
//! | status | when |
//! |---|---|
//! | unhealthy | buffer ≥ 100 %, more than 100 dead letters, or the database fails |
//! | degraded | any breaker not CLOSED, any device blocked or in trouble, any lane stuck (its first document has not got through for 10 minutes) or stopped, buffer ≥ 80 %, more than 50 dead letters, oldest pending > 3 days |
//! | healthy | else |

use super::{
    breakers,
    buffer::{lane, oldest_pending_seconds, percent_full},
    pages::NOT_FISCAL,
    router::{App, Shared},
    view::json,
};
use crate::ports::{DeviceView, Stats};
use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse, Response},
};
use serde_json::{Value, json};

const BUFFER_DEGRADED_PERCENT: u64 = 80;
const DLQ_DEGRADED: u64 = 50;
const DLQ_UNHEALTHY: u64 = 100;
const OLDEST_DEGRADED_SECONDS: i64 = 3 * 24 * 3_600;

/// How it goes; the worse one wins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Health {
    /// All is well.
    Healthy,
    /// It works, somebody should look.
    Degraded,
    /// Somebody must look now.
    Unhealthy,
}

impl Health {
    /// The name in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

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

/// Health as a whole, and its page.
pub struct Report {
    /// The worst of all components.
    pub status: Health,
    /// The page.
    pub body: Value,
}

/// Looks at everything.
pub async fn report(app: &App) -> Report {
    let ports = &app.ports;
    let stats = ports.buffer.stats().await;
    let store = ports.buffer.health();
    let now = ports.clock.wall();
    let breakers = ports.breakers.breakers();
    let devices = ports.till.devices();
    let closed = breakers.iter().all(|view| breakers::state(view) == "CLOSED");
    let blocked = devices.iter().any(|device| device.blocked_by.is_some() || device.trouble.is_some());

    let (buffer_status, buffer) = match &stats {
        Ok(stats) => {
            let oldest = oldest_pending_seconds(stats, now);
            let status = of_buffer(stats, oldest);
            (
                status,
                json!({
                    "status": status.as_str(),
                    "percent_full": percent_full(stats),
                    "dlq_size": stats.total.dead,
                    "pending": stats.total.pending,
                    "unprinted": stats.total.unprinted,
                    "oldest_pending_seconds": oldest,
                    "damaged": stats.damaged,
                }),
            )
        }
        Err(_) => (
            Health::Unhealthy,
            json!({
                "status": "unhealthy", "percent_full": null, "dlq_size": null, "pending": null,
            }),
        ),
    };
    let works = store.ok && stats.is_ok();
    let database = if works { Health::Healthy } else { Health::Unhealthy };
    let error = store.error.or_else(|| stats.as_ref().err().map(ToString::to_string));
    let kkt = Health::degraded_if(blocked);
    let stuck = ports.sync.stuck();
    let sync = Health::degraded_if(!stuck.is_empty());
    let status = buffer_status.max(database).max(kkt).max(sync).max(Health::degraded_if(!closed));
    let fiscal = ports.fiscal();
    let body = json!({
        "status": status.as_str(),
        "fiscal": fiscal,
        "notice": (!fiscal).then_some(NOT_FISCAL),
        "components": {
            "buffer": buffer,
            "circuit_breaker": breakers::component(&ports.breakers.endpoint(), &breakers),
            "database": { "status": database.as_str(), "type": store.kind, "mode": store.mode, "error": error },
            "sync": { "status": sync.as_str(), "stuck": stuck.iter().map(lane).collect::<Vec<_>>() },
            "kkt": { "status": kkt.as_str(), "devices": devices.iter().map(device).collect::<Vec<_>>() },
        },
        "version": ports.options.version,
    });
    Report { status, body }
}

fn device(view: &DeviceView) -> Value {
    json!({
        "device": view.device,
        "trouble": view.trouble,
        "blocked_by": view.blocked_by.map(|id| id.to_string()),
        "unprinted": view.unprinted,
    })
}

/// `GET /v1/health`: 200 also when unhealthy, clients read the body.
pub async fn health(State(app): State<Shared>) -> Response {
    json(StatusCode::OK, &report(&app).await.body)
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
