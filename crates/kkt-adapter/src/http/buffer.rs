//! The buffer's figures, the forced sync, the lanes.

use super::{auth::Bearer, body, breakers, error::ApiError, gate::detached, router::Shared, view::json};
use crate::{
    domain::ids::{DeviceId, PosId, ReceiptId},
    ports::{Counts, LaneView, NetworkStatus, Stats},
};
use axum::{
    Extension,
    extract::{Request, State},
    http::StatusCode,
    response::Response,
};
use jiff::Timestamp;
use schemars::JsonSchema;
use serde::Serialize;
use std::sync::Arc;

/// How full the buffer is, in percent with two decimals, never rounded up to 100.
#[must_use]
pub fn percent_full(stats: &Stats) -> f64 {
    stats.percent_full()
}

/// Age of the oldest document that the OFD has not confirmed, in seconds.
#[must_use]
pub fn oldest_pending_seconds(stats: &Stats, now: Timestamp) -> Option<i64> {
    stats.oldest_pending_seconds(now)
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

/// The buffer's figures.
#[derive(Serialize, JsonSchema)]
pub struct BufferStatus {
    /// Documents that may be unsettled at a time.
    total_capacity: u64,
    /// Documents that are: not printed, not confirmed by the OFD, or dead.
    current_queued: u64,
    /// Two decimals, never rounded up to 100.
    percent_full: f64,
    network_status: NetworkStatus,
    total_receipts: u64,
    /// Taken, not printed yet.
    unprinted: u64,
    /// Printed, not confirmed by the OFD yet.
    pending: u64,
    /// Confirmed.
    synced: u64,
    /// Dead letters that nobody has closed.
    failed: u64,
    cancelled: u64,
    /// As `failed`.
    dlq_size: u64,
    /// As `percent_full`.
    buffer_percent: f64,
    /// As `current_queued`.
    buffer_count: u64,
    /// The state of the endpoint's breaker.
    #[schemars(schema_with = "breakers::state_schema")]
    cb_state: &'static str,
    /// Age of the oldest document that the OFD has not confirmed; `null`: none waits.
    oldest_pending_seconds: Option<i64>,
    /// Documents that failed their checksum and were set aside.
    damaged: u64,
    fiscal: bool,
    /// Till by till; to a till's token its own ones.
    per_pos: Vec<TillCounts>,
}

/// The documents of one till.
#[derive(Serialize, JsonSchema)]
struct TillCounts {
    pos_id: PosId,
    total_receipts: u64,
    unprinted: u64,
    pending: u64,
    synced: u64,
    failed: u64,
    cancelled: u64,
}

impl TillCounts {
    fn of(pos_id: &PosId, counts: &Counts) -> Self {
        Self {
            pos_id: pos_id.clone(),
            total_receipts: sum(counts),
            unprinted: counts.unprinted,
            pending: counts.pending,
            synced: counts.synced,
            failed: counts.dead,
            cancelled: counts.cancelled,
        }
    }
}

/// What a forced sync did.
#[derive(Serialize, JsonSchema)]
pub struct SyncResult {
    status: SyncWord,
    /// Documents confirmed.
    synced: u64,
    /// Sends that failed, and documents that died.
    failed: u64,
    /// Documents left waiting: a breaker is open.
    skipped: u64,
    duration_seconds: f64,
    message: String,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum SyncWord {
    Completed,
}

/// The background work.
#[derive(Serialize, JsonSchema)]
pub struct WorkerStatus {
    running: bool,
    task_status: WorkerWord,
    /// Lanes in all.
    lane_count: usize,
    /// At most 1,000 of them.
    lanes: Vec<Lane>,
}

#[derive(Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
enum WorkerWord {
    Running,
    Stopped,
}

/// The lane in which a device's documents travel to the OFD.
#[derive(Serialize, JsonSchema)]
pub struct Lane {
    device: DeviceId,
    /// `idle`, `queued`, `sending`, `waiting` (for the breaker or after a failure), `stopped` (until a person has decided about
    /// a dead letter), `failed` (by a defect of the program, see `last_error`).
    state: &'static str,
    last_error: Option<String>,
    head: Option<Head>,
}

/// The first document of a lane, which was tried and did not get through: nothing behind it is sent.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "LaneHead")]
struct Head {
    receipt_id: ReceiptId,
    fiscal_doc_number: u32,
    /// Since its first failure in this run of the program.
    failing_for_seconds: u64,
    tries: u32,
}

impl From<LaneView> for Lane {
    fn from(LaneView { device, state, last_error, head }: LaneView) -> Self {
        let head = head.map(|head| Head {
            receipt_id: head.id,
            fiscal_doc_number: head.fd,
            failing_for_seconds: head.failing_for.as_secs(),
            tries: head.tries,
        });
        Self { device, state, last_error, head }
    }
}

/// `GET /v1/kkt/buffer/status`. To a till's token the counts are of its own tills; how full the buffer is concerns all.
pub async fn status(
    State(app): State<Shared>,
    Extension(bearer): Extension<Arc<Bearer>>,
) -> Result<Response, ApiError> {
    let stats = app.ports.buffer.stats().await?;
    let mine = |pos_id: &_| bearer.tills().is_none_or(|own| own.contains(pos_id));
    let tills = stats.per_pos.iter().filter(|(pos_id, _)| mine(pos_id));
    let per_pos = tills.map(|(pos_id, counts)| TillCounts::of(pos_id, counts)).collect();
    let counts = match bearer.tills() {
        None => stats.total,
        Some(own) => own.iter().filter_map(|p| stats.per_pos.get(p)).fold(Counts::default(), add),
    };
    let endpoint = app.ports.breakers.endpoint();
    let percent = percent_full(&stats);
    let body = BufferStatus {
        total_capacity: stats.capacity,
        current_queued: stats.used,
        percent_full: percent,
        network_status: endpoint.network_status(),
        total_receipts: sum(&counts),
        unprinted: counts.unprinted,
        pending: counts.pending,
        synced: counts.synced,
        failed: counts.dead,
        cancelled: counts.cancelled,
        dlq_size: counts.dead,
        buffer_percent: percent,
        buffer_count: stats.used,
        cb_state: breakers::state(&endpoint),
        oldest_pending_seconds: oldest_pending_seconds(&stats, app.ports.clock.wall()),
        damaged: stats.damaged,
        fiscal: app.ports.fiscal(),
        per_pos,
    };
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
    let body = SyncResult {
        status: SyncWord::Completed,
        synced: report.synced,
        failed: report.failed,
        skipped: report.skipped,
        duration_seconds: report.duration.as_millis() as f64 / 1000.0,
        message: report.message,
    };
    Ok(json(StatusCode::ACCEPTED, &body))
}

/// `GET /v1/kkt/worker/status`.
pub async fn worker(State(app): State<Shared>) -> Response {
    let view = app.ports.sync.worker();
    let body = WorkerStatus {
        running: view.running,
        task_status: if view.running { WorkerWord::Running } else { WorkerWord::Stopped },
        lane_count: view.lane_count,
        lanes: view.lanes.into_iter().map(Lane::from).collect(),
    };
    json(StatusCode::OK, &body)
}
