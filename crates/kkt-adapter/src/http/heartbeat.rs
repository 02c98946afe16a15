//! `GET /v1/kkt/heartbeat/status`: whether the ERP takes the adapter's signs of life.

use super::{router::Shared, view::json};
use axum::{extract::State, http::StatusCode, response::Response};
use serde_json::json;

/// The heartbeat as it stands; not running where none is configured.
pub async fn status(State(app): State<Shared>) -> Response {
    let view = app.ports.heartbeat.heartbeat();
    let body = json!({
        "running": view.running,
        "state": view.state.as_str(),
        "consecutive_successes": view.consecutive_successes,
        "consecutive_failures": view.consecutive_failures,
        "last_success": view.last_success.map(|at| at.to_string()),
        "last_error": view.last_error,
    });
    json(StatusCode::OK, &body)
}
