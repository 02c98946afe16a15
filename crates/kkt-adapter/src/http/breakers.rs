//! The circuit breakers, seen and commanded.

mod view;

pub use view::{Breaker, Component, state, state_schema};

use super::{
    body,
    documents::{Because, REASON_MAX},
    error::ApiError,
    gate::{access, detached},
    router::Shared,
    view::{Time, json},
};
use crate::{
    domain::validate::{
        form::Form,
        schema::{TEXT, whole_or_none},
    },
    ports::{BreakerCommand, BreakerError},
};
use axum::{
    extract::{Path, Request, State},
    http::StatusCode,
    response::Response,
};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value};
use std::{sync::Arc, time::Duration};

/// Longest force-open with an end: 30 days.
const FORCED_SECONDS_MAX: i64 = 30 * 24 * 3_600;

/// All breakers, the endpoint's first.
#[derive(Serialize, JsonSchema)]
pub struct Breakers {
    breakers: Vec<Breaker>,
}

/// The states a breaker has been in since the adapter started.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "BreakerHistory")]
pub struct History {
    key: String,
    /// Nothing is known of the time before.
    known_since: Time,
    /// The adapter's clock.
    now: Time,
    /// In the order of time; the last one is the present one.
    stays: Vec<Stay>,
}

/// From when on it was in a state.
#[derive(Serialize, JsonSchema)]
#[schemars(inline)]
struct Stay {
    since: Time,
    #[schemars(schema_with = "state_schema")]
    state: &'static str,
}

/// Rejects every call, for so long or until released.
#[derive(JsonSchema)]
pub struct ForceOpen {
    /// Why, for the audit and for those who see it.
    #[schemars(length(min = 1, max = REASON_MAX), regex(pattern = TEXT))]
    reason: String,
    /// Released by itself after this time.
    #[serde(default)]
    #[schemars(schema_with = "whole_or_none::<1, FORCED_SECONDS_MAX>")]
    for_seconds: Option<i64>,
}

/// Permits every call, whatever fails.
#[derive(JsonSchema)]
pub struct ForceClosed {
    /// Why, for the audit and for those who see it.
    #[schemars(length(min = 1, max = REASON_MAX), regex(pattern = TEXT))]
    reason: String,
}

/// `GET /v1/kkt/circuit-breakers`, the endpoint's first.
pub async fn list(State(app): State<Shared>) -> Response {
    let breakers = app.ports.breakers.breakers().iter().map(Breaker::of).collect();
    json(StatusCode::OK, &Breakers { breakers })
}

/// `GET /v1/kkt/circuit-breakers/{key}`.
pub async fn show(State(app): State<Shared>, Path(key): Path<String>) -> Result<Response, ApiError> {
    let view = app.ports.breakers.breaker(&key).ok_or(BreakerError::NotFound(key))?;
    Ok(json(StatusCode::OK, &Breaker::of(&view)))
}

/// `GET /v1/kkt/circuit-breakers/{key}/history`: the states it has been in since the adapter started, in memory only.
pub async fn history(State(app): State<Shared>, Path(key): Path<String>) -> Result<Response, ApiError> {
    let view = app.ports.breakers.breaker(&key).ok_or_else(|| BreakerError::NotFound(key.clone()))?;
    let history = app.ports.events.history(&key);
    let stay = |since, state| Stay { since: Time(since), state };
    let mut stays: Vec<Stay> = history.stays.iter().map(|one| stay(one.since, one.state.as_str())).collect();
    if stays.is_empty() {
        stays.push(stay(history.known_since, state(&view)));
    }
    let (known_since, now) = (Time(history.known_since), Time(app.ports.clock.wall()));
    Ok(json(StatusCode::OK, &History { key, known_since, now, stays }))
}

fn reason(form: &mut Form, map: &mut Map<String, Value>) -> Option<String> {
    let given = form.required(map, "reason")?;
    form.text("reason", given, REASON_MAX)
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
    Ok(json(StatusCode::OK, &Breaker::of(&view)))
}

/// `POST …/{key}/force-open {"reason","for_seconds"?}`.
pub async fn force_open(
    State(app): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    command(app, key, request, |form, map| {
        let reason = reason(form, map);
        let for_seconds = match form.optional(map, "for_seconds") {
            Some(value) => Some(form.whole("for_seconds", &value, 1, FORCED_SECONDS_MAX)?),
            None => None,
        };
        let ForceOpen { reason, for_seconds } = ForceOpen { reason: reason?, for_seconds };
        let for_how_long = for_seconds.map(|seconds| Duration::from_secs(seconds.unsigned_abs()));
        Some((BreakerCommand::ForceOpen { for_how_long }, reason))
    })
    .await
}

/// `POST …/{key}/force-closed {"reason"}`.
pub async fn force_closed(
    State(app): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    command(app, key, request, |form, map| {
        let ForceClosed { reason } = ForceClosed { reason: reason(form, map)? };
        Some((BreakerCommand::ForceClosed, reason))
    })
    .await
}

/// `POST …/{key}/release {"reason"?}`.
pub async fn release(
    State(app): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    command(app, key, request, |form, map| Some((BreakerCommand::Release, Because::read(form, map)?.words())))
        .await
}

/// `POST …/{key}/reset {"reason"?}`.
pub async fn reset(
    State(app): State<Shared>,
    Path(key): Path<String>,
    request: Request,
) -> Result<Response, ApiError> {
    command(app, key, request, |form, map| Some((BreakerCommand::Reset, Because::read(form, map)?.words())))
        .await
}
