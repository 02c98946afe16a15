//! The buffer's figures, the forced sync, the lanes.

use super::{auth::Bearer, body, breakers, error::ApiError, gate::detached, router::Shared, view::json};
use crate::ports::{Counts, LaneView, Stats};
use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use jiff::Timestamp;
use serde_json::{Value, json};
use std::sync::Arc;

/// How full the buffer is, in percent with two decimals, never rounded up to 100.
#[must_use]
pub fn percent_full(stats: &Stats) -> f64 {
    if stats.capacity == 0 {
        return 100.0;
    }
    let hundredths = u128::from(stats.used) * 10_000 / u128::from(stats.capacity);
    hundredths as f64 / 100.0
}

/// Age of the oldest document that the OFD has not confirmed, in seconds.
#[must_use]
pub fn oldest_pending_seconds(stats: &Stats, now: Timestamp) -> Option<i64> {
    stats.oldest_unconfirmed.map(|oldest| now.duration_since(oldest).as_secs().max(0))
}

fn sum(counts: &Counts) -> u64 {
    counts.unprinted + counts.pending + counts.synced + counts.dead + counts.cancelled
}

fn add(a: Counts, b: &Counts) -> Counts {
    Counts {
        unprinted: a.unprinted + b.unprinted,
        pending: a.pending + b.pending,
        synced: a.synced + b.synced,
        dead: a.dead + b.dead,
        cancelled: a.cancelled + b.cancelled,
    }
}

/// `GET /v1/kkt/buffer/status`. To a till's token the counts are of its own tills; how full the buffer is concerns all.
pub async fn status(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
) -> Result<Response, ApiError> {
    let stats = app.ports.buffer.stats().await?;
    let mine = |pos_id: &_| bearer.tills().is_none_or(|own| own.contains(pos_id));
    let per_pos: Vec<Value> = stats
        .per_pos
        .iter()
        .filter(|(pos_id, _)| mine(pos_id))
        .map(|(pos_id, counts)| {
            json!({
                "pos_id": pos_id, "total_receipts": sum(counts), "unprinted": counts.unprinted,
                "pending": counts.pending, "synced": counts.synced, "failed": counts.dead,
                "cancelled": counts.cancelled,
            })
        })
        .collect();
    let counts = match bearer.tills() {
        None => stats.total,
        Some(own) => own.iter().filter_map(|p| stats.per_pos.get(p)).fold(Counts::default(), add),
    };
    let state = breakers::state(&app.ports.breakers.endpoint());
    let percent = percent_full(&stats);
    let body = json!({
        "total_capacity": stats.capacity,
        "current_queued": stats.used,
        "percent_full": percent,
        "network_status": breakers::network_status(state),
        "total_receipts": sum(&counts),
        "unprinted": counts.unprinted,
        "pending": counts.pending,
        "synced": counts.synced,
        "failed": counts.dead,
        "cancelled": counts.cancelled,
        "dlq_size": counts.dead,
        "buffer_percent": percent,
        "buffer_count": stats.used,
        "cb_state": state,
        "oldest_pending_seconds": oldest_pending_seconds(&stats, app.ports.clock.wall()),
        "damaged": stats.damaged,
        "fiscal": app.ports.fiscal(),
        "per_pos": per_pos,
    });
    Ok(json(StatusCode::OK, &body))
}

/// `POST /v1/kkt/buffer/sync`.
pub async fn sync(State(app): State<Shared>, request: Request) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    body::form(&parts, body, &app.ports.options, |_, _| Some(())).await?;
    let sync = Arc::clone(&app.ports.sync);
    let report = detached(async move { sync.sync_now().await })
        .await?
        .map_err(|busy| ApiError::new(StatusCode::CONFLICT, "sync_running", busy.to_string()))?;
    let body = json!({
        "status": "completed",
        "synced": report.synced,
        "failed": report.failed,
        "skipped": report.skipped,
        "duration_seconds": report.duration.as_millis() as f64 / 1000.0,
        "message": report.message,
    });
    Ok(json(StatusCode::ACCEPTED, &body))
}

/// A lane, and the document that holds it up, if one does.
pub fn lane(view: &LaneView) -> Value {
    let head = view.head.map(|head| {
        json!({
            "receipt_id": head.id,
            "fiscal_doc_number": head.fd,
            "failing_for_seconds": head.failing_for.as_secs(),
            "tries": head.tries,
        })
    });
    json!({ "device": view.device, "state": view.state, "last_error": view.last_error, "head": head })
}

/// `GET /v1/kkt/worker/status`.
pub async fn worker(State(app): State<Shared>) -> Response {
    let view = app.ports.sync.worker();
    let lanes: Vec<Value> = view.lanes.iter().map(lane).collect();
    let body = json!({
        "running": view.running,
        "task_status": if view.running { "running" } else { "stopped" },
        "lane_count": view.lane_count,
        "lanes": lanes,
    });
    json(StatusCode::OK, &body)
}
