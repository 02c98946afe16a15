//! The operator's own interface: `POST /ofd/v1/receipt` and `GET /ofd/v1/health`.

use super::connection::Connection;
use super::deliver::deliver;
use super::guard::problem;
use super::shared::Shared;
use crate::Options;
use crate::core::call::Call;
use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use std::sync::Arc;
use std::time::Duration;

/// A body that is not complete by then is given up.
const BODY_TIMEOUT: Duration = Duration::from_secs(30);

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/ofd/v1/receipt", post(receipt))
        .route("/ofd/v1/health", get(health))
        .with_state(shared)
}

async fn receipt(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
    body: Body,
) -> Response {
    let body = match tokio::time::timeout(BODY_TIMEOUT, to_bytes(body, Options::BODY_MAX)).await {
        Ok(Ok(body)) => body,
        Ok(Err(_)) => {
            return problem(StatusCode::PAYLOAD_TOO_LARGE, "body_too_large", "a receipt is at most 2 MiB");
        }
        Err(_) => {
            return problem(StatusCode::REQUEST_TIMEOUT, "body_timeout", "send the body within 30 s");
        }
    };
    let key = headers.get("idempotency-key").and_then(|v| v.to_str().ok());
    let call = Call::receipt(shared.knows(authorization(&headers)), key, &body);
    answer(&shared, &connection, &call).await
}

async fn health(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    headers: HeaderMap,
) -> Response {
    let call = Call::Ping { authorised: shared.knows(authorization(&headers)) };
    answer(&shared, &connection, &call).await
}

async fn answer(shared: &Arc<Shared>, connection: &Connection, call: &Call) -> Response {
    let (in_flight, action) = shared.step(call);
    match action {
        Ok(action) => deliver(action, in_flight, shared, connection).await,
        Err(error) => {
            let detail = format!("the state file cannot be written: {error}");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "state_file", &detail)
        }
    }
}

pub(super) fn authorization(headers: &HeaderMap) -> Option<&str> {
    headers.get(header::AUTHORIZATION)?.to_str().ok()
}
