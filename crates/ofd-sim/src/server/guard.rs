//! Who may use `/sim/…`: this machine, and others with a token; no web page.

use super::connection::Connection;
use super::ofd::authorization;
use super::shared::Shared;
use axum::Extension;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::Next;
use axum::response::Response;
use serde_json::json;
use std::net::IpAddr;
use std::sync::Arc;

/// An error in the contract's form.
pub(super) fn problem(status: StatusCode, kind: &str, detail: &str) -> Response {
    json_response(status, &json!({"detail": detail, "type": kind}))
}

pub(super) fn json_response(status: StatusCode, body: &serde_json::Value) -> Response {
    let mut response = Response::new(Body::from(body.to_string()));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) async fn guard(
    State(shared): State<Arc<Shared>>,
    Extension(connection): Extension<Connection>,
    request: Request,
    next: Next,
) -> Response {
    let headers = request.headers();
    if connection.peer.ip().is_loopback() {
        // A page that a browser on this machine has open: it names its origin on every change, and one that got here
        // by a name of its own (DNS rebinding) names a foreign host.
        let host = headers.get(header::HOST).and_then(|v| v.to_str().ok()).unwrap_or_default();
        if headers.contains_key(header::ORIGIN) || !is_loopback_name(host) {
            let detail = "/sim is not for web pages: call it without Origin and by a loopback name";
            return problem(StatusCode::FORBIDDEN, "foreign_page", detail);
        }
    } else if !shared.needs_token() || !shared.knows(authorization(headers)) {
        let detail = "from another machine /sim needs Authorization: Bearer with a configured token";
        return problem(StatusCode::UNAUTHORIZED, "unauthorised", detail);
    }
    next.run(request).await
}

fn is_loopback_name(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|b| b.is_ascii_digit()) => name,
        _ => host,
    };
    let name = name.trim_start_matches('[').trim_end_matches(']');
    name.eq_ignore_ascii_case("localhost") || name.parse::<IpAddr>().is_ok_and(|ip| ip.is_loopback())
}
