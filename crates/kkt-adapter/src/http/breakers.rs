//! The circuit breakers, seen and commanded.

use super::{
    body,
    documents::REASON_MAX,
    error::ApiError,
    gate::{access, detached},
    router::Shared,
    view::json,
};
use crate::{
    domain::validate::form::Form,
    ports::{BreakerCommand, BreakerError, BreakerView},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use circuit_breaker::State as BreakerState;
use serde_json::{Map, Value, json};
use std::{sync::Arc, time::Duration};

/// Longest force-open with an end: 30 days.
const FORCED_SECONDS_MAX: i64 = 30 * 24 * 3_600;

/// The state's name: CLOSED | OPEN | HALF_OPEN | FORCED_….
#[must_use]
pub fn state(view: &BreakerView) -> &'static str {
    view.snapshot.state.as_str()
}

fn seconds(time: Option<Duration>) -> Option<f64> {
    time.map(|time| time.as_millis() as f64 / 1000.0)
}

/// The component of health: the endpoint's breaker, and all of them in short. The counts are the totals, which never
/// go down: the failure that opened the circuit is among them.
#[must_use]
pub fn component(endpoint: &BreakerView, all: &[BreakerView]) -> Value {
    json!({
        "state": state(endpoint),
        "failure_count": endpoint.snapshot.failures,
        "success_count": endpoint.snapshot.successes,
        "consecutive_failures": endpoint.snapshot.consecutive_failures,
        "last_failure": endpoint.last_failure.map(|at| at.to_string()),
        "last_state_change": endpoint.since.to_string(),
        "retry_after_seconds": seconds(endpoint.retry_after),
        "reason": endpoint.reason,
        "breakers": all.iter().map(brief).collect::<Vec<_>>(),
    })
}

fn brief(view: &BreakerView) -> Value {
    json!({
        "key": view.key,
        "pos_id": view.pos_id,
        "state": state(view),
        "reason": view.reason,
        "since": view.since.to_string(),
        "retry_after_seconds": seconds(view.retry_after),
        "failure_count": view.snapshot.failures,
        "success_count": view.snapshot.successes,
    })
}

fn whole(view: &BreakerView) -> Value {
    let snapshot = &view.snapshot;
    let spent: Map<String, Value> = BreakerState::ALL
        .iter()
        .map(|state| (state.as_str().to_owned(), seconds(Some(snapshot.time_in_state.of(*state))).into()))
        .collect();
    json!({
        "key": view.key,
        "pos_id": view.pos_id,
        "state": state(view),
        "generation": snapshot.generation,
        "reason": view.reason,
        "since": view.since.to_string(),
        "retry_after_seconds": seconds(view.retry_after),
        "forced_until": view.forced_until.map(|at| at.to_string()),
        "last_failure": view.last_failure.map(|at| at.to_string()),
        "consecutive_failures": snapshot.consecutive_failures,
        "in_flight": snapshot.in_flight,
        "probe_successes": snapshot.probe_successes,
        "opens_in_row": snapshot.opens_in_row,
        "window": serde_json::to_value(snapshot.window).unwrap_or_default(),
        "counters": {
            "successes": snapshot.successes,
            "failures": snapshot.failures,
            "slow": snapshot.slow,
            "ignored": snapshot.ignored,
            "abandoned": snapshot.abandoned,
            "late": snapshot.late,
            "overdue": snapshot.overdue,
            "rejected": snapshot.rejected,
            "opens": snapshot.opens,
            "state_seconds": spent,
        },
        "configuration": serde_json::to_value(&*snapshot.config).unwrap_or_default(),
    })
}

/// `GET /v1/kkt/circuit-breakers`, the endpoint's first.
pub async fn list(State(app): State<Shared>) -> Response {
    let all: Vec<Value> = app.ports.breakers.breakers().iter().map(whole).collect();
    json(StatusCode::OK, &json!({ "breakers": all }))
}

/// `GET /v1/kkt/circuit-breakers/{key}`.
pub async fn show(State(app): State<Shared>, Path(key): Path<String>) -> Result<Response, ApiError> {
    let view = app.ports.breakers.breaker(&key).ok_or(BreakerError::NotFound(key))?;
    Ok(json(StatusCode::OK, &whole(&view)))
}

/// `GET /v1/kkt/circuit-breakers/{key}/history`: the states it has been in since the adapter started, in memory only.
pub async fn history(State(app): State<Shared>, Path(key): Path<String>) -> Result<Response, ApiError> {
    let view = app.ports.breakers.breaker(&key).ok_or_else(|| BreakerError::NotFound(key.clone()))?;
    let history = app.ports.events.history(&key);
    let stay = |since: String, state: &str| json!({ "since": since, "state": state });
    let mut stays: Vec<Value> =
        history.stays.iter().map(|one| stay(one.since.to_string(), one.state.as_str())).collect();
    if stays.is_empty() {
        stays.push(stay(history.known_since.to_string(), state(&view)));
    }
    let now = app.ports.clock.wall().to_string();
    let known_since = history.known_since.to_string();
    Ok(json(StatusCode::OK, &json!({ "key": key, "known_since": known_since, "now": now, "stays": stays })))
}

fn reason(form: &mut Form, map: &mut Map<String, Value>, needed: bool) -> Option<String> {
    let given = if needed { Some(form.required(map, "reason")?) } else { form.optional(map, "reason") };
    match given {
        Some(value) => form.text("reason", value, REASON_MAX),
        None => Some(String::new()),
    }
}

async fn command(
    app: Shared,
    key: String,
    request: Request,
    read: impl FnOnce(&mut Form, &mut Map<String, Value>) -> Option<(BreakerCommand, String)>,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let by = access(&parts.extensions)?.actor();
    let (command, why) = body::form(&parts, body, &app.ports.options, read).await?;
    let breakers = Arc::clone(&app.ports.breakers);
    let view = detached(async move { breakers.command(&key, command, by, why).await }).await??;
    Ok(json(StatusCode::OK, &whole(&view)))
}

/// `POST …/{key}/force-open {"reason","for_seconds"?}`.
pub async fn force_open(
    State(app): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    command(app, key, request, |form, map| {
        let why = reason(form, map, true);
        let for_how_long = match form.optional(map, "for_seconds") {
            Some(value) => {
                let seconds = form.whole("for_seconds", &value, 1, FORCED_SECONDS_MAX)?;
                Some(Duration::from_secs(seconds.unsigned_abs()))
            }
            None => None,
        };
        Some((BreakerCommand::ForceOpen { for_how_long }, why?))
    })
    .await
}

/// `POST …/{key}/force-closed {"reason"}`.
pub async fn force_closed(
    State(app): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    command(app, key, request, |form, map| Some((BreakerCommand::ForceClosed, reason(form, map, true)?)))
        .await
}

/// `POST …/{key}/release {"reason"?}`.
pub async fn release(
    State(app): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    command(app, key, request, |form, map| Some((BreakerCommand::Release, reason(form, map, false)?))).await
}

/// `POST …/{key}/reset {"reason"?}`.
pub async fn reset(
    State(app): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    command(app, key, request, |form, map| Some((BreakerCommand::Reset, reason(form, map, false)?))).await
}
