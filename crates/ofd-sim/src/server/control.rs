//! The simulator's own interface: `/sim/…`.

use super::guard::{guard, json_response, problem};
use super::shared::Shared;
use crate::plan::Plan;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::rejection::QueryRejection;
use axum::extract::{DefaultBodyLimit, Query, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware;
use axum::response::Response;
use axum::routing::{get, post};
use http_body_util::Channel;
use serde::Deserialize;
use serde_json::json;
use std::sync::Arc;

const PLAN_MAX: usize = 1024 * 1024;
/// Documents rendered at a time while the ledger is streamed: bounds memory and how long the lock is held.
const PAGE: usize = 1000;

pub(super) fn routes(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/sim/ledger", get(ledger))
        .route("/sim/stats", get(stats))
        .route("/sim/faults", get(faults).put(set_faults).delete(heal))
        .route("/sim/reset", post(reset))
        .layer(DefaultBodyLimit::max(PLAN_MAX))
        .layer(middleware::from_fn_with_state(shared.clone(), guard))
        .with_state(shared)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Page {
    #[serde(default)]
    after: u64,
    limit: Option<usize>,
    key: Option<String>,
}

/// `{"documents":[…],"next":cursor or null,"total":n}`, streamed.
async fn ledger(State(shared): State<Arc<Shared>>, page: Result<Query<Page>, QueryRejection>) -> Response {
    let Query(page) = match page {
        Ok(page) => page,
        Err(error) => {
            let detail = format!("{error}; allowed: after (a document's seq), limit (a number), key");
            return problem(StatusCode::UNPROCESSABLE_ENTITY, "query", &detail);
        }
    };
    if let Some(key) = &page.key {
        let (found, total) = shared.read(|core| (core.ledger().find(key), core.ledger().len()));
        let documents: Vec<_> = found.into_iter().collect();
        return json_response(StatusCode::OK, &json!({"documents": documents, "next": null, "total": total}));
    }
    let (sender, body) = Channel::<Bytes>::new(1);
    tokio::spawn(stream_ledger(shared, page, sender));
    let mut response = Response::new(Body::new(body));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

async fn stream_ledger(shared: Arc<Shared>, page: Page, mut sender: http_body_util::channel::Sender<Bytes>) {
    // What comes while this runs is left for the next call: the end is fixed now.
    let total = shared.read(|core| core.ledger().len());
    let end = page.after.saturating_add(page.limit.unwrap_or(usize::MAX) as u64).min(total as u64);
    let mut after = page.after;
    let mut text = String::from("{\"documents\":[");
    while after < end {
        let left = usize::try_from(end - after).unwrap_or(PAGE).min(PAGE);
        let documents = shared.read(|core| core.ledger().page(after, left));
        let Some(last) = documents.last() else { break };
        let first = after == page.after;
        after = last.seq;
        for (i, document) in documents.iter().enumerate() {
            text.push_str(if first && i == 0 { "\n" } else { ",\n" });
            text.push_str(&serde_json::to_string(document).expect("a document has string keys only"));
        }
        if sender.send_data(Bytes::from(std::mem::take(&mut text))).await.is_err() {
            return;
        }
    }
    let next = (after < total as u64).then_some(after);
    text.push_str(&format!("],\"next\":{},\"total\":{total}}}\n", json!(next)));
    // The client may be gone: nothing to do then.
    let _ = sender.send_data(Bytes::from(text)).await;
}

async fn stats(State(shared): State<Arc<Shared>>) -> Response {
    json_response(StatusCode::OK, &json!(shared.read(crate::core::Core::stats)))
}

async fn faults(State(shared): State<Arc<Shared>>) -> Response {
    let body = shared.read(|core| {
        let (plan, applied) = core.plan();
        json!({"plan": plan.to_json(), "applied": applied})
    });
    json_response(StatusCode::OK, &body)
}

async fn set_faults(State(shared): State<Arc<Shared>>, body: Bytes) -> Response {
    let plan = match serde_json::from_slice(&body) {
        Ok(json) => Plan::from_json(&json).map_err(|e| e.to_json()),
        Err(error) => Err(json!({"type": "json_invalid", "loc": ["body"], "msg":
            format!("{error}; send a plan such as {{\"fault\":\"fail\",\"status\":503,\"times\":5}}")})),
    };
    match plan {
        Ok(plan) => {
            shared.set_faults(plan);
            faults(State(shared)).await
        }
        Err(detail) => json_response(
            StatusCode::UNPROCESSABLE_ENTITY,
            &json!({"detail": [detail], "type": "validation_error"}),
        ),
    }
}

async fn heal(State(shared): State<Arc<Shared>>) -> Response {
    shared.set_faults(Plan::ok());
    faults(State(shared)).await
}

async fn reset(State(shared): State<Arc<Shared>>) -> Response {
    match shared.reset() {
        Ok(()) => json_response(StatusCode::OK, &json!({"status": "reset"})),
        Err(error) => {
            let detail = format!("the state file cannot be emptied: {error}");
            problem(StatusCode::INTERNAL_SERVER_ERROR, "state_file", &detail)
        }
    }
}
