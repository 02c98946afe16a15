//! `GET /v1/kkt/heartbeat/status`: whether the ERP takes the adapter's signs of life.

use super::{
    router::Shared,
    view::{Time, json},
};
use crate::ports::LinkState;
use axum::{extract::State, http::StatusCode, response::Response};
use schemars::JsonSchema;
use serde::Serialize;

/// The heartbeat as it stands.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "HeartbeatStatus")]
pub struct Status {
    /// False where none is configured.
    running: bool,
    /// Online after two posts in a row that the ERP took, offline after three that it did not.
    state: LinkState,
    consecutive_successes: u32,
    consecutive_failures: u32,
    /// When the ERP last took one.
    last_success: Option<Time>,
    /// Why the latest post failed; `null` if it did not.
    last_error: Option<String>,
}

/// The heartbeat as it stands; not running where none is configured.
pub async fn status(State(app): State<Shared>) -> Response {
    let view = app.ports.heartbeat.heartbeat();
    let status = Status {
        running: view.running,
        state: view.state,
        consecutive_successes: view.consecutive_successes,
        consecutive_failures: view.consecutive_failures,
        last_success: view.last_success.map(Time),
        last_error: view.last_error,
    };
    json(StatusCode::OK, &status)
}
