//! The page at `/`, the page of metrics, and the answer for paths that do not exist.

use super::{dashboard, error::ApiError, gate::access, health, router::Shared, view::json};
use axum::{
    extract::{Request, State},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

/// Shown while anything is emulated.
pub const NOT_FISCAL: &str =
    "НЕ ФИСКАЛЬНЫЙ / NOT FISCAL: the KKT or the OFD is emulated, these are no legal receipts";

/// Where to begin.
#[derive(Serialize, JsonSchema)]
pub struct Root {
    message: &'static str,
    version: &'static str,
    /// The page that shows this API.
    docs: &'static str,
    health: &'static str,
    status: health::Health,
}

/// `GET /`: the dashboard for a browser, a few facts for others. The page holds no data, so it needs no token.
pub async fn root(State(app): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let accept =
        request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if accept.split(',').any(|kind| kind.trim_start().starts_with("text/html")) {
        return Ok(dashboard::page(app.ports.fiscal(), request.headers()));
    }
    let bearer = access(request.extensions())?;
    bearer.enter(super::auth::Area::Read, request.method())?;
    let report = health::report(&app).await;
    let body = Root {
        message: if app.ports.fiscal() { "kkt-adapter" } else { NOT_FISCAL },
        version: app.ports.options.version,
        docs: "/docs",
        health: "/v1/health",
        status: report.status,
    };
    Ok(json(StatusCode::OK, &body))
}

/// `GET /metrics`.
pub async fn metrics(State(app): State<Shared>) -> Result<Response, ApiError> {
    let text = app.ports.metrics.render().await?;
    let kind = HeaderValue::from_static("text/plain; version=0.0.4; charset=utf-8");
    Ok(([(header::CONTENT_TYPE, kind)], text).into_response())
}

/// Every other path.
pub async fn no_such_path() -> StatusCode {
    StatusCode::NOT_FOUND
}
